//! Blocks of `DeepSeek` sparse attention (DSA): latent attention to the tokens that an indexer chooses, with all
//! projections.

use dgdr_units::real;

use crate::graph::DsaShape;
use crate::operators::{ContextTokens, GenerationTokens};
use crate::quant::ComputeRate;
use crate::{FmhaQuant, GemmQuant, KvQuant, SystemSpec};

/// Elements of the latent.
const LATENT: f64 = 512.0;
/// Elements of the rotary part.
const ROTARY: f64 = 64.0;
/// Elements of one head of the indexer.
const INDEX_HEAD: f64 = 128.0;
/// Bytes of one token's entry in the index: an fp8 key and one scale of four bytes for every 128 elements.
const INDEX_ENTRY: f64 = INDEX_HEAD + 4.0;

/// What the two architectures differ in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DsaDimensions {
    /// Elements of the hidden state.
    pub hidden: f64,
    /// Elements of the latent of queries.
    pub query_latent: f64,
    /// Elements of one head's query before its rotary part.
    pub query_head: f64,
    /// Elements of one head's value.
    pub value_head: f64,
    /// Heads of the indexer.
    pub index_heads: f64,
}

/// A step of one layer on one GPU.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DsaWork {
    /// Sizes of the model.
    pub dimensions: DsaDimensions,
    /// Requests.
    pub batch: u64,
    /// New tokens of each request in prefill; tokens of each request, the new one included, in decode.
    pub sequence: u64,
    /// Tokens of each request that were cached before, in prefill.
    pub prefix: u64,
    /// Heads.
    pub heads: u64,
    /// Tokens that attention looks at, at most.
    pub chosen: u64,
    /// Whether the layer chooses them itself, or takes over the choice of an earlier layer.
    pub indexer: bool,
    /// Format of the KV cache.
    pub kv: KvQuant,
    /// Format in which prefill attention computes.
    pub fmha: FmhaQuant,
    /// Format of the projections.
    pub gemm: GemmQuant,
}

impl DsaWork {
    /// A prefill of a layer with an indexer.
    pub(crate) fn context(shape: &DsaShape, tokens: ContextTokens) -> Self {
        Self {
            sequence: tokens.new_tokens,
            prefix: tokens.prefix,
            ..Self::of(shape, tokens.batch)
        }
    }

    /// A decode step of a layer with an indexer.
    pub(crate) fn generation(shape: &DsaShape, tokens: GenerationTokens) -> Self {
        Self {
            sequence: tokens.sequence,
            ..Self::of(shape, tokens.batch)
        }
    }

    fn of(shape: &DsaShape, batch: u64) -> Self {
        Self {
            dimensions: shape.architecture.dimensions(),
            batch,
            sequence: 0,
            prefix: 0,
            heads: u64::from(shape.heads),
            chosen: u64::from(shape.chosen),
            indexer: true,
            kv: shape.kv,
            fmha: shape.fmha,
            gemm: shape.gemm,
        }
    }

    fn heads(&self) -> f64 {
        real(self.heads)
    }

    /// Seconds of the projections of `tokens`.
    fn projections(&self, system: &SystemSpec, tokens: f64) -> f64 {
        let size = &self.dimensions;
        let absorption = self.heads() * LATENT * (size.query_head + size.value_head);
        2.0 * tokens * (self.weights() + absorption) / system.flops(self.gemm.rate())
    }

    /// Elements of the weights of all projections, but for those that take queries and outputs through the latent.
    fn weights(&self) -> f64 {
        let size = &self.dimensions;
        let down = size.hidden * (size.query_latent + LATENT + ROTARY + INDEX_HEAD);
        let queries = size.query_latent * self.heads() * (size.query_head + ROTARY);
        let indexer = size.index_heads * (size.query_latent * INDEX_HEAD + size.hidden);
        let output = self.heads() * size.value_head * size.hidden;
        down + queries + indexer + output
    }

    /// Seconds that the indexer takes to score `seen` tokens for each of `tokens`.
    fn scores(&self, system: &SystemSpec, tokens: f64, seen: u64) -> f64 {
        if !self.indexer {
            return 0.0;
        }
        2.0 * tokens * self.dimensions.index_heads * INDEX_HEAD * real(seen) / system.flops(ComputeRate::Fp8)
    }

    /// Bytes of the index of requests of `length` tokens.
    fn index(&self, length: u64) -> f64 {
        if self.indexer {
            real(self.batch) * real(length) * INDEX_ENTRY
        } else {
            0.0
        }
    }

    /// Pairs of a new token and one that it looks at: all before it up to the chosen number.
    fn pairs(&self) -> f64 {
        let (full, prefix, chosen) = (
            real(self.prefix + self.sequence),
            real(self.prefix),
            real(self.chosen),
        );
        let triangle = |to: f64| (to * (to + 1.0) - prefix * (prefix + 1.0)) / 2.0;
        let per_request = if full <= chosen {
            triangle(full)
        } else if prefix >= chosen {
            real(self.sequence) * chosen
        } else {
            triangle(chosen) + (full - chosen) * chosen
        };
        real(self.batch) * per_request
    }
}

/// Milliseconds of the slower of `arithmetic` seconds and `bytes` at the full memory bandwidth.
fn slower(system: &SystemSpec, arithmetic: f64, bytes: f64) -> f64 {
    arithmetic.max(bytes / system.memory_bandwidth) * 1000.0
}

/// A prefill; where everything fits into the chosen number, nothing is scored.
pub fn dsa_context(system: &SystemSpec, work: DsaWork) -> f64 {
    let tokens = real(work.batch) * real(work.sequence);
    let full = work.prefix + work.sequence;
    let (scores, index) = if full <= work.chosen {
        (0.0, 0.0)
    } else {
        (work.scores(system, tokens, full), work.index(full))
    };
    let attention = 2.0 * work.heads() * (LATENT + ROTARY + LATENT) * work.pairs();
    let arithmetic = work.projections(system, tokens) + scores + attention / system.flops(work.fmha.rate());
    let cache =
        real(work.batch) * work.heads() * real(full.min(work.chosen)) * (LATENT + ROTARY) * work.kv.bytes();
    let queries = tokens * work.heads() * (work.dimensions.query_head + ROTARY) * work.fmha.bytes() * 2.0;
    let weights = work.weights() * work.gemm.bytes();
    slower(system, arithmetic, weights + cache + index + queries)
}

/// A decode step; attention computes in bfloat16.
pub fn dsa_generation(system: &SystemSpec, work: DsaWork) -> f64 {
    let tokens = real(work.batch);
    let seen = real(work.sequence.min(work.chosen));
    let attention = 2.0 * tokens * work.heads() * (LATENT + ROTARY + LATENT) * seen;
    let arithmetic = work.projections(system, tokens)
        + work.scores(system, tokens, work.sequence)
        + attention / system.flops(ComputeRate::Bfloat16);
    let cache = tokens * seen * (LATENT + ROTARY) * work.kv.bytes();
    let weights = work.weights() * work.gemm.bytes();
    slower(system, arithmetic, weights + work.index(work.sequence) + cache)
}

#[cfg(test)]
mod tests;
