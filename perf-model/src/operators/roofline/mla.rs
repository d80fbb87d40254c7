//! Multi-head latent attention (`DeepSeek` V3, Kimi K2): every head attends to one latent of 512 elements and a rotary
//! part of 64.

use dgdr_units::real;

use super::{decode_rate, slower};
use crate::{FmhaQuant, GemmQuant, KvQuant, SystemSpec};

/// Elements of the latent.
const LATENT: f64 = 512.0;
/// Elements of one head of keys or values before their rotary part.
const HEAD: f64 = 128.0;
/// Elements of the rotary part.
const ROTARY: f64 = 64.0;
/// Elements of one head's key and value in prefill, which expands the latent: 192 and 128.
const EXPANDED: f64 = HEAD + ROTARY + HEAD;
/// Elements of one head's key and value in decode, which attends to the latent itself: 576 and 512.
const ABSORBED: f64 = LATENT + ROTARY + LATENT;

/// Prefill of one layer on one GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MlaContextWork {
    /// Requests.
    pub batch: u64,
    /// Tokens of each request, all of them new.
    pub sequence: u64,
    /// Heads.
    pub heads: u64,
    /// Format of the KV cache.
    pub kv: KvQuant,
    /// Format in which attention computes.
    pub fmha: FmhaQuant,
}

/// Decode of one layer on one GPU, one new token per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MlaGenerationWork {
    /// Requests.
    pub batch: u64,
    /// Tokens of each request, the new one included.
    pub sequence: u64,
    /// Heads.
    pub heads: u64,
    /// Format of the KV cache.
    pub kv: KvQuant,
}

/// The batched product that moves queries into the latent, or outputs out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MlaBmmWork {
    /// Tokens.
    pub tokens: u64,
    /// Heads.
    pub heads: u64,
    /// Format of operands.
    pub quant: GemmQuant,
}

/// Prefill attention; causal, so half of the full product. The block around it is held to the same, although it has
/// projections too.
pub fn mla_context(system: &SystemSpec, work: MlaContextWork) -> f64 {
    let (batch, sequence, heads) = (real(work.batch), real(work.sequence), real(work.heads));
    let operations = batch * heads * EXPANDED * sequence * sequence;
    let bytes = batch * heads * EXPANDED * sequence * (work.kv.bytes() + 2.0);
    slower(system, operations, bytes, work.fmha.rate())
}

/// Operations and bytes of decode attention.
fn absorbed(work: MlaGenerationWork) -> [f64; 2] {
    let (batch, heads) = (real(work.batch), real(work.heads));
    let operations = 2.0 * batch * heads * ABSORBED * real(work.sequence);
    let cache = real(work.sequence.saturating_sub(1)) * (LATENT + ROTARY) * work.kv.bytes();
    [operations, batch * (heads * ABSORBED * 2.0 + cache)]
}

/// Decode attention; computes in fp8 where the cache is fp8 and the GPU can.
pub fn mla_generation(system: &SystemSpec, work: MlaGenerationWork) -> f64 {
    let [operations, bytes] = absorbed(work);
    slower(system, operations, bytes, decode_rate(system, work.kv))
}

/// Decode attention with the products before and after it in the format `gemm`.
pub fn mla_generation_module(system: &SystemSpec, work: MlaGenerationWork, gemm: GemmQuant) -> f64 {
    let [operations, bytes] = absorbed(work);
    let product = MlaBmmWork {
        tokens: work.batch,
        heads: work.heads,
        quant: gemm,
    };
    let [product_operations, product_bytes] = projected(product);
    let arithmetic = operations / system.flops(decode_rate(system, work.kv))
        + 2.0 * product_operations / system.flops(gemm.rate());
    arithmetic.max((bytes + 2.0 * product_bytes) / system.memory_bandwidth) * 1000.0
}

/// Operations and bytes of one batched product.
fn projected(work: MlaBmmWork) -> [f64; 2] {
    let (tokens, heads) = (real(work.tokens), real(work.heads));
    let operations = 2.0 * tokens * heads * HEAD * LATENT;
    let elements = heads * (tokens * (HEAD + LATENT) + HEAD * LATENT);
    [operations, elements * work.quant.bytes()]
}

/// One batched product.
pub fn mla_bmm(system: &SystemSpec, work: MlaBmmWork) -> f64 {
    let [operations, bytes] = projected(work);
    slower(system, operations, bytes, work.quant.rate())
}

#[cfg(test)]
mod tests;
