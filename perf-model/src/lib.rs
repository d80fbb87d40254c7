//! What an LLM engine costs: step latency, memory and KV capacity, from measured kernel tables.
//!
//! Pure: no I/O, no clock, no randomness; the same question gives the same bits.
#![forbid(unsafe_code)]

pub mod backend;
pub mod mapping;
pub mod provenance;
pub mod quant;
pub mod system;

pub use backend::Backend;
pub use mapping::{MappingError, MappingWidths, ParallelMapping};
pub use provenance::{Estimate, OperatorLatency, Provenance, Source};
pub use quant::{FmhaQuant, GemmQuant, KvQuant, Precision};
pub use system::SystemSpec;
