//! Gemma 4: local and global attention in turn, a dense network in every layer and experts beside it in the larger
//! models.

use super::attention_block::LocalHeads;
use super::mixture::Way;
use super::{
    GraphOperator, GraphQuery, KvCache, Operator, OperatorGraph, Phase, Repeats, Work, WorkloadDistribution,
};
use crate::error::PerfModelError;
use crate::model::{AlternatingLayers, AttentionWidths, Experts};
use crate::operators::GemmShape;
use crate::quant::GemmQuant;

/// Fewer experts than this are chosen without a product of their own.
const ROUTED_BY_PRODUCT: u32 = 128;

/// Names of the operators of one kind of layer.
struct Names {
    attention_norm: Operator,
    qkv: Operator,
    output: Operator,
    network_norm: Operator,
    gate_up: Operator,
    activation: Operator,
    down: Operator,
    router: Operator,
    there: Operator,
    experts: Operator,
    back: Operator,
}

const LOCAL: Names = Names {
    attention_norm: Operator("swa_attn_norm"),
    qkv: Operator("swa_qkv_gemm"),
    output: Operator("swa_proj_gemm"),
    network_norm: Operator("swa_ffn_norm"),
    gate_up: Operator("swa_shared_mlp_gate_up_gemm"),
    activation: Operator("swa_shared_mlp_act"),
    down: Operator("swa_shared_mlp_down_gemm"),
    router: Operator("swa_router_gemm"),
    there: Operator("swa_moe_pre_dispatch"),
    experts: Operator("swa_moe"),
    back: Operator("swa_moe_post_dispatch"),
};

const GLOBAL: Names = Names {
    attention_norm: Operator("global_attn_norm"),
    qkv: Operator("global_qkv_gemm"),
    output: Operator("global_proj_gemm"),
    network_norm: Operator("global_ffn_norm"),
    gate_up: Operator("global_shared_mlp_gate_up_gemm"),
    activation: Operator("global_shared_mlp_act"),
    down: Operator("global_shared_mlp_down_gemm"),
    router: Operator("global_router_gemm"),
    there: Operator("global_moe_pre_dispatch"),
    experts: Operator("global_moe"),
    back: Operator("global_moe_post_dispatch"),
};

/// Layers of one kind.
struct Kind<'a> {
    names: &'a Names,
    layers: u32,
    widths: AttentionWidths,
    window: u32,
    /// Tensors that the projection makes of each key-value head.
    projected: u32,
}

/// The operators of a Gemma 4.
pub(super) fn graph(q: GraphQuery<'_>) -> Result<OperatorGraph, PerfModelError> {
    let layers = q.model.alternating.ok_or_else(|| q.undescribed("layer_types"))?;
    let experts = match q.model.experts {
        Some(_) => Some(q.experts()?),
        None => None,
    };
    let kinds = [
        Kind {
            names: &LOCAL,
            layers: layers.mix.local(),
            widths: layers.local,
            window: layers.window,
            projected: 2,
        },
        Kind {
            names: &GLOBAL,
            layers: layers.mix.global(),
            widths: layers.global,
            window: 0,
            projected: if layers.keys_are_values { 1 } else { 2 },
        },
    ];
    Ok(OperatorGraph::both(kv_cache(q, &layers), |phase| {
        let mut operators = vec![q.whole_embedding()];
        for kind in kinds.iter().filter(|kind| kind.layers > 0) {
            operators.extend(layer(q, phase, (layers.intermediate, kind)));
            if let Some(experts) = experts {
                operators.extend(routed(q, phase, (experts, kind)));
            }
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

fn layer(q: GraphQuery<'_>, phase: Phase, (intermediate, kind): (u32, &Kind<'_>)) -> [GraphOperator; 8] {
    let tp = q.mapping.widths().tp;
    let hidden = q.model.hidden;
    let repeats = Repeats::layers(f64::from(kind.layers));
    let names = kind.names;
    let local = LocalHeads {
        heads: kind.widths.heads / tp,
        kv_heads: kind.widths.kv_heads.div_ceil(tp),
        head_dim: kind.widths.head_dim,
    };
    let output = kind.widths.heads * local.head_dim / tp;
    let rows = output + kind.projected * local.kv_heads * local.head_dim;
    let width = intermediate / tp;
    let attention = |shape: GemmShape| GemmShape {
        quant: q.precision.output(),
        ..shape
    };
    let network = |shape: GemmShape| GemmShape {
        quant: q.precision.feed_forward(),
        ..shape
    };
    let product = |operator, shape| GraphQuery::product(operator, repeats, shape);
    [
        q.add_norm(names.attention_norm, repeats),
        product(names.qkv, attention(q.projection(rows, hidden))),
        q.attention_of(phase, repeats, (local, kind.window)),
        product(names.output, attention(q.second_projection(hidden, output))),
        q.add_norm(names.network_norm, repeats),
        product(names.gate_up, network(q.projection(2 * width, hidden))),
        GraphQuery::elementwise(names.activation, repeats, 3 * u64::from(width)),
        product(names.down, network(q.second_projection(hidden, width))),
    ]
}

fn routed(q: GraphQuery<'_>, phase: Phase, (experts, kind): (Experts, &Kind<'_>)) -> Vec<GraphOperator> {
    let repeats = Repeats::layers(f64::from(kind.layers));
    let names = kind.names;
    let dispatch = |operator, way| {
        GraphOperator::new(operator, repeats, Work::Dispatch(q.dispatch(phase, experts, way)))
    };
    let mut operators = Vec::new();
    if experts.count >= ROUTED_BY_PRODUCT {
        let router = GemmShape {
            quant: GemmQuant::Bfloat16,
            ..q.projection(experts.count, q.model.hidden)
        };
        operators.push(GraphQuery::product(names.router, repeats, router));
    }
    operators.extend([
        dispatch(names.there, Way::There),
        GraphOperator::new(
            names.experts,
            repeats,
            Work::Moe(q.moe(experts, WorkloadDistribution::PowerLaw101)),
        ),
        dispatch(names.back, Way::Back),
    ]);
    operators
}

/// Local layers keep their window; keys and values are kept apart even where one projection makes both.
fn kv_cache(q: GraphQuery<'_>, layers: &AlternatingLayers) -> KvCache {
    let tp = q.mapping.widths().tp;
    let bytes = |count: u32, widths: AttentionWidths| {
        f64::from(count)
            * f64::from(2 * widths.kv_heads.div_ceil(tp))
            * f64::from(widths.head_dim)
            * q.precision.kv.bytes()
    };
    KvCache::growing(bytes(layers.mix.global(), layers.global))
        .with_local(bytes(layers.mix.local(), layers.local), layers.window)
}
