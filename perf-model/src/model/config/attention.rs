//! Reading what a configuration says of attention other than over grouped queries.

use std::collections::BTreeSet;

use serde_json::Value;

use super::fields::Fields;
use crate::error::PerfModelError;
use crate::model::{CompressedAttention, DeltaAttention, LatentAttention, ModelFamily, SparseAttention};

/// Neighbouring tokens that an index chooses together where the checkpoint says nothing of blocks.
const SINGLE: u32 = 1;

/// Families that cannot do without latent attention.
const HAVE_LATENT: &[ModelFamily] = &[
    ModelFamily::DeepSeek,
    ModelFamily::DeepSeekSparse,
    ModelFamily::KimiK3,
];

/// Families that cannot do without an index of single tokens.
const HAVE_INDEX: &[ModelFamily] = &[ModelFamily::DeepSeekSparse, ModelFamily::DeepSeekV4];

/// All of it.
pub(super) struct Attention {
    pub(super) latent: Option<LatentAttention>,
    pub(super) sparse: Option<SparseAttention>,
    pub(super) compressed: Option<CompressedAttention>,
    pub(super) delta: Option<DeltaAttention>,
}

impl Attention {
    /// Reads what is there; what a family cannot do without must be.
    pub(super) fn read(
        fields: &Fields<'_>,
        family: ModelFamily,
        layers: u32,
    ) -> Result<Self, PerfModelError> {
        let attention = Self {
            latent: latent(fields)?,
            sparse: sparse(fields, layers)?,
            compressed: compressed(fields, family, layers)?,
            delta: delta(fields, family, layers)?,
        };
        let needed = [
            ("kv_lora_rank", attention.latent.is_some(), HAVE_LATENT),
            ("index_topk", attention.sparse.is_some(), HAVE_INDEX),
            (
                "sparse_attention_config",
                attention.sparse.is_some(),
                &[ModelFamily::MinimaxM3],
            ),
        ];
        match needed
            .iter()
            .find(|(_, found, families)| !found && families.contains(&family))
        {
            Some((field, ..)) => Err(fields.error(field, "is missing".to_owned())),
            None => Ok(attention),
        }
    }
}

fn latent(fields: &Fields<'_>) -> Result<Option<LatentAttention>, PerfModelError> {
    let Some(kv_rank) = fields.optional(&["kv_lora_rank"])?.filter(|rank| *rank > 0) else {
        return Ok(None);
    };
    let width = |field| fields.head_dim_or(field, 0);
    Ok(Some(LatentAttention {
        q_rank: width("q_lora_rank")?,
        kv_rank,
        nope_dim: width("qk_nope_head_dim")?,
        rope_dim: width("qk_rope_head_dim")?,
        value_dim: width("v_head_dim")?,
    }))
}

/// DeepSeek and GLM give the index's widths beside the others, MiniMax in an object of its own.
fn sparse(fields: &Fields<'_>, layers: u32) -> Result<Option<SparseAttention>, PerfModelError> {
    if let Some(Value::Object(object)) = fields.value(&["sparse_attention_config"]) {
        let fields = fields.inside(object, "sparse_attention_config.");
        let block = fields.required("sparse_block_size")?;
        return Ok(Some(SparseAttention {
            index_heads: fields.heads("sparse_num_index_heads")?,
            index_dim: fields.head_dim("sparse_index_dim")?,
            chosen: fields.required("sparse_topk_blocks")?.saturating_mul(block),
            block,
            choosing_layers: layers,
        }));
    }
    let Some(chosen) = fields.optional(&["index_topk"])?.filter(|chosen| *chosen > 0) else {
        return Ok(None);
    };
    Ok(Some(SparseAttention {
        index_heads: fields.heads("index_n_heads")?,
        index_dim: fields.head_dim("index_head_dim")?,
        chosen,
        block: SINGLE,
        choosing_layers: choosing_layers(fields, layers)?,
    }))
}

/// Layers that choose: those that a pattern does not mark as sharing; else one of every `index_topk_freq`, counted from
/// the layer before `index_skip_topk_offset`, and all before that one.
fn choosing_layers(fields: &Fields<'_>, layers: u32) -> Result<u32, PerfModelError> {
    let every = fields.optional(&["index_topk_freq"])?.unwrap_or(1).max(1);
    let offset = fields.optional(&["index_skip_topk_offset"])?.unwrap_or(2);
    let shares: Vec<bool> = match fields.value(&["index_topk_pattern"]) {
        Some(Value::String(pattern)) => pattern.chars().map(|kind| kind == 'S').collect(),
        Some(Value::Array(kinds)) => kinds.iter().map(|kind| kind.as_str() == Some("S")).collect(),
        _ => Vec::new(),
    };
    let choosing = if shares.is_empty() {
        (1..=layers)
            .filter(|layer| layer.saturating_sub(offset).is_multiple_of(every))
            .count()
    } else {
        let sharing = shares
            .iter()
            .zip(0..layers)
            .filter(|(shares, _)| **shares)
            .count();
        usize::try_from(layers).map_or(0, |layers| layers - sharing)
    };
    Ok(u32::try_from(choosing).unwrap_or(layers))
}

fn compressed(
    fields: &Fields<'_>,
    family: ModelFamily,
    layers: u32,
) -> Result<Option<CompressedAttention>, PerfModelError> {
    if family != ModelFamily::DeepSeekV4 {
        return Ok(None);
    }
    let given = fields.value(&["compress_ratios"]).unwrap_or(&Value::Null);
    let ratios: Vec<u32> = given
        .as_array()
        .into_iter()
        .flatten()
        .zip(0..layers)
        .map_while(|(ratio, _)| {
            [0, 4, 128]
                .into_iter()
                .find(|known| ratio.as_u64() == Some(u64::from(*known)))
        })
        .collect();
    if u32::try_from(ratios.len()) != Ok(layers) {
        let problem = format!("must give each of {layers} layers 0, 4 or 128, got {given}");
        return Err(fields.error("compress_ratios", problem));
    }
    Ok(Some(CompressedAttention {
        q_rank: fields.required("q_lora_rank")?,
        o_rank: fields.required("o_lora_rank")?,
        o_groups: fields.heads("o_groups")?,
        rope_dim: fields.head_dim("qk_rope_head_dim")?,
        window: fields.required("sliding_window")?,
        ratios,
        streams: fields.heads("hc_mult")?,
        sinkhorn_iterations: fields.head_dim("hc_sinkhorn_iters")?,
    }))
}

/// Kimi K3 lists the layers that have it, counted from 1.
fn delta(
    fields: &Fields<'_>,
    family: ModelFamily,
    layers: u32,
) -> Result<Option<DeltaAttention>, PerfModelError> {
    if family != ModelFamily::KimiK3 {
        return Ok(None);
    }
    let Some(Value::Object(object)) = fields.value(&["linear_attn_config"]) else {
        return Err(fields.error("linear_attn_config", "is missing".to_owned()));
    };
    let inner = fields.inside(object, "linear_attn_config.");
    let listed: BTreeSet<u64> = inner
        .value(&["kda_layers"])
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|layer| layer.as_u64().unwrap_or(0))
        .collect();
    if listed.is_empty()
        || listed
            .iter()
            .any(|layer| !(1..=u64::from(layers)).contains(layer))
    {
        let problem = format!("must list layers between 1 and {layers}, got {listed:?}");
        return Err(inner.error("kda_layers", problem));
    }
    Ok(Some(DeltaAttention {
        layers: u32::try_from(listed.len()).unwrap_or(layers),
        heads: inner.heads("num_heads")?,
        head_dim: inner.head_dim("head_dim")?,
        conv_width: inner.head_dim_or("short_conv_kernel_size", 4)?,
        residuals: fields.optional(&["attn_res_block_size"])?.unwrap_or(0) > 0,
    }))
}
