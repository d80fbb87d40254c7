use super::{Coverage, CoverageQuery};
use crate::backend::Backend;
use crate::error::PerfModelError;
use crate::mapping::{MappingError, ParallelMapping};
use crate::precision::PrecisionOverrides;
use crate::quant::GemmQuant;
use crate::registry;
use crate::system::SystemSpec;
use crate::tables::PerfDatabase;

fn coverage(model: &str, on: (&str, Backend), mapping: Result<ParallelMapping, MappingError>) -> Coverage {
    let database = PerfDatabase::available(SystemSpec::by_name(on.0).unwrap(), on.1, None).unwrap();
    Coverage::of(CoverageQuery {
        database: &database,
        model: registry::find(model).unwrap(),
        mapping: mapping.unwrap(),
        precision: PrecisionOverrides::default(),
    })
}

#[test]
fn a_measured_combination_names_its_formats() {
    for (model, mapping) in [
        ("Qwen/Qwen3-32B", ParallelMapping::tp(2)),
        ("Qwen/Qwen3-30B-A3B", ParallelMapping::tep(4)),
    ] {
        let coverage = coverage(model, ("h200_sxm", Backend::Trtllm), mapping);
        let Coverage::Measured { precision } = &coverage else {
            panic!("{coverage:?}");
        };
        assert_eq!(precision.gemm, GemmQuant::Bfloat16);
        assert!(coverage.is_measured());
    }
}

#[test]
fn what_is_missing_is_named() {
    // No fp8 tensor cores on A100, so nobody measured block-scaled fp8 there.
    let coverage = coverage(
        "Qwen/Qwen3-32B-FP8",
        ("a100_sxm", Backend::Trtllm),
        ParallelMapping::tp(2),
    );
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
fn without_tables_the_roofline_answers() {
    let coverage = coverage("Qwen/Qwen3-32B", ("l40s", Backend::Vllm), ParallelMapping::tp(2));
    assert!(matches!(coverage, Coverage::RooflineOnly { .. }), "{coverage:?}");
}

#[test]
fn what_cannot_exist_says_why() {
    let reason = |model, on, mapping| {
        let found = coverage(model, on, mapping);
        let Coverage::Impossible(reason) = found else {
            panic!("{found:?}");
        };
        reason
    };
    let h200 = ("h200_sxm", Backend::Trtllm);
    assert!(matches!(
        reason("Qwen/Qwen3-32B", h200, ParallelMapping::tp(3)),
        PerfModelError::HeadsNotDivisible { .. }
    ));
    assert!(matches!(
        reason("Qwen/Qwen3-32B", h200, ParallelMapping::tep(2)),
        PerfModelError::NoExperts { .. }
    ));
    let small = reason("Qwen/Qwen3-32B", ("l4", Backend::Vllm), ParallelMapping::tp(2));
    let text = small.to_string();
    assert!(
        text.contains("GiB of weights") && text.contains("24.0 GiB"),
        "{text}"
    );
    let other = reason(
        "Qwen/Qwen3-8B",
        ("mi300", Backend::Trtllm),
        ParallelMapping::tp(1),
    );
    assert!(other.to_string().contains("does not run on mi300"), "{other}");
    assert!(matches!(
        reason(
            "Qwen/Qwen3-8B",
            ("v100_sxm", Backend::Trtllm),
            ParallelMapping::tp(1)
        ),
        PerfModelError::EngineNeedsOtherGpu { .. }
    ));
}
