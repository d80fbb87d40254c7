//! Models found by architecture search, whose layers differ in width (Nemotron Super).

use super::attention_block::LocalHeads;
use super::{GraphOperator, GraphQuery, KvCache, Operator, OperatorGraph, Phase, Repeats};
use crate::model::LayerRun;

/// The operators of a model with layers of differing width.
pub(super) fn graph(q: GraphQuery<'_>) -> OperatorGraph {
    OperatorGraph::both(kv_cache(q), |phase| {
        let mut operators = vec![q.whole_embedding()];
        for run in &q.model.runs {
            let repeats = Repeats::layers(f64::from(run.layers));
            if run.kv_heads > 0 {
                operators.extend(attention(q, phase, (run, repeats)));
            }
            if run.intermediate > 0 {
                operators.extend(network(q, run, repeats));
            }
        }
        operators.extend([q.point_to_point(), q.logits()]);
        operators
    })
}

fn attention(q: GraphQuery<'_>, phase: Phase, (run, repeats): (&LayerRun, Repeats)) -> [GraphOperator; 5] {
    let tp = q.mapping.widths().tp;
    let hidden = q.model.hidden;
    let output = q.model.heads * q.model.head_dim / tp;
    let local = LocalHeads {
        heads: q.model.heads / tp,
        kv_heads: run.kv_heads.div_ceil(tp),
        head_dim: q.model.head_dim,
    };
    let rows = output + 2 * local.head_dim * local.kv_heads;
    [
        q.add_norm(Operator::ADD_NORM_1, repeats),
        GraphQuery::product(Operator::QKV_GEMM, repeats, q.projection(rows, hidden)),
        q.attention_of(phase, repeats, (local, 0)),
        GraphQuery::product(Operator::PROJ_GEMM, repeats, q.projection(hidden, output)),
        q.all_reduce(Operator::ALL_REDUCE_1, repeats),
    ]
}

fn network(q: GraphQuery<'_>, run: &LayerRun, repeats: Repeats) -> [GraphOperator; 5] {
    let tp = q.mapping.widths().tp;
    let hidden = q.model.hidden;
    let (gate, width) = (2 * run.intermediate / tp, run.intermediate / tp);
    [
        q.add_norm(Operator::ADD_NORM_2, repeats),
        GraphQuery::product(Operator::GATE_FFN1_GEMM, repeats, q.projection(gate, hidden)),
        GraphQuery::elementwise(Operator::ACT_GATE, repeats, u64::from(gate) + u64::from(width)),
        GraphQuery::product(Operator::FFN2_GEMM, repeats, q.projection(hidden, width)),
        q.all_reduce(Operator::ALL_REDUCE_2, repeats),
    ]
}

/// Keys and values of the layers that have attention. The reference counts none, for want of a number of heads that all
/// layers share.
fn kv_cache(q: GraphQuery<'_>) -> KvCache {
    let tp = q.mapping.widths().tp;
    let bytes = q.model.runs.iter().map(|run| {
        f64::from(run.layers)
            * f64::from(2 * run.kv_heads.div_ceil(tp))
            * f64::from(q.model.head_dim)
            * q.precision.kv.bytes()
    });
    KvCache::growing(bytes.sum())
}
