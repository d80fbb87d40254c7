//! Names of the operators of a step.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::provenance::OperatorLatency;

/// Which half of inference an operator works for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Prefill.
    Context,
    /// Decode.
    Generation,
}

/// An operator of a dense decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operator {
    /// Embedding lookup.
    Embedding,
    /// Residual addition and normalisation before attention.
    AddNorm1,
    /// Projection to queries, keys and values.
    QkvGemm,
    /// Attention.
    Attention,
    /// Projection of attention's output.
    ProjGemm,
    /// Residual addition and normalisation before the feed-forward network.
    AddNorm2,
    /// Gate and up projections.
    GateFfn1Gemm,
    /// Activation and gating.
    ActGate,
    /// Down projection.
    Ffn2Gemm,
    /// Output head.
    LogitsGemm,
    /// All-reduce after the embedding.
    EmbeddingAllReduce,
    /// All-reduce after attention.
    AllReduce1,
    /// All-reduce after the feed-forward network.
    AllReduce2,
    /// Hops between pipeline stages.
    PointToPoint,
}

impl Operator {
    const fn stem(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::AddNorm1 => "add_norm_1",
            Self::QkvGemm => "qkv_gemm",
            Self::Attention => "attention",
            Self::ProjGemm => "proj_gemm",
            Self::AddNorm2 => "add_norm_2",
            Self::GateFfn1Gemm => "gate_ffn1_gemm",
            Self::ActGate => "act_gate",
            Self::Ffn2Gemm => "ffn2_gemm",
            Self::LogitsGemm => "logits_gemm",
            Self::EmbeddingAllReduce => "embedding_ar",
            Self::AllReduce1 => "ar_1",
            Self::AllReduce2 => "ar_2",
            Self::PointToPoint => "p2p",
        }
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
        write!(f, "{phase}_{}", self.operator.stem())
    }
}

impl Serialize for OperatorName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What one operator adds to a step, all its repetitions together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OperatorTime {
    /// Which operator.
    pub name: OperatorName,
    /// Its latency.
    pub latency: OperatorLatency,
}
