//! Experts that every token visits, beside those that it is sent to.

use super::{GraphOperator, GraphQuery, Operator, Phase, Repeats, Work, WorkloadDistribution};
use crate::model::Experts;
use crate::operators::GemmShape;
use crate::quant::GemmQuant;

/// Shared experts on one rank.
#[derive(Debug, Clone, Copy)]
pub(super) struct SharedExperts {
    /// Rows of the gate and up projections together.
    pub(super) gate: u32,
    /// Columns of the down projection.
    pub(super) width: u32,
    pub(super) quant: GemmQuant,
}

impl SharedExperts {
    /// One expert of `width` that `ranks` share; what does not divide is rounded down, as the reference does.
    pub(super) const fn split(width: u32, ranks: u32, quant: GemmQuant) -> Self {
        Self {
            gate: 2 * width / ranks,
            width: width / ranks,
            quant,
        }
    }
}

impl GraphQuery<'_> {
    /// The operators of shared experts in every layer.
    pub(super) fn shared(&self, experts: SharedExperts) -> [GraphOperator; 3] {
        let layers = self.layers();
        let hidden = self.model.hidden;
        let gemm = |operator, n, k| {
            let shape = GemmShape {
                quant: experts.quant,
                ..self.projection(n, k)
            };
            GraphOperator::new(operator, layers, Work::Gemm(shape))
        };
        [
            gemm(Operator::SHARED_GATE_UP_GEMM, experts.gate, hidden),
            Self::elementwise(
                Operator::SHARED_ACT_GATE,
                layers,
                u64::from(experts.gate) + u64::from(experts.width),
            ),
            gemm(Operator::SHARED_FFN2_GEMM, hidden, experts.width),
        ]
    }

    /// Shared and routed experts: one after the other in prefill, on streams of their own in decode, where graphs are
    /// captured.
    pub(super) fn both_experts(
        phase: Phase,
        shared: [GraphOperator; 3],
        routed: [GraphOperator; 4],
    ) -> Vec<GraphOperator> {
        match phase {
            Phase::Context => shared.into_iter().chain(routed).collect(),
            Phase::Generation => vec![GraphOperator::new(
                Operator::MOE_OVERLAP,
                Repeats::PASS,
                Work::Overlap {
                    first: routed.into(),
                    second: shared.into(),
                },
            )],
        }
    }

    /// A memory-bound operator that reads and writes `elements` of each token.
    pub(super) const fn elementwise(operator: Operator, repeats: Repeats, elements: u64) -> GraphOperator {
        GraphOperator::new(operator, repeats, Work::Elementwise { elements })
    }

    /// The embedding of a vocabulary that every rank holds.
    pub(super) const fn whole_embedding(&self) -> GraphOperator {
        GraphOperator::new(
            Operator::EMBEDDING,
            Repeats::PASS,
            Work::Embedding {
                vocabulary: self.model.vocabulary,
                hidden: self.model.hidden,
            },
        )
    }

    /// A decoder each of whose layers is a block of `attention` and experts, up to the output head. Layers that have a
    /// dense network instead of experts count as if they had them, as the reference has it.
    pub(super) fn decoder_with_shared_experts(
        &self,
        phase: Phase,
        attention: Vec<GraphOperator>,
        (shared, routed): (SharedExperts, Experts),
    ) -> Vec<GraphOperator> {
        let layers = self.layers();
        let mut operators = vec![
            self.whole_embedding(),
            self.add_norm(Operator::ADD_NORM_1, layers),
        ];
        operators.extend(attention);
        operators.push(self.add_norm(Operator::ADD_NORM_2, layers));
        operators.extend(Self::both_experts(
            phase,
            self.shared(shared),
            self.routed(phase, routed, WorkloadDistribution::PowerLaw101),
        ));
        operators.push(self.logits());
        operators
    }
}
