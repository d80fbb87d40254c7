//! Names of the operators of a step.

use std::fmt;

use serde::{Serialize, Serializer};

/// Which half of inference an operator works for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Prefill.
    Context,
    /// Decode.
    Generation,
}

/// An operator of a decoder, named as the reference predictor names it, without the phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operator(pub(super) &'static str);

impl Operator {
    /// Attention proper. A mixed step prices operators of this name for prompts and decoding requests apart; all others
    /// see one sequence of all tokens.
    pub const ATTENTION: Self = Self("attention");
    pub(super) const EMBEDDING: Self = Self("embedding");
    pub(super) const ADD_NORM_1: Self = Self("add_norm_1");
    pub(super) const QKV_GEMM: Self = Self("qkv_gemm");
    pub(super) const CP_ALL_GATHER: Self = Self("cp_all_gather");
    pub(super) const PROJ_GEMM: Self = Self("proj_gemm");
    pub(super) const ADD_NORM_2: Self = Self("add_norm_2");
    pub(super) const GATE_FFN1_GEMM: Self = Self("gate_ffn1_gemm");
    pub(super) const ACT_GATE: Self = Self("act_gate");
    pub(super) const FFN2_GEMM: Self = Self("ffn2_gemm");
    pub(super) const ROUTER_GEMM: Self = Self("router_gemm");
    pub(super) const MOE_PRE_DISPATCH: Self = Self("moe_pre_dispatch");
    pub(super) const MOE: Self = Self("moe");
    pub(super) const MOE_PREPARE: Self = Self("moe_prepare");
    pub(super) const MOE_DISPATCH: Self = Self("moe_dispatch");
    pub(super) const MOE_COMBINE: Self = Self("moe_combine");
    pub(super) const MOE_REDUCE_ADD: Self = Self("moe_reduce_add");
    pub(super) const QKV_A_PROJ_GEMM: Self = Self("qkv_a_proj_gemm");
    pub(super) const TP_ALL_GATHER: Self = Self("tp_all_gather");
    pub(super) const TP_REDUCE_SCATTER: Self = Self("tp_reduce_scatter");
    pub(super) const Q_A_LAYERNORM: Self = Self("q_a_layernorm");
    pub(super) const BMM_ROPE_OVERLAP: Self = Self("bmm_rope_overlap");
    pub(super) const ROPE_KVCACHE: Self = Self("rope_kvcache");
    pub(super) const MOE_POST_DISPATCH: Self = Self("moe_post_dispatch");
    pub(super) const DOWNSCALE_GEMM: Self = Self("downscale_gemm");
    pub(super) const Q_B_PROJ_GEMM: Self = Self("q_b_proj_gemm");
    pub(super) const KV_B_PROJ_GEMM: Self = Self("kv_b_proj_gemm");
    pub(super) const MLA_BLOCK: Self = Self("mla_block");
    pub(super) const MLA_MODULE: Self = Self("mla_module");
    pub(super) const BMM_PRE: Self = Self("bmm_pre");
    pub(super) const BMM_POST: Self = Self("bmm_post");
    pub(super) const TP_ALL_REDUCE: Self = Self("tp_allreduce");
    pub(super) const SHARED_GATE_UP_GEMM: Self = Self("shared_gate_up_gemm");
    pub(super) const SHARED_ACT_GATE: Self = Self("shared_act_gate");
    pub(super) const SHARED_FFN2_GEMM: Self = Self("shared_ffn2_gemm");
    pub(super) const MOE_OVERLAP: Self = Self("moe_overlap");
    pub(super) const MHC_PRE: Self = Self("mhc_pre");
    pub(super) const MHC_POST: Self = Self("mhc_post");
    pub(super) const ATTN_NORM: Self = Self("attn_norm");
    pub(super) const FFN_NORM: Self = Self("ffn_norm");
    pub(super) const ATTN_RES: Self = Self("attn_res");
    pub(super) const KDA_NORM: Self = Self("kda_norm");
    pub(super) const KDA_QKVG_GEMM: Self = Self("kda_qkvg_gemm");
    pub(super) const KDA_BFA_GEMM: Self = Self("kda_bfa_gemm");
    pub(super) const KDA_FB_GEMM: Self = Self("kda_fb_gemm");
    pub(super) const KDA_CONV: Self = Self("kda_conv1d");
    pub(super) const KDA_SCAN: Self = Self("kda_scan");
    pub(super) const KDA_VERIFY: Self = Self("kda_verify");
    pub(super) const KDA_FUSED_DECODE: Self = Self("kda_fused_decode");
    pub(super) const KDA_RECURRENT: Self = Self("kda_recurrent");
    pub(super) const KDA_ONORM: Self = Self("kda_onorm");
    pub(super) const KDA_O_GEMM: Self = Self("kda_o_gemm");
    pub(super) const KDA_ALL_REDUCE: Self = Self("kda_ar");
    pub(super) const MLA_NORM: Self = Self("mla_norm");
    pub(super) const MLA_DOWNSCALE_GEMM: Self = Self("mla_downscale_gemm");
    pub(super) const MLA_Q_B_GEMM: Self = Self("mla_q_b_gemm");
    pub(super) const MLA_KV_B_GEMM: Self = Self("mla_kv_b_gemm");
    pub(super) const MLA_O_GEMM: Self = Self("mla_o_gemm");
    pub(super) const MLA_GATE_GEMM: Self = Self("mla_gate_gemm");
    pub(super) const MLA_GATE_MUL: Self = Self("mla_gate_mul");
    pub(super) const MLA_ALL_REDUCE: Self = Self("mla_ar");
    pub(super) const DENSE_GATE_UP_GEMM: Self = Self("dense_gate_up_gemm");
    pub(super) const DENSE_ACT_GATE: Self = Self("dense_act_gate");
    pub(super) const DENSE_DOWN_GEMM: Self = Self("dense_down_gemm");
    pub(super) const DENSE_FFN_ALL_REDUCE: Self = Self("dense_ffn_ar");
    pub(super) const LATENT_DOWN_GEMM: Self = Self("latent_down_gemm");
    pub(super) const LATENT_NORM: Self = Self("latent_norm");
    pub(super) const LATENT_UP_GEMM: Self = Self("latent_up_gemm");
    pub(super) const SHARED_DOWN_GEMM: Self = Self("shared_down_gemm");
    pub(super) const DRAFT_EMBEDDING: Self = Self("draft_embedding");
    pub(super) const DRAFT_NORM: Self = Self("draft_norm");
    pub(super) const DRAFT_DOWNSCALE_GEMM: Self = Self("draft_downscale_gemm");
    pub(super) const DRAFT_Q_B_GEMM: Self = Self("draft_q_b_gemm");
    pub(super) const DRAFT_QKV_GEMM: Self = Self("draft_qkv_gemm");
    pub(super) const DRAFT_ATTENTION: Self = Self("draft_attention");
    pub(super) const DRAFT_PROJ_GEMM: Self = Self("draft_proj_gemm");
    pub(super) const DRAFT_GATE_UP_GEMM: Self = Self("draft_gate_up_gemm");
    pub(super) const DRAFT_ACT_GATE: Self = Self("draft_act_gate");
    pub(super) const DRAFT_DOWN_GEMM: Self = Self("draft_down_gemm");
    pub(super) const DRAFT_ALL_REDUCE: Self = Self("draft_ar");
    pub(super) const DRAFT_KV_PROJ_GEMM: Self = Self("draft_kv_proj_gemm");
    pub(super) const DRAFT_LOGITS_GEMM: Self = Self("draft_logits_gemm");
    pub(super) const LOGITS_GEMM: Self = Self("logits_gemm");
    pub(super) const EMBEDDING_ALL_REDUCE: Self = Self("embedding_ar");
    pub(super) const ALL_REDUCE_1: Self = Self("ar_1");
    pub(super) const ALL_REDUCE_2: Self = Self("ar_2");
    pub(super) const POINT_TO_POINT: Self = Self("p2p");

    /// The name.
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// An operator with its phase; prints as the operator's name in the reference predictor, `context_qkv_gemm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorName {
    /// The phase that it works for.
    pub phase: Phase,
    /// The operator.
    pub operator: Operator,
}

impl fmt::Display for OperatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A drafting model works in one phase only.
        if self.operator.name().starts_with("draft_") {
            return f.write_str(self.operator.name());
        }
        let phase = match self.phase {
            Phase::Context => "context",
            Phase::Generation => "generation",
        };
        write!(f, "{phase}_{}", self.operator.name())
    }
}

impl Serialize for OperatorName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
