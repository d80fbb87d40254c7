//! The feed-forward half of Kimi K3's layers: a dense network in the first, experts in the others.

use super::KimiK3;
use crate::graph::mixture::Way;
use crate::graph::{DispatchShape, GraphOperator, MoeShape, Operator, Phase, Work, WorkloadDistribution};

impl KimiK3<'_> {
    pub(super) fn networks(&self, phase: Phase) -> Vec<GraphOperator> {
        let mut operators = vec![self.layers(self.q.model.layers).norm(Operator::FFN_NORM)];
        if self.experts.dense_layers > 0 {
            operators.extend(self.dense());
        }
        operators.extend(self.routed(phase));
        if self.experts.shared > 0 {
            operators.extend(self.shared());
        }
        operators
    }

    fn dense(&self) -> [GraphOperator; 4] {
        let layers = self.layers(self.experts.dense_layers);
        let hidden = self.q.model.hidden;
        let width = self.q.model.intermediate / self.tp();
        let gate = 2 * self.q.model.intermediate / self.tp();
        [
            layers.gemm(Operator::DENSE_GATE_UP_GEMM, (gate, hidden)),
            layers.elementwise(Operator::DENSE_ACT_GATE, gate + width),
            layers.second_gemm(Operator::DENSE_DOWN_GEMM, (hidden, width)),
            layers.all_reduce(Operator::DENSE_FFN_ALL_REDUCE),
        ]
    }

    /// Layers with experts.
    const fn expert_layers(&self) -> u32 {
        self.q.model.layers.saturating_sub(self.experts.dense_layers)
    }

    /// Every rank takes tokens to the latent space and back; the experts work and tokens travel in it.
    fn routed(&self, phase: Phase) -> [GraphOperator; 7] {
        let layers = self.layers(self.expert_layers());
        let hidden = self.q.model.hidden;
        let latent = self.experts.hidden.unwrap_or(hidden);
        let dispatch = |operator, way| {
            let shape = DispatchShape {
                hidden: latent,
                ..self.q.dispatch(phase, self.experts, way)
            };
            layers.run(operator, Work::Dispatch(shape))
        };
        let moe = MoeShape {
            hidden: latent,
            ..self.q.moe(self.experts, WorkloadDistribution::PowerLaw101)
        };
        [
            layers.plain_gemm(Operator::ROUTER_GEMM, (self.experts.count, hidden)),
            layers.plain_gemm(Operator::LATENT_DOWN_GEMM, (latent, hidden)),
            layers.elementwise(Operator::LATENT_NORM, 4 * latent),
            dispatch(Operator::MOE_PRE_DISPATCH, Way::There),
            layers.run(Operator::MOE, Work::Moe(moe)),
            dispatch(Operator::MOE_POST_DISPATCH, Way::Back),
            layers.plain_gemm(Operator::LATENT_UP_GEMM, (hidden, latent)),
        ]
    }

    /// Experts that every token visits, as one that is as wide as all of them.
    fn shared(&self) -> [GraphOperator; 3] {
        let layers = self.layers(self.expert_layers());
        let hidden = self.q.model.hidden;
        let all = self.experts.shared * self.experts.intermediate;
        let (gate, width) = (2 * all / self.tp(), all / self.tp());
        [
            layers.plain_gemm(Operator::SHARED_GATE_UP_GEMM, (gate, hidden)),
            layers.elementwise(Operator::SHARED_ACT_GATE, gate + width),
            layers.plain_gemm(Operator::SHARED_DOWN_GEMM, (hidden, width)),
        ]
    }
}
