//! Attention with grouped queries over the blocks of tokens that an index selects (MiniMax-M3), with the projections
//! around it.

use dgdr_units::real;

use super::dsv4::recent_pairs;
use crate::SystemSpec;
use crate::graph::MsaShape;
use crate::quant::ComputeRate;

/// Sequences, and what of each attention computes and finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    heads: u64,
    batch: u64,
    /// Tokens that are computed.
    tokens: u64,
    /// Tokens of a sequence that attention finds.
    cached: u64,
    /// Pairs of a query and a token.
    pairs: u64,
}

/// Prefill attention at (heads, prefix, new tokens of each sequence, sequences).
pub fn context_msa(system: &SystemSpec, shape: &MsaShape, at: [u64; 4]) -> f64 {
    let [heads, prefix, tokens, batch] = at;
    let span = Span {
        heads,
        batch,
        tokens: batch * tokens,
        cached: prefix + tokens,
        pairs: batch * recent_pairs(prefix, tokens, u64::from(shape.chosen)),
    };
    roofline(system, shape, span)
}

/// Decode attention at (heads, sequences, tokens of each with the new one).
pub fn generation_msa(system: &SystemSpec, shape: &MsaShape, at: [u64; 3]) -> f64 {
    let [heads, batch, sequence] = at;
    let cached = sequence.saturating_sub(1);
    let span = Span {
        heads,
        batch,
        tokens: batch,
        cached,
        pairs: batch * cached.min(u64::from(shape.chosen)),
    };
    roofline(system, shape, span)
}

fn roofline(system: &SystemSpec, shape: &MsaShape, span: Span) -> f64 {
    let (tokens, batch) = (real(span.tokens), real(span.batch));
    let top_k = u64::from(shape.chosen);
    let queries = real(span.heads) * f64::from(shape.head_dim);
    let outputs = real(span.heads) * f64::from(shape.value_dim);
    let keys = f64::from(shape.kv_heads) * f64::from(shape.head_dim);
    let index = f64::from(shape.index_heads) * f64::from(shape.index_dim);
    let weights = f64::from(shape.hidden) * (queries + 2.0 * keys + outputs + index);
    // Few enough tokens are attended to without asking the index.
    let blocks = if span.cached > top_k {
        real(span.cached.div_ceil(u64::from(shape.block)))
    } else {
        0.0
    };
    let seconds = 2.0 * tokens * weights / system.flops(shape.gemm.rate())
        + 2.0 * tokens * index * blocks / system.flops(ComputeRate::Fp8)
        + 2.0 * (queries + outputs) * real(span.pairs) / system.flops(shape.fmha.rate());
    let entry = f64::from(shape.kv_heads) * (f64::from(shape.head_dim) + f64::from(shape.value_dim));
    let bytes = weights * shape.gemm.bytes()
        + batch * real(span.cached.min(top_k)) * entry * shape.kv.bytes()
        + batch * blocks * index
        + 2.0 * tokens * queries * shape.fmha.bytes();
    seconds.max(bytes / system.memory_bandwidth) * 1000.0
}
