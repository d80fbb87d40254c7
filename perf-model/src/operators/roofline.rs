//! Speed-of-light latencies, milliseconds: the larger of arithmetic at the full tensor-core rate and memory traffic at
//! the full bandwidth. Measured latencies are extrapolated by the ratio of these.
//!
//! Formulas: those of AIConfigurator 0.12.

mod dsa;
mod dsv4;
mod experts;
mod hyper_connection;
mod linear_attention;
mod links;
mod mla;
mod msa;
mod wide_ep_mla;

use dgdr_units::real;

use crate::quant::ComputeRate;
use crate::{FmhaQuant, GemmQuant, KvQuant, SystemSpec};

pub use dsa::{DsaDimensions, DsaWork, dsa_context, dsa_generation};
pub use dsv4::{context_dsv4, generation_dsv4};
pub use experts::moe;
pub use hyper_connection::hyper_connection;
pub use linear_attention::{gated_delta, kimi_delta, mamba2};
pub use links::{all_reduce, exchange};
pub use mla::{
    MlaBmmWork, MlaContextWork, MlaGenerationWork, mla_bmm, mla_context, mla_generation,
    mla_generation_module,
};
pub use msa::{context_msa, generation_msa};
pub use wide_ep_mla::{
    WideEpMlaContextWork, WideEpMlaGenerationWork, wide_ep_mla_context, wide_ep_mla_generation,
};

/// A matrix multiplication `m×k · k×n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GemmWork {
    /// Rows: tokens.
    pub m: u64,
    /// Output features.
    pub n: u64,
    /// Input features.
    pub k: u64,
    /// Format of operands.
    pub quant: GemmQuant,
}

/// Prefill attention of one layer on one GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextAttentionWork {
    /// Requests.
    pub batch: u64,
    /// Tokens of each request, all of them new.
    pub sequence: u64,
    /// Query heads.
    pub heads: u64,
    /// Key-value heads.
    pub kv_heads: u64,
    /// Elements of one head.
    pub head_dim: u64,
    /// Sliding window in tokens; 0 for none.
    pub window: u64,
    /// Format of the KV cache.
    pub kv: KvQuant,
    /// Format in which attention computes.
    pub fmha: FmhaQuant,
}

/// Decode attention of one layer on one GPU, one new token per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GenerationAttentionWork {
    /// Requests.
    pub batch: u64,
    /// Tokens of each request, the new one included.
    pub sequence: u64,
    /// Query heads.
    pub heads: u64,
    /// Key-value heads.
    pub kv_heads: u64,
    /// Elements of one head.
    pub head_dim: u64,
    /// Sliding window in tokens; 0 for none.
    pub window: u64,
    /// Format of the KV cache.
    pub kv: KvQuant,
}

/// Milliseconds of the slower of `operations` at `rate` and `bytes` at the full memory bandwidth.
fn slower(system: &SystemSpec, operations: f64, bytes: f64, rate: ComputeRate) -> f64 {
    (operations / system.flops(rate)).max(bytes / system.memory_bandwidth) * 1000.0
}

/// A matrix multiplication; activations are counted at the width of the weights.
pub fn gemm(system: &SystemSpec, work: GemmWork) -> f64 {
    let (m, n, k) = (real(work.m), real(work.n), real(work.k));
    let bytes = work.quant.bytes() * (m * n + m * k + n * k);
    slower(system, 2.0 * m * n * k, bytes, work.quant.rate())
}

/// Prefill attention; causal, so half of the full product, or a band of `window` where that is shorter.
pub fn context_attention(system: &SystemSpec, work: ContextAttentionWork) -> f64 {
    let (batch, sequence) = (real(work.batch), real(work.sequence));
    let (heads, head_dim) = (real(work.heads), real(work.head_dim));
    let operations = if work.window > 0 && work.window < work.sequence {
        2.0 * batch * sequence * real(work.window) * heads * head_dim * 2.0
    } else {
        2.0 * batch * sequence * sequence * heads * head_dim
    };
    let queries_and_outputs = 2.0 * batch * (2.0 * heads * sequence * head_dim);
    let cache = work.kv.bytes() * batch * 2.0 * real(work.kv_heads) * sequence * head_dim;
    slower(system, operations, queries_and_outputs + cache, work.fmha.rate())
}

/// Decode attention; computes in fp8 where the cache is fp8 and the GPU can (compute capability 8.9).
pub fn generation_attention(system: &SystemSpec, work: GenerationAttentionWork) -> f64 {
    let past = work.sequence.saturating_sub(1);
    let seen = real(if work.window > 0 {
        past.min(work.window)
    } else {
        past
    });
    let (batch, heads, head_dim) = (real(work.batch), real(work.heads), real(work.head_dim));
    let operations = 2.0 * batch * heads * head_dim * 2.0 * seen;
    let vectors = heads * head_dim * 2.0;
    let cache = 2.0 * real(work.kv_heads) * seen * head_dim * work.kv.bytes();
    slower(
        system,
        operations,
        batch * (vectors + cache + vectors),
        decode_rate(system, work.kv),
    )
}

/// The rate of decode attention: fp8 where the cache is fp8 and the GPU can (compute capability 8.9).
fn decode_rate(system: &SystemSpec, kv: KvQuant) -> ComputeRate {
    if kv == KvQuant::Fp8 && system.sm_version.is_some_and(|version| version >= 89) {
        ComputeRate::Fp8
    } else {
        ComputeRate::Bfloat16
    }
}

#[cfg(test)]
mod tests;
