use super::{ModelFamily, ModelSpec};
use crate::error::PerfModelError;
use crate::quant::{FmhaQuant, GemmQuant, KvQuant};

/// A Llama-shaped configuration with `extra` fields before the rest.
fn config(extra: &str) -> String {
    format!(
        r#"{{{extra} "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 32, "hidden_size": 4096,
        "num_attention_heads": 32, "intermediate_size": 14336, "vocab_size": 128256,
        "max_position_embeddings": 131072}}"#
    )
}

fn parse(extra: &str) -> ModelSpec {
    ModelSpec::from_config_json("test/model", &config(extra), None).unwrap()
}

#[test]
fn absent_head_fields_follow_from_the_others() {
    let spec = parse("");
    assert_eq!((spec.kv_heads, spec.head_dim), (32, 128));
    let spec = parse(r#""num_key_value_heads": 8, "head_dim": 64,"#);
    assert_eq!((spec.kv_heads, spec.head_dim), (8, 64));
    let spec = parse(r#""num_key_value_heads": null, "head_dim": null,"#);
    assert_eq!((spec.kv_heads, spec.head_dim), (32, 128));
}

#[test]
fn a_declared_window_counts_only_when_it_is_used() {
    assert_eq!(parse(r#""sliding_window": 4096,"#).sliding_window, Some(4096));
    let off = parse(r#""sliding_window": 4096, "use_sliding_window": false,"#);
    assert_eq!(off.sliding_window, None);
    assert_eq!(parse(r#""sliding_window": null,"#).sliding_window, None);
}

#[test]
fn a_nested_text_config_is_read() {
    let text = format!(
        r#"{{"architectures": ["Qwen3VLForConditionalGeneration"], "text_config": {}}}"#,
        config("")
    );
    let spec = ModelSpec::from_config_json("vision", &text, None).unwrap();
    assert_eq!(spec.family, ModelFamily::Vision);
    assert_eq!(spec.layers, 32);
}

#[test]
fn experts_are_kept_by_their_many_names() {
    let mixtral = parse(r#""num_local_experts": 8, "num_experts_per_tok": 2,"#);
    let experts = mixtral.experts.unwrap();
    assert_eq!(
        (experts.count, experts.per_token, experts.intermediate),
        (8, 2, 14_336)
    );
    let deepseek = parse(
        r#""n_routed_experts": 256, "num_experts_per_tok": 8, "moe_intermediate_size": 2048, "n_shared_experts": 1,
        "kv_lora_rank": 512, "qk_rope_head_dim": 64,"#,
    );
    let experts = deepseek.experts.unwrap();
    assert_eq!(
        (experts.count, experts.intermediate, experts.shared),
        (256, 2048, 1)
    );
    let bytes = deepseek.kv_bytes_per_token(8, KvQuant::Fp8);
    assert!((bytes - f64::from(576 * 32)).abs() < 1e-9);
}

#[test]
fn a_bad_field_is_named() {
    for (text, field) in [
        ("[]", "config.json"),
        ("{}", "architectures"),
        (
            r#"{"architectures": ["LlamaForCausalLM"]}"#,
            "num_attention_heads",
        ),
        (
            &config(r#""num_key_value_heads": "eight","#),
            "num_key_value_heads",
        ),
        (
            &config("").replace(r#""intermediate_size": 14336,"#, ""),
            "intermediate_size",
        ),
        (
            &config("").replace(r#""num_attention_heads": 32,"#, r#""num_attention_heads": 0,"#),
            "num_attention_heads",
        ),
    ] {
        match ModelSpec::from_config_json("m", text, None) {
            Err(PerfModelError::ModelConfig { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{text}: {other:?}"),
        }
    }
    let alien = config("").replace("LlamaForCausalLM", "BertForMaskedLM");
    let error = ModelSpec::from_config_json("m", &alien, None).unwrap_err();
    assert!(error.to_string().contains("BertForMaskedLM"), "{error}");
}

#[test]
fn infinities_written_by_python_do_not_break_a_configuration() {
    let spec = parse(r#""time_step_limit": [0.0, Infinity],"#);
    assert_eq!(spec.layers, 32);
}

/// (quantization_config, hf_quant_config, projections, KV cache, prefill attention)
type QuantizationCase = (
    &'static str,
    Option<&'static str>,
    Option<GemmQuant>,
    KvQuant,
    FmhaQuant,
);

#[test]
fn quantization_follows_the_checkpoint() {
    use {
        FmhaQuant::Bfloat16 as Attn16, FmhaQuant::Fp8 as Attn8, KvQuant::Bfloat16 as Kv16,
        KvQuant::Fp8 as Kv8,
    };
    let cases: [QuantizationCase; 10] = [
        ("null", None, Some(GemmQuant::Bfloat16), Kv16, Attn16),
        (
            r#"{"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}"#,
            None,
            Some(GemmQuant::Fp8Block),
            Kv8,
            Attn8,
        ),
        (
            r#"{"quant_method": "fp8", "activation_scheme": "dynamic"}"#,
            None,
            Some(GemmQuant::Fp8),
            Kv8,
            Attn8,
        ),
        (
            "null",
            Some(r#"{"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}"#),
            Some(GemmQuant::Fp8Static),
            Kv8,
            Attn8,
        ),
        (
            "null",
            Some(r#"{"quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}}"#),
            Some(GemmQuant::Nvfp4),
            Kv8,
            Attn8,
        ),
        (
            r#"{"quant_method": "mxfp4"}"#,
            None,
            Some(GemmQuant::Bfloat16),
            Kv16,
            Attn16,
        ),
        (
            r#"{"quant_method": "compressed-tensors", "config_groups": {"g": {"weights":
                {"num_bits": 4, "type": "int", "strategy": "group"}}}, "ignore": ["lm_head"]}"#,
            None,
            Some(GemmQuant::Int4Wo),
            Kv16,
            Attn16,
        ),
        (
            r#"{"quant_method": "compressed-tensors", "config_groups": {"g": {"weights":
                {"num_bits": 4, "type": "int"}}}, "ignore": ["re:.*self_attn.*"]}"#,
            None,
            Some(GemmQuant::Bfloat16),
            Kv16,
            Attn16,
        ),
        (
            r#"{"quant_method": "awq", "bits": 4}"#,
            None,
            Some(GemmQuant::Int4Wo),
            Kv16,
            Attn16,
        ),
        (r#"{"quant_method": "homemade"}"#, None, None, Kv16, Attn16),
    ];
    for (quantization, hf_quant, gemm, kv, fmha) in cases {
        let text = config(&format!(r#""quantization_config": {quantization},"#));
        let spec = ModelSpec::from_config_json("m", &text, hf_quant).unwrap();
        let found = &spec.quantization;
        assert_eq!(
            (found.gemm, found.kv, found.fmha),
            (gemm, kv, fmha),
            "{quantization}"
        );
    }
}

#[test]
fn the_cache_of_a_dense_model_is_what_its_shape_says() {
    let spec = parse(r#""num_key_value_heads": 8,"#);
    let per_token = spec.kv_bytes_per_token(1, KvQuant::Bfloat16);
    assert!((per_token - 131_072.0).abs() < 1e-9);
    let replicated = spec.kv_bytes_per_token(16, KvQuant::Bfloat16);
    assert!(
        (replicated - 131_072.0 / 8.0).abs() < 1e-9,
        "one head stays on each rank"
    );
}

/// A DeepSeek-shaped configuration of `architecture` with `extra` fields.
fn deepseek(architecture: &str, extra: &str) -> Result<ModelSpec, PerfModelError> {
    let text = config(&format!(
        r#"{extra} "n_routed_experts": 64, "num_experts_per_tok": 4, "moe_intermediate_size": 1024,"#
    ));
    ModelSpec::from_config_json("m", &text.replace("LlamaForCausalLM", architecture), None)
}

#[test]
fn layers_that_choose_tokens_are_counted_as_engines_count_them() {
    let latent = r#""q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
        "v_head_dim": 128, "index_topk": 2048, "index_n_heads": 64, "index_head_dim": 128,"#;
    let choosing = |extra: &str| {
        let spec = deepseek("GlmMoeDsaForCausalLM", &format!("{latent} {extra}")).unwrap();
        spec.sparse_attention.unwrap().choosing_layers
    };
    assert_eq!(choosing(""), 32);
    // Layers 0 to 2, then every fourth from there on.
    assert_eq!(
        choosing(r#""index_topk_freq": 4, "index_skip_topk_offset": 3,"#),
        3 + 7
    );
    assert_eq!(choosing(r#""index_topk_freq": 4,"#), 2 + 7);
    assert_eq!(choosing(r#""index_topk_pattern": "FSSF","#), 30);
}

#[test]
fn what_a_family_of_attention_cannot_do_without_is_asked_for() {
    let field = |result: Result<ModelSpec, PerfModelError>| match result {
        Err(PerfModelError::ModelConfig { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(deepseek("DeepseekV3ForCausalLM", "")), "kv_lora_rank");
    assert_eq!(
        field(deepseek("DeepseekV32ForCausalLM", r#""kv_lora_rank": 512,"#)),
        "index_topk"
    );
    let ratios =
        r#""index_topk": 512, "index_n_heads": 64, "index_head_dim": 128, "compress_ratios": [0, 4, 5],"#;
    assert_eq!(
        field(deepseek("DeepseekV4ForCausalLM", ratios)),
        "compress_ratios"
    );
    let layers = r#""kv_lora_rank": 512, "linear_attn_config": {"kda_layers": [1, 33], "num_heads": 8},"#;
    assert_eq!(
        field(deepseek("KimiK3ForConditionalGeneration", layers)),
        "linear_attn_config.kda_layers"
    );
}
