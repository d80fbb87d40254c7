//! Dense decoders: Llama, Qwen, Mistral, MiMo.

use super::{GraphOperator, GraphQuery, Operator, OperatorGraph, Repeats, Work};

/// The operators of a dense decoder.
pub(super) fn graph(q: GraphQuery<'_>) -> OperatorGraph {
    let layers = q.layers();
    let local = q.attention_shard();
    let tp = q.mapping.widths().tp;
    let hidden = q.model.hidden;
    let intermediate = q.model.intermediate / tp;
    let gate = 2 * q.model.intermediate / tp;
    let gemm = |operator, shape| GraphOperator::new(operator, layers, Work::Gemm(shape));
    OperatorGraph::both(q.full_kv_cache(), |phase| {
        vec![
            q.embedding(),
            q.add_norm(Operator::ADD_NORM_1, layers),
            gemm(Operator::QKV_GEMM, q.projection(local.qkv, hidden)),
            q.attention(phase, layers, 0),
            gemm(Operator::PROJ_GEMM, q.second_projection(hidden, local.output)),
            q.add_norm(Operator::ADD_NORM_2, layers),
            gemm(Operator::GATE_FFN1_GEMM, q.projection(gate, hidden)),
            GraphOperator::new(
                Operator::ACT_GATE,
                layers,
                Work::Elementwise {
                    elements: u64::from(gate) + u64::from(intermediate),
                },
            ),
            gemm(Operator::FFN2_GEMM, q.second_projection(hidden, intermediate)),
            q.logits(),
            q.all_reduce(Operator::EMBEDDING_ALL_REDUCE, Repeats::PASS),
            q.all_reduce(Operator::ALL_REDUCE_1, layers),
            q.all_reduce(Operator::ALL_REDUCE_2, layers),
            q.point_to_point(),
        ]
    })
}
