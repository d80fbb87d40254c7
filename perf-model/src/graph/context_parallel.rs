//! Prompts that are split over ranks, as SGLang does in prefill: each rank computes one early and one late piece of
//! every prompt, so that all have as much to attend to, and all ranks gather the keys and values.

use super::{GraphOperator, GraphQuery, Operator, OperatorGraph, Repeats, Work};
use crate::backend::Backend;
use crate::error::PerfModelError;
use crate::model::{AlternatingLayers, AttentionWidths, ModelFamily};
use crate::operators::Collective;

/// Bytes of the elements that collectives count.
const COLLECTIVE_BYTES: f64 = 2.0;

/// Whether an engine splits prompts of a family of models over ranks.
pub const fn splits_prompts(family: ModelFamily, backend: Backend) -> bool {
    matches!(backend, Backend::Sglang)
        && matches!(
            family,
            ModelFamily::Dense
                | ModelFamily::MixtureOfExperts
                | ModelFamily::DeepSeek
                | ModelFamily::DeepSeekSparse
                | ModelFamily::DeepSeekV4
                | ModelFamily::HybridMixture
                | ModelFamily::SharedHybridMixture
                | ModelFamily::Vision
                | ModelFamily::Gemma4
        )
}

impl GraphQuery<'_> {
    /// What is wrong with splitting prompts so.
    pub(super) fn check_split(&self) -> Result<(), PerfModelError> {
        let widths = self.mapping.widths();
        if widths.cp == 1 {
            return Ok(());
        }
        if !splits_prompts(self.model.family, self.backend) {
            return Err(PerfModelError::PromptsNotSplit {
                model: self.model.name.clone(),
                backend: self.backend,
                cp: widths.cp,
            });
        }
        if widths.tp * widths.attention_dp > 1 {
            return Err(PerfModelError::SplitAndSpread {
                backend: self.backend,
                mapping: self.mapping,
            });
        }
        Ok(())
    }
}

impl OperatorGraph {
    /// The same worker with every prompt split over the ranks of the mapping. A decode step has nothing to split.
    pub(super) fn with_split_prompts(mut self, q: GraphQuery<'_>) -> Self {
        let ranks = q.mapping.widths().cp;
        if ranks == 1 {
            return self;
        }
        if q.model.family == ModelFamily::DeepSeekSparse {
            self.context
                .iter_mut()
                .for_each(|operator| split_sparse(operator, ranks));
            self.generation
                .iter_mut()
                .for_each(|operator| dispatch_among(operator, q));
            return self;
        }
        let compressed = q.model.family == ModelFamily::DeepSeekV4;
        let latent = compressed || q.model.latent_attention.is_some();
        for operator in &mut self.context {
            split(operator, ranks, latent);
        }
        if latent || q.model.alternating.is_some() {
            self.generation
                .iter_mut()
                .for_each(|operator| dispatch_among(operator, q));
        }
        // Compressed attention gathers its keys and entries itself.
        if compressed {
            return self;
        }
        if let Some(layers) = &q.model.alternating {
            let last = |operator: &GraphOperator| operator.operator == Operator::POINT_TO_POINT;
            let place = self.context.iter().position(last).map_or(0, |at| at + 1);
            self.context.splice(place..place, gathers(q, layers));
            return self;
        }
        let next = if latent {
            Operator::ADD_NORM_2
        } else {
            Operator::PROJ_GEMM
        };
        let place = self
            .context
            .iter()
            .position(|operator| operator.operator == next)
            .or_else(|| {
                let attention = |operator: &GraphOperator| operator.operator == Operator::ATTENTION;
                self.context.iter().position(attention).map(|at| at + 1)
            })
            .unwrap_or(self.context.len());
        let gather = gather(q, self.kv_cache.sequence_bytes(1));
        self.context.insert(place, gather);
        self
    }
}

/// Each rank gets the keys and values of all others, which keep `bytes_per_token` of a token in all layers.
fn gather(q: GraphQuery<'_>, bytes_per_token: f64) -> GraphOperator {
    let elements = bytes_per_token / f64::from(q.model.layers) / COLLECTIVE_BYTES;
    GraphOperator::new(
        Operator::CP_ALL_GATHER,
        q.layers(),
        Work::Collective {
            collective: Collective::AllGather,
            gpus: q.mapping.widths().cp,
            elements: dgdr_units::floor_count(elements),
        },
    )
}

/// The same for each kind of attention of a model that has two, in the reference's order.
fn gathers(q: GraphQuery<'_>, layers: &AlternatingLayers) -> Vec<GraphOperator> {
    let gather = |operator, count: u32, widths: AttentionWidths| {
        let elements = f64::from(widths.kv_heads)
            * f64::from(widths.head_dim + widths.value_dim)
            * q.precision.kv.bytes()
            / COLLECTIVE_BYTES;
        let work = Work::Collective {
            collective: Collective::AllGather,
            gpus: q.mapping.widths().cp,
            elements: dgdr_units::floor_count(elements),
        };
        (count > 0).then(|| GraphOperator::new(operator, Repeats::layers(f64::from(count)), work))
    };
    let global = gather(
        Operator("cp_all_gather_global"),
        layers.mix.global(),
        layers.global,
    );
    let local = gather(Operator("cp_all_gather_swa"), layers.mix.local(), layers.local);
    let in_order = if q.model.family == ModelFamily::Gemma4 {
        [local, global]
    } else {
        [global, local]
    };
    in_order.into_iter().flatten().collect()
}

/// One rank's share of an operator.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what the families that split prompts do not run needs no rule; their lists are compared with the reference"
)]
fn split(operator: &mut GraphOperator, ranks: u32, latent: bool) {
    match &mut operator.work {
        Work::Elementwise { .. } | Work::Embedding { .. } | Work::Gemm(_) | Work::AllReduce { .. } => {
            operator.tokens.split = ranks;
        }
        Work::HyperConnection(_) => operator.tokens.split = ranks,
        Work::ContextDsv4(shape) => shape.context_parallel = ranks,
        // The reference sends whole prompts between the stages of models with latent attention.
        Work::PointToPoint { .. } if !latent => operator.tokens.split = ranks,
        Work::ContextAttention(shape) => {
            operator.work = Work::SplitContextAttention { shape: *shape, ranks };
        }
        Work::ContextMla(shape) => shape.context_parallel = ranks,
        Work::WideEpContextMla(shape) => shape.context_parallel = ranks,
        // The whole block was measured with whole prompts only; each rank has its share of it.
        Work::ContextMlaModule(_) => operator.repeats.times /= f64::from(ranks),
        Work::Dispatch(shape) => shape.context_parallel = ranks,
        Work::Overlap { first, second } => {
            for part in first.iter_mut().chain(second) {
                split(part, ranks, latent);
            }
        }
        Work::Fallback { fused, parts } => {
            for part in std::iter::once(fused.as_mut()).chain(parts) {
                split(part, ranks, latent);
            }
        }
        _ => {}
    }
}

/// Splits what the reference splits of a model with sparse attention: the block of attention, which gathers its keys
/// itself, and the norms, a rest rounded down; experts get all tokens.
fn split_sparse(operator: &mut GraphOperator, ranks: u32) {
    if let Work::ContextDsa { shape, .. } = &mut operator.work {
        shape.context_parallel = ranks;
    } else if let Work::Dispatch(shape) = &mut operator.work {
        shape.context_parallel = ranks;
    } else if [Operator::ADD_NORM_1, Operator::ADD_NORM_2].contains(&operator.operator) {
        operator.tokens.over *= ranks;
    }
}

/// Tells dispatch that each rank holds all decoded tokens already. With compressed attention the reference has them travel
/// as prompts do.
fn dispatch_among(operator: &mut GraphOperator, q: GraphQuery<'_>) {
    if let Work::Dispatch(shape) = &mut operator.work {
        shape.context_parallel = q.mapping.widths().cp;
        shape.prompts |= q.model.family == ModelFamily::DeepSeekV4;
    } else if let Work::Overlap { first, second } = &mut operator.work {
        for part in first.iter_mut().chain(second) {
            dispatch_among(part, q);
        }
    }
}
