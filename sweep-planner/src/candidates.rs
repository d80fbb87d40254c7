//! Which parallel mappings are worth measuring, and why the others are not.
//!
//! For a dense model the widths are the powers of two from the smallest that holds the weights,
//! `⌈weights / 0.9 / GPU memory⌉` rounded up (the profiler guide's step 2), to one node. Upstream lists 1, 2, 4, 8 on
//! every system and 16 on rack-scale ones (gb200, gb300), and drops by memory later; the rule of the guide, one node
//! for a dense model, is ours, so on a rack-scale system with 4 GPUs a node TP8 and TP16 are rejected by name.

use std::fmt;

use dgdr_perf_model::ParallelMapping;
use dgdr_units::{Bytes, Gpus, real};
use serde::Serialize;

use crate::{ModelKind, ProbeKind, Problem};

/// Share of a GPU's memory that weights may take, from the profiler guide.
const WEIGHT_SHARE: f64 = 0.9;

/// Fewest attention heads on a GPU for which kernels were measured, from the profiler guide.
const MIN_SIMULATED_HEADS: u32 = 4;

/// Widest tensor parallelism that is ever named as rejected, as wide as upstream's widest dense search.
const WIDEST_NAMED: u32 = 16;

/// Mappings to measure, narrowest first, and those that never come to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidates {
    /// To measure, in ascending order.
    pub kept: Vec<ParallelMapping>,
    /// Not to measure, with the reason.
    pub rejected: Vec<Rejected>,
}

/// A mapping that is not measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Its tensor parallelism; the mapping itself is never constructed.
    pub tp: u32,
    /// Why.
    pub reason: Rejection,
}

impl Rejected {
    /// The mapping's name, for example `TP8`.
    pub fn name(&self) -> String {
        match self.reason {
            Rejection::Experts { .. } => "all mappings".to_owned(),
            Rejection::WeightsTooLarge { .. }
            | Rejection::HeadsNotDivisible { .. }
            | Rejection::TooFewHeadsPerGpu { .. }
            | Rejection::WiderThanNode { .. }
            | Rejection::WiderThanEngineLimit { .. }
            | Rejection::OverBudget { .. } => format!("TP{}", self.tp),
        }
    }
}

/// Why a mapping is not measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rejection {
    /// Weights would fill the memory.
    WeightsTooLarge {
        /// Weights on each GPU.
        per_gpu: Bytes,
        /// Memory of a GPU.
        memory: Bytes,
        /// Smallest width that holds the weights.
        min_tp: u32,
    },
    /// Heads cannot be shared out evenly.
    HeadsNotDivisible {
        /// Attention heads of the model.
        heads: u32,
        /// The width.
        tp: u32,
    },
    /// The simulator has no data for so few heads on a GPU.
    TooFewHeadsPerGpu {
        /// Attention heads of the model.
        heads: u32,
        /// The width.
        tp: u32,
        /// Widest that leaves four heads on each GPU.
        max_tp: u32,
    },
    /// A dense worker stays within one node.
    WiderThanNode {
        /// The width.
        tp: u32,
        /// GPUs of a node.
        gpus_per_node: u32,
    },
    /// Wider than the user allows.
    WiderThanEngineLimit {
        /// The width.
        tp: u32,
        /// The user's limit.
        limit: Gpus,
    },
    /// More GPUs than there are.
    OverBudget {
        /// The width.
        tp: u32,
        /// All GPUs of the deployment.
        total: Gpus,
    },
    /// Experts are not searched.
    Experts {
        /// Routed experts of one layer.
        experts: u32,
    },
}

impl Rejection {
    /// What would make the mapping possible.
    pub fn remedy(&self) -> String {
        match *self {
            Self::WeightsTooLarge { min_tp, .. } => format!(
                "use at least {min_tp} GPUs per worker, GPUs with more memory, or a quantised checkpoint"
            ),
            Self::HeadsNotDivisible { heads, .. } => {
                format!("use a tensor-parallel width that divides {heads}")
            }
            Self::TooFewHeadsPerGpu { max_tp, .. } => format!(
                "set hardware.maxNumGpusPerEngine: {max_tp}, or use searchStrategy: thorough, which measures real \
                 engines and has no such limit"
            ),
            Self::WiderThanNode { gpus_per_node, .. } => {
                format!("use at most {gpus_per_node} GPUs per worker")
            }
            Self::WiderThanEngineLimit { tp, .. } => {
                format!("raise hardware.maxNumGpusPerEngine to at least {tp}")
            }
            Self::OverBudget { tp, .. } => format!("raise hardware.totalGpus to at least {tp}"),
            Self::Experts { .. } => {
                "use a dense model: mixture-of-experts mappings are not searched yet".to_owned()
            }
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::WeightsTooLarge { per_gpu, memory, .. } => write!(
                f,
                "weights take {:.1} GiB of each GPU, more than 90 % of its {:.1} GiB",
                per_gpu.gib(),
                memory.gib()
            ),
            Self::HeadsNotDivisible { heads, tp } => {
                write!(f, "{heads} attention heads cannot be split evenly over tp = {tp}")
            }
            Self::TooFewHeadsPerGpu { heads, tp, max_tp } => write!(
                f,
                "the simulator needs at least 4 attention heads per GPU: {heads} heads over tp = {tp} leave {}, \
                 so the widest is tp = {max_tp} ({heads} / 4)",
                heads / tp.max(1)
            ),
            Self::WiderThanNode { tp, gpus_per_node } => write!(
                f,
                "tp = {tp} is wider than a node of {}, and a dense worker stays within one",
                Gpus::new(gpus_per_node)
            ),
            Self::WiderThanEngineLimit { tp, limit } => {
                write!(
                    f,
                    "tp = {tp} is wider than hardware.maxNumGpusPerEngine = {}",
                    limit.get()
                )
            }
            Self::OverBudget { tp, total } => {
                write!(
                    f,
                    "tp = {tp} needs more GPUs than hardware.totalGpus = {}",
                    total.get()
                )
            }
            Self::Experts { experts } => write!(
                f,
                "the model has {experts} experts a layer, and mixture-of-experts mappings are not searched yet"
            ),
        }
    }
}

/// Smallest power of two of GPUs that holds the weights: `⌈weights / 0.9 / GPU memory⌉` rounded up.
pub fn min_tensor_parallelism(problem: &Problem) -> u32 {
    let memory = real(problem.system.memory.get()) * WEIGHT_SHARE;
    let ratio = if memory > 0.0 {
        real(problem.model.weights.get()) / memory
    } else {
        f64::INFINITY
    };
    let gpus = u32::try_from(dgdr_units::floor_count(ratio.ceil())).unwrap_or(u32::MAX);
    gpus.max(1).checked_next_power_of_two().unwrap_or(u32::MAX)
}

/// All mappings of the question: kept or rejected with a reason.
///
/// When nothing is kept, [`crate::pick`] answers `Infeasible` with these reasons.
pub fn candidates(problem: &Problem) -> Candidates {
    let mut found = Candidates {
        kept: Vec::new(),
        rejected: Vec::new(),
    };
    if let ModelKind::MixtureOfExperts { experts } = problem.model.kind {
        found.rejected.push(Rejected {
            tp: 1,
            reason: Rejection::Experts {
                experts: experts.get(),
            },
        });
        return found;
    }
    let min_tp = min_tensor_parallelism(problem);
    let widest = WIDEST_NAMED
        .max(problem.system.gpus_per_node.get())
        .max(min_tp.min(1 << 12));
    let widths = std::iter::successors(Some(1_u32), |tp| tp.checked_mul(2)).take_while(|tp| *tp <= widest);
    for tp in widths {
        match (reject(problem, tp, min_tp), ParallelMapping::tp(tp)) {
            (None, Ok(mapping)) => found.kept.push(mapping),
            (Some(reason), _) => found.rejected.push(Rejected { tp, reason }),
            // Widths start at 1, so a mapping of zero GPUs cannot come up.
            (None, Err(_)) => {}
        }
    }
    found
}

/// The first reason against a width, the user's own limits before those of the model.
fn reject(problem: &Problem, tp: u32, min_tp: u32) -> Option<Rejection> {
    let heads = problem.model.attention_heads.get();
    let gpus_per_node = problem.system.gpus_per_node.get();
    let total = problem.budget.total_gpus;
    if tp < min_tp {
        return Some(Rejection::WeightsTooLarge {
            per_gpu: Bytes::new(problem.model.weights.get() / u64::from(tp)),
            memory: problem.system.memory,
            min_tp,
        });
    }
    if let Some(limit) = problem.budget.max_gpus_per_engine
        && tp > limit.get()
    {
        return Some(Rejection::WiderThanEngineLimit { tp, limit });
    }
    if tp > gpus_per_node {
        return Some(Rejection::WiderThanNode { tp, gpus_per_node });
    }
    if tp > total.get() {
        return Some(Rejection::OverBudget { tp, total });
    }
    if problem.probe == ProbeKind::Simulated && heads / tp < MIN_SIMULATED_HEADS {
        return Some(Rejection::TooFewHeadsPerGpu {
            heads,
            tp,
            max_tp: (heads / MIN_SIMULATED_HEADS).max(1),
        });
    }
    (!heads.is_multiple_of(tp)).then_some(Rejection::HeadsNotDivisible { heads, tp })
}

#[cfg(test)]
mod tests;
