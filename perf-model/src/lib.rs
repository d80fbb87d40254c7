//! What an LLM engine costs: step latency, memory and KV capacity, from measured kernel tables.
//!
//! Pure: no I/O, no clock, no randomness; the same question gives the same bits.
//!
//! ```
//! use dgdr_perf_model::{
//!     ContextQuery, Engine, ParallelMapping, PerfDatabase, Precision, SystemSpec, registry, Backend, MemoryFit,
//! };
//!
//! let system = SystemSpec::by_name("h200_sxm").ok_or("no such system")?;
//! let model = registry::find("Qwen/Qwen3-32B").ok_or("no such model")?;
//! let database = PerfDatabase::embedded(system, Backend::Trtllm, None)?;
//! let precision = Precision::infer(model, &database)?;
//! let engine = Engine::new(&database, model, precision, ParallelMapping::tp(2)?)?;
//!
//! let prefill = engine.static_context(ContextQuery { batch: 1, isl: 4000, prefix: 0 })?;
//! assert_eq!(format!("{:.1}", prefill.ttft.value), "220.6 ms");
//! assert_eq!(prefill.memory.fit(), MemoryFit::Fits);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod backend;
pub mod coverage;
pub mod efficiency;
pub mod engine;
pub mod error;
pub mod graph;
pub mod mapping;
pub mod memory;
pub mod model;
pub mod operators;
pub mod precision;
pub mod provenance;
pub mod quant;
pub mod registry;
pub mod system;
pub mod tables;

pub use backend::Backend;
pub use coverage::{Coverage, CoverageQuery};
pub use efficiency::GapPolicy;
pub use engine::{
    Aggregated, AggregatedQuery, Borrowed, ContextQuery, DecodeStepQuery, Engine, ExchangePolicy,
    GenerationQuery, KvCapacity, KvCapacityQuery, MemoryQuery, OperatorTime, Speculation, StaticContext,
    StaticGeneration,
};
pub use error::PerfModelError;
pub use mapping::{MappingError, MappingWidths, ParallelMapping};
pub use memory::{MemoryBreakdown, MemoryFit, MemoryFraction, WorkerRole};
pub use model::{Assumption, Experts, ModelFamily, ModelSpec};
pub use precision::PrecisionOverrides;
pub use provenance::{Axis, Beyond, Estimate, OperatorLatency, Provenance, Source, SourceKind};
pub use quant::{FmhaQuant, GemmQuant, KvQuant, MoeQuant, PartFormats, Precision};
pub use system::SystemSpec;
pub use tables::PerfDatabase;
