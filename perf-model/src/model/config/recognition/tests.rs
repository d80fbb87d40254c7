use serde_json::{Value, json};

use crate::error::PerfModelError;
use crate::model::{Assumption, ModelFamily, ModelSpec};

/// A decoder of an architecture that nobody knows, with `extra` fields.
fn decoder(extra: &Value) -> Value {
    let mut config = json!({"architectures": ["NovelForCausalLM"], "num_hidden_layers": 4, "hidden_size": 512,
        "num_attention_heads": 8, "num_key_value_heads": 2, "intermediate_size": 1024, "vocab_size": 1000,
        "max_position_embeddings": 4096, "hidden_act": "silu"});
    let fields = config.as_object_mut().unwrap();
    fields.extend(extra.as_object().unwrap().clone());
    config
}

fn read(config: &Value) -> Result<ModelSpec, PerfModelError> {
    ModelSpec::from_config_json("novel", &config.to_string(), None)
}

/// The field that a refusal names.
fn refused(extra: &Value) -> String {
    match read(&decoder(extra)) {
        Err(PerfModelError::ModelConfig { field, .. }) => field,
        other => panic!("{extra}: {other:?}"),
    }
}

#[test]
fn an_unknown_name_is_taken_as_what_its_fields_describe_and_that_is_said() {
    let experts = json!({"num_experts": 16, "num_experts_per_tok": 2, "moe_intermediate_size": 256});
    let with = |fields: Value| {
        let mut all = experts.clone();
        let object = all.as_object_mut().unwrap();
        object.extend(fields.as_object().unwrap().clone());
        all
    };
    let latent = json!({"kv_lora_rank": 64, "q_lora_rank": 128, "qk_nope_head_dim": 32, "qk_rope_head_dim": 16,
        "v_head_dim": 32});
    let linear = json!({"layer_types": ["linear_attention", "linear_attention", "linear_attention",
        "full_attention"], "linear_num_key_heads": 4, "linear_key_head_dim": 32, "linear_num_value_heads": 8,
        "linear_value_head_dim": 32, "linear_conv_kernel_dim": 4});
    let mamba = json!({"hybrid_override_pattern": "M*M-", "mamba_num_heads": 8, "mamba_head_dim": 64,
        "ssm_state_size": 64, "conv_kernel": 4, "n_groups": 2, "chunk_size": 128});
    let turns = with(json!({"hybrid_layer_pattern": [1, 0, 0, 1], "moe_layer_freq": [0, 1, 1, 1]}));
    let runs: Vec<Value> = (0..4)
        .map(|_| json!({"attention": {"n_heads_in_group": 4}, "ffn": {"ffn_mult": 2.0}}))
        .collect();
    for (extra, family) in [
        (json!({}), ModelFamily::Dense),
        (experts.clone(), ModelFamily::MixtureOfExperts),
        (with(latent), ModelFamily::DeepSeek),
        (linear, ModelFamily::GatedLinear),
        (mamba, ModelFamily::NemotronH),
        (turns, ModelFamily::HybridMixture),
        (json!({"block_configs": runs}), ModelFamily::NemotronNas),
    ] {
        let spec = read(&decoder(&extra)).unwrap();
        assert_eq!(spec.family, family);
        let [assumption] = spec.assumed.as_slice() else {
            panic!("{:?}", spec.assumed);
        };
        assert!(
            assumption.to_string().contains("NovelForCausalLM"),
            "{assumption}"
        );
        assert!(assumption.to_string().contains(family.describe()), "{assumption}");
    }
}

#[test]
fn what_no_family_describes_is_refused_by_its_field() {
    for (extra, field) in [
        (json!({"is_encoder_decoder": true}), "is_encoder_decoder"),
        (json!({"layer_types": ["mamba", "attention"]}), "layer_types"),
        (json!({"mamba_d_state": 16}), "mamba_d_state"),
        (json!({"kv_lora_rank": 64}), "kv_lora_rank"),
        (json!({"intermediate_size": null}), "intermediate_size"),
        (json!({"hidden_size": 2_000_000}), "hidden_size"),
        (json!({"num_hidden_layers": 0}), "num_hidden_layers"),
        (json!({"num_hidden_layers": -3}), "num_hidden_layers"),
        (json!({"num_attention_heads": 1.5}), "num_attention_heads"),
        (json!({"num_key_value_heads": 9}), "num_key_value_heads"),
        (json!({"hidden_size": 4}), "head_dim"),
        (
            json!({"num_experts": 4, "num_experts_per_tok": 5}),
            "num_experts_per_tok",
        ),
        (json!({"quantization_config": []}), "quantization_config"),
    ] {
        assert_eq!(refused(&extra), field, "{extra}");
    }
}

#[test]
fn full_attention_may_come_at_an_interval() {
    let spec = read(&decoder(
        &json!({"full_attention_interval": 4, "linear_num_key_heads": 4,
        "linear_key_head_dim": 32, "linear_num_value_heads": 8, "linear_value_head_dim": 32,
        "linear_conv_kernel_dim": 4}),
    ))
    .unwrap();
    assert_eq!(spec.family, ModelFamily::GatedLinear);
    assert_eq!(spec.linear_attention.unwrap().layers, 3);
}

#[test]
fn upper_bounds_are_said_of_models_known_by_their_fields_only() {
    let extra = json!({"sliding_window": 1024, "hidden_act": "gelu"});
    let spec = read(&decoder(&extra)).unwrap();
    assert!(spec.assumed.contains(&Assumption::FullAttention { window: 1024 }));
    assert!(spec.assumed.contains(&Assumption::GatedNetwork {
        activation: "gelu".to_owned()
    }));
    let mut known = decoder(&extra);
    known["architectures"] = json!(["MistralForCausalLM"]);
    assert_eq!(read(&known).unwrap().assumed, []);
}

#[test]
fn a_known_decoder_inside_an_unknown_model_is_recognised() {
    let mut inner = decoder(&json!({}));
    inner["architectures"] = json!(["Qwen3ForCausalLM"]);
    let spec = read(&json!({"architectures": ["NovelVisionModel"], "llm_config": inner})).unwrap();
    assert_eq!((spec.family, spec.qk_norm), (ModelFamily::Dense, true));
    assert_eq!(spec.architecture, "Qwen3ForCausalLM");
    assert_eq!(spec.assumed, []);
}
