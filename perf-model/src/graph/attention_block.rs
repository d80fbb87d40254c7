//! The attention half of a decoder layer with grouped queries, which dense models and mixtures of experts share.

use super::{GraphOperator, GraphQuery, Operator, Phase, Repeats, Work};
use crate::operators::{ContextAttentionShape, GemmShape, GenerationAttentionShape};
use crate::quant::GemmQuant;

/// Widths on one of several tensor-parallel ranks. What does not divide is rounded down, as the reference does.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttentionShard {
    pub(super) heads: u32,
    pub(super) kv_heads: u32,
    /// Rows of the query, key and value projection.
    pub(super) qkv: u32,
    /// Columns of attention's output projection.
    pub(super) output: u32,
}

/// Heads on one rank.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocalHeads {
    pub(super) heads: u32,
    pub(super) kv_heads: u32,
    pub(super) head_dim: u32,
}

impl GraphQuery<'_> {
    pub(super) const fn attention_shard(&self) -> AttentionShard {
        let tp = self.mapping.widths().tp;
        let kv_heads = self.model.kv_heads_per_gpu(tp);
        let output = self.model.heads * self.model.head_dim / tp;
        AttentionShard {
            heads: self.model.heads / tp,
            kv_heads,
            qkv: output + 2 * self.model.head_dim * kv_heads,
            output,
        }
    }

    /// A projection in the format of the model's products.
    pub(super) const fn projection(&self, n: u32, k: u32) -> GemmShape {
        GemmShape {
            n,
            k,
            quant: self.precision.gemm,
            low_precision_input: false,
            roofline_when_far: false,
        }
    }

    /// A projection whose input arrives in the low precision already.
    pub(super) const fn second_projection(&self, n: u32, k: u32) -> GemmShape {
        GemmShape {
            low_precision_input: true,
            ..self.projection(n, k)
        }
    }

    /// The embedding of a vocabulary that is shared between ranks.
    pub(super) const fn embedding(&self) -> GraphOperator {
        GraphOperator::new(
            Operator::EMBEDDING,
            Repeats::PASS,
            Work::Embedding {
                vocabulary: self.model.vocabulary / self.mapping.widths().tp,
                hidden: self.model.hidden,
            },
        )
    }

    /// A residual addition with its normalisation.
    pub(super) fn add_norm(&self, operator: Operator, repeats: Repeats) -> GraphOperator {
        let elements = 4 * u64::from(self.model.hidden);
        GraphOperator::new(operator, repeats, Work::Elementwise { elements })
    }

    /// Attention with grouped queries over a window of tokens, 0 for all.
    pub(super) fn attention(&self, phase: Phase, repeats: Repeats, window: u32) -> GraphOperator {
        let local = self.attention_shard();
        let heads = LocalHeads {
            heads: local.heads,
            kv_heads: local.kv_heads,
            head_dim: self.model.head_dim,
        };
        self.attention_of(phase, repeats, (heads, window))
    }

    /// Attention of other heads than the model's.
    pub(super) fn attention_of(
        &self,
        phase: Phase,
        repeats: Repeats,
        (local, window): (LocalHeads, u32),
    ) -> GraphOperator {
        let work = match phase {
            Phase::Context => Work::ContextAttention(ContextAttentionShape {
                heads: local.heads,
                kv_heads: local.kv_heads,
                head_dim: local.head_dim,
                window,
                kv: self.precision.kv,
                fmha: self.precision.fmha,
                qk_norm: self.model.qk_norm,
            }),
            Phase::Generation => Work::GenerationAttention(GenerationAttentionShape {
                heads: local.heads,
                kv_heads: local.kv_heads,
                head_dim: local.head_dim,
                window,
                kv: self.precision.kv,
            }),
        };
        GraphOperator::new(Operator::ATTENTION, repeats, work)
    }

    /// A matrix product.
    pub(super) const fn product(operator: Operator, repeats: Repeats, shape: GemmShape) -> GraphOperator {
        GraphOperator::new(operator, repeats, Work::Gemm(shape))
    }

    /// The output head, on the sequences that need logits; never quantized.
    pub(super) const fn logits(&self) -> GraphOperator {
        let shape = GemmShape {
            quant: GemmQuant::Bfloat16,
            ..self.projection(
                self.model.vocabulary / self.mapping.widths().tp,
                self.model.hidden,
            )
        };
        GraphOperator {
            operator: Operator::LOGITS_GEMM,
            repeats: Repeats::PASS,
            tokens: super::TokenShare::SEQUENCES,
            work: Work::Gemm(shape),
        }
    }

    /// An all-reduce of all tokens between tensor-parallel ranks.
    pub(super) const fn all_reduce(&self, operator: Operator, repeats: Repeats) -> GraphOperator {
        GraphOperator::new(
            operator,
            repeats,
            Work::AllReduce {
                gpus: self.mapping.widths().tp,
                hidden: self.model.hidden,
            },
        )
    }

    /// The hops of a pipeline.
    pub(super) const fn point_to_point(&self) -> GraphOperator {
        GraphOperator::new(
            Operator::POINT_TO_POINT,
            Repeats::PASS,
            Work::PointToPoint {
                stages: self.mapping.widths().pp,
                hidden: self.model.hidden,
            },
        )
    }
}
