//! What an LLM engine costs: step latency, memory and KV capacity, from measured kernel tables.
//!
//! Pure: no I/O, no clock, no randomness; the same question gives the same bits.
#![forbid(unsafe_code)]

pub mod backend;
pub mod error;
pub mod mapping;
pub mod memory;
pub mod model;
pub mod provenance;
pub mod quant;
pub mod registry;
pub mod system;

pub use backend::Backend;
pub use error::PerfModelError;
pub use mapping::{MappingError, MappingWidths, ParallelMapping};
pub use memory::{MemoryBreakdown, MemoryFit, MemoryFraction, WorkerRole};
pub use model::{ModelFamily, ModelSpec};
pub use provenance::{Estimate, OperatorLatency, Provenance, Source};
pub use quant::{FmhaQuant, GemmQuant, KvQuant, Precision};
pub use system::SystemSpec;
