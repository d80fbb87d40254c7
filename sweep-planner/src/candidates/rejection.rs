//! Why a mapping is not measured.

use std::fmt;

use dgdr_perf_model::Backend;
use dgdr_units::{Bytes, Gpus};
use serde::Serialize;

/// Why a mapping is not measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rejection {
    /// Weights would fill the memory.
    WeightsTooLarge {
        /// Weights on each GPU, at the least.
        per_gpu: Bytes,
        /// Memory of a GPU.
        memory: Bytes,
        /// Percent of it that weights may take.
        percent: u32,
        /// Fewest GPUs that hold the weights.
        min_gpus: u32,
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
    /// A dense worker stays among GPUs that are joined as fast as those of one node.
    WiderThanNode {
        /// The width.
        tp: u32,
        /// GPUs of a node.
        gpus_per_node: u32,
    },
    /// A worker with experts spans few nodes.
    WiderThanNodes {
        /// GPUs of the worker.
        gpus: u32,
        /// Most nodes.
        nodes: u32,
        /// GPUs of a node.
        gpus_per_node: u32,
    },
    /// Wider than the user allows.
    WiderThanEngineLimit {
        /// GPUs of the worker.
        gpus: u32,
        /// The user's limit.
        limit: Gpus,
    },
    /// More GPUs than there are.
    OverBudget {
        /// GPUs of the worker.
        gpus: u32,
        /// All GPUs of the deployment.
        total: Gpus,
    },
    /// More groups of experts than experts.
    TooFewExperts {
        /// Experts of a layer.
        experts: u32,
        /// Expert-parallel width.
        moe_ep: u32,
    },
    /// Rows of an expert that share a scale would be cut.
    ExpertsNotAligned {
        /// Hidden size of an expert.
        intermediate: u32,
        /// Rows that share a scale.
        block: u32,
        /// Ranks that share an expert.
        moe_tp: u32,
    },
    /// The engine spreads attention in one way only.
    AttentionMixed {
        /// The engine.
        backend: Backend,
    },
    /// The engine spreads experts in one way only.
    ExpertsMixed {
        /// The engine.
        backend: Backend,
    },
}

impl Rejection {
    /// What would make the mapping possible.
    pub fn remedy(&self) -> String {
        match *self {
            Self::WeightsTooLarge { min_gpus, .. } => format!(
                "use at least {min_gpus} GPUs per worker, GPUs with more memory, or a quantised checkpoint"
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
            Self::WiderThanNodes {
                nodes, gpus_per_node, ..
            } => {
                format!(
                    "use at most {} GPUs per worker",
                    nodes.saturating_mul(gpus_per_node)
                )
            }
            Self::WiderThanEngineLimit { gpus, .. } => {
                format!("raise hardware.maxNumGpusPerEngine to at least {gpus}")
            }
            Self::OverBudget { gpus, .. } => format!("raise hardware.totalGpus to at least {gpus}"),
            Self::TooFewExperts { experts, .. } => {
                format!("use an expert parallelism of at most {experts}")
            }
            Self::ExpertsNotAligned { .. } => {
                "spread experts by expert parallelism, or by a narrower tensor parallelism".to_owned()
            }
            Self::AttentionMixed { .. } => {
                "spread attention by tensor or by data parallelism, not by both".to_owned()
            }
            Self::ExpertsMixed { .. } => {
                "spread experts by tensor or by expert parallelism, not by both".to_owned()
            }
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::WeightsTooLarge {
                per_gpu,
                memory,
                percent,
                ..
            } => {
                let room = memory.gib() * f64::from(percent) / 100.0;
                write!(
                    f,
                    "does not fit by {:.1} GiB: weights take {:.1} GiB of each GPU, {percent} % of its memory are {room:.1} GiB",
                    per_gpu.gib() - room,
                    per_gpu.gib()
                )
            }
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
            Self::WiderThanNodes {
                gpus,
                nodes,
                gpus_per_node,
            } => write!(
                f,
                "{} are more than {nodes} nodes of {}, the most of one worker",
                Gpus::new(gpus),
                Gpus::new(gpus_per_node)
            ),
            Self::WiderThanEngineLimit { gpus, limit } => write!(
                f,
                "{} are more than hardware.maxNumGpusPerEngine = {}",
                Gpus::new(gpus),
                limit.get()
            ),
            Self::OverBudget { gpus, total } => write!(
                f,
                "{} are more than hardware.totalGpus = {}",
                Gpus::new(gpus),
                total.get()
            ),
            Self::TooFewExperts { experts, moe_ep } => {
                write!(f, "{experts} experts are too few for expert parallelism {moe_ep}")
            }
            Self::ExpertsNotAligned {
                intermediate,
                block,
                moe_tp,
            } => write!(
                f,
                "experts of hidden size {intermediate} in blocks of {block} cannot be split over {moe_tp} ranks"
            ),
            Self::AttentionMixed { backend } => write!(
                f,
                "{backend} spreads attention by tensor or by data parallelism, not by both"
            ),
            Self::ExpertsMixed { backend } => write!(
                f,
                "{backend} spreads experts by tensor or by expert parallelism, not by both"
            ),
        }
    }
}
