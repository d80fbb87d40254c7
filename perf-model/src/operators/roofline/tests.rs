use approx::assert_relative_eq;

use super::{
    ContextAttentionWork, GemmWork, GenerationAttentionWork, context_attention, gemm, generation_attention,
};
use crate::{FmhaQuant, GemmQuant, KvQuant, SystemSpec};

fn h200() -> &'static SystemSpec {
    SystemSpec::by_name("h200_sxm").unwrap()
}

#[test]
fn a_large_gemm_is_bound_by_arithmetic_and_a_small_one_by_memory() {
    let work = |m| GemmWork {
        m,
        n: 4096,
        k: 4096,
        quant: GemmQuant::Bfloat16,
    };
    let large = 2.0 * 8192.0 * 4096.0 * 4096.0 / 989e12 * 1e3;
    assert_relative_eq!(gemm(h200(), work(8192)), large, max_relative = 1e-12);
    let small = 2.0 * (4096.0 + 4096.0 + 4096.0 * 4096.0) / 4.8e12 * 1e3;
    assert_relative_eq!(gemm(h200(), work(1)), small, max_relative = 1e-12);
}

#[test]
fn a_window_shorter_than_the_sequence_bounds_prefill() {
    let work = |window| ContextAttentionWork {
        batch: 1,
        sequence: 8192,
        heads: 8,
        kv_heads: 1,
        head_dim: 128,
        window,
        kv: KvQuant::Bfloat16,
        fmha: FmhaQuant::Bfloat16,
    };
    let causal = 2.0 * 8192.0 * 8192.0 * 8.0 * 128.0 / 989e12 * 1e3;
    assert_relative_eq!(context_attention(h200(), work(0)), causal, max_relative = 1e-12);
    assert_relative_eq!(
        context_attention(h200(), work(8192)),
        causal,
        max_relative = 1e-12
    );
    assert!(context_attention(h200(), work(128)) < causal / 10.0);
}

#[test]
fn decode_reads_the_cache_of_past_tokens() {
    let work = GenerationAttentionWork {
        batch: 2,
        sequence: 1001,
        heads: 8,
        kv_heads: 2,
        head_dim: 128,
        window: 0,
        kv: KvQuant::Fp8,
    };
    let bytes = 2.0 * (2.0 * 8.0 * 128.0 * 2.0 + 2.0 * 2.0 * 1000.0 * 128.0);
    assert_relative_eq!(
        generation_attention(h200(), work),
        bytes / 4.8e12 * 1e3,
        max_relative = 1e-12
    );
    let windowed = GenerationAttentionWork { window: 100, ..work };
    assert!(generation_attention(h200(), windowed) < generation_attention(h200(), work) / 5.0);
}
