//! What is asked, once model and hardware are known: the request without anything left open.

use std::num::NonZeroU32;

use dgdr_perf_model::graph::{GraphQuery, OperatorGraph, splits_prompts};
use dgdr_perf_model::{Backend, Experts, ModelFamily, ModelSpec, MoeQuant, ParallelMapping, Precision};
use dgdr_sweep_planner::{
    AttentionKind, Budget, DisaggregatedCorrections, ExpertFacts, Extensions, Goal, ModelFacts, ModelKind,
    Picking, ProbeKind, Problem, SearchSpace, Serving, SystemFacts, Workload,
};
use dgdr_units::{Bytes, Gpus, floor_count};

use crate::error::ProfilerError;
use crate::hardware::Hardware;
use crate::probe::KvTransfer;

/// The question to all engines that are compared.
#[derive(Debug, Clone)]
pub struct Question {
    /// The model.
    pub model: ModelSpec,
    /// The GPUs.
    pub hardware: Hardware,
    /// The engines to compare, in the order in which ties are broken.
    pub backends: Vec<Backend>,
    /// A typical request.
    pub workload: Workload,
    /// What must be kept or maximised.
    pub goal: Goal,
    /// How the winner is found.
    pub picking: Picking,
    /// Which ways of serving are compared.
    pub serving: Serving,
    /// Whether the way of the KV cache counts.
    pub transfer: KvTransfer,
    /// GPUs of the widest engine that may be tried.
    pub max_gpus_per_engine: Option<Gpus>,
    /// Which mappings are tried.
    pub space: SearchSpace,
}

/// Rows of an expert's weights that share a scale when they are fp8 in blocks.
const FP8_BLOCK: u32 = 128;

/// Ranks that prompts are split over, from upstream.
const SPLITS: [u32; 3] = [2, 4, 8];

/// GPUs from which on a pipeline is worth a try, from upstream.
const PIPELINE_GPUS: u32 = 16;

/// First CUDA compute capability of Blackwell, times ten.
const BLACKWELL: u32 = 100;

/// Who will answer, as far as the planner needs to know.
#[derive(Debug, Clone)]
pub struct ProbeTraits {
    /// The engine.
    pub backend: Backend,
    /// The formats that it runs in.
    pub precision: Precision,
    /// Simulated or measured.
    pub kind: ProbeKind,
    /// How its answers are corrected.
    pub corrections: DisaggregatedCorrections,
    /// Widths of expert parallelism at which tokens travel by all-to-all kernels.
    pub exchanged_experts: Vec<u32>,
}

impl Question {
    /// The planner's problem for one engine.
    ///
    /// # Errors
    /// [`ProfilerError::Model`] when the model description lacks what the planner needs.
    pub fn problem(&self, probe: &ProbeTraits) -> Result<Problem, ProfilerError> {
        let model = &self.model;
        let kind = match model.experts {
            Some(experts) => ModelKind::MixtureOfExperts(expert_facts(model, experts, probe.precision)?),
            None => ModelKind::Dense,
        };
        let system = self.hardware.system;
        Ok(Problem {
            model: ModelFacts {
                attention_heads: at_least_one(model, "number of attention heads", model.heads)?,
                kv_heads: at_least_one(model, "number of KV heads", model.kv_heads)?,
                layers: at_least_one(model, "number of layers", model.layers)?,
                weights: self.weights(probe),
                kind,
            },
            system: SystemFacts {
                memory: self.hardware.memory,
                gpus_per_node: self.hardware.gpus_per_node,
                gpus_per_domain: system
                    .gpus_per_rack
                    .and_then(NonZeroU32::new)
                    .map_or(self.hardware.gpus_per_node, |rack| {
                        rack.max(self.hardware.gpus_per_node)
                    }),
            },
            backend: probe.backend,
            workload: self.workload,
            goal: self.goal,
            picking: self.picking,
            serving: self.serving,
            budget: Budget {
                total_gpus: self.hardware.total_gpus,
                max_gpus_per_engine: self.max_gpus_per_engine,
            },
            space: self.space,
            extensions: self.extensions(probe),
            probe: probe.kind,
            corrections: probe.corrections,
        })
    }
}

impl Question {
    /// What the model allows beyond the common mappings.
    fn extensions(&self, probe: &ProbeTraits) -> Extensions {
        let pipelined = matches!(
            self.model.family,
            ModelFamily::DeepSeekSparse | ModelFamily::DeepSeekV4
        ) && self
            .hardware
            .system
            .sm_version
            .is_some_and(|version| version >= BLACKWELL)
            && self.hardware.total_gpus.get() >= PIPELINE_GPUS;
        Extensions {
            context_parallel: if splits_prompts(self.model.family, probe.backend) {
                SPLITS.to_vec()
            } else {
                Vec::new()
            },
            pipeline_stages: if pipelined { vec![2] } else { Vec::new() },
            exchanged_experts: probe.exchanged_experts.clone(),
        }
    }

    /// Bytes of the whole model; zero, which restricts nothing, where no single worker could be described.
    fn weights(&self, probe: &ProbeTraits) -> Bytes {
        OperatorGraph::of(GraphQuery {
            model: &self.model,
            precision: probe.precision,
            mapping: ParallelMapping::SINGLE,
            backend: probe.backend,
            system: self.hardware.system,
            drafted: 0,
        })
        .map_or(Bytes::ZERO, |graph| Bytes::new(floor_count(graph.weight_bytes())))
    }
}

fn expert_facts(
    model: &ModelSpec,
    experts: Experts,
    precision: Precision,
) -> Result<ExpertFacts, ProfilerError> {
    let block = if precision.moe == MoeQuant::Fp8Block {
        FP8_BLOCK
    } else {
        1
    };
    Ok(ExpertFacts {
        experts: at_least_one(model, "number of experts", experts.count)?,
        intermediate: at_least_one(model, "hidden size of experts", experts.intermediate)?,
        block: at_least_one(model, "block of experts", block)?,
        attention: if model.latent_attention.is_some() {
            AttentionKind::Latent
        } else {
            AttentionKind::Grouped
        },
    })
}

fn at_least_one(model: &ModelSpec, what: &'static str, value: u32) -> Result<NonZeroU32, ProfilerError> {
    NonZeroU32::new(value).ok_or_else(|| ProfilerError::Model {
        model: model.name.clone(),
        what,
    })
}
