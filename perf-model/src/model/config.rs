//! Reading a Hugging Face `config.json`.

mod attention;

use serde_json::{Map, Value};

use self::attention::Attention;
use super::quantization::Declared;
use super::{Experts, ModelFamily, ModelSpec, Quantization};
use crate::error::PerfModelError;

/// Fields of the decoder, wherever in the document they are.
struct Fields<'a> {
    model: &'a str,
    object: &'a Map<String, Value>,
    /// Prefix of field paths in messages.
    prefix: &'static str,
}

impl Fields<'_> {
    fn value(&self, keys: &[&str]) -> Option<&Value> {
        keys.iter()
            .filter_map(|key| self.object.get(*key))
            .find(|value| !value.is_null())
    }

    fn error(&self, field: &str, problem: String) -> PerfModelError {
        PerfModelError::ModelConfig {
            model: self.model.to_owned(),
            field: format!("{}{field}", self.prefix),
            problem,
        }
    }

    /// A whole number under the first of `keys` that is present and not null.
    fn optional(&self, keys: &[&str]) -> Result<Option<u32>, PerfModelError> {
        self.value(keys)
            .map(|value| {
                value
                    .as_u64()
                    .and_then(|number| u32::try_from(number).ok())
                    .ok_or_else(|| {
                        self.error(
                            keys.first().copied().unwrap_or_default(),
                            format!("must be a whole number, got {value}"),
                        )
                    })
            })
            .transpose()
    }

    fn required(&self, field: &str) -> Result<u32, PerfModelError> {
        match self.optional(&[field])? {
            Some(0) => Err(self.error(field, "must be at least 1, got 0".to_owned())),
            Some(number) => Ok(number),
            None => Err(self.error(field, "is missing".to_owned())),
        }
    }

    /// The fields of an object within, named after `prefix`.
    fn inside<'b>(&'b self, object: &'b Map<String, Value>, prefix: &'static str) -> Fields<'b> {
        Fields {
            model: self.model,
            object,
            prefix,
        }
    }

    fn flag(&self, field: &str) -> bool {
        self.object.get(field).and_then(Value::as_bool).unwrap_or(false)
    }
}

pub(super) fn parse(name: &str, config: &str, hf_quant: Option<&str>) -> Result<ModelSpec, PerfModelError> {
    let document = json_object(name, "config.json", config)?;
    let architecture = document
        .get("architectures")
        .and_then(|list| list.get(0)?.as_str())
        .ok_or_else(|| PerfModelError::ModelConfig {
            model: name.to_owned(),
            field: "architectures".to_owned(),
            problem: "must name the architecture, for example [\"LlamaForCausalLM\"]".to_owned(),
        })?;
    let family =
        ModelFamily::of_architecture(architecture).ok_or_else(|| PerfModelError::UnknownArchitecture {
            model: name.to_owned(),
            architecture: architecture.to_owned(),
        })?;
    let nested = document.get("text_config").and_then(Value::as_object);
    let fields = Fields {
        model: name,
        object: nested.unwrap_or(&document),
        prefix: if nested.is_some() { "text_config." } else { "" },
    };
    let model_opt = hf_quant
        .map(|text| json_object(name, "hf_quant_config.json", text))
        .transpose()?;
    let declared = Declared::new(
        name,
        document
            .get("quantization_config")
            .or_else(|| nested?.get("quantization_config")),
        model_opt
            .as_ref()
            .and_then(|document| document.get("quantization")),
        document.get("expert_dtype"),
    )?;
    let quantization = Quantization::infer(&declared, architecture, family)?;
    let heads = fields.required("num_attention_heads")?;
    let hidden = fields.required("hidden_size")?;
    let layers = layers(&fields)?;
    let attention = Attention::read(&fields, family, layers)?;
    let spec = ModelSpec {
        name: name.to_owned(),
        architecture: architecture.to_owned(),
        family,
        layers,
        hidden,
        heads,
        kv_heads: fields
            .optional(&["num_key_value_heads"])?
            .filter(|kv| *kv > 0)
            .unwrap_or(heads),
        head_dim: fields
            .optional(&["head_dim", "attention_head_dim"])?
            .filter(|width| *width > 0)
            .unwrap_or(hidden / heads),
        intermediate: fields.optional(&["intermediate_size"])?.unwrap_or(0),
        vocabulary: fields.required("vocab_size")?,
        context_length: fields.required("max_position_embeddings")?,
        sliding_window: sliding_window(&fields)?,
        tied_embeddings: fields.flag("tie_word_embeddings"),
        qk_norm: normalises_queries(architecture),
        prediction_layers: fields.optional(&["num_nextn_predict_layers"])?.unwrap_or(0),
        experts: experts(&fields)?,
        latent_attention: attention.latent,
        sparse_attention: attention.sparse,
        compressed_attention: attention.compressed,
        delta_attention: attention.delta,
        quantization,
    };
    if family == ModelFamily::Dense {
        fields.required("intermediate_size")?;
    }
    Ok(spec)
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
    if let Some(layers) = fields.optional(&["num_hidden_layers"])? {
        return Ok(layers);
    }
    let pattern = match fields.value(&["layers_block_type", "hybrid_override_pattern"]) {
        Some(Value::Array(kinds)) => kinds.len(),
        Some(Value::String(kinds)) => kinds.len(),
        _ => 0,
    };
    u32::try_from(pattern)
        .ok()
        .filter(|layers| *layers > 0)
        .ok_or_else(|| fields.error("num_hidden_layers", "is missing".to_owned()))
}

/// The window, unless the checkpoint switches it off (Qwen 2 declares one and does not use it).
fn sliding_window(fields: &Fields<'_>) -> Result<Option<u32>, PerfModelError> {
    let switched_off = fields.object.get("use_sliding_window").and_then(Value::as_bool) == Some(false);
    let window = fields.optional(&["sliding_window", "sliding_window_size"])?;
    Ok(window.filter(|window| *window > 0 && !switched_off))
}

/// Architectures whose attention normalises queries and keys per head; no field of the configuration says so.
fn normalises_queries(architecture: &str) -> bool {
    matches!(
        architecture,
        "Qwen3ForCausalLM" | "Qwen3MoeForCausalLM" | "MiniMaxM2ForCausalLM"
    )
}

fn experts(fields: &Fields<'_>) -> Result<Option<Experts>, PerfModelError> {
    let count = fields.optional(&[
        "num_local_experts",
        "n_routed_experts",
        "moe_num_experts",
        "num_experts",
    ])?;
    let Some(count) = count.filter(|count| *count > 0) else {
        return Ok(None);
    };
    Ok(Some(Experts {
        count,
        per_token: fields
            .optional(&[
                "num_experts_per_tok",
                "num_experts_per_token",
                "top_k_experts",
                "moe_top_k",
            ])?
            .unwrap_or(0),
        intermediate: fields
            .optional(&["moe_intermediate_size", "intermediate_size"])?
            .unwrap_or(0),
        shared: fields
            .optional(&["n_shared_experts", "num_shared_experts"])?
            .unwrap_or(0),
        hidden: fields
            .optional(&["routed_expert_hidden_size"])?
            .filter(|hidden| *hidden > 0),
        dense_layers: fields.optional(&["first_k_dense_replace"])?.unwrap_or(0),
    }))
}
