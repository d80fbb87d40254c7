//! Local and global attention in turn, with experts in some layers and a dense network in the others: MiMo-V2, Llama 4,
//! Step 3.

use super::attention_block::LocalHeads;
use super::mixture::Way;
use super::{
    DispatchShape, GraphOperator, GraphQuery, KvCache, Operator, OperatorGraph, Phase, Repeats, Work,
    WorkloadDistribution,
};
use crate::error::PerfModelError;
use crate::model::{AlternatingLayers, AttentionWidths, Experts, ModelFamily};
use crate::operators::GemmShape;
use crate::quant::{GemmQuant, MoeQuant};

/// Names of the operators of one kind of layer.
struct Names {
    attention_norm: Operator,
    qkv: Operator,
    gate: Operator,
    gated: Operator,
    output: Operator,
    network_norm: Operator,
    network: NetworkNames,
}

/// Names of what follows attention.
enum NetworkNames {
    Experts {
        router: Operator,
        there: Operator,
        experts: Operator,
        back: Operator,
    },
    Dense(DenseNames),
}

/// Names of a dense network's operators.
struct DenseNames {
    gate_up: Operator,
    activation: Operator,
    down: Operator,
}

const GLOBAL_EXPERTS: Names = Names {
    attention_norm: Operator("global_attn_norm"),
    qkv: Operator("global_qkv_gemm"),
    gate: Operator("global_attn_gate_gemm"),
    gated: Operator("global_attn_gate"),
    output: Operator("global_proj_gemm"),
    network_norm: Operator("global_moe_norm"),
    network: NetworkNames::Experts {
        router: Operator("global_router_gemm"),
        there: Operator("global_moe_pre_dispatch"),
        experts: Operator("global_moe"),
        back: Operator("global_moe_post_dispatch"),
    },
};

const LOCAL_EXPERTS: Names = Names {
    attention_norm: Operator("swa_attn_norm"),
    qkv: Operator("swa_qkv_gemm"),
    gate: Operator("swa_attn_gate_gemm"),
    gated: Operator("swa_attn_gate"),
    output: Operator("swa_proj_gemm"),
    network_norm: Operator("swa_moe_norm"),
    network: NetworkNames::Experts {
        router: Operator("swa_router_gemm"),
        there: Operator("swa_moe_pre_dispatch"),
        experts: Operator("swa_moe"),
        back: Operator("swa_moe_post_dispatch"),
    },
};

const LOCAL_DENSE: Names = Names {
    attention_norm: Operator("swa_dense_attn_norm"),
    qkv: Operator("swa_dense_qkv_gemm"),
    gate: Operator("swa_dense_attn_gate_gemm"),
    gated: Operator("swa_dense_attn_gate"),
    output: Operator("swa_dense_proj_gemm"),
    network_norm: Operator("swa_dense_ffn_norm"),
    network: NetworkNames::Dense(DenseNames {
        gate_up: Operator("swa_dense_gate_up_gemm"),
        activation: Operator("swa_dense_act"),
        down: Operator("swa_dense_down_gemm"),
    }),
};

const GLOBAL_DENSE: Names = Names {
    attention_norm: Operator("global_dense_attn_norm"),
    qkv: Operator("global_dense_qkv_gemm"),
    gate: Operator("global_dense_attn_gate_gemm"),
    gated: Operator("global_dense_attn_gate"),
    output: Operator("global_dense_proj_gemm"),
    network_norm: Operator("global_dense_ffn_norm"),
    network: NetworkNames::Dense(DenseNames {
        gate_up: Operator("global_dense_gate_up_gemm"),
        activation: Operator("global_dense_act"),
        down: Operator("global_dense_down_gemm"),
    }),
};

const SHARED_EXPERT: DenseNames = DenseNames {
    gate_up: Operator("shared_expert_dense_gate_up_gemm"),
    activation: Operator("shared_expert_dense_act"),
    down: Operator("shared_expert_dense_down_gemm"),
};

/// Layers of one kind.
struct Kind<'a> {
    names: &'a Names,
    layers: u32,
    widths: AttentionWidths,
    window: u32,
}

/// The operators of a model of such layers.
pub(super) fn graph(q: GraphQuery<'_>) -> Result<OperatorGraph, PerfModelError> {
    let layers = q
        .model
        .alternating
        .ok_or_else(|| q.undescribed("hybrid_layer_pattern"))?;
    let experts = q.experts()?;
    let kinds = [
        (&GLOBAL_EXPERTS, layers.mix.global_experts, layers.global, 0),
        (
            &LOCAL_EXPERTS,
            layers.mix.local_experts,
            layers.local,
            layers.window,
        ),
        (&LOCAL_DENSE, layers.mix.local_dense, layers.local, layers.window),
        (&GLOBAL_DENSE, layers.mix.global_dense, layers.global, 0),
    ];
    Ok(OperatorGraph::both(kv_cache(q, &layers), |phase| {
        let mut operators = vec![q.whole_embedding()];
        for (names, count, widths, window) in kinds {
            if count == 0 {
                continue;
            }
            let kind = Kind {
                names,
                layers: count,
                widths,
                window,
            };
            operators.extend(layer(q, phase, (&layers, experts, &kind)));
        }
        operators.push(q.logits());
        // Draft layers repeat the hops, as the reference has it.
        operators.push(GraphOperator {
            repeats: Repeats::PASS,
            ..q.point_to_point()
        });
        if let Some(shared) = experts.shared_intermediate
            && q.model.family == ModelFamily::SharedHybridMixture
            && layers.mix.experts() > 0
        {
            let repeats = Repeats::layers(f64::from(layers.mix.experts()));
            let width = shared / q.mapping.widths().tp;
            operators.extend(dense(q, &SHARED_EXPERT, (width, repeats)));
        }
        operators
    }))
}

fn layer(
    q: GraphQuery<'_>,
    phase: Phase,
    (layers, experts, kind): (&AlternatingLayers, Experts, &Kind<'_>),
) -> Vec<GraphOperator> {
    let tp = q.mapping.widths().tp;
    let hidden = q.model.hidden;
    let repeats = Repeats::layers(f64::from(kind.layers));
    let names = kind.names;
    let local = LocalHeads {
        heads: kind.widths.heads / tp,
        kv_heads: kind.widths.kv_heads.div_ceil(tp),
        head_dim: kind.widths.head_dim,
    };
    let rows = kind.widths.heads * kind.widths.head_dim / tp
        + local.kv_heads * (kind.widths.head_dim + kind.widths.value_dim);
    let output = kind.widths.heads * kind.widths.value_dim / tp;
    let product = |operator, shape| GraphQuery::product(operator, repeats, shape);
    let mut operators = vec![
        q.add_norm(names.attention_norm, repeats),
        product(names.qkv, q.projection(rows, hidden)),
        q.attention_of(phase, repeats, (local, kind.window)),
    ];
    if layers.gated_heads {
        operators.push(product(names.gate, q.projection(local.heads, hidden)));
        let elements = 2 * u64::from(output) + u64::from(local.heads);
        operators.push(GraphQuery::elementwise(names.gated, repeats, elements));
    }
    operators.push(product(names.output, q.second_projection(hidden, output)));
    operators.push(q.add_norm(names.network_norm, repeats));
    match &names.network {
        NetworkNames::Dense(names) => operators.extend(dense(q, names, (layers.intermediate / tp, repeats))),
        NetworkNames::Experts {
            router,
            there,
            experts: routed,
            back,
        } => {
            let shape = GemmShape {
                quant: GemmQuant::Bfloat16,
                ..q.projection(experts.count, hidden)
            };
            // Tokens travel in 16 bits, whatever the experts' format.
            let dispatch = |operator, way| {
                let shape = DispatchShape {
                    quant: MoeQuant::Bfloat16,
                    ..q.dispatch(phase, experts, way)
                };
                GraphOperator::new(operator, repeats, Work::Dispatch(shape))
            };
            let moe = q.moe(experts, WorkloadDistribution::PowerLaw101);
            operators.extend([
                product(*router, shape),
                dispatch(*there, Way::There),
                GraphOperator::new(*routed, repeats, Work::Moe(moe)),
                dispatch(*back, Way::Back),
            ]);
        }
    }
    operators
}

/// A gated network of `width` on one rank.
fn dense(q: GraphQuery<'_>, names: &DenseNames, (width, repeats): (u32, Repeats)) -> [GraphOperator; 3] {
    let hidden = q.model.hidden;
    [
        GraphQuery::product(names.gate_up, repeats, q.projection(2 * width, hidden)),
        GraphQuery::elementwise(names.activation, repeats, 3 * u64::from(width)),
        GraphQuery::product(names.down, repeats, q.second_projection(hidden, width)),
    ]
}

/// Step 3 drops what is outside the window; of the others the reference counts all layers as if they kept every token.
fn kv_cache(q: GraphQuery<'_>, layers: &AlternatingLayers) -> KvCache {
    if q.model.family != ModelFamily::SharedHybridMixture {
        return q.full_kv_cache();
    }
    let per_layer =
        q.model.kv_bytes_per_token(q.mapping.widths().tp, q.precision.kv) / f64::from(q.model.layers);
    let bytes = |count: u32| per_layer * f64::from(count);
    KvCache::growing(bytes(layers.mix.global())).with_local(bytes(layers.mix.local()), layers.window)
}
