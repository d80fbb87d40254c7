//! Gated linear attention in most layers, grouped queries in the others, a dense network or experts in all: Qwen 3.5.

use super::mixture::Way;
use super::shared_experts::SharedExperts;
use super::{
    DispatchShape, GraphOperator, GraphQuery, KvCache, Operator, OperatorGraph, Phase, Repeats, Work,
    WorkloadDistribution,
};
use crate::backend::Backend;
use crate::error::PerfModelError;
use crate::model::{Experts, LinearAttention};
use crate::operators::{GdnKernel, GdnShape, GemmShape};
use crate::quant::GemmQuant;

/// Fewer experts than this are chosen without a product of their own.
const ROUTED_BY_PRODUCT: u32 = 128;

/// Bytes of an element that a convolution keeps.
const CONVOLUTION_BYTES: f64 = 2.0;

/// Names of the operators after one kind of attention.
struct Names {
    norm: Operator,
    router: Operator,
    there: Operator,
    experts: Operator,
    back: Operator,
    overlap: Operator,
    shared_gate: Operator,
    shared_gate_up: Operator,
    shared_activation: Operator,
    shared_down: Operator,
    shared_gated: Operator,
    merge: Operator,
    gate_up: Operator,
    activation: Operator,
    down: Operator,
    all_reduce: Operator,
}

const AFTER_LINEAR: Names = Names {
    norm: Operator("gdn_ffn_norm"),
    router: Operator("gdn_router_gemm"),
    there: Operator("gdn_moe_pre_dispatch"),
    experts: Operator("gdn_moe"),
    back: Operator("gdn_moe_post_dispatch"),
    overlap: Operator("gdn_moe_overlap"),
    shared_gate: Operator("gdn_shared_expert_gate_gemm"),
    shared_gate_up: Operator("gdn_shared_gate_up_gemm"),
    shared_activation: Operator("gdn_shared_act_gate"),
    shared_down: Operator("gdn_shared_down_gemm"),
    shared_gated: Operator("gdn_shared_expert_gate_mul"),
    merge: Operator("gdn_shared_merge"),
    gate_up: Operator("gdn_gate_ffn1_gemm"),
    activation: Operator("gdn_act_gate"),
    down: Operator("gdn_ffn2_gemm"),
    all_reduce: Operator("gdn_ffn_ar"),
};

const AFTER_FULL: Names = Names {
    norm: Operator("full_ffn_norm"),
    router: Operator("full_router_gemm"),
    there: Operator("full_moe_pre_dispatch"),
    experts: Operator("full_moe"),
    back: Operator("full_moe_post_dispatch"),
    overlap: Operator("full_moe_overlap"),
    shared_gate: Operator("full_shared_expert_gate_gemm"),
    shared_gate_up: Operator("full_shared_gate_up_gemm"),
    shared_activation: Operator("full_shared_act_gate"),
    shared_down: Operator("full_shared_down_gemm"),
    shared_gated: Operator("full_shared_expert_gate_mul"),
    merge: Operator("full_shared_merge"),
    gate_up: Operator("full_gate_ffn1_gemm"),
    activation: Operator("full_act_gate"),
    down: Operator("full_ffn2_gemm"),
    all_reduce: Operator("full_ffn_ar"),
};

/// The operators of a model with gated linear attention.
pub(super) fn graph(q: GraphQuery<'_>) -> Result<OperatorGraph, PerfModelError> {
    let linear = q
        .model
        .linear_attention
        .ok_or_else(|| q.undescribed("linear_num_key_heads"))?;
    let tp = q.mapping.widths().tp;
    for heads in [linear.key_heads, linear.value_heads] {
        if !heads.is_multiple_of(tp) {
            return Err(PerfModelError::HeadsNotDivisible {
                model: q.model.name.clone(),
                heads,
                tp,
            });
        }
    }
    let experts = match q.model.experts {
        Some(_) => Some(q.experts()?),
        None => None,
    };
    let full = q.model.layers - linear.layers;
    Ok(OperatorGraph::both(kv_cache(q, &linear), |phase| {
        let mut operators = vec![
            q.embedding(),
            q.all_reduce(Operator::EMBEDDING_ALL_REDUCE, Repeats::PASS),
        ];
        let mut network = |names: &Names, layers: u32, attention: Vec<GraphOperator>| {
            let repeats = Repeats::layers(f64::from(layers));
            operators.extend(attention);
            operators.push(q.add_norm(names.norm, repeats));
            let block = Block { q, names, repeats };
            operators.extend(match experts {
                Some(experts) => block.mixture(phase, experts),
                None => block.dense(),
            });
        };
        if linear.layers > 0 {
            network(&AFTER_LINEAR, linear.layers, linear_attention(q, phase, &linear));
        }
        if full > 0 {
            network(&AFTER_FULL, full, full_attention(q, phase, full));
        }
        operators.push(q.logits());
        // Draft layers repeat the hops, as the reference has it.
        operators.push(GraphOperator {
            repeats: Repeats::PASS,
            ..q.point_to_point()
        });
        operators
    }))
}

impl GraphQuery<'_> {
    /// SGLang leaves the sum over attention's ranks to the exchange of tokens before the experts.
    const fn folds_all_reduce(&self) -> bool {
        matches!(self.backend, Backend::Sglang)
            && self.model.experts.is_some()
            && self.mapping.widths().attention_dp > 1
    }

    /// A projection of attention.
    const fn attention_projection(&self, shape: GemmShape) -> GemmShape {
        GemmShape {
            quant: self.precision.output(),
            ..shape
        }
    }
}

fn linear_attention(q: GraphQuery<'_>, phase: Phase, linear: &LinearAttention) -> Vec<GraphOperator> {
    let tp = q.mapping.widths().tp;
    let hidden = q.model.hidden;
    let repeats = Repeats::layers(f64::from(linear.layers));
    let keys = linear.key_heads * linear.key_dim;
    let values = linear.value_heads * linear.value_dim;
    let kernel = |operator, kernel| {
        let shape = GdnShape {
            kernel,
            hidden,
            conv_width: linear.conv_width,
            key_heads: linear.key_heads / tp,
            key_dim: linear.key_dim,
            value_heads: linear.value_heads / tp,
            value_dim: linear.value_dim,
        };
        GraphOperator::new(operator, repeats, Work::GatedDelta(shape))
    };
    let kernels = match phase {
        Phase::Context => [
            kernel(Operator("gdn_conv1d"), GdnKernel::PromptConvolution),
            kernel(Operator("gdn_scan"), GdnKernel::Scan),
        ],
        Phase::Generation => [
            kernel(Operator("gdn_conv1d"), GdnKernel::StepConvolution),
            kernel(Operator("gdn_recurrence"), GdnKernel::Recurrence),
        ],
    };
    let product = |operator, shape| GraphQuery::product(operator, repeats, q.attention_projection(shape));
    // Two scalars a value head: fewer features than any product that was measured.
    let scalars = GemmShape {
        roofline_when_far: true,
        ..q.projection(2 * linear.value_heads / tp, hidden)
    };
    let mut operators = vec![
        q.add_norm(Operator("gdn_norm"), repeats),
        product(
            Operator("gdn_in_proj_gemm"),
            q.projection((2 * keys + 2 * values) / tp, hidden),
        ),
        product(Operator("gdn_in_proj_ba_gemm"), scalars),
    ];
    operators.extend(kernels);
    operators.push(product(
        Operator("gdn_out_proj_gemm"),
        q.second_projection(hidden, values / tp),
    ));
    if !q.folds_all_reduce() {
        operators.push(q.all_reduce(Operator("gdn_ar"), repeats));
    }
    operators
}

/// Attention over all tokens; a gate as wide as the queries comes from the same projection.
fn full_attention(q: GraphQuery<'_>, phase: Phase, layers: u32) -> Vec<GraphOperator> {
    let local = q.attention_shard();
    let hidden = q.model.hidden;
    let repeats = Repeats::layers(f64::from(layers));
    let queries = local.heads * q.model.head_dim;
    let rows = 2 * queries + 2 * local.kv_heads * q.model.head_dim;
    let product = |operator, shape| GraphQuery::product(operator, repeats, q.attention_projection(shape));
    let mut operators = vec![
        q.add_norm(Operator("full_attn_norm"), repeats),
        product(Operator::QKV_GEMM, q.projection(rows, hidden)),
        q.attention(phase, repeats, 0),
        product(Operator::PROJ_GEMM, q.second_projection(hidden, queries)),
    ];
    if !q.folds_all_reduce() {
        operators.push(q.all_reduce(Operator("full_ar"), repeats));
    }
    operators
}

/// What follows attention in layers of one kind.
struct Block<'a> {
    q: GraphQuery<'a>,
    names: &'a Names,
    repeats: Repeats,
}

impl Block<'_> {
    fn product(&self, operator: Operator, shape: GemmShape) -> GraphOperator {
        GraphQuery::product(operator, self.repeats, shape)
    }

    fn dense(&self) -> Vec<GraphOperator> {
        let (q, names) = (&self.q, self.names);
        let tp = q.mapping.widths().tp;
        let hidden = q.model.hidden;
        let (gate, width) = (2 * q.model.intermediate / tp, q.model.intermediate / tp);
        let network = |shape: GemmShape| GemmShape {
            quant: q.precision.feed_forward(),
            ..shape
        };
        vec![
            self.product(names.gate_up, network(q.projection(gate, hidden))),
            GraphQuery::elementwise(names.activation, self.repeats, u64::from(gate) + u64::from(width)),
            self.product(names.down, network(q.second_projection(hidden, width))),
            q.all_reduce(names.all_reduce, self.repeats),
        ]
    }

    /// Routed and shared experts; in decode vLLM and SGLang run them at the same time.
    fn mixture(&self, phase: Phase, experts: Experts) -> Vec<GraphOperator> {
        let (q, names) = (&self.q, self.names);
        let is_sglang = q.backend == Backend::Sglang;
        // SGLang sends tokens ahead only where attention has several copies.
        let there = (!is_sglang || q.mapping.widths().attention_dp > 1)
            .then(|| self.dispatch(names.there, phase, (experts, Way::There)));
        let experts_alone = GraphOperator::new(
            names.experts,
            self.repeats,
            Work::Moe(q.moe(experts, WorkloadDistribution::PowerLaw12)),
        );
        let back = self.dispatch(names.back, phase, (experts, Way::Back));
        let shared = self.shared(experts);
        let merge = experts.shared_intermediate.map(|_| self.merge());
        let mut operators = Vec::new();
        if phase == Phase::Context {
            operators.extend(self.router(experts));
            operators.extend(there);
            operators.push(experts_alone);
            operators.push(back);
            operators.extend(shared);
            operators.extend(merge);
            return operators;
        }
        let mut routed: Vec<GraphOperator> = self.router(experts).into_iter().collect();
        if is_sglang {
            operators.extend(there);
        } else {
            routed.extend(there);
        }
        routed.push(experts_alone);
        if shared.is_empty() || q.backend == Backend::Trtllm {
            operators.extend(routed);
            operators.extend(shared);
        } else {
            operators.push(GraphOperator::new(
                names.overlap,
                Repeats::PASS,
                Work::Overlap {
                    first: routed,
                    second: shared,
                },
            ));
        }
        operators.extend(merge);
        operators.push(back);
        operators
    }

    fn router(&self, experts: Experts) -> Option<GraphOperator> {
        let shape = GemmShape {
            quant: GemmQuant::Bfloat16,
            ..self.q.projection(experts.count, self.q.model.hidden)
        };
        (experts.count >= ROUTED_BY_PRODUCT).then(|| self.product(self.names.router, shape))
    }

    fn dispatch(&self, operator: Operator, phase: Phase, (experts, way): (Experts, Way)) -> GraphOperator {
        let shape = DispatchShape {
            attention_reduces: true,
            ..self.q.dispatch(phase, experts, way)
        };
        GraphOperator::new(operator, self.repeats, Work::Dispatch(shape))
    }

    /// The expert that every token visits, behind a scalar gate that SGLang folds into the addition of its output.
    fn shared(&self, experts: Experts) -> Vec<GraphOperator> {
        let Some(width) = experts.shared_intermediate else {
            return Vec::new();
        };
        let (q, names) = (&self.q, self.names);
        let hidden = q.model.hidden;
        let quant = q.precision.shared_experts();
        let shared = SharedExperts::split(width, q.mapping.widths().tp, quant);
        let in_format = |shape: GemmShape| GemmShape { quant, ..shape };
        let scalar = GemmShape {
            quant: GemmQuant::Bfloat16,
            roofline_when_far: true,
            ..q.projection(1, hidden)
        };
        let network = [
            self.product(names.shared_gate_up, in_format(q.projection(shared.gate, hidden))),
            GraphQuery::elementwise(
                names.shared_activation,
                self.repeats,
                u64::from(shared.gate) + u64::from(shared.width),
            ),
            self.product(
                names.shared_down,
                in_format(q.second_projection(hidden, shared.width)),
            ),
        ];
        if q.backend == Backend::Sglang {
            return network.into();
        }
        let mut operators = vec![self.product(names.shared_gate, scalar)];
        operators.extend(network);
        operators.push(GraphQuery::elementwise(
            names.shared_gated,
            self.repeats,
            2 * u64::from(hidden),
        ));
        operators
    }

    /// The addition of what shared and routed experts made.
    fn merge(&self) -> GraphOperator {
        let times = if self.q.backend == Backend::Sglang { 4 } else { 3 };
        let elements = times * u64::from(self.q.model.hidden);
        GraphQuery::elementwise(self.names.merge, self.repeats, elements)
    }
}

/// Keys and values of full attention, and a state of fixed size of the rest.
fn kv_cache(q: GraphQuery<'_>, linear: &LinearAttention) -> KvCache {
    let tp = q.mapping.widths().tp;
    let full = f64::from(q.model.layers - linear.layers) / f64::from(q.model.layers);
    let keys = f64::from(linear.key_heads * linear.key_dim);
    let values = f64::from(linear.value_heads * linear.value_dim);
    let state = f64::from(linear.value_heads / tp)
        * f64::from(linear.key_dim)
        * f64::from(linear.value_dim)
        * f64::from(linear.state_bytes);
    let convolved = ((2.0 * keys + values) / f64::from(tp)).floor();
    let convolution = convolved * f64::from(linear.conv_width - 1) * CONVOLUTION_BYTES;
    KvCache::growing(full * q.model.kv_bytes_per_token(tp, q.precision.kv))
        .with_fixed(f64::from(linear.layers) * (state + convolution))
}
