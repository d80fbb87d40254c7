//! Our operators in the reference's words.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "kinds of operators are added all the time; one that is not put into words here differs from all"
)]

use std::fmt::Display;

use dgdr_perf_model::graph::{
    Compression, DispatchShape, DsaArchitecture, DsaShape, Dsv4Shape, GraphOperator, GraphQuery,
    HyperConnectionShape, HyperConnectionSide, MlaBmmSide, MoeShape, MsaShape, OperatorGraph, OperatorName,
    Phase, TokenBasis, Work,
};
use dgdr_perf_model::operators::{
    AllToAllShape, ContextAttentionShape, ExpertComputeShape, GdnShape, GemmShape, GenerationAttentionShape,
    KdaShape, Mamba2Shape,
};

use super::golden::{Op, Sizes};

const GIB: f64 = 1_073_741_824.0;

/// How much longer a decode step is for its draft layers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DraftScale {
    pub(crate) layers: u32,
    pub(crate) drafted: u32,
}

impl DraftScale {
    fn times(self, op: &GraphOperator, phase: Phase) -> f64 {
        let layers = f64::from(self.layers);
        match phase {
            Phase::Generation if op.repeats.with_drafts => {
                op.repeats.times * (f64::from(self.drafted) + layers) / layers
            }
            Phase::Context | Phase::Generation => op.repeats.times,
        }
    }
}

/// Bytes that a worker holds.
pub(crate) fn sizes(graph: &OperatorGraph, query: GraphQuery<'_>) -> Sizes {
    let widths = query.mapping.widths();
    Sizes {
        weights: graph.weight_bytes() / f64::from(widths.pp),
        activations: query.activation_bytes(4096).unwrap(),
        kept: [1, 100, 5000].map(|tokens| graph.kv_cache.sequence_bytes(tokens)),
        longest: dgdr_units::real(graph.kv_cache.longest_within(20.0 * GIB)),
    }
}

/// A list of operators in the reference's words.
pub(crate) fn list(operators: &[GraphOperator], phase: Phase, scale: DraftScale) -> Vec<Op> {
    operators
        .iter()
        .map(|operator| op(operator, phase, scale))
        .collect()
}

fn op(operator: &GraphOperator, phase: Phase, scale: DraftScale) -> Op {
    let mut op = Op {
        name: OperatorName {
            phase,
            operator: operator.operator,
        }
        .to_string(),
        times: scale.times(operator, phase),
        ..work(&operator.work)
    };
    if let Work::PointToPoint { stages, .. } = &operator.work {
        op.times *= f64::from(stages - 1);
    }
    for (branch, operators) in branches(&operator.work) {
        // The operators inside carry the repetitions.
        op.times = 1.0;
        op.branches
            .insert(branch.to_owned(), list(operators, phase, scale));
    }
    if matches!(operator.work, Work::AllToAll(_)) {
        op.set("attention_tp_size", operator.tokens.over);
    } else {
        op.set_unless("scale_num_tokens", operator.tokens.over, 1);
    }
    op.set_unless("seq_split", operator.tokens.split, 1);
    // The reference gives the output head one row a sequence by its name.
    let by_name = op.name.ends_with("logits_gemm");
    if by_name != (operator.tokens.basis == TokenBasis::Sequences) {
        op.set("basis", u8::from(by_name));
    }
    op
}

/// The operators inside an operator.
fn branches(work: &Work) -> Vec<(&'static str, &[GraphOperator])> {
    match work {
        Work::Overlap { first, second } => vec![("group_a", first), ("group_b", second)],
        Work::Fallback { fused, parts } => {
            vec![("primary", std::slice::from_ref(&**fused)), ("fallback", parts)]
        }
        _ => Vec::new(),
    }
}

impl Op {
    fn of(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            ..Self::default()
        }
    }

    fn set(&mut self, field: &str, value: impl Display + Copy) {
        self.fields.insert(field.to_owned(), value.to_string());
    }

    fn with(mut self, field: &str, value: impl Display + Copy) -> Self {
        self.set(field, value);
        self
    }

    fn set_unless<T: PartialEq + Display + Copy>(&mut self, field: &str, value: T, usual: T) {
        if value != usual {
            self.set(field, value);
        }
    }

    fn with_unless<T: PartialEq + Display + Copy>(mut self, field: &str, value: T, usual: T) -> Self {
        self.set_unless(field, value, usual);
        self
    }

    fn with_flag(self, field: &str, value: bool) -> Self {
        self.with(field, u8::from(value))
    }
}

fn work(work: &Work) -> Op {
    match work {
        Work::Elementwise { elements } => Op::of("Elementwise").with("bytes_per_token", 2 * elements),
        Work::Embedding { vocabulary, hidden } => Op::of("Embedding")
            .with("vocab_size", vocabulary)
            .with("hidden_size", hidden),
        Work::Gemm(shape) => gemm(shape),
        Work::ContextAttention(shape) => context_attention(shape),
        Work::SplitContextAttention { shape, ranks } => context_attention(shape).with("cp_size", ranks),
        Work::GenerationAttention(shape) => generation_attention(shape),
        Work::AllReduce { gpus, hidden } => Op::of("CustomAllReduce")
            .with("tp_size", gpus)
            .with("hidden_size", hidden),
        Work::Collective {
            collective,
            gpus,
            elements,
        } => Op::of("Nccl")
            .with("operation", collective.name())
            .with("num_gpus", gpus)
            .with("hidden_size", elements)
            .with("dtype", "half"),
        Work::PointToPoint { stages, hidden } => {
            Op::of("P2P").with("pp_size", stages).with("hidden_size", hidden)
        }
        Work::Moe(shape) => moe(shape),
        Work::Dispatch(shape) => dispatch(shape),
        Work::ContextMla(shape) => Op::of("ContextMla")
            .with("num_heads", shape.heads)
            .with("kv_cache_dtype", shape.kv.name())
            .with("fmha_quant_mode", shape.fmha.name())
            .with_unless("cp_size", shape.context_parallel, 1),
        Work::GenerationMla(shape) => Op::of("GenerationMla")
            .with("num_heads", shape.heads)
            .with("kv_cache_dtype", shape.kv.name()),
        Work::ContextMlaModule(shape) => Op::of("MlaModuleContext")
            .with("num_heads", shape.heads)
            .with("kv_cache_dtype", shape.kv.name())
            .with("fmha_quant_mode", shape.fmha.name())
            .with("gemm_quant_mode", shape.gemm.name()),
        Work::GenerationMlaModule(shape) => Op::of("MlaModuleGeneration")
            .with("num_heads", shape.heads)
            .with("kv_cache_dtype", shape.kv.name())
            .with("gemm_quant_mode", shape.gemm.name()),
        Work::MlaBmm(shape) => Op::of("MlaBmm")
            .with("num_heads", shape.heads)
            .with("quant_mode", shape.quant.name())
            .with_flag("is_pre", shape.side == MlaBmmSide::Pre),
        Work::ContextDsa { shape, .. } => dsa("DsaContext", shape).with("fmha_quant_mode", shape.fmha.name()),
        Work::GenerationDsa { shape, .. } => dsa("DsaGeneration", shape),
        Work::ContextDsv4(shape) => dsv4("Dsv4Context", shape),
        Work::GenerationDsv4(shape) => dsv4("Dsv4Generation", shape),
        Work::HyperConnection(shape) => hyper_connection(shape),
        Work::ContextMsa(shape) => msa("MsaContext", shape),
        Work::GenerationMsa(shape) => msa("MsaGeneration", shape),
        Work::KimiDelta(shape) => kimi_delta(shape),
        Work::GatedDelta(shape) => gated_delta(shape),
        Work::Mamba2(shape) => mamba2(shape),
        Work::WideEpContextMla(shape) => Op::of("WideEpContextMla")
            .with("num_heads", shape.heads)
            .with("kv_cache_dtype", shape.kv.name())
            .with_unless("cp_size", shape.context_parallel, 1),
        Work::WideEpGenerationMla(shape) => Op::of("WideEpGenerationMla")
            .with("num_heads", shape.heads)
            .with("kv_cache_dtype", shape.kv.name()),
        Work::AllToAll(shape) => all_to_all(shape),
        Work::ExpertCompute(shape) => expert_compute(shape),
        Work::Overlap { .. } => Op::of("Overlap"),
        Work::Fallback { .. } => Op::of("Fallback"),
        other => Op::of(&format!("{other:?}")),
    }
}

fn all_to_all(shape: &AllToAllShape) -> Op {
    Op::of("MoeAllToAll")
        .with("phase", shape.step.name())
        .with("comm_backend", shape.library.name())
        .with("comm_dtype", shape.message.name())
        .with("hidden_size", shape.hidden)
        .with("topk", shape.per_token)
        .with("num_experts", shape.experts)
        .with("moe_ep_size", shape.ranks)
        .with("node_num", shape.nodes)
}

fn expert_compute(shape: &ExpertComputeShape) -> Op {
    Op::of("MoeExpertCompute")
        .with("hidden_size", shape.moe.hidden)
        .with("inter_size", shape.moe.intermediate)
        .with("topk", shape.moe.per_token)
        .with("num_experts", shape.moe.experts)
        .with("moe_ep_size", shape.moe.moe_ep)
        .with("quant_mode", shape.moe.quant.name())
        .with("workload_distribution", shape.moe.distribution.name())
        .with("attention_dp_size", shape.moe.attention_dp)
        .with(
            "inference_phase",
            match shape.phase {
                Phase::Context => "context",
                Phase::Generation => "generation",
            },
        )
        .with("num_slots", shape.slots)
}

fn hyper_connection(shape: &HyperConnectionShape) -> Op {
    Op::of("Mhc")
        .with(
            "op",
            match shape.side {
                HyperConnectionSide::Pre => "pre",
                HyperConnectionSide::Post => "post",
            },
        )
        .with("hc_mult", shape.streams)
        .with("hidden_size", shape.hidden)
        .with("sinkhorn_iters", shape.sinkhorn_iterations)
}

fn gemm(shape: &GemmShape) -> Op {
    Op::of("Gemm")
        .with("n", shape.n)
        .with("k", shape.k)
        .with("quant_mode", shape.quant.name())
        .with_unless("low_precision_input", u8::from(shape.low_precision_input), 0)
        .with_unless("below_grid_sol", u8::from(shape.roofline_when_far), 0)
}

fn context_attention(shape: &ContextAttentionShape) -> Op {
    Op::of("ContextAttention")
        .with("n", shape.heads)
        .with("n_kv", shape.kv_heads)
        .with("head_size", shape.head_dim)
        .with_unless("window_size", shape.window, 0)
        .with("kv_cache_dtype", shape.kv.name())
        .with("fmha_quant_mode", shape.fmha.name())
        .with_unless("use_qk_norm", u8::from(shape.qk_norm), 0)
}

fn generation_attention(shape: &GenerationAttentionShape) -> Op {
    Op::of("GenerationAttention")
        .with("n", shape.heads)
        .with("n_kv", shape.kv_heads)
        .with("head_size", shape.head_dim)
        .with_unless("window_size", shape.window, 0)
        .with("kv_cache_dtype", shape.kv.name())
}

fn moe(shape: &MoeShape) -> Op {
    Op::of("Moe")
        .with("hidden_size", shape.hidden)
        .with("inter_size", shape.intermediate)
        .with("topk", shape.per_token)
        .with("num_experts", shape.experts)
        .with("moe_tp_size", shape.moe_tp)
        .with("moe_ep_size", shape.moe_ep)
        .with("attention_dp_size", shape.attention_dp)
        .with("quant_mode", shape.quant.name())
        .with("workload_distribution", shape.distribution.name())
        .with_unless("is_gated", u8::from(shape.gated), 1)
}

fn dispatch(shape: &DispatchShape) -> Op {
    let mut op = Op::of("MoeDispatch")
        .with("hidden_size", shape.hidden)
        .with("topk", shape.per_token)
        .with("num_experts", shape.experts)
        .with("moe_tp_size", shape.moe_tp)
        .with("moe_ep_size", shape.moe_ep)
        .with("attention_dp_size", shape.attention_dp)
        .with_unless("attn_cp_size", shape.context_parallel, 1)
        .with_flag("pre_dispatch", shape.before)
        .with_unless("attn_ar_modeled", u8::from(shape.attention_reduces), 0)
        .with("moe_quant", shape.quant.name());
    if shape.context_parallel > 1 {
        op.set("is_context", u8::from(shape.prompts));
    }
    op
}

fn gated_delta(shape: &GdnShape) -> Op {
    Op::of("Gdn")
        .with("kernel_source", shape.kernel.name())
        .with("phase", phase_name(shape.kernel.is_prompt()))
        .with("d_model", shape.hidden)
        .with("d_conv", shape.conv_width)
        .with("num_k_heads", shape.key_heads)
        .with("head_k_dim", shape.key_dim)
        .with("num_v_heads", shape.value_heads)
        .with("head_v_dim", shape.value_dim)
}

fn mamba2(shape: &Mamba2Shape) -> Op {
    Op::of("Mamba2")
        .with("kernel_source", shape.kernel.name())
        .with("phase", phase_name(shape.kernel.is_prompt()))
        .with("d_model", shape.hidden)
        .with("d_state", shape.state)
        .with("d_conv", shape.conv_width)
        .with("nheads", shape.heads)
        .with("head_dim", shape.head_dim)
        .with("n_groups", shape.groups)
        .with("chunk_size", shape.chunk)
}

const fn phase_name(is_prompt: bool) -> &'static str {
    if is_prompt { "context" } else { "generation" }
}

fn dsa(kind: &str, shape: &DsaShape) -> Op {
    let choosing = f64::from(shape.indexer.choosing) / f64::from(shape.indexer.all);
    Op::of(kind)
        .with("num_heads", shape.heads)
        .with("kv_cache_dtype", shape.kv.name())
        .with("gemm_quant_mode", shape.gemm.name())
        .with(
            "architecture",
            match shape.architecture {
                DsaArchitecture::DeepseekV32 => "DeepseekV32ForCausalLM",
                DsaArchitecture::GlmMoeDsa => "GlmMoeDsaForCausalLM",
            },
        )
        .with("index_topk", shape.chosen)
        .with_unless("full_frac", choosing, 1.0)
        .with_unless("cp_size", shape.context_parallel, 1)
}

fn dsv4(kind: &str, shape: &Dsv4Shape) -> Op {
    Op::of(kind)
        .with(
            "attn_kind",
            match shape.compression {
                Compression::Sparse => "Csa",
                Compression::Heavy => "Hca",
            },
        )
        .with("num_heads", shape.heads)
        .with("native_heads", shape.all_heads)
        .with("tp_size", shape.tp)
        .with("kv_cache_dtype", shape.kv.name())
        .with("fmha_quant_mode", shape.fmha.name())
        .with("gemm_quant_mode", shape.gemm.name())
        .with("window_size", shape.window)
        .with("hidden_size", shape.hidden)
        .with("q_lora_rank", shape.q_rank)
        .with("o_lora_rank", shape.o_rank)
        .with("head_dim", shape.head_dim)
        .with("rope_head_dim", shape.rope_dim)
        .with("index_n_heads", shape.index_heads)
        .with("index_head_dim", shape.index_dim)
        .with("index_topk", shape.chosen)
        .with("o_groups", shape.o_groups)
        .with_unless("cp_size", shape.context_parallel, 1)
}

fn msa(kind: &str, shape: &MsaShape) -> Op {
    Op::of(kind)
        .with("num_heads", shape.heads)
        .with("num_kv_heads", shape.kv_heads)
        .with("hidden_size", shape.hidden)
        .with("head_dim", shape.head_dim)
        .with("v_head_dim", shape.value_dim)
        .with("index_n_heads", shape.index_heads)
        .with("index_head_dim", shape.index_dim)
        .with("index_topk", shape.chosen)
        .with("block_size", shape.block)
        .with("kv_cache_dtype", shape.kv.name())
        .with("fmha_quant_mode", shape.fmha.name())
        .with("gemm_quant_mode", shape.gemm.name())
}

fn kimi_delta(shape: &KdaShape) -> Op {
    Op::of("Kda")
        .with("kernel_source", shape.kernel.name())
        .with(
            "phase",
            if shape.kernel.is_prompt() {
                "context"
            } else if shape.kernel.is_verify() {
                "verify"
            } else {
                "generation"
            },
        )
        .with("d_model", shape.hidden)
        .with("d_conv", shape.conv_width)
        .with("num_k_heads", shape.key_heads)
        .with("head_k_dim", shape.key_dim)
        .with("num_v_heads", shape.value_heads)
        .with("head_v_dim", shape.value_dim)
        .with_unless("draft_tokens", shape.draft_tokens, 0)
}
