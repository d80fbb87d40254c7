//! Reading what a configuration says of experts.

use super::fields::Fields;
use crate::error::PerfModelError;
use crate::model::Experts;

/// Experts of a layer are at most this many.
const MOST: u32 = 1 << 14;

/// Experts that every token visits are at most this many.
const MOST_SHARED: u32 = 1 << 10;

/// The experts, where there are any; checkpoints spell their number, and that of their visitors, in many ways.
pub(super) fn experts(fields: &Fields<'_>) -> Result<Option<Experts>, PerfModelError> {
    let count = fields.optional_to(
        &[
            "num_local_experts",
            "n_routed_experts",
            "moe_num_experts",
            "num_experts",
        ],
        MOST,
    )?;
    let Some(count) = count.filter(|count| *count > 0) else {
        return Ok(None);
    };
    let per_token = fields
        .optional_to(
            &[
                "num_experts_per_tok",
                "num_experts_per_token",
                "top_k_experts",
                "moe_top_k",
                "moe_topk",
                "moe_k",
            ],
            MOST,
        )?
        .unwrap_or(0);
    // Dense variants of a family say that no expert is visited.
    if per_token == 0 {
        return Ok(None);
    }
    if per_token > count {
        let problem = format!("must be at most the number of experts, {count}, got {per_token}");
        return Err(fields.error("num_experts_per_tok", problem));
    }
    Ok(Some(Experts {
        count,
        per_token,
        intermediate: match fields
            .optional(&["moe_intermediate_size"])?
            .filter(|width| *width > 0)
        {
            Some(width) => width,
            None => fields.required("intermediate_size")?,
        },
        shared: fields
            .optional_to(
                &["n_shared_experts", "num_shared_experts", "moe_num_shared_experts"],
                MOST_SHARED,
            )?
            .unwrap_or(0),
        shared_intermediate: fields
            .optional(&[
                "shared_expert_intermediate_size",
                "moe_shared_expert_intermediate_size",
                "share_expert_dim",
            ])?
            .filter(|width| *width > 0),
        hidden: fields
            .optional(&["routed_expert_hidden_size", "moe_latent_size"])?
            .filter(|hidden| *hidden > 0),
        dense_layers: fields.optional(&["first_k_dense_replace"])?.unwrap_or(0),
    }))
}
