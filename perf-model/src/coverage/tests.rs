use super::{Coverage, CoverageQuery};
use crate::backend::Backend;
use crate::error::PerfModelError;
use crate::mapping::ParallelMapping;
use crate::precision::PrecisionOverrides;
use crate::quant::GemmQuant;
use crate::registry;
use crate::system::SystemSpec;

fn coverage(model: &str, system: &str, tp: u32) -> Coverage {
    Coverage::of(CoverageQuery {
        model: registry::find(model).unwrap(),
        system: SystemSpec::by_name(system).unwrap(),
        backend: Backend::Trtllm,
        mapping: ParallelMapping::tp(tp).unwrap(),
        precision: PrecisionOverrides::default(),
    })
}

#[test]
fn a_measured_combination_names_its_version() {
    let coverage = coverage("Qwen/Qwen3-32B", "h200_sxm", 2);
    let Coverage::Measured { version, precision } = &coverage else {
        panic!("{coverage:?}");
    };
    assert_eq!(version, "1.3.0rc20");
    assert_eq!(precision.gemm, GemmQuant::Bfloat16);
    assert!(coverage.is_measured());
}

#[test]
fn what_is_missing_is_named() {
    // No fp8 tensor cores on A100, so nobody measured block-scaled fp8 there.
    let coverage = coverage("Qwen/Qwen3-32B-FP8", "a100_sxm", 2);
    let Coverage::Incomplete { missing, .. } = &coverage else {
        panic!("{coverage:?}");
    };
    let text = missing[0].to_string();
    assert!(
        text.contains("context_qkv_gemm") && text.contains("fp8_block"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_covered_says_why() {
    let experts = coverage("Qwen/Qwen3-30B-A3B-FP8", "h200_sxm", 8);
    assert!(
        matches!(
            experts,
            Coverage::NotCovered(PerfModelError::ExpertsNotAligned { .. })
        ),
        "{experts:?}"
    );
    let heads = coverage("Qwen/Qwen3-32B", "h200_sxm", 3);
    assert!(
        matches!(
            heads,
            Coverage::NotCovered(PerfModelError::HeadsNotDivisible { .. })
        ),
        "{heads:?}"
    );
    let system = coverage("Qwen/Qwen3-32B", "l4", 2);
    assert!(
        matches!(system, Coverage::NotCovered(PerfModelError::Tables(_))),
        "{system:?}"
    );
}
