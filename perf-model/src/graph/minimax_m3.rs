//! MiniMax M3: grouped queries over chosen blocks of tokens, and experts in every layer.

use super::shapes::MsaShape;
use super::shared_experts::SharedExperts;
use super::{GraphOperator, GraphQuery, Operator, OperatorGraph, Phase, Work};
use crate::error::PerfModelError;

/// The operators of a MiniMax M3.
pub(super) fn graph(q: GraphQuery<'_>) -> Result<OperatorGraph, PerfModelError> {
    let experts = q.experts()?;
    let sparse = q.sparse_attention()?;
    let tp = q.mapping.widths().tp;
    let shape = MsaShape {
        heads: (q.model.heads / tp).max(1),
        kv_heads: (q.model.kv_heads / tp).max(1),
        hidden: q.model.hidden,
        head_dim: q.model.head_dim,
        value_dim: q.model.head_dim,
        index_heads: sparse.index_heads,
        index_dim: sparse.index_dim,
        chosen: sparse.chosen,
        block: sparse.block,
        kv: q.precision.kv,
        fmha: q.precision.fmha,
        gemm: q.precision.gemm,
    };
    let shared = SharedExperts::split(experts.intermediate, tp, q.precision.gemm);
    Ok(OperatorGraph::both(q.full_kv_cache(), |phase| {
        let work = match phase {
            Phase::Context => Work::ContextMsa(shape),
            Phase::Generation => Work::GenerationMsa(shape),
        };
        let attention = vec![GraphOperator::new(Operator::ATTENTION, q.layers(), work)];
        let mut operators = q.decoder_with_shared_experts(phase, attention, (shared, experts));
        operators.push(q.point_to_point());
        operators
    }))
}
