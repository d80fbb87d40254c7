//! Attention over a window and over blocks of tokens that are compressed into one entry each (DeepSeek-V4), with the
//! projections around it.

use dgdr_units::real;

use super::decode_rate;
use crate::graph::{Compression, Dsv4Shape};
use crate::quant::ComputeRate;
use crate::{FmhaQuant, SystemSpec};

/// Bytes of a 16-bit element.
const PLAIN: f64 = 2.0;

/// Bytes of an element of the index, which is kept in four bits.
const INDEX: f64 = 0.5;

/// Copies of the compressor's projections: a sparse layer compresses overlapping blocks.
const fn compressor_copies(compression: Compression) -> f64 {
    match compression {
        Compression::Sparse => 2.0,
        Compression::Heavy => 1.0,
    }
}

/// Sequences, and the tokens of each that attention computes and finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    batch: u64,
    /// Tokens that are computed.
    tokens: u64,
    /// Tokens that a sequence's compressed entries stand for.
    cached: u64,
    /// Pairs of a query and a recent token, and of a query and a compressed entry.
    pairs: u64,
}

/// Prefill attention at (prefix, new tokens of each sequence, sequences).
pub fn context_dsv4(system: &SystemSpec, shape: &Dsv4Shape, at: [u64; 3]) -> f64 {
    let [prefix, tokens, batch] = at;
    let window = recent_pairs(prefix, tokens, u64::from(shape.window));
    let entries = entry_pairs(prefix, tokens, shape.entries(prefix + tokens));
    let span = Span {
        batch,
        tokens: batch * tokens,
        cached: prefix + tokens,
        pairs: batch * (window + entries),
    };
    roofline(system, shape, span, shape.fmha)
}

/// Decode attention at (sequences, tokens of each with the new one); it computes in fp8 where the cache is fp8 and the
/// GPU can.
pub fn generation_dsv4(system: &SystemSpec, shape: &Dsv4Shape, at: [u64; 2]) -> f64 {
    let [batch, sequence] = at;
    let cached = sequence.saturating_sub(1);
    let entries = shape.entries(cached);
    let seen = cached.min(u64::from(shape.window)) + (cached / entries.ratio).min(entries.most);
    let span = Span {
        batch,
        tokens: batch,
        cached,
        pairs: batch * seen,
    };
    let fmha = if decode_rate(system, shape.kv) == ComputeRate::Fp8 {
        FmhaQuant::Fp8
    } else {
        FmhaQuant::Bfloat16
    };
    roofline(system, shape, span, fmha)
}

/// Compressed entries that a query attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entries {
    /// Tokens of an entry.
    ratio: u64,
    /// The most that one query attends to.
    most: u64,
}

impl Dsv4Shape {
    /// The entries of `cached` tokens.
    fn entries(&self, cached: u64) -> Entries {
        let ratio = u64::from(self.compression.ratio());
        let most = match self.compression {
            Compression::Sparse => u64::from(self.chosen),
            Compression::Heavy => cached / ratio,
        };
        Entries { ratio, most }
    }
}

/// Pairs of a new token with itself and the tokens before it, at most `window` of them.
pub(super) fn recent_pairs(prefix: u64, tokens: u64, window: u64) -> u64 {
    let triangle = |side: u64| side * (side + 1) / 2;
    let full = prefix + tokens;
    if prefix >= window {
        tokens * window
    } else if full <= window {
        triangle(full) - triangle(prefix)
    } else {
        triangle(window) - triangle(prefix) + (full - window) * window
    }
}

/// Pairs of a new token with the entries that are complete once it is there.
fn entry_pairs(prefix: u64, tokens: u64, entries: Entries) -> u64 {
    let Entries { ratio, most } = entries;
    // How many entries are complete after each of the first `count` tokens, added up.
    let complete = |count: u64| {
        let (whole, rest) = (count / ratio, count % ratio);
        ratio * whole * whole.saturating_sub(1) / 2 + whole * (rest + 1)
    };
    let (first, last, full) = (prefix + 1, prefix + tokens, most * ratio);
    if tokens == 0 || most == 0 {
        0
    } else if last < full {
        complete(last) - complete(prefix)
    } else if first >= full {
        tokens * most
    } else {
        complete(full - 1) - complete(prefix) + (last - full + 1) * most
    }
}

fn roofline(system: &SystemSpec, shape: &Dsv4Shape, span: Span, fmha: FmhaQuant) -> f64 {
    let tokens = real(span.tokens);
    let [hidden, query_rank, output_rank, head_dim] =
        [shape.hidden, shape.q_rank, shape.o_rank, shape.head_dim].map(f64::from);
    let heads = f64::from(shape.heads) * head_dim;
    let groups = f64::from(shape.o_groups.max(1)) * output_rank;
    let index = f64::from(shape.index_heads) * f64::from(shape.index_dim);
    let copies = compressor_copies(shape.compression);
    let pairs = real(span.pairs);

    let mut projections = hidden * query_rank + query_rank * heads + hidden * head_dim + groups * hidden;
    let mut compressors = copies * head_dim;
    let mut plain = heads * output_rank;
    let (mut index_operations, mut index_bytes) = (0.0, 0.0);
    let mut weights = projections + 2.0 * hidden * copies * head_dim;
    if shape.compression == Compression::Sparse {
        let entries = real(span.cached / u64::from(shape.compression.ratio()));
        index_operations = 2.0 * tokens * index * (query_rank + entries);
        index_bytes = real(span.batch) * entries * f64::from(shape.index_dim) * INDEX;
        compressors += copies * f64::from(shape.index_dim);
        plain += hidden * f64::from(shape.index_heads);
        weights += query_rank * index;
    }
    // A compressor projects a token to an entry and its weight, and adds them up.
    projections += (2.0 * hidden + 1.0) * compressors;
    let seconds = 2.0 * tokens * projections / system.flops(shape.gemm.rate())
        + 2.0 * tokens * plain / system.flops(ComputeRate::Bfloat16)
        + index_operations / system.flops(ComputeRate::Fp8)
        + 4.0 * heads * pairs / system.flops(fmha.rate());
    let activations = tokens * (hidden + query_rank + heads + head_dim + groups);
    let rotary = tokens * f64::from(shape.heads) * f64::from(shape.rope_dim) * fmha.bytes();
    let bytes = (weights + activations) * shape.gemm.bytes()
        + plain * PLAIN
        + pairs * head_dim * shape.kv.bytes()
        + index_bytes
        + rotary;
    seconds.max(bytes / system.memory_bandwidth) * 1000.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Entries, entry_pairs, recent_pairs};

    /// What each new token sees, added up one by one.
    fn counted(prefix: u64, tokens: u64, seen: impl Fn(u64) -> u64) -> u64 {
        (prefix + 1..=prefix + tokens).map(seen).sum()
    }

    proptest! {
        #[test]
        fn pairs_are_what_each_token_sees(
            prefix in 0_u64..600, tokens in 0_u64..600, window in 1_u64..400, ratio in 1_u64..130, most in 0_u64..40,
        ) {
            prop_assert_eq!(
                recent_pairs(prefix, tokens, window),
                counted(prefix, tokens, |token| token.min(window))
            );
            prop_assert_eq!(
                entry_pairs(prefix, tokens, Entries { ratio, most }),
                counted(prefix, tokens, |token| (token / ratio).min(most))
            );
        }
    }
}
