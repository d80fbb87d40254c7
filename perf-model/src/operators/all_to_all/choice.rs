//! Which library exchanges the tokens of large expert parallelism.

use super::{AllToAllCost, AllToAllShape, ExchangeLibrary, ExchangeStep, ExpertGroup};
use crate::backend::Backend;
use crate::operators::Measured;
use crate::operators::expert_compute::ExpertComputeShape;

impl ExchangeLibrary {
    /// The first library that the engine can run, and whose exchange was measured, where the experts were measured too.
    pub(crate) fn choose(measured: Measured<'_>, experts: &ExpertComputeShape) -> Option<Self> {
        // TensorRT-LLM exchanges tokens only where each rank has tokens of its own.
        let needs_copies = experts.backend == Backend::Trtllm;
        if (needs_copies && experts.moe.attention_dp <= 1) || !experts.is_measured(measured) {
            return None;
        }
        Self::ALL.into_iter().find(|library| {
            library.runs_in(experts.backend)
                && library.serves(experts.phase)
                && library.is_feasible(ExpertGroup::of(&experts.moe), measured.system)
                && library.is_measured(measured, experts)
        })
    }

    /// Whether both ways were measured in the format that the tokens travel in, with the same ranks.
    fn is_measured(self, measured: Measured<'_>, experts: &ExpertComputeShape) -> bool {
        let ranks = [ExchangeStep::Dispatch, ExchangeStep::Combine].map(|step| {
            let moe = &experts.moe;
            let shape = AllToAllShape {
                library: self,
                step,
                message: self.message(moe.quant, step, experts.phase, measured.system)?,
                ranks: moe.moe_ep,
                nodes: moe.moe_ep.div_ceil(measured.system.gpus_per_node),
                hidden: moe.hidden,
                per_token: moe.per_token,
                experts: moe.experts,
                multiprocessors: 0,
                backend: experts.backend,
            };
            AllToAllCost::measured_ranks(measured, &shape)
        });
        ranks[0].is_some() && ranks[0] == ranks[1]
    }
}
