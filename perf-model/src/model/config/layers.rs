//! Reading which kinds of layers a configuration mixes.

use serde_json::Value;

use super::fields::{Fields, shortened};
use crate::error::PerfModelError;
use crate::model::{
    AlternatingLayers, AttentionWidths, LayerMix, LayerRun, LinearAttention, ModelFamily, StateSpaceLayers,
};

/// A layer with attention over a window, as `layer_types` has it.
const LOCAL: &str = "sliding_attention";
/// A layer with attention over all tokens.
const GLOBAL: &str = "full_attention";
/// A layer with gated linear attention.
const LINEAR: &str = "linear_attention";

/// What all kinds of layers have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decoder {
    pub(super) family: ModelFamily,
    pub(super) layers: u32,
    pub(super) hidden: u32,
    pub(super) heads: u32,
    pub(super) kv_heads: u32,
    pub(super) head_dim: u32,
    pub(super) intermediate: u32,
    pub(super) has_experts: bool,
}

/// All mixtures; a family has at most one.
#[derive(Debug, Default)]
pub(super) struct Layers {
    pub(super) runs: Vec<LayerRun>,
    pub(super) alternating: Option<AlternatingLayers>,
    pub(super) state_space: Option<StateSpaceLayers>,
    pub(super) linear: Option<LinearAttention>,
}

impl Layers {
    /// Reads the mixture that a family has.
    pub(super) fn read(fields: &Fields<'_>, decoder: Decoder) -> Result<Self, PerfModelError> {
        let mut layers = Self::default();
        match decoder.family {
            ModelFamily::NemotronNas => layers.runs = runs(fields, decoder)?,
            ModelFamily::NemotronH => layers.state_space = Some(state_space(fields, decoder)?),
            ModelFamily::GatedLinear => layers.linear = Some(linear(fields, decoder)?),
            ModelFamily::Gemma4 => layers.alternating = Some(gemma(fields, decoder)?),
            ModelFamily::SharedHybridMixture => layers.alternating = Some(step(fields, decoder)?),
            ModelFamily::HybridMixture if fields.object.contains_key("interleave_moe_layer_step") => {
                layers.alternating = Some(llama(fields, decoder)?);
            }
            ModelFamily::HybridMixture => layers.alternating = Some(mimo(fields, decoder)?),
            ModelFamily::Dense
            | ModelFamily::MixtureOfExperts
            | ModelFamily::DeepSeek
            | ModelFamily::DeepSeekSparse
            | ModelFamily::DeepSeekV4
            | ModelFamily::KimiK3
            | ModelFamily::Vision
            | ModelFamily::MinimaxM3 => {}
        }
        Ok(layers)
    }
}

impl Decoder {
    /// The attention of most models.
    const fn attention(&self) -> AttentionWidths {
        AttentionWidths {
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            value_dim: self.head_dim,
        }
    }
}

/// Layers one by one, counted in runs of equal ones. The width of a feed-forward network is two thirds of a multiple of
/// the residual's, rounded up to 256.
fn runs(fields: &Fields<'_>, decoder: Decoder) -> Result<Vec<LayerRun>, PerfModelError> {
    const ROUNDED_TO: u32 = 256;
    let given = fields.value(&["block_configs"]).unwrap_or(&Value::Null);
    let blocks = given
        .as_array()
        .filter(|blocks| u32::try_from(blocks.len()) == Ok(decoder.layers))
        .ok_or_else(|| {
            let problem = format!(
                "must describe each of {} layers, got {}",
                decoder.layers,
                shortened(given)
            );
            fields.error("block_configs", problem)
        })?;
    let mut runs: Vec<LayerRun> = Vec::new();
    for (layer, block) in blocks.iter().enumerate() {
        let part = |name: &str| block.get(name).and_then(Value::as_object);
        let absent = |name: &str| part(name).and_then(|part| part.get("no_op")?.as_bool()) == Some(true);
        let wrong = |what: &str| {
            fields.error(
                &format!("block_configs[{layer}].{what}"),
                "is not a size".to_owned(),
            )
        };
        let kv_heads = match part("attention").and_then(|part| part.get("n_heads_in_group")) {
            _ if absent("attention") => 0,
            Some(group) => {
                let group = group.as_u64().and_then(|group| u32::try_from(group).ok());
                let group = group.filter(|group| (1..=decoder.heads).contains(group));
                decoder.heads / group.ok_or_else(|| wrong("attention.n_heads_in_group"))?
            }
            None => return Err(wrong("attention.n_heads_in_group")),
        };
        let intermediate = if absent("ffn") {
            0
        } else {
            let times = part("ffn")
                .and_then(|part| part.get("ffn_mult"))
                .map_or(Some(3.5), Value::as_f64);
            let times = times
                .filter(|times| (0.0..=64.0).contains(times))
                .ok_or_else(|| wrong("ffn.ffn_mult"))?;
            let width = dgdr_units::floor_count(2.0 * times * f64::from(decoder.hidden) / 3.0);
            u32::try_from(width)
                .unwrap_or(u32::MAX / 2)
                .next_multiple_of(ROUNDED_TO)
        };
        match runs.last_mut() {
            Some(run) if run.kv_heads == kv_heads && run.intermediate == intermediate => run.layers += 1,
            _ => runs.push(LayerRun {
                layers: 1,
                kv_heads,
                intermediate,
            }),
        }
    }
    Ok(runs)
}

/// A letter or a word a layer: state space, attention, experts, dense.
fn state_space(fields: &Fields<'_>, decoder: Decoder) -> Result<StateSpaceLayers, PerfModelError> {
    let [
        mut layers,
        mut attention_layers,
        mut expert_layers,
        mut dense_layers,
    ] = [0; 4];
    let (field, kinds): (&str, Vec<String>) =
        match fields.value(&["hybrid_override_pattern", "layers_block_type"]) {
            Some(Value::String(letters)) => (
                "hybrid_override_pattern",
                letters.chars().map(String::from).collect(),
            ),
            Some(Value::Array(words)) => (
                "layers_block_type",
                words
                    .iter()
                    .map(|word| word.as_str().unwrap_or_default().to_owned())
                    .collect(),
            ),
            _ => return Err(fields.error("hybrid_override_pattern", "is missing".to_owned())),
        };
    for kind in &kinds {
        match kind.as_str() {
            "M" | "mamba" => layers += 1,
            "*" | "attention" => attention_layers += 1,
            "E" | "moe" => expert_layers += 1,
            "-" | "mlp" => dense_layers += 1,
            other => {
                let problem =
                    format!("has a layer `{other}`; known are M, *, E and - (mamba, attention, moe and mlp)");
                return Err(fields.error(field, problem));
            }
        }
    }
    if expert_layers > 0 && !decoder.has_experts {
        return Err(fields.error("n_routed_experts", "is missing".to_owned()));
    }
    Ok(StateSpaceLayers {
        layers,
        attention_layers,
        expert_layers,
        dense_layers,
        heads: fields.heads("mamba_num_heads")?,
        head_dim: fields.head_dim("mamba_head_dim")?,
        state: fields.head_dim("ssm_state_size")?,
        conv_width: fields.head_dim("conv_kernel")?,
        groups: fields.heads("n_groups")?,
        chunk: fields.head_dim("chunk_size")?,
    })
}

/// Layers with linear attention: those that a list names, or all but every `full_attention_interval`th.
fn linear_layers(fields: &Fields<'_>, layers: u32) -> Result<u32, PerfModelError> {
    if fields.value(&["layer_types"]).is_none()
        && let Some(interval) = fields.optional(&["full_attention_interval"])?
    {
        return Ok(layers - layers / interval.max(1));
    }
    let kinds = fields.kinds_of_layers("layer_types", layers)?;
    if let Some(other) = kinds.iter().find(|kind| ![LINEAR, GLOBAL].contains(kind)) {
        let problem = format!("has a layer `{other}`; known are {LINEAR} and {GLOBAL}");
        return Err(fields.error("layer_types", problem));
    }
    Ok(count(&kinds, |kind| kind == LINEAR))
}

fn linear(fields: &Fields<'_>, decoder: Decoder) -> Result<LinearAttention, PerfModelError> {
    Ok(LinearAttention {
        layers: linear_layers(fields, decoder.layers)?,
        key_heads: fields.heads("linear_num_key_heads")?,
        key_dim: fields.head_dim("linear_key_head_dim")?,
        value_heads: fields.heads("linear_num_value_heads")?,
        value_dim: fields.head_dim("linear_value_head_dim")?,
        conv_width: fields.head_dim("linear_conv_kernel_dim")?,
        state_bytes: match fields.text("mamba_ssm_dtype") {
            Some("bfloat16" | "float16") => 2,
            _ => 4,
        },
    })
}

/// Dense layers beside experts in all layers, where there are experts at all.
fn gemma(fields: &Fields<'_>, decoder: Decoder) -> Result<AlternatingLayers, PerfModelError> {
    let global = global_layers(fields, decoder.layers)?;
    let local = decoder.attention();
    let kv_heads = fields.heads_or("num_global_key_value_heads", local.kv_heads)?;
    let head_dim = fields.head_dim_or("global_head_dim", local.head_dim)?;
    Ok(AlternatingLayers {
        mix: mix(global.iter().map(|global| (*global, decoder.has_experts))),
        local,
        global: AttentionWidths {
            kv_heads,
            head_dim,
            value_dim: head_dim,
            ..local
        },
        window: fields.optional(&["sliding_window"])?.unwrap_or(0),
        intermediate: decoder.intermediate,
        keys_are_values: fields.flag("attention_k_eq_v"),
        gated_heads: false,
    })
}

/// Dense layers first, or experts in the layers of a list; sliding layers with heads of their own.
fn step(fields: &Fields<'_>, decoder: Decoder) -> Result<AlternatingLayers, PerfModelError> {
    let global = global_layers(fields, decoder.layers)?;
    let listed: Option<Vec<u32>> = match fields.value(&["moe_layers_enum"]) {
        Some(Value::String(list)) if !list.trim().is_empty() => Some(
            list.split(',')
                .filter_map(|layer| layer.trim().parse().ok())
                .collect(),
        ),
        Some(Value::Array(list)) if !list.is_empty() => Some(
            list.iter()
                .filter_map(|layer| u32::try_from(layer.as_u64()?).ok())
                .collect(),
        ),
        _ => None,
    };
    let dense = fields.optional(&["first_k_dense_replace"])?.unwrap_or(0);
    let has_experts = |layer: u32| match &listed {
        Some(listed) => listed.contains(&layer),
        None => layer >= dense,
    };
    let widths = decoder.attention();
    let local = match fields
        .value(&["attention_other_setting"])
        .and_then(Value::as_object)
    {
        Some(object) => {
            let other = fields.inside(object, "attention_other_setting.");
            let head_dim = other.head_dim_or("head_dim", widths.head_dim)?;
            AttentionWidths {
                heads: other.heads_or("num_attention_heads", widths.heads)?,
                head_dim,
                ..widths
            }
        }
        None => widths,
    };
    Ok(AlternatingLayers {
        mix: mix(global
            .iter()
            .zip(0..)
            .map(|(global, layer)| (*global, has_experts(layer)))),
        local,
        global: widths,
        window: fields
            .optional(&["sliding_window", "sliding_window_size"])?
            .unwrap_or(0),
        intermediate: decoder.intermediate,
        keys_are_values: false,
        gated_heads: fields.flag("use_head_wise_attn_gate"),
    })
}

/// Local and global attention in turn, experts in every `interleave_moe_layer_step`th layer.
fn llama(fields: &Fields<'_>, decoder: Decoder) -> Result<AlternatingLayers, PerfModelError> {
    let step = fields.required("interleave_moe_layer_step")?;
    let widths = decoder.attention();
    Ok(AlternatingLayers {
        mix: mix((0..decoder.layers).map(|layer| (layer % 2 == 1, (layer + 1).is_multiple_of(step)))),
        local: widths,
        global: widths,
        window: fields.optional(&["attention_chunk_size"])?.unwrap_or(0),
        intermediate: fields.width_or("intermediate_size_mlp", decoder.intermediate)?,
        keys_are_values: false,
        gated_heads: false,
    })
}

/// A mark a layer for global attention, and one for experts.
fn mimo(fields: &Fields<'_>, decoder: Decoder) -> Result<AlternatingLayers, PerfModelError> {
    let marks = |field: &str| {
        let given = fields.value(&[field]).unwrap_or(&Value::Null);
        let marks: Option<Vec<bool>> = given.as_array().and_then(|marks| {
            marks
                .iter()
                .map(|mark| match mark.as_u64() {
                    Some(0) => Some(false),
                    Some(1) => Some(true),
                    _ => None,
                })
                .collect()
        });
        marks
            .filter(|marks| u32::try_from(marks.len()) == Ok(decoder.layers))
            .ok_or_else(|| {
                let problem = format!(
                    "must mark each of {} layers with 0 or 1, got {}",
                    decoder.layers,
                    shortened(given)
                );
                fields.error(field, problem)
            })
    };
    let (global, experts) = (marks("hybrid_layer_pattern")?, marks("moe_layer_freq")?);
    let widths = decoder.attention();
    Ok(AlternatingLayers {
        mix: mix(global.into_iter().zip(experts)),
        local: AttentionWidths {
            heads: widths.heads,
            kv_heads: fields.heads_or("swa_num_key_value_heads", widths.kv_heads)?,
            head_dim: fields.head_dim_or("swa_head_dim", widths.head_dim)?,
            value_dim: fields.head_dim_or("swa_v_head_dim", widths.head_dim)?,
        },
        global: AttentionWidths {
            value_dim: fields.head_dim_or("v_head_dim", widths.head_dim)?,
            ..widths
        },
        window: fields.optional(&["sliding_window_size"])?.unwrap_or(0),
        intermediate: decoder.intermediate,
        keys_are_values: false,
        gated_heads: false,
    })
}

/// Which layers attend to all tokens. A list may go on with layers of multi-token prediction, which do not count.
fn global_layers(fields: &Fields<'_>, layers: u32) -> Result<Vec<bool>, PerfModelError> {
    let drafts = fields.optional(&["num_nextn_predict_layers"])?.unwrap_or(0);
    let with_drafts = layers.saturating_add(drafts);
    let kinds = match fields.kinds_of_layers("layer_types", with_drafts) {
        Ok(kinds) => kinds,
        Err(_) => fields.kinds_of_layers("layer_types", layers)?,
    };
    kinds
        .iter()
        .zip(0..layers)
        .map(|(kind, _)| match *kind {
            GLOBAL => Ok(true),
            LOCAL => Ok(false),
            other => {
                let problem = format!("has a layer `{other}`; known are {LOCAL} and {GLOBAL}");
                Err(fields.error("layer_types", problem))
            }
        })
        .collect()
}

/// Counts layers by (global attention, experts).
fn mix(layers: impl Iterator<Item = (bool, bool)>) -> LayerMix {
    let mut mix = LayerMix::default();
    for layer in layers {
        match layer {
            (true, true) => mix.global_experts += 1,
            (true, false) => mix.global_dense += 1,
            (false, true) => mix.local_experts += 1,
            (false, false) => mix.local_dense += 1,
        }
    }
    mix
}

fn count(kinds: &[&str], is: impl Fn(&str) -> bool) -> u32 {
    u32::try_from(kinds.iter().filter(|kind| is(kind)).count()).unwrap_or(0)
}
