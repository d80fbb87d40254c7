//! State-space layers among layers of attention, experts and dense networks (Nemotron H, Nemotron 3).

use super::mixture::Way;
use super::{
    GraphOperator, GraphQuery, MoeShape, Operator, OperatorGraph, Phase, Repeats, Work, WorkloadDistribution,
};
use crate::error::PerfModelError;
use crate::model::{Experts, StateSpaceLayers};
use crate::operators::{GemmShape, Mamba2Kernel, Mamba2Shape};
use crate::quant::GemmQuant;

/// The operators of a model with state-space layers.
pub(super) fn graph(q: GraphQuery<'_>) -> Result<OperatorGraph, PerfModelError> {
    let layers = q
        .model
        .state_space
        .ok_or_else(|| q.undescribed("hybrid_override_pattern"))?;
    let experts = if layers.expert_layers > 0 {
        Some(q.experts()?)
    } else {
        None
    };
    Ok(OperatorGraph::both(q.full_kv_cache(), |phase| {
        let repeats = |layers: u32| Repeats::layers(f64::from(layers));
        let mut operators = vec![q.whole_embedding()];
        if layers.layers > 0 {
            operators.extend(state_space(q, phase, (&layers, repeats(layers.layers))));
        }
        if layers.attention_layers > 0 {
            operators.extend(attention(q, phase, repeats(layers.attention_layers)));
        }
        if let Some(experts) = experts {
            operators.extend(mixture(q, phase, (experts, repeats(layers.expert_layers))));
        }
        if layers.dense_layers > 0 {
            operators.extend(network(q, repeats(layers.dense_layers)));
        }
        // Draft layers repeat the hops, as the reference has it.
        operators.push(GraphOperator {
            repeats: Repeats::PASS,
            ..q.point_to_point()
        });
        operators.push(q.logits());
        operators
    }))
}

/// What a state-space layer needs of widths on one of several ranks; at least one group stays on each.
fn state_space(
    q: GraphQuery<'_>,
    phase: Phase,
    (layers, repeats): (&StateSpaceLayers, Repeats),
) -> [GraphOperator; 6] {
    let tp = q.mapping.widths().tp;
    let hidden = q.model.hidden;
    let heads = layers.heads / tp;
    let inner = heads * layers.head_dim;
    let groups = (layers.groups / tp).max(1);
    let rows = 2 * inner + 2 * groups * layers.state + heads;
    let kernel = |operator, kernel| {
        let shape = Mamba2Shape {
            kernel,
            hidden,
            state: layers.state,
            conv_width: layers.conv_width,
            heads: layers.heads,
            head_dim: layers.head_dim,
            groups: layers.groups,
            chunk: layers.chunk,
        };
        GraphOperator::new(operator, repeats, Work::Mamba2(shape))
    };
    let (convolution, scan) = match phase {
        Phase::Context => (Mamba2Kernel::PromptConvolution, Mamba2Kernel::Scan),
        Phase::Generation => (Mamba2Kernel::StepConvolution, Mamba2Kernel::StateUpdate),
    };
    [
        q.add_norm(Operator("mamba_norm"), repeats),
        GraphQuery::product(
            Operator("mamba_in_proj_gemm"),
            repeats,
            q.projection(rows, hidden),
        ),
        kernel(Operator("mamba_conv1d"), convolution),
        kernel(Operator("mamba_ssm"), scan),
        GraphQuery::product(
            Operator("mamba_out_proj_gemm"),
            repeats,
            q.projection(hidden, inner),
        ),
        q.all_reduce(Operator("mamba_ar"), repeats),
    ]
}

fn attention(q: GraphQuery<'_>, phase: Phase, repeats: Repeats) -> [GraphOperator; 5] {
    let local = q.attention_shard();
    let hidden = q.model.hidden;
    [
        q.add_norm(Operator::ATTN_NORM, repeats),
        GraphQuery::product(Operator::QKV_GEMM, repeats, q.projection(local.qkv, hidden)),
        q.attention(phase, repeats, 0),
        GraphQuery::product(
            Operator::PROJ_GEMM,
            repeats,
            q.second_projection(hidden, local.output),
        ),
        q.all_reduce(Operator("attn_ar"), repeats),
    ]
}

/// Routed experts, which may work in a narrower space, after a shared one; none of them has a gate.
fn mixture(q: GraphQuery<'_>, phase: Phase, (experts, repeats): (Experts, Repeats)) -> Vec<GraphOperator> {
    let tp = q.mapping.widths().tp;
    let hidden = q.model.hidden;
    let width = experts.hidden.unwrap_or(hidden);
    let shared = experts.shared_intermediate.unwrap_or(0) / tp;
    let product = |operator, shape| GraphQuery::product(operator, repeats, shape);
    let dispatch = |operator, way| {
        let mut shape = q.dispatch(phase, experts, way);
        shape.hidden = width;
        GraphOperator::new(operator, repeats, Work::Dispatch(shape))
    };
    let moe = MoeShape {
        hidden: width,
        gated: false,
        ..q.moe(experts, WorkloadDistribution::PowerLaw101)
    };
    let router = GemmShape {
        quant: GemmQuant::Bfloat16,
        ..q.projection(experts.count, hidden)
    };
    let mut operators = vec![
        q.add_norm(Operator("moe_norm"), repeats),
        product(Operator("shared_up_gemm"), q.projection(shared, hidden)),
        GraphQuery::elementwise(Operator("shared_relu2"), repeats, 2 * u64::from(shared)),
        product(Operator("shared_down_gemm"), q.second_projection(hidden, shared)),
        product(Operator::ROUTER_GEMM, router),
    ];
    if experts.hidden.is_some() {
        operators.push(product(
            Operator("fc1_latent_proj_gemm"),
            q.projection(width / tp, hidden),
        ));
    }
    operators.extend([
        dispatch(Operator::MOE_PRE_DISPATCH, Way::There),
        GraphOperator::new(Operator::MOE, repeats, Work::Moe(moe)),
        dispatch(Operator::MOE_POST_DISPATCH, Way::Back),
    ]);
    if experts.hidden.is_some() {
        operators.push(product(
            Operator("fc2_latent_proj_gemm"),
            q.second_projection(hidden, width / tp),
        ));
    }
    operators.push(q.all_reduce(Operator("moe_ar"), repeats));
    operators
}

fn network(q: GraphQuery<'_>, repeats: Repeats) -> [GraphOperator; 5] {
    let hidden = q.model.hidden;
    let width = q.model.intermediate / q.mapping.widths().tp;
    [
        q.add_norm(Operator("mlp_norm"), repeats),
        GraphQuery::product(Operator("mlp_up_gemm"), repeats, q.projection(width, hidden)),
        GraphQuery::elementwise(Operator("mlp_relu2"), repeats, 2 * u64::from(width)),
        GraphQuery::product(Operator("mlp_down_gemm"), repeats, q.projection(hidden, width)),
        q.all_reduce(Operator("mlp_ar"), repeats),
    ]
}
