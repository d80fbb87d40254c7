//! The question: a model, hardware, a workload, a goal and a budget, all resolved.

use std::num::NonZeroU32;

use dgdr_perf_model::{Backend, ParallelMapping};
use dgdr_units::{Bytes, Gpus, Milliseconds, RequestsPerSecond};
use serde::{Deserialize, Serialize};

use crate::PlannerError;
use crate::outcome::relative_excess;

/// What the planner needs to know of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ModelFacts {
    /// Attention (query) heads of one layer.
    pub attention_heads: NonZeroU32,
    /// Key/value heads of one layer; replicated where tensor parallelism is wider.
    pub kv_heads: NonZeroU32,
    /// Transformer layers.
    pub layers: NonZeroU32,
    /// All weights, in the precision in which they are served.
    pub weights: Bytes,
    /// Dense or with experts.
    pub kind: ModelKind,
}

impl ModelFacts {
    /// The experts, where there are any.
    pub const fn experts(&self) -> Option<ExpertFacts> {
        match self.kind {
            ModelKind::Dense => None,
            ModelKind::MixtureOfExperts(experts) => Some(experts),
        }
    }
}

/// Kind of the feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// One feed-forward network a layer.
    Dense,
    /// Routed experts.
    MixtureOfExperts(ExpertFacts),
}

/// What the planner needs to know of routed experts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ExpertFacts {
    /// Routed experts of one layer.
    pub experts: NonZeroU32,
    /// Hidden size of one expert.
    pub intermediate: NonZeroU32,
    /// Rows of an expert's weights that share a scale and so stay together; 1 where each row is on its own.
    pub block: NonZeroU32,
    /// Kind of attention beside the experts.
    pub attention: AttentionKind,
}

/// What attention keeps of a token, as far as it decides how attention is spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttentionKind {
    /// Keys and values of groups of heads, which tensor-parallel ranks share out.
    Grouped,
    /// One latent vector for all heads, which every tensor-parallel rank keeps whole.
    Latent,
}

/// What the planner needs to know of the hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SystemFacts {
    /// Memory of one GPU.
    pub memory: Bytes,
    /// GPUs of one node.
    pub gpus_per_node: NonZeroU32,
    /// GPUs that are joined as fast as those of one node: a node, or a rack where NVLink joins its nodes.
    pub gpus_per_domain: NonZeroU32,
}

/// Which mappings are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchSpace {
    /// Those of the profiler guide: TP for dense models, TEP and DEP for experts, and TP too where attention has
    /// grouped queries; dense workers within one node, those with experts within four.
    #[default]
    Guide,
    /// Those of aiconfigurator 0.12.0: for experts every product of tensor and data parallelism of attention with
    /// tensor and expert parallelism of experts, and what [`Extensions`] adds.
    Wide,
}

/// What a model, an engine and a system allow beyond tensor, data and expert parallelism. Widths ascend.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Extensions {
    /// Ranks that one prompt can be split over, beyond one. Only prefill is split.
    pub context_parallel: Vec<u32>,
    /// Pipeline stages that are worth a try, beyond one.
    pub pipeline_stages: Vec<u32>,
    /// Widths of expert parallelism at which tokens travel by all-to-all kernels of the engine.
    pub exchanged_experts: Vec<u32>,
}

/// The GPUs that may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// All GPUs of the deployment.
    pub total_gpus: Gpus,
    /// GPUs of the widest worker that may be tried; none for no limit of its own.
    pub max_gpus_per_engine: Option<Gpus>,
}

/// A typical request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Workload {
    isl: u32,
    osl: u32,
    prefix: u32,
}

impl Workload {
    /// A request of `isl` prompt tokens and `osl` generated tokens.
    ///
    /// # Errors
    /// [`PlannerError::Workload`] for an empty prompt, or fewer than two generated tokens (one token has no
    /// inter-token latency).
    pub const fn new(isl: u32, osl: u32) -> Result<Self, PlannerError> {
        if isl == 0 {
            return Err(PlannerError::Workload {
                field: "workload.isl",
                value: isl,
                expected: "at least 1",
            });
        }
        if osl < 2 {
            return Err(PlannerError::Workload {
                field: "workload.osl",
                value: osl,
                expected: "at least 2, since a single token has no inter-token latency",
            });
        }
        Ok(Self { isl, osl, prefix: 0 })
    }

    /// The same request with `prefix` prompt tokens already cached.
    ///
    /// # Errors
    /// [`PlannerError::Workload`] when the prefix is not shorter than the prompt.
    pub const fn with_prefix(self, prefix: u32) -> Result<Self, PlannerError> {
        if prefix >= self.isl {
            return Err(PlannerError::Workload {
                field: "workload.prefix",
                value: prefix,
                expected: "shorter than workload.isl",
            });
        }
        Ok(Self { prefix, ..self })
    }

    /// Prompt tokens.
    pub const fn isl(self) -> u32 {
        self.isl
    }

    /// Generated tokens, at least 2.
    pub const fn osl(self) -> u32 {
        self.osl
    }

    /// Prompt tokens that are already cached.
    pub const fn prefix(self) -> u32 {
        self.prefix
    }
}

/// Load that the deployment must carry.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// Requests in flight.
    Concurrency(NonZeroU32),
    /// Arriving requests; [`Load::rate`] refuses zero.
    RequestRate(RequestsPerSecond),
}

impl Load {
    /// A load of `rate`.
    ///
    /// # Errors
    /// [`PlannerError::Zero`] for no requests at all.
    pub fn rate(rate: RequestsPerSecond) -> Result<Self, PlannerError> {
        if rate.get() > 0.0 {
            Ok(Self::RequestRate(rate))
        } else {
            Err(PlannerError::Zero {
                field: "workload.requestRate",
            })
        }
    }
}

/// Latencies that must be kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sla {
    /// A bound each on the first token and on the following ones.
    TokenLatency {
        /// Time to first token.
        ttft: Milliseconds,
        /// Time between tokens.
        itl: Milliseconds,
    },
    /// One bound on the whole request: `TTFT + ITL × (OSL − 1)`.
    RequestLatency(Milliseconds),
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// The most tokens under an SLA.
    Sla(Sla),
    /// The most tokens, whatever the latency.
    Throughput,
    /// The lowest inter-token latency, whatever the throughput.
    Latency,
}

/// Latencies that are held against a goal, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latencies {
    /// Time to first token.
    pub ttft: f64,
    /// Time between tokens.
    pub itl: f64,
    /// Time of the whole request.
    pub request: f64,
}

impl Goal {
    /// By what share latencies miss the SLA, all bounds added; 0 where it is kept or there is none.
    pub fn excess(self, reached: Latencies) -> f64 {
        match self.sla() {
            None => 0.0,
            Some(Sla::TokenLatency { ttft, itl }) => {
                relative_excess(reached.ttft, ttft.get()) + relative_excess(reached.itl, itl.get())
            }
            Some(Sla::RequestLatency(bound)) => relative_excess(reached.request, bound.get()),
        }
    }

    /// The SLA, if one was given.
    pub const fn sla(self) -> Option<Sla> {
        match self {
            Self::Sla(sla) => Some(sla),
            Self::Throughput | Self::Latency => None,
        }
    }
}

/// How the winner is found among those that keep the SLA.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Picking {
    /// The most tokens per second from all GPUs of the budget.
    BestThroughput,
    /// The fewest GPUs that carry a load.
    LoadMatch(Load),
    /// One worker a role, to be scaled at run time: the most tokens per second and GPU when each role is scaled to
    /// balance the other.
    Autoscale,
}

/// Which ways of serving are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Serving {
    /// Prefill and decode in one worker.
    Aggregated,
    /// Prefill and decode in workers of their own.
    Disaggregated,
    /// Both, the better one is chosen.
    Both,
}

impl Serving {
    /// Whether aggregated workers are considered.
    pub const fn aggregated(self) -> bool {
        matches!(self, Self::Aggregated | Self::Both)
    }

    /// Whether workers of one role are considered.
    pub const fn disaggregated(self) -> bool {
        matches!(self, Self::Disaggregated | Self::Both)
    }
}

/// Who answers the planner's queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeKind {
    /// The performance model, which has no data below four attention heads a GPU.
    Simulated,
    /// Real engines.
    Measured,
}

/// The whole question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Problem {
    /// The model.
    pub model: ModelFacts,
    /// The hardware.
    pub system: SystemFacts,
    /// The engine.
    pub backend: Backend,
    /// A typical request.
    pub workload: Workload,
    /// What is asked for.
    pub goal: Goal,
    /// How the winner is found.
    pub picking: Picking,
    /// Which ways of serving are compared.
    pub serving: Serving,
    /// The GPUs that may be used.
    pub budget: Budget,
    /// Which mappings are tried.
    pub space: SearchSpace,
    /// What is possible beyond the common mappings.
    pub extensions: Extensions,
    /// Who answers the queries.
    pub probe: ProbeKind,
    /// How the answers of single workers are corrected before workers are combined.
    pub corrections: DisaggregatedCorrections,
}

impl Problem {
    /// Whether the experts of a worker exchange tokens by all-to-all kernels of the engine.
    pub fn exchanges_tokens(&self, mapping: ParallelMapping) -> bool {
        let widths = mapping.widths();
        // TensorRT-LLM exchanges tokens only where each rank has tokens of its own.
        let has_tokens = self.backend != Backend::Trtllm || widths.attention_dp > 1;
        widths.moe_tp == 1 && has_tokens && self.extensions.exchanged_experts.contains(&widths.moe_ep)
    }
}

/// Factors between a worker measured alone and the same worker in a disaggregated deployment.
///
/// A measured probe already sees the real latency, hence [`Self::none`]. The model of upstream (aiconfigurator
/// 0.12.0) applies [`Self::upstream`]; its numbers are empirical factors of that project, restated here.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DisaggregatedCorrections {
    /// Factor on a prefill worker's latency, before its rate is derived.
    pub prefill_latency: f64,
    /// Factor on a decode worker's latency, before its rate is derived.
    pub decode_latency: f64,
    /// Factor on TTFT for queueing, which leaves the prefill rate alone.
    pub ttft_queue: f64,
    /// Share of their rate that prefill workers reach together.
    pub prefill_efficiency: f64,
    /// Share of their rate that decode workers reach together.
    pub decode_efficiency: f64,
    /// Decimals to which single-worker numbers are rounded before workers are combined; none keeps them as they are.
    pub decimals: Option<Decimals>,
}

/// Rounding of intermediate numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Decimals {
    /// Three decimals, halves to even, as upstream's tables hold them.
    Three,
}

impl DisaggregatedCorrections {
    /// The factors of aiconfigurator 0.12.0.
    pub const fn upstream() -> Self {
        Self {
            prefill_latency: 1.1,
            decode_latency: 1.08,
            ttft_queue: 1.8,
            prefill_efficiency: 0.9,
            decode_efficiency: 0.92,
            decimals: Some(Decimals::Three),
        }
    }

    /// No correction, for numbers that were measured.
    pub const fn none() -> Self {
        Self {
            prefill_latency: 1.0,
            decode_latency: 1.0,
            ttft_queue: 1.0,
            prefill_efficiency: 1.0,
            decode_efficiency: 1.0,
            decimals: None,
        }
    }

    /// Rounds as the corrections ask for; what would round to nothing stays as it is, since a worker that is slow is
    /// not a worker that does nothing.
    pub(crate) fn round(&self, value: f64) -> f64 {
        match self.decimals {
            Some(Decimals::Three) if value >= 0.0005 => (value * 1000.0).round_ties_even() / 1000.0,
            Some(Decimals::Three) | None => value,
        }
    }
}
