//! Which parallel mappings to try, what to measure next, and which to pick under an SLA and a GPU budget.
//!
//! Pure and sans-IO: the planner never calls a performance model or an engine. It hands out [`Query`]s, is given
//! [`Answer`]s, and decides. The same planner therefore serves simulation and real benchmarks.
//!
//! 1. [`candidates`]: the mappings that fit, and the reason against each other one.
//! 2. [`Walk`]: what to measure next.
//! 3. [`pick`]: the best configuration as an [`Outcome`], and the whole [`Ranking`] with the reason why each loser
//!    lost.
//! 4. [`prefill_grid`], [`decode_grid`]: where the picked workers are measured in depth.
//!
//! ```
//! use std::num::NonZeroU32;
//!
//! use dgdr_perf_model::{Backend, Estimate, Provenance};
//! use dgdr_sweep_planner::*;
//! use dgdr_units::{Bytes, Gpus, Milliseconds};
//!
//! let count = |n| NonZeroU32::new(n).unwrap();
//! let ms = |value| Milliseconds::new(value).unwrap();
//! let workload = Workload::new(4000, 1000)?;
//! let problem = Problem {
//!     model: ModelFacts {
//!         attention_heads: count(64),
//!         kv_heads: count(8),
//!         layers: count(64),
//!         weights: Bytes::new(65_000_000_000),
//!         kind: ModelKind::Dense,
//!     },
//!     system: SystemFacts { memory: Bytes::new(141 << 30), gpus_per_node: count(8), gpus_per_domain: count(8) },
//!     backend: Backend::Trtllm,
//!     workload,
//!     goal: Goal::Sla(Sla::TokenLatency { ttft: ms(2000.0), itl: ms(30.0) }),
//!     picking: Picking::BestThroughput,
//!     serving: Serving::Disaggregated,
//!     budget: Budget { total_gpus: Gpus::new(8), max_gpus_per_engine: None },
//!     space: SearchSpace::Guide,
//!     extensions: Extensions::default(),
//!     probe: ProbeKind::Simulated,
//!     corrections: DisaggregatedCorrections::upstream(),
//! };
//! let candidates = candidates(&problem);
//! let mut walk = Walk::new(&problem, &candidates, &WalkPolicy::exhaustive(workload));
//! while let Some(query) = walk.next_query() {
//!     let gpus = f64::from(query.mapping.gpus().get());
//!     let sure = |value| Estimate { value: ms(value), provenance: Provenance::default() };
//!     walk.record(Ok(match query.point {
//!         Point::Prefill { batch } => Measured::Prefill { ttft: sure(800.0 * f64::from(batch) / gpus), kv_transfer: Milliseconds::ZERO },
//!         Point::Decode { batch } => Measured::Decode { itl: sure(20.0 / gpus + 0.05 * f64::from(batch)) },
//!         Point::Aggregated { .. } => unreachable!("only disaggregated serving was asked for"),
//!     }))?;
//! }
//! let decision = pick(&problem, &candidates, &walk.finish());
//! let Outcome::Met(configuration) = decision.outcome else { panic!("{:?}", decision.outcome) };
//! assert!(configuration.total_gpus() <= problem.budget.total_gpus);
//! # Ok::<(), PlannerError>(())
//! ```
#![forbid(unsafe_code)]

mod candidates;
mod error;
mod grid;
mod measurements;
mod outcome;
mod pick;
mod problem;
mod walk;

pub use candidates::{Candidates, Rejected, Rejection, candidates, min_gpus_per_worker};
pub use error::PlannerError;
pub use grid::{DecodePoint, DecodeRange, Granularity, decode_grid, prefill_grid};
pub use measurements::{Answer, Failure, Measured, Measurements, Point, Query, Role};
pub use outcome::{
    Chosen, Closest, Configuration, Decision, Excluded, Gap, Layout, Lost, Outcome, ParetoPoint, Performance,
    RankedEntry, Ranking, Reason, Remedy, WorkerGroup,
};
pub use pick::pick;
pub use problem::{
    AttentionKind, Budget, Decimals, DisaggregatedCorrections, ExpertFacts, Extensions, Goal, Latencies,
    Load, ModelFacts, ModelKind, Picking, ProbeKind, Problem, SearchSpace, Serving, Sla, SystemFacts,
    Workload,
};
pub use walk::{PastItl, Walk, WalkPolicy};

#[cfg(test)]
mod fixture;
