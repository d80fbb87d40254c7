//! Mixtures of experts with grouped queries: Qwen MoE, Mixtral, gpt-oss, MiniMax-M2.

use super::shared_experts::SharedExperts;
use super::{
    DispatchShape, GraphOperator, GraphQuery, KvCache, MoeShape, Operator, OperatorGraph, Phase, Repeats,
    Work, WorkloadDistribution,
};
use crate::error::PerfModelError;
use crate::model::Experts;
use crate::operators::GemmShape;
use crate::quant::{GemmQuant, MoeQuant};

/// In every other layer of this architecture a token sees a window of those before it.
const GPT_OSS: &str = "GptOssForCausalLM";

/// Weights in fp8 share a scale between this many rows and columns, which cannot be split.
const BLOCK: u32 = 128;

/// The operators of a mixture of experts.
pub(super) fn graph(q: GraphQuery<'_>) -> Result<OperatorGraph, PerfModelError> {
    let experts = q.experts()?;
    let layers = q.layers();
    let window = q.model.sliding_window.filter(|_| q.model.architecture == GPT_OSS);
    let kv_cache = match window {
        Some(window) => {
            let half = q.model.kv_bytes_per_token(q.mapping.widths().tp, q.precision.kv) / 2.0;
            KvCache::growing(half).with_window(half, window)
        }
        None => q.full_kv_cache(),
    };
    Ok(OperatorGraph::both(kv_cache, |phase| {
        let mut operators = Vec::new();
        let full = match window {
            Some(window) => {
                let half = Repeats::layers(f64::from(q.model.layers) / 2.0);
                operators.push(q.attention(phase, half, window));
                half
            }
            None => layers,
        };
        let local = q.attention_shard();
        operators.extend([
            q.embedding(),
            q.add_norm(Operator::ADD_NORM_1, layers),
            GraphOperator::new(
                Operator::QKV_GEMM,
                layers,
                Work::Gemm(q.projection(local.qkv, q.model.hidden)),
            ),
            q.attention(phase, full, 0),
            GraphOperator::new(
                Operator::PROJ_GEMM,
                layers,
                Work::Gemm(q.second_projection(q.model.hidden, local.output)),
            ),
            q.add_norm(Operator::ADD_NORM_2, layers),
        ]);
        let routed = q.routed(phase, experts, WorkloadDistribution::PowerLaw12);
        operators.extend(match q.shared_width(experts) {
            Some(width) => {
                let shared = SharedExperts::split(width, q.mapping.widths().tp, q.precision.shared_experts());
                GraphQuery::both_experts(phase, q.shared(shared), routed)
            }
            None => routed.into(),
        });
        // The reference leaves the output head out of prefill.
        if phase == Phase::Generation {
            operators.push(q.logits());
        }
        operators.push(q.all_reduce(Operator::EMBEDDING_ALL_REDUCE, Repeats::PASS));
        operators.push(q.point_to_point());
        operators
    }))
}

impl GraphQuery<'_> {
    /// Width of the experts that every token visits, all together. The reference counts none in the architectures of this
    /// family that it knows.
    fn shared_width(&self, experts: Experts) -> Option<u32> {
        if self.model.assumed.is_empty() {
            return None;
        }
        let width = experts
            .shared_intermediate
            .unwrap_or(experts.shared * experts.intermediate);
        (width > 0).then_some(width)
    }

    /// The model's experts, spread as the mapping says.
    pub(super) fn experts(&self) -> Result<Experts, PerfModelError> {
        let model = self.model;
        let experts = model.experts.ok_or_else(|| PerfModelError::NoExperts {
            model: model.name.clone(),
            mapping: self.mapping,
        })?;
        let widths = self.mapping.widths();
        if self.precision.moe == MoeQuant::Fp8Block
            && !(experts.intermediate / widths.moe_tp).is_multiple_of(BLOCK)
        {
            return Err(PerfModelError::ExpertsNotAligned {
                model: model.name.clone(),
                intermediate: experts.intermediate,
                moe_tp: widths.moe_tp,
            });
        }
        if experts.count < widths.moe_ep {
            return Err(PerfModelError::TooFewExperts {
                model: model.name.clone(),
                experts: experts.count,
                moe_ep: widths.moe_ep,
            });
        }
        Ok(experts)
    }

    /// Router, dispatch, experts and combine of every layer.
    pub(super) fn routed(
        &self,
        phase: Phase,
        experts: Experts,
        distribution: WorkloadDistribution,
    ) -> [GraphOperator; 4] {
        let layers = self.layers();
        let router = GemmShape {
            quant: GemmQuant::Bfloat16,
            ..self.projection(experts.count, self.model.hidden)
        };
        [
            GraphOperator::new(Operator::ROUTER_GEMM, layers, Work::Gemm(router)),
            GraphOperator::new(
                Operator::MOE_PRE_DISPATCH,
                layers,
                Work::Dispatch(self.dispatch(phase, experts, Way::There)),
            ),
            GraphOperator::new(Operator::MOE, layers, Work::Moe(self.moe(experts, distribution))),
            GraphOperator::new(
                Operator::MOE_POST_DISPATCH,
                layers,
                Work::Dispatch(self.dispatch(phase, experts, Way::Back)),
            ),
        ]
    }

    pub(super) const fn moe(&self, experts: Experts, distribution: WorkloadDistribution) -> MoeShape {
        let widths = self.mapping.widths();
        MoeShape {
            hidden: self.model.hidden,
            intermediate: experts.intermediate,
            per_token: experts.per_token,
            experts: experts.count,
            moe_tp: widths.moe_tp,
            moe_ep: widths.moe_ep,
            attention_dp: widths.attention_dp,
            quant: self.precision.moe,
            distribution,
            gated: true,
        }
    }

    pub(super) const fn dispatch(&self, phase: Phase, experts: Experts, way: Way) -> DispatchShape {
        let widths = self.mapping.widths();
        DispatchShape {
            hidden: self.model.hidden,
            per_token: experts.per_token,
            experts: experts.count,
            moe_tp: widths.moe_tp,
            moe_ep: widths.moe_ep,
            attention_dp: widths.attention_dp,
            context_parallel: 1,
            before: matches!(way, Way::There),
            attention_reduces: false,
            prompts: matches!(phase, Phase::Context),
            backend: self.backend,
            quant: self.precision.moe,
        }
    }
}

/// The direction of a dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To the experts.
    There,
    /// Back from them.
    Back,
}
