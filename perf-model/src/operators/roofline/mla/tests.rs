//! Values: the reference's own speeds of light on an H200.

use approx::assert_relative_eq;

use super::{
    MlaBmmWork, MlaContextWork, MlaGenerationWork, mla_bmm, mla_context, mla_generation,
    mla_generation_module,
};
use crate::{FmhaQuant, GemmQuant, KvQuant, SystemSpec};

fn h200() -> &'static SystemSpec {
    SystemSpec::by_name("h200_sxm").unwrap()
}

fn decode(kv: KvQuant) -> MlaGenerationWork {
    MlaGenerationWork {
        batch: 2,
        sequence: 1024,
        heads: 16,
        kv,
    }
}

#[test]
fn prefill_is_bound_by_arithmetic_in_bfloat16_and_by_memory_in_fp8() {
    let work = |kv, fmha| MlaContextWork {
        batch: 2,
        sequence: 1024,
        heads: 16,
        kv,
        fmha,
    };
    let slow = mla_context(h200(), work(KvQuant::Bfloat16, FmhaQuant::Bfloat16));
    assert_relative_eq!(slow, 0.010_856_843_518_705_764, max_relative = 1e-12);
    let fast = mla_context(h200(), work(KvQuant::Fp8, FmhaQuant::Fp8));
    assert_relative_eq!(fast, 0.006_553_600_000_000_001, max_relative = 1e-12);
}

#[test]
fn decode_reads_one_latent_a_token_whatever_the_heads() {
    let of = |kv| mla_generation(h200(), decode(kv));
    assert_relative_eq!(
        of(KvQuant::Bfloat16),
        0.000_505_546_666_666_666_7,
        max_relative = 1e-12
    );
    assert_relative_eq!(
        of(KvQuant::Fp8),
        0.000_260_026_666_666_666_65,
        max_relative = 1e-12
    );
}

#[test]
fn the_block_of_decode_adds_both_products() {
    let of = |kv, gemm| mla_generation_module(h200(), decode(kv), gemm);
    assert_relative_eq!(
        of(KvQuant::Bfloat16, GemmQuant::Bfloat16),
        0.001_396_426_666_666_666_8,
        max_relative = 1e-12
    );
    assert_relative_eq!(
        of(KvQuant::Fp8, GemmQuant::Fp8Block),
        0.000_705_466_666_666_666_6,
        max_relative = 1e-12
    );
}

#[test]
fn a_batched_product_of_few_tokens_reads_its_weights() {
    let work = MlaBmmWork {
        tokens: 40,
        heads: 16,
        quant: GemmQuant::Bfloat16,
    };
    assert_relative_eq!(
        mla_bmm(h200(), work),
        0.000_607_573_333_333_333_3,
        max_relative = 1e-12
    );
}
