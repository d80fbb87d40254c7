use super::{PerfDatabase, TableError};
use crate::operators::{ContextAttentionShape, GemmShape, GenerationAttentionShape, OperatorMiss};
use crate::{Backend, FmhaQuant, GemmQuant, KvQuant, SystemSpec};

fn system(name: &str) -> &'static SystemSpec {
    SystemSpec::by_name(name).unwrap()
}

fn h200() -> PerfDatabase {
    PerfDatabase::embedded(system("h200_sxm"), Backend::Trtllm, None).unwrap()
}

#[test]
fn each_engine_has_the_version_that_was_measured() {
    let version = |name, backend| {
        PerfDatabase::embedded(system(name), backend, Some("current"))
            .unwrap()
            .version()
            .to_owned()
    };
    for name in ["b200_sxm", "gb200", "h100_sxm", "h200_sxm"] {
        assert_eq!(
            Backend::ALL.map(|backend| version(name, backend)),
            ["1.3.0rc20", "0.5.14", "0.24.0"]
        );
    }
    assert_eq!(
        Backend::ALL.map(|backend| version("a100_sxm", backend)),
        ["1.0.0", "0.5.10", "0.14.0"]
    );
    assert!(PerfDatabase::embedded(system("h200_sxm"), Backend::Vllm, Some("0.24.0")).is_ok());
}

#[test]
fn another_version_is_refused_with_the_one_that_exists() {
    let error = PerfDatabase::embedded(system("h200_sxm"), Backend::Vllm, Some("0.9.1")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no measured kernels of vllm version `0.9.1` on `h200_sxm`: ask for `0.24.0`, or for `current`"
    );
}

#[test]
fn a_system_without_measurements_is_refused_with_those_that_have_some() {
    let measured: Vec<&str> = PerfDatabase::measured_systems().collect();
    for spec in SystemSpec::all() {
        for backend in Backend::ALL {
            match PerfDatabase::embedded(spec, backend, None) {
                Ok(database) => assert!(measured.contains(&database.system().name)),
                Err(error) => {
                    assert!(!measured.contains(&spec.name), "{error}");
                    let available = measured.join(", ");
                    assert_eq!(
                        error,
                        TableError::NoTables {
                            system: spec.name,
                            available
                        }
                    );
                }
            }
        }
    }
}

#[test]
fn a_miss_says_what_was_asked_for_and_what_exists() {
    let attention = ContextAttentionShape {
        heads: 8,
        kv_heads: 3,
        head_dim: 128,
        window: 0,
        kv: KvQuant::Fp8,
        fmha: FmhaQuant::Fp8,
        qk_norm: false,
    };
    assert!(!h200().has_context_attention(&attention));
    let miss = h200().context_attention(attention).unwrap_err();
    assert!(matches!(miss, OperatorMiss::NotMeasured { .. }));
    assert_eq!(
        miss.to_string(),
        "context_attention with attn_dtype fp8, kv_cache_dtype fp8, kv_heads 3, head_dim 128, window 0 was not \
         measured on h200_sxm trtllm 1.3.0rc20; measured: lane torch_flow, attn_dtype bfloat16|fp8, \
         kv_cache_dtype bfloat16|fp8, kv_heads 0|1|2|4|8, head_dim 64|128|192|256, window 0|128|8192"
    );
    let gemm = GemmShape {
        n: 4096,
        k: 4096,
        quant: GemmQuant::Nvfp4,
        low_precision_input: false,
        roofline_when_far: false,
    };
    assert_eq!(
        h200().gemm(gemm).unwrap_err().to_string(),
        "gemm with gemm_dtype nvfp4 was not measured on h200_sxm trtllm 1.3.0rc20; measured: gemm_dtype \
         bfloat16|fp8|fp8_block"
    );
    assert!(matches!(
        h200().all_reduce(3),
        Err(OperatorMiss::NotMeasured { .. })
    ));
}

#[test]
fn handles_outlive_their_database_and_cross_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    let shape = GenerationAttentionShape {
        heads: 8,
        kv_heads: 1,
        head_dim: 128,
        window: 0,
        kv: KvQuant::Fp8,
    };
    let cost = h200().generation_attention(shape).unwrap();
    shared(&cost);
    shared(&h200());
    shared(&h200().all_reduce(8).unwrap());
}
