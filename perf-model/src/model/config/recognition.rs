//! Which family a configuration describes: by the name of its architecture, or by its fields.

use serde_json::{Map, Value};

use super::fields::Fields;
use crate::error::PerfModelError;
use crate::model::{Assumption, ModelFamily};

/// Objects in which multimodal models keep their decoder.
const NESTED: [&str; 3] = ["text_config", "llm_config", "language_config"];

/// Endings of the names of decoders that write text.
const DECODERS: [&str; 3] = ["ForCausalLM", "ForConditionalGeneration", "LMHeadModel"];

/// Fields of state-space layers that no family describes.
const STATE_SPACE: [&str; 6] = [
    "mamba_d_state",
    "mamba_n_heads",
    "ssm_cfg",
    "state_size",
    "attn_layer_period",
    "attn_layer_indices",
];

/// The object of a document that describes the decoder, and where it is.
pub(super) fn decoder(document: &Map<String, Value>) -> (&Map<String, Value>, &'static str) {
    let nested = |key: &str| document.get(key).and_then(Value::as_object);
    match NESTED.iter().find_map(|key| Some((*key, nested(key)?))) {
        Some(("text_config", object)) => (object, "text_config."),
        Some(("llm_config", object)) => (object, "llm_config."),
        Some((_, object)) => (object, "language_config."),
        None => (document, ""),
    }
}

/// A model's family, and what was assumed to find it.
pub(super) struct Recognised<'a> {
    pub(super) architecture: &'a str,
    pub(super) family: ModelFamily,
    pub(super) assumed: Vec<Assumption>,
}

impl<'a> Recognised<'a> {
    /// By the document's architecture, by that of its decoder, by its fields.
    pub(super) fn of(document: &'a Map<String, Value>, fields: &Fields<'a>) -> Result<Self, PerfModelError> {
        let architecture = architecture_of(document).ok_or_else(|| PerfModelError::ModelConfig {
            model: fields.model.to_owned(),
            field: "architectures".to_owned(),
            problem: "must name the architecture, for example [\"LlamaForCausalLM\"]".to_owned(),
        })?;
        let names = [Some(architecture), architecture_of(fields.object)];
        for name in names.into_iter().flatten() {
            if let Some(family) = ModelFamily::of_architecture(name) {
                return Ok(Self {
                    architecture: name,
                    family,
                    assumed: Vec::new(),
                });
            }
        }
        if !DECODERS.iter().any(|ending| architecture.ends_with(ending)) {
            return Err(PerfModelError::UnknownArchitecture {
                model: fields.model.to_owned(),
                architecture: architecture.to_owned(),
            });
        }
        let family = family_of(fields)?;
        Ok(Self {
            architecture,
            family,
            assumed: vec![Assumption::FamilyOfFields {
                architecture: architecture.to_owned(),
                family,
            }],
        })
    }
}

fn architecture_of(object: &Map<String, Value>) -> Option<&str> {
    object.get("architectures")?.get(0)?.as_str()
}

/// The family that a decoder's fields describe.
fn family_of(fields: &Fields<'_>) -> Result<ModelFamily, PerfModelError> {
    if fields.flag("is_encoder_decoder") {
        return Err(fields.error(
            "is_encoder_decoder",
            "is true; only decoders are described".to_owned(),
        ));
    }
    let has = |field: &str| fields.value(&[field]).is_some();
    let has_experts = super::experts::experts(fields)?.is_some();
    let kinds = || {
        let kinds = fields.value(&["layer_types"]).and_then(Value::as_array);
        kinds.into_iter().flatten().filter_map(Value::as_str)
    };
    if let Some(kind) = kinds().find(|kind| !kind.ends_with("_attention")) {
        return Err(fields.error(
            "layer_types",
            format!("has layers of kind `{kind}`, which no family has"),
        ));
    }
    if has("linear_num_key_heads") || kinds().any(|kind| kind == "linear_attention") {
        return Ok(ModelFamily::GatedLinear);
    }
    if has("block_configs") {
        return Ok(ModelFamily::NemotronNas);
    }
    if has("mamba_num_heads") && (has("hybrid_override_pattern") || has("layers_block_type")) {
        return Ok(ModelFamily::NemotronH);
    }
    if let Some(field) = STATE_SPACE.into_iter().find(|field| has(field)) {
        return Err(fields.error(
            field,
            "belongs to state-space layers of a kind that no family has".to_owned(),
        ));
    }
    if has("kv_lora_rank") {
        return match (has_experts, has("index_topk")) {
            (true, true) => Ok(ModelFamily::DeepSeekSparse),
            (true, false) => Ok(ModelFamily::DeepSeek),
            (false, _) => {
                let problem = "is latent attention, which no family has without experts".to_owned();
                Err(fields.error("kv_lora_rank", problem))
            }
        };
    }
    Ok(match has_experts {
        true if has("hybrid_layer_pattern") || has("interleave_moe_layer_step") => ModelFamily::HybridMixture,
        true => ModelFamily::MixtureOfExperts,
        false => ModelFamily::Dense,
    })
}

#[cfg(test)]
mod tests;
