//! The operators of one worker as pure shapes: what runs, how often and on how many tokens, before any table is asked.
//!
//! A family of architectures is one module here; it turns a model, its formats and a mapping into two lists, one a
//! phase. The lists restate the ones of aiconfigurator-core 0.12.0, operator by operator.

mod attention_block;
mod context_parallel;
mod deepseek;
mod deepseek_sparse;
mod deepseek_v4;
mod dense;
mod exchange;
mod gated_linear;
mod gemma4;
mod hybrid_mixture;
mod kimi_k3;
mod kv_cache;
mod minimax_m3;
mod mixture;
mod nemotron_h;
mod nemotron_nas;
mod operator;
mod shapes;
mod shared_experts;
mod weights;
mod work;

use crate::backend::Backend;
use crate::error::PerfModelError;
use crate::mapping::ParallelMapping;
use crate::model::{ModelFamily, ModelSpec};
use crate::quant::Precision;
use crate::system::SystemSpec;

pub use context_parallel::splits_prompts;
pub use exchange::{ExchangeLibraries, exchanges_tokens};
pub use kv_cache::KvCache;
pub use operator::{Operator, OperatorName, Phase};
pub use shapes::{
    Compression, ContextMlaModuleShape, ContextMlaShape, DsaArchitecture, DsaShape, Dsv4Shape,
    GenerationMlaModuleShape, GenerationMlaShape, HyperConnectionShape, HyperConnectionSide, IndexerLayers,
    MlaBmmShape, MlaBmmSide, MsaShape, WideEpContextMlaShape, WideEpGenerationMlaShape,
};
pub use work::{
    DispatchShape, GraphOperator, MoeShape, Repeats, TokenBasis, TokenShare, Work, WorkloadDistribution,
};

/// A worker whose operators are asked for.
#[derive(Debug, Clone, Copy)]
pub struct GraphQuery<'a> {
    /// The model.
    pub model: &'a ModelSpec,
    /// The formats that it runs in.
    pub precision: Precision,
    /// How it is spread.
    pub mapping: ParallelMapping,
    /// The engine.
    pub backend: Backend,
    /// The GPUs.
    pub system: &'static SystemSpec,
    /// Tokens that are drafted a step.
    pub drafted: u32,
}

/// All operators of a worker, each phase in the order in which a step runs them.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorGraph {
    /// What a prefill step runs.
    pub context: Vec<GraphOperator>,
    /// What a decode step runs.
    pub generation: Vec<GraphOperator>,
    /// What a sequence keeps.
    pub kv_cache: KvCache,
}

impl OperatorGraph {
    /// The operators of a worker.
    ///
    /// # Errors
    /// [`PerfModelError::HeadsNotDivisible`], [`PerfModelError::NoExperts`],
    /// [`PerfModelError::PromptsNotSplit`] and [`PerfModelError::SplitAndSpread`] for a model or mapping without a graph.
    pub fn of(query: GraphQuery<'_>) -> Result<Self, PerfModelError> {
        let query = query.with_experts();
        query.check()?;
        query.check_split()?;
        Self::whole(query).map(|graph| graph.with_split_prompts(query))
    }

    /// The operators of a worker that splits no prompt.
    fn whole(query: GraphQuery<'_>) -> Result<Self, PerfModelError> {
        match query.model.family {
            ModelFamily::MixtureOfExperts => mixture::graph(query),
            ModelFamily::DeepSeek => deepseek::graph(query),
            ModelFamily::DeepSeekSparse => deepseek_sparse::graph(query),
            ModelFamily::DeepSeekV4 => deepseek_v4::graph(query),
            ModelFamily::MinimaxM3 => minimax_m3::graph(query),
            ModelFamily::NemotronNas => Ok(nemotron_nas::graph(query)),
            ModelFamily::NemotronH => nemotron_h::graph(query),
            ModelFamily::HybridMixture | ModelFamily::SharedHybridMixture => hybrid_mixture::graph(query),
            ModelFamily::GatedLinear => gated_linear::graph(query),
            ModelFamily::Vision if query.model.experts.is_some() => mixture::graph(query),
            ModelFamily::Dense | ModelFamily::Vision => Ok(dense::graph(query)),
            ModelFamily::Gemma4 => gemma4::graph(query),
            ModelFamily::KimiK3 => kimi_k3::graph(query),
        }
    }

    /// Both phases by one description.
    fn both(kv_cache: KvCache, phase: impl Fn(Phase) -> Vec<GraphOperator>) -> Self {
        Self {
            context: phase(Phase::Context),
            generation: phase(Phase::Generation),
            kv_cache,
        }
    }

    /// The operators of one phase.
    pub fn phase(&self, phase: Phase) -> &[GraphOperator] {
        match phase {
            Phase::Context => &self.context,
            Phase::Generation => &self.generation,
        }
    }

    /// Bytes of the weights that one GPU of a tensor-parallel group holds, all stages of a pipeline together.
    ///
    /// Embeddings and the output head are counted both even when tied, as engines keep two copies once the vocabulary
    /// is split.
    pub fn weight_bytes(&self) -> f64 {
        self.context.iter().map(GraphOperator::weight_bytes).sum()
    }
}

impl GraphQuery<'_> {
    /// The same worker with its experts, if any, on all of its ranks.
    #[must_use]
    pub const fn with_experts(self) -> Self {
        if self.model.experts.is_none() {
            return self;
        }
        Self {
            mapping: self.mapping.with_experts(),
            ..self
        }
    }

    /// What can be said of a model and a mapping without a family's rules.
    fn check(&self) -> Result<(), PerfModelError> {
        let widths = self.mapping.widths();
        let model = self.model;
        if model.experts.is_none() && widths.moe_tp * widths.moe_ep > 1 {
            return Err(PerfModelError::NoExperts {
                model: model.name.clone(),
                mapping: self.mapping,
            });
        }
        if !model.heads.is_multiple_of(widths.tp) {
            return Err(PerfModelError::HeadsNotDivisible {
                model: model.name.clone(),
                heads: model.heads,
                tp: widths.tp,
            });
        }
        Ok(())
    }

    /// A model without the field that its family rests on, which no configuration that was read lacks.
    fn undescribed(&self, field: &str) -> PerfModelError {
        PerfModelError::ModelConfig {
            model: self.model.name.clone(),
            field: field.to_owned(),
            problem: "is missing".to_owned(),
        }
    }

    /// All layers.
    fn layers(&self) -> Repeats {
        Repeats::layers(f64::from(self.model.layers))
    }
}

#[cfg(test)]
mod tests;
