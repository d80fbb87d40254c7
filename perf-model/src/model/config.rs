//! Reading a Hugging Face `config.json`.

mod attention;
mod experts;
mod fields;
mod layers;
mod recognition;

use serde_json::{Map, Value};

use self::attention::Attention;
use self::fields::{Fields, MOST_HEADS, WIDEST, WIDEST_HEAD};
use self::layers::{Decoder, Layers};
use self::recognition::Recognised;
use super::quantization::Declared;
use super::{Assumption, Experts, ModelFamily, ModelSpec, Quantization};
use crate::error::PerfModelError;

/// Layers are at most this many.
const MOST_LAYERS: u32 = 1 << 14;
/// Entries of a vocabulary are at most this many.
const LARGEST_VOCABULARY: u32 = 1 << 24;
/// Contexts and windows are at most this long.
const LONGEST_CONTEXT: u32 = 1 << 30;

/// Activations that always come with a gate.
const GATED: [&str; 4] = ["silu", "swish", "swiglu", "gelu_pytorch_tanh"];

pub(super) fn parse(name: &str, config: &str, hf_quant: Option<&str>) -> Result<ModelSpec, PerfModelError> {
    let document = json_object(name, "config.json", config)?;
    let (object, prefix) = recognition::decoder(&document);
    let fields = Fields {
        model: name,
        object,
        prefix,
    };
    let Recognised {
        architecture,
        family,
        assumed,
    } = Recognised::of(&document, &fields)?;
    let model_opt = hf_quant
        .map(|text| json_object(name, "hf_quant_config.json", text))
        .transpose()?;
    let declared = Declared::new(
        name,
        document
            .get("quantization_config")
            .or_else(|| object.get("quantization_config")),
        model_opt
            .as_ref()
            .and_then(|document| document.get("quantization")),
        document.get("expert_dtype"),
    )?;
    let experts = experts_of(&fields, family)?;
    let decoder = decoder(&fields, family, experts.is_some())?;
    let attention = Attention::read(&fields, family, decoder.layers)?;
    let layers = Layers::read(&fields, decoder)?;
    let sliding_window = sliding_window(&fields)?;
    Ok(ModelSpec {
        name: name.to_owned(),
        architecture: architecture.to_owned(),
        family,
        layers: decoder.layers,
        hidden: decoder.hidden,
        heads: decoder.heads,
        kv_heads: decoder.kv_heads,
        head_dim: decoder.head_dim,
        intermediate: decoder.intermediate,
        vocabulary: fields.required_to(&["vocab_size"], LARGEST_VOCABULARY)?,
        context_length: fields.required_to(
            &["max_position_embeddings", "n_positions", "seq_length"],
            LONGEST_CONTEXT,
        )?,
        sliding_window,
        tied_embeddings: fields.flag("tie_word_embeddings"),
        qk_norm: normalises_queries(architecture)
            || (!assumed.is_empty() && (fields.flag("use_qk_norm") || fields.flag("qk_layernorm"))),
        prediction_layers: fields
            .optional_to(&["num_nextn_predict_layers"], MOST_LAYERS)?
            .unwrap_or(0),
        experts,
        latent_attention: attention.latent,
        sparse_attention: attention.sparse,
        compressed_attention: attention.compressed,
        delta_attention: attention.delta,
        runs: layers.runs,
        alternating: layers.alternating,
        state_space: layers.state_space,
        linear_attention: layers.linear,
        quantization: Quantization::infer(&declared, architecture, family)?,
        assumed: assumptions(&fields, assumed, sliding_window),
    })
}

/// What the kinds of layers have in common.
fn decoder(fields: &Fields<'_>, family: ModelFamily, has_experts: bool) -> Result<Decoder, PerfModelError> {
    let heads = fields.required_to(&["num_attention_heads", "n_head"], MOST_HEADS)?;
    let hidden = fields.required_to(&["hidden_size", "n_embd"], WIDEST)?;
    let kv_heads = fields
        .optional_to(&["num_key_value_heads", "num_kv_heads"], MOST_HEADS)?
        .filter(|kv| *kv > 0)
        .unwrap_or(heads);
    if kv_heads > heads {
        let problem = format!("must be at most the number of heads, {heads}, got {kv_heads}");
        return Err(fields.error("num_key_value_heads", problem));
    }
    let head_dim = fields
        .optional_to(&["head_dim", "attention_head_dim"], WIDEST_HEAD)?
        .filter(|width| *width > 0)
        .unwrap_or(hidden / heads);
    if head_dim == 0 || head_dim > WIDEST_HEAD {
        let problem = format!("is missing, and {hidden} elements do not make {heads} heads");
        return Err(fields.error("head_dim", problem));
    }
    let needs_network = matches!(
        family,
        ModelFamily::Dense | ModelFamily::Vision | ModelFamily::GatedLinear
    );
    let intermediate = if needs_network && !has_experts {
        fields.required("intermediate_size")?
    } else {
        fields.optional(&["intermediate_size"])?.unwrap_or(0)
    };
    Ok(Decoder {
        family,
        layers: layers(fields)?,
        hidden,
        heads,
        kv_heads,
        head_dim,
        intermediate,
        has_experts,
    })
}

/// The experts; families that cannot do without must have them.
fn experts_of(fields: &Fields<'_>, family: ModelFamily) -> Result<Option<Experts>, PerfModelError> {
    let found = experts::experts(fields)?;
    let needed = match family {
        ModelFamily::MixtureOfExperts
        | ModelFamily::DeepSeek
        | ModelFamily::DeepSeekSparse
        | ModelFamily::DeepSeekV4
        | ModelFamily::KimiK3
        | ModelFamily::HybridMixture
        | ModelFamily::SharedHybridMixture
        | ModelFamily::MinimaxM3 => true,
        ModelFamily::Dense
        | ModelFamily::NemotronNas
        | ModelFamily::NemotronH
        | ModelFamily::GatedLinear
        | ModelFamily::Vision
        | ModelFamily::Gemma4 => false,
    };
    if needed && found.is_none() {
        return Err(fields.error(
            "num_experts",
            "and the experts that a token visits are missing".to_owned(),
        ));
    }
    Ok(found)
}

/// All that is assumed of a model that was recognised by assuming `assumed`.
fn assumptions(fields: &Fields<'_>, mut assumed: Vec<Assumption>, window: Option<u32>) -> Vec<Assumption> {
    let by_fields = assumed.iter().find_map(|assumption| match assumption {
        Assumption::FamilyOfFields { family, .. } => Some(*family),
        Assumption::FullAttention { .. } | Assumption::GatedNetwork { .. } => None,
    });
    let Some(family) = by_fields else {
        return assumed;
    };
    let prices_all = matches!(family, ModelFamily::Dense | ModelFamily::MixtureOfExperts);
    if let Some(window) = window.filter(|_| prices_all) {
        assumed.push(Assumption::FullAttention { window });
    }
    let activation = fields
        .text("hidden_act")
        .or_else(|| fields.text("hidden_activation"));
    if let Some(activation) = activation.filter(|activation| !GATED.contains(activation)) {
        assumed.push(Assumption::GatedNetwork {
            activation: activation.to_owned(),
        });
    }
    assumed
}

fn json_object(model: &str, file: &str, text: &str) -> Result<Map<String, Value>, PerfModelError> {
    serde_json::from_str(&finite_numbers(text)).map_err(|source| PerfModelError::ModelConfig {
        model: model.to_owned(),
        field: file.to_owned(),
        problem: format!("is not a JSON object: {source}"),
    })
}

/// Python writes infinities as bare words, which JSON forbids; none of the fields that are read here is one.
fn finite_numbers(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains("Infinity") {
        text.replace("-Infinity", "null")
            .replace("Infinity", "null")
            .into()
    } else {
        text.into()
    }
}

/// Decoder layers; hybrid models give a pattern of layer kinds instead of a number.
fn layers(fields: &Fields<'_>) -> Result<u32, PerfModelError> {
    let keys = ["num_hidden_layers", "n_layer"];
    if fields.value(&keys).is_some() {
        return fields.required_to(&keys, MOST_LAYERS);
    }
    let pattern = match fields.value(&["layers_block_type", "hybrid_override_pattern"]) {
        Some(Value::Array(kinds)) => kinds.len(),
        Some(Value::String(kinds)) => kinds.len(),
        _ => 0,
    };
    u32::try_from(pattern)
        .ok()
        .filter(|layers| (1..=MOST_LAYERS).contains(layers))
        .ok_or_else(|| fields.error("num_hidden_layers", "is missing".to_owned()))
}

/// The window, unless the checkpoint switches it off (Qwen 2 declares one and does not use it).
fn sliding_window(fields: &Fields<'_>) -> Result<Option<u32>, PerfModelError> {
    let switched_off = fields.object.get("use_sliding_window").and_then(Value::as_bool) == Some(false);
    let window = fields.optional_to(&["sliding_window", "sliding_window_size"], LONGEST_CONTEXT)?;
    Ok(window.filter(|window| *window > 0 && !switched_off))
}

/// Architectures whose attention normalises queries and keys per head; no field of the configuration says so.
fn normalises_queries(architecture: &str) -> bool {
    matches!(
        architecture,
        "Qwen3ForCausalLM"
            | "Qwen3MoeForCausalLM"
            | "MiniMaxM2ForCausalLM"
            | "Qwen3_5ForConditionalGeneration"
            | "Qwen3_5MoeForConditionalGeneration"
            | "Step3p7ForConditionalGeneration"
            | "Step3p5ForCausalLM"
            | "Step3p7FlashForCausalLM"
            | "Step3p5FlashForCausalLM"
    )
}
