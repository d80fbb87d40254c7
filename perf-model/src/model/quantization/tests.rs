use serde_json::{Value, json};

use super::{Declared, Quantization};
use crate::model::ModelFamily;
use crate::quant::{FmhaQuant, GemmQuant, KvQuant, MoeQuant, PartFormats};

fn infer(config: &Value) -> Quantization {
    infer_as(config, None, ModelFamily::MixtureOfExperts)
}

fn infer_as(config: &Value, model_opt: Option<&Value>, family: ModelFamily) -> Quantization {
    let declared = Declared::new("m", Some(config), model_opt, None).unwrap();
    Quantization::infer(&declared, "SomeForCausalLM", family).unwrap()
}

#[test]
fn integer_checkpoints_are_weight_only() {
    for (config, gemm, moe) in [
        (
            json!({"quant_method": "awq", "bits": 4}),
            GemmQuant::Int4Wo,
            Some(MoeQuant::Int4Wo),
        ),
        (
            json!({"quant_method": "gptq", "bits": 8}),
            GemmQuant::Int8Wo,
            None,
        ),
        (
            json!({"quant_algo": "W4A16_AWQ"}),
            GemmQuant::Int4Wo,
            Some(MoeQuant::Int4Wo),
        ),
        (
            json!({"quant_algo": "W4A8_AWQ"}),
            GemmQuant::Fp8,
            Some(MoeQuant::W4afp8),
        ),
        (
            json!({"quant_method": "bitsandbytes", "load_in_8bit": true}),
            GemmQuant::Int8Wo,
            None,
        ),
    ] {
        let found = infer(&config);
        assert_eq!((found.gemm, found.moe), (Some(gemm), moe), "{config}");
        assert_eq!((found.kv, found.fmha), (KvQuant::Bfloat16, FmhaQuant::Bfloat16));
    }
    let odd = infer(&json!({"quant_method": "gptq", "bits": 3}));
    assert_eq!((odd.gemm, odd.moe), (None, None));
}

#[test]
fn four_bit_floats_are_told_apart_by_their_groups() {
    let group = |size: u64, activations: Value| {
        json!({"quant_method": "compressed-tensors", "config_groups": {"g": {
            "input_activations": activations,
            "weights": {"num_bits": 4, "type": "float", "group_size": size}}}})
    };
    let nvfp4 = infer(&group(16, json!({"num_bits": 4, "type": "float"})));
    assert_eq!(
        (nvfp4.gemm, nvfp4.moe),
        (Some(GemmQuant::Nvfp4), Some(MoeQuant::Nvfp4))
    );
    let weights = infer(&group(16, Value::Null));
    assert_eq!(weights.moe, Some(MoeQuant::W4a16Nvfp4));
    let mxfp4 = infer(&group(32, Value::Null));
    assert_eq!(mxfp4.moe, Some(MoeQuant::W4a16Mxfp4));
}

#[test]
fn what_compressed_tensors_ignores_keeps_16_bits() {
    let ignoring = |patterns: Value| {
        json!({"quant_method": "compressed-tensors", "ignore": patterns,
            "config_groups": {"g": {"weights": {"num_bits": 8, "type": "float"}}}})
    };
    let shared = infer(&ignoring(json!(["lm_head", "re:.*shared_experts.*"])));
    assert_eq!(
        (shared.gemm, shared.moe),
        (Some(GemmQuant::Fp8), Some(MoeQuant::Fp8))
    );
    let experts = infer(&ignoring(json!(["re:.*mlp.experts.*"])));
    assert_eq!(
        (experts.gemm, experts.moe),
        (Some(GemmQuant::Fp8), Some(MoeQuant::Bfloat16))
    );
    let attention = infer(&ignoring(json!(["re:.*self_attn.*"])));
    assert_eq!(
        (attention.gemm, attention.moe),
        (Some(GemmQuant::Bfloat16), Some(MoeQuant::Fp8))
    );
}

#[test]
fn mixed_precision_is_read_module_by_module() {
    let mixed = infer(&json!({"quant_algo": "MIXED_PRECISION", "quantized_layers": {
        "model.layers.0.self_attn.q_proj": {"quant_algo": "FP8"},
        "model.layers.0.mlp.experts.0.up_proj": {"quant_algo": "W4A16_NVFP4"},
        "model.layers.0.mlp.shared_experts.up_proj": "NVFP4"}}));
    assert_eq!(
        (mixed.gemm, mixed.moe),
        (Some(GemmQuant::Fp8Static), Some(MoeQuant::W4a16Nvfp4))
    );
    let requantized = infer(&json!({"quant_algo": "MIXED_PRECISION", "quant_method": "fp8",
        "weight_block_size": [128, 128], "quantized_layers": {"layers.0.ffn.experts": {"quant_algo": "NVFP4"}}}));
    assert_eq!(
        (requantized.gemm, requantized.moe),
        (Some(GemmQuant::Fp8Block), Some(MoeQuant::Nvfp4))
    );
    let unknown = infer(&json!({"quant_algo": "MIXED_PRECISION", "quantized_layers": {"lm_head": "Q3_K"}}));
    assert_eq!((unknown.gemm, unknown.moe), (None, Some(MoeQuant::Bfloat16)));
}

#[test]
fn excluded_projections_of_latent_attention_are_found_one_by_one() {
    let parts = |patterns: Value| {
        let record = json!({"quant_algo": "NVFP4", "exclude_modules": patterns});
        infer_as(&Value::Null, Some(&record), ModelFamily::DeepSeek).parts
    };
    let plain = Some(GemmQuant::Bfloat16);
    let some = parts(json!([
        "layers.0.self_attn.q_a_proj",
        "layers.0.self_attn.kv_b_proj"
    ]));
    assert_eq!((some.query, some.key_value, some.output), (plain, plain, None));
    let all = parts(json!(["layers.3.self_attn*", "layers.3.mlp.shared_experts*"]));
    assert_eq!((all.query, all.key_value, all.output), (plain, plain, plain));
    assert_eq!((all.indexer, all.shared_experts), (plain, plain));
    assert_eq!(parts(json!(["lm_head"])), PartFormats::UNIFORM);
}

#[test]
fn a_record_of_the_wrong_kind_is_named() {
    let bad = json!([1, 2]);
    let Err(error) = Declared::new("m", Some(&bad), None, None) else {
        panic!("a list is no record");
    };
    assert!(error.to_string().contains("quantization_config"), "{error}");
    let number = json!({"quant_method": 8});
    let declared = Declared::new("m", Some(&number), None, None).unwrap();
    let error = Quantization::infer(&declared, "A", ModelFamily::Dense).unwrap_err();
    assert!(
        error.to_string().contains("quantization_config.quant_method"),
        "{error}"
    );
}
