//! What the planner decided, and everything that is needed to explain it.

use std::cmp::Ordering;
use std::fmt;

use dgdr_perf_model::ParallelMapping;
use dgdr_units::Gpus;
use serde::{Deserialize, Serialize};

use crate::candidates::Rejected;
use crate::measurements::{Failure, Role};
use crate::{Goal, Picking, Problem};

mod configuration;
mod gap;
mod ranking;

pub use configuration::{Configuration, Layout, Performance, WorkerGroup};
pub(crate) use gap::relative_excess;
pub use gap::{Gap, Remedy};
pub use ranking::{Chosen, Excluded, Lost, ParetoPoint, RankedEntry, Ranking};

/// The answer to a problem.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// What was picked, if anything.
    pub outcome: Outcome,
    /// Everything that was compared.
    pub ranking: Ranking,
}

/// What was picked. An SLA is never relaxed silently.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The best configuration that keeps everything that was asked for.
    Met(Configuration),
    /// Nothing keeps everything: the nearest that can be had.
    Closest(Closest),
    /// Nothing can be deployed at all.
    Infeasible {
        /// Why, one entry each candidate; never empty.
        reasons: Vec<Reason>,
    },
}

impl Outcome {
    /// The picked configuration, met or closest.
    pub const fn configuration(&self) -> Option<&Configuration> {
        match self {
            Self::Met(configuration) => Some(configuration),
            Self::Closest(closest) => Some(&closest.pick),
            Self::Infeasible { .. } => None,
        }
    }

    /// Whether this outcome is better than another of the same problem on another engine.
    ///
    /// What meets everything beats what does not; among equals the problem's own idea of good decides, and of two
    /// misses the smaller one.
    pub fn beats(&self, other: &Self, problem: &Problem) -> bool {
        match (self, other) {
            (Self::Met(mine), Self::Met(theirs)) => better(mine, theirs, problem),
            (Self::Closest(mine), Self::Closest(theirs)) => mine.binding.excess() < theirs.binding.excess(),
            (Self::Met(_), Self::Closest(_)) | (Self::Met(_) | Self::Closest(_), Self::Infeasible { .. }) => {
                true
            }
            (Self::Closest(_), Self::Met(_)) | (Self::Infeasible { .. }, _) => false,
        }
    }
}

/// Whether one configuration that meets everything is better than another.
fn better(mine: &Configuration, theirs: &Configuration, problem: &Problem) -> bool {
    let (fast, other) = (&mine.performance, &theirs.performance);
    let by_itl = if problem.goal == Goal::Latency {
        fast.itl.total_cmp(&other.itl)
    } else {
        Ordering::Equal
    };
    let by_picking = match problem.picking {
        Picking::BestThroughput => other
            .tokens_per_s_per_gpu_cluster
            .total_cmp(&fast.tokens_per_s_per_gpu_cluster),
        Picking::LoadMatch(_) => mine
            .total_gpus()
            .cmp(&theirs.total_gpus())
            .then(other.tokens_per_s_per_gpu.total_cmp(&fast.tokens_per_s_per_gpu)),
        Picking::Autoscale => other.tokens_per_s_per_gpu.total_cmp(&fast.tokens_per_s_per_gpu),
    };
    by_itl.then(by_picking).is_lt()
}

/// The nearest configuration, and how to get what was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Closest {
    /// The nearest configuration.
    pub pick: Configuration,
    /// The bound that is missed by the largest share.
    pub binding: Gap,
    /// Other bounds that are missed too.
    pub also_missed: Vec<Gap>,
    /// What would help, the most direct first.
    pub remedies: Vec<Remedy>,
}

/// Why nothing can be deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// A mapping was rejected before measuring.
    Rejected(Rejected),
    /// A worker gave no usable number.
    Unmeasured {
        /// The worker.
        mapping: ParallelMapping,
        /// Its role.
        role: Role,
        /// Its first failure; none when nothing was recorded.
        failure: Option<Failure>,
    },
    /// Workers exist, but no combination fits the budget.
    NothingFits {
        /// GPUs of the smallest combination.
        needed: Gpus,
        /// GPUs of the budget.
        available: Gpus,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejected) => write!(
                f,
                "{}: {}; {}",
                rejected.mapping,
                rejected.reason,
                rejected.reason.remedy()
            ),
            Self::Unmeasured {
                mapping,
                role,
                failure: Some(failure),
            } => write!(f, "{mapping} {role}: {failure}"),
            Self::Unmeasured { mapping, role, .. } => {
                write!(f, "{mapping} {role}: no measurement was recorded")
            }
            Self::NothingFits { needed, available } => write!(
                f,
                "the smallest deployment needs {needed} but hardware.totalGpus is {}; raise hardware.totalGpus or use \
                 aggregated serving",
                available.get()
            ),
        }
    }
}
