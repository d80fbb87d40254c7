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
