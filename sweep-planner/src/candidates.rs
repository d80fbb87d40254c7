//! Which parallel mappings are worth measuring, and why the others are not.
//!
//! [`space`] lists the mappings of a search space, [`rules`] drops those that cannot or may not run, each with its
//! reason. The narrowest worker has `⌈weights / 0.9 / GPU memory⌉` GPUs, rounded up to a power of two (the profiler
//! guide's step 2).

use dgdr_perf_model::{MappingWidths, ParallelMapping};
use serde::Serialize;

use crate::Problem;

mod rejection;
mod rules;
mod space;

pub use rejection::Rejection;
pub use rules::min_gpus_per_worker;

/// Mappings to measure, narrowest first, and those that never come to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidates {
    /// To measure, by GPUs, then by widths.
    pub kept: Vec<ParallelMapping>,
    /// Not to measure, with the reason.
    pub rejected: Vec<Rejected>,
}

/// A mapping that is not measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Its widths; the mapping itself is never constructed.
    pub mapping: MappingWidths,
    /// Why.
    pub reason: Rejection,
}

/// All mappings of the question: kept or rejected with a reason.
///
/// When nothing is kept, [`crate::pick`] answers `Infeasible` with these reasons.
pub fn candidates(problem: &Problem) -> Candidates {
    let rules = rules::Rules::of(problem);
    let mut found = Candidates {
        kept: Vec::new(),
        rejected: Vec::new(),
    };
    for widths in space::widths(problem, rules.min_gpus()) {
        match (rules.against(widths), ParallelMapping::new(widths)) {
            (None, Ok(mapping)) => found.kept.push(mapping),
            (Some(reason), _) => found.rejected.push(Rejected {
                mapping: widths,
                reason,
            }),
            // A space lists positive widths whose attention and experts take equally many GPUs.
            (None, Err(_)) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests;
