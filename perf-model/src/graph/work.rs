//! What one operator computes.

use dgdr_units::real;

use super::operator::Operator;
use super::shapes::{
    ContextMlaModuleShape, ContextMlaShape, DsaShape, Dsv4Shape, GenerationMlaModuleShape,
    GenerationMlaShape, HyperConnectionShape, MlaBmmShape, MsaShape, WideEpContextMlaShape,
    WideEpGenerationMlaShape,
};
use crate::backend::Backend;
use crate::operators::{
    AllToAllShape, Collective, ContextAttentionShape, ExpertComputeShape, GdnShape, GemmShape,
    GenerationAttentionShape, KdaShape, Mamba2Shape,
};
use crate::quant::MoeQuant;

/// Bytes of one element of tables that no quantization touches: embeddings, output head, router.
const PLAIN_BYTES: f64 = 2.0;

/// One operator of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphOperator {
    /// Which operator.
    pub operator: Operator,
    /// How often it runs in a step.
    pub repeats: Repeats,
    /// On which of the step's tokens.
    pub tokens: TokenShare,
    /// What it computes.
    pub work: Work,
}

/// How often an operator runs in a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Repeats {
    /// Times; not always whole, where two kinds of layers share an operator.
    pub times: f64,
    /// Whether draft layers of multi-token prediction repeat it in proportion.
    pub with_drafts: bool,
}

impl Repeats {
    /// Once for each of `layers` layers.
    pub const fn layers(layers: f64) -> Self {
        Self {
            times: layers,
            with_drafts: true,
        }
    }

    /// Once a pass through all layers.
    pub const PASS: Self = Self {
        times: 1.0,
        with_drafts: true,
    };

    /// Once a step, however many draft layers there are.
    pub const STEP: Self = Self {
        times: 1.0,
        with_drafts: false,
    };
}

/// What an operator's share of tokens is a share of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenBasis {
    /// All tokens of the step.
    Tokens,
    /// The sequences that need logits: a prompt's last token, each token of a decode step.
    Sequences,
}

/// The tokens of a step that an operator works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenShare {
    /// What is shared.
    pub basis: TokenBasis,
    /// Ranks that share it, a rest rounded down.
    pub over: u32,
    /// Ranks that the sequence is split over, a rest rounded up.
    pub split: u32,
}

impl TokenShare {
    /// All tokens.
    pub const ALL: Self = Self {
        basis: TokenBasis::Tokens,
        over: 1,
        split: 1,
    };

    /// One row a sequence.
    pub const SEQUENCES: Self = Self {
        basis: TokenBasis::Sequences,
        ..Self::ALL
    };
}

/// How unevenly tokens choose experts in a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkloadDistribution {
    /// Every expert is chosen as often.
    Balanced,
    /// A power law with exponent 1.01.
    PowerLaw101,
    /// A power law with exponent 1.2.
    PowerLaw12,
}

impl WorkloadDistribution {
    /// All distributions.
    pub const ALL: [Self; 3] = [Self::Balanced, Self::PowerLaw101, Self::PowerLaw12];

    /// The name used in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::PowerLaw101 => "power_law_1.01",
            Self::PowerLaw12 => "power_law_1.2",
        }
    }
}

/// The routed experts of one layer on one GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MoeShape {
    /// Elements of a token.
    pub hidden: u32,
    /// Hidden size of one expert, on all its ranks together.
    pub intermediate: u32,
    /// Experts that a token is sent to.
    pub per_token: u32,
    /// Experts.
    pub experts: u32,
    /// Ranks that share each expert.
    pub moe_tp: u32,
    /// Groups that the experts are dealt to.
    pub moe_ep: u32,
    /// Attention copies whose tokens come together.
    pub attention_dp: u32,
    /// Format.
    pub quant: MoeQuant,
    /// How unevenly tokens choose.
    pub distribution: WorkloadDistribution,
    /// Whether an expert has a gate beside its up projection.
    pub gated: bool,
}

/// Tokens on their way to their experts, or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DispatchShape {
    /// Elements of a token.
    pub hidden: u32,
    /// Experts that a token is sent to.
    pub per_token: u32,
    /// Experts.
    pub experts: u32,
    /// Ranks that share each expert.
    pub moe_tp: u32,
    /// Groups that the experts are dealt to.
    pub moe_ep: u32,
    /// Attention copies.
    pub attention_dp: u32,
    /// Ranks that a sequence is split over.
    pub context_parallel: u32,
    /// The way there, before the experts; else the way back.
    pub before: bool,
    /// Whether attention's all-reduce is an operator of its own, so that dispatch need not stand for it.
    pub attention_reduces: bool,
    /// Whether prompts travel; else decoded tokens.
    pub prompts: bool,
    /// The engine, each of which has its own collectives.
    pub backend: Backend,
    /// Format of the experts, in which some engines send tokens.
    pub quant: MoeQuant,
}

/// What an operator computes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Work {
    /// Memory-bound: reads and writes this many bfloat16 elements a token.
    Elementwise {
        /// Elements a token.
        elements: u64,
    },
    /// Embedding lookup.
    Embedding {
        /// Rows on this GPU.
        vocabulary: u32,
        /// Elements of a row.
        hidden: u32,
    },
    /// A matrix product, one row a token.
    Gemm(GemmShape),
    /// Prefill attention.
    ContextAttention(ContextAttentionShape),
    /// Prefill attention whose prompts are split over ranks.
    SplitContextAttention {
        /// Its shape.
        shape: ContextAttentionShape,
        /// Ranks.
        ranks: u32,
    },
    /// Decode attention.
    GenerationAttention(GenerationAttentionShape),
    /// Prefill latent attention.
    ContextMla(ContextMlaShape),
    /// Decode latent attention.
    GenerationMla(GenerationMlaShape),
    /// A whole block of latent attention in prefill.
    ContextMlaModule(ContextMlaModuleShape),
    /// A whole block of latent attention in decode.
    GenerationMlaModule(GenerationMlaModuleShape),
    /// A block of latent attention in prefill beside experts that exchange tokens.
    WideEpContextMla(WideEpContextMlaShape),
    /// The same in decode.
    WideEpGenerationMla(WideEpGenerationMlaShape),
    /// A product with the absorbed projection of keys and values.
    MlaBmm(MlaBmmShape),
    /// A whole block of sparse latent attention in prefill.
    ContextDsa {
        /// Its shape.
        shape: DsaShape,
        /// Bytes of its weights.
        weight_bytes: f64,
    },
    /// A whole block of sparse latent attention in decode.
    GenerationDsa {
        /// Its shape.
        shape: DsaShape,
        /// Bytes of its weights.
        weight_bytes: f64,
    },
    /// A whole block of compressed attention in prefill.
    ContextDsv4(Dsv4Shape),
    /// A whole block of compressed attention in decode.
    GenerationDsv4(Dsv4Shape),
    /// Mixing of the residual's streams.
    HyperConnection(HyperConnectionShape),
    /// A whole block of grouped queries over chosen blocks of tokens in prefill.
    ContextMsa(MsaShape),
    /// A whole block of grouped queries over chosen blocks of tokens in decode.
    GenerationMsa(MsaShape),
    /// A kernel of a gated delta net.
    GatedDelta(GdnShape),
    /// A kernel of Mamba2.
    Mamba2(Mamba2Shape),
    /// A kernel of Kimi delta attention.
    KimiDelta(KdaShape),
    /// All-reduce by the engine's own kernel.
    AllReduce {
        /// Ranks.
        gpus: u32,
        /// Elements a token.
        hidden: u32,
    },
    /// A collective of NCCL.
    Collective {
        /// What the ranks do.
        collective: Collective,
        /// Ranks.
        gpus: u32,
        /// Elements a token.
        elements: u64,
    },
    /// Hops through the stages of a pipeline.
    PointToPoint {
        /// Stages.
        stages: u32,
        /// Elements a token.
        hidden: u32,
    },
    /// Routed experts.
    Moe(MoeShape),
    /// Tokens to experts and back.
    Dispatch(DispatchShape),
    /// One part of an exchange of tokens among many ranks.
    AllToAll(AllToAllShape),
    /// Routed experts whose tokens were exchanged among many ranks.
    ExpertCompute(ExpertComputeShape),
    /// Two branches at the same time: the longer one counts. The operators inside carry the repetitions; the whole runs
    /// [`Repeats::PASS`].
    Overlap {
        /// One branch, one after the other.
        first: Vec<GraphOperator>,
        /// The other.
        second: Vec<GraphOperator>,
    },
    /// A fused kernel where it was measured, its parts where not. The operators inside carry the repetitions; the whole
    /// runs [`Repeats::PASS`].
    Fallback {
        /// The fused kernel.
        fused: Box<GraphOperator>,
        /// Its parts, one after the other.
        parts: Vec<GraphOperator>,
    },
}

impl GraphOperator {
    /// An operator on all tokens.
    pub(super) const fn new(operator: Operator, repeats: Repeats, work: Work) -> Self {
        Self {
            operator,
            repeats,
            tokens: TokenShare::ALL,
            work,
        }
    }

    /// Bytes of its weights on one GPU, all repetitions together.
    pub fn weight_bytes(&self) -> f64 {
        self.work.weight_bytes() * self.repeats.times
    }
}

impl Work {
    /// The operators that it is made of; empty for one that has no parts.
    pub(crate) fn parts(&self) -> Vec<&GraphOperator> {
        match self {
            Self::Overlap { first, second } => first.iter().chain(second).collect(),
            Self::Fallback { fused, parts } => std::iter::once(fused.as_ref()).chain(parts).collect(),
            Self::Elementwise { .. }
            | Self::Embedding { .. }
            | Self::Gemm(_)
            | Self::ContextAttention(_)
            | Self::SplitContextAttention { .. }
            | Self::GenerationAttention(_)
            | Self::AllReduce { .. }
            | Self::Collective { .. }
            | Self::PointToPoint { .. }
            | Self::ContextMla(_)
            | Self::GenerationMla(_)
            | Self::ContextMlaModule(_)
            | Self::GenerationMlaModule(_)
            | Self::WideEpContextMla(_)
            | Self::WideEpGenerationMla(_)
            | Self::MlaBmm(_)
            | Self::ContextDsa { .. }
            | Self::GenerationDsa { .. }
            | Self::ContextDsv4(_)
            | Self::GenerationDsv4(_)
            | Self::HyperConnection(_)
            | Self::ContextMsa(_)
            | Self::GenerationMsa(_)
            | Self::Moe(_)
            | Self::Dispatch(_)
            | Self::AllToAll(_)
            | Self::ExpertCompute(_)
            | Self::GatedDelta(_)
            | Self::Mamba2(_)
            | Self::KimiDelta(_) => Vec::new(),
        }
    }

    fn weight_bytes(&self) -> f64 {
        match self {
            Self::Embedding { vocabulary, hidden } => {
                f64::from(*vocabulary) * f64::from(*hidden) * PLAIN_BYTES
            }
            Self::Gemm(shape) => f64::from(shape.n) * f64::from(shape.k) * shape.quant.bytes(),
            Self::Moe(shape) => shape.weight_bytes(),
            // As many experts as there are, whatever the slots: so does the reference.
            Self::ExpertCompute(shape) => shape.moe.weight_bytes(),
            Self::ContextDsa { weight_bytes, .. } | Self::GenerationDsa { weight_bytes, .. } => *weight_bytes,
            Self::ContextDsv4(shape) | Self::GenerationDsv4(shape) => shape.weight_bytes(),
            Self::HyperConnection(shape) => shape.weight_bytes(),
            Self::Elementwise { .. }
            | Self::ContextAttention(_)
            | Self::SplitContextAttention { .. }
            | Self::GenerationAttention(_)
            | Self::ContextMla(_)
            | Self::GenerationMla(_)
            | Self::ContextMlaModule(_)
            | Self::GenerationMlaModule(_)
            | Self::WideEpContextMla(_)
            | Self::WideEpGenerationMla(_)
            | Self::MlaBmm(_)
            // The reference counts none of its projections.
            | Self::ContextMsa(_)
            | Self::GenerationMsa(_)
            | Self::GatedDelta(_)
            | Self::Mamba2(_)
            | Self::KimiDelta(_)
            | Self::AllReduce { .. }
            | Self::Collective { .. }
            | Self::PointToPoint { .. }
            | Self::Dispatch(_)
            | Self::AllToAll(_) => 0.0,
            Self::Overlap { first, second } => {
                first.iter().chain(second).map(GraphOperator::weight_bytes).sum()
            }
            Self::Fallback { parts, .. } => parts.iter().map(GraphOperator::weight_bytes).sum(),
        }
    }
}

impl MoeShape {
    /// Weight matrices of an expert.
    pub(crate) const fn matrices(&self) -> u64 {
        if self.gated { 3 } else { 2 }
    }

    /// Bytes of the experts' weights on one GPU; what does not divide is rounded down, as the reference does.
    pub(crate) fn weight_bytes(&self) -> f64 {
        let elements =
            u64::from(self.hidden) * u64::from(self.intermediate) * u64::from(self.experts) * self.matrices();
        real(elements) * self.quant.bytes() / f64::from(self.moe_ep) / f64::from(self.moe_tp)
    }
}
