//! The memory of one worker.

use dgdr_units::{BYTES_PER_GIB, Bytes, Milliseconds, Tokens, real};

use super::Engine;
use super::plan::StepLatency;
use super::query::{KvCapacity, KvCapacityQuery, Speculation};
use super::stages::estimate;
use crate::backend::Backend;
use crate::error::PerfModelError;
use crate::graph::{GraphQuery, KvCache, OperatorGraph};
use crate::memory::{
    ActivationClass, Footprint, FractionBasis, MemoryBreakdown, RuntimeOverhead, WorkerRole,
    activation_factor,
};
use crate::model::ModelFamily;
use crate::operators;
use crate::provenance::Estimate;

/// Sizes that do not change from question to question.
#[derive(Debug, Clone)]
pub(super) struct MemoryModel {
    weights: f64,
    activations_per_token: f64,
    kv_cache: KvCache,
    nccl: f64,
    others: f64,
    capacity: Bytes,
}

/// What a worker holds at its fullest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryQuery {
    /// What the worker does.
    pub role: WorkerRole,
    /// Requests in flight, per attention copy.
    pub batch: u32,
    /// Tokens that each request's KV cache grows to.
    pub sequence: u32,
    /// Tokens of the largest step.
    pub step_tokens: u32,
}

/// Which tokens of a step carry drafts, and so widen its activations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Drafting {
    /// None.
    None,
    /// All.
    All,
    /// This many.
    Some(f64),
}

impl MemoryModel {
    pub(super) fn new(q: GraphQuery<'_>, graph: &OperatorGraph) -> Result<Self, PerfModelError> {
        let widths = q.mapping.widths();
        let overhead = RuntimeOverhead::of(q.backend);
        Ok(Self {
            weights: graph.weight_bytes() / f64::from(widths.pp),
            activations_per_token: activations_per_token(q)?,
            kv_cache: graph.kv_cache.clone(),
            nccl: real(q.system.nccl_memory_of(widths.tp.min(8)).get()),
            others: real(q.system.other_memory.get()) * overhead.others,
            capacity: q.system.memory_capacity,
        })
    }

    /// Bytes that are taken before anything is served.
    pub(super) fn resident(&self) -> f64 {
        self.weights + self.nccl + self.others
    }

    fn activations(
        &self,
        overhead: &RuntimeOverhead,
        step_tokens: f64,
        drafting: (Drafting, Speculation),
    ) -> f64 {
        let plain = (self.activations_per_token * step_tokens).max(overhead.least_activations);
        let width = f64::from(drafting.1.width());
        let widened = match drafting.0 {
            Drafting::All => plain * width,
            Drafting::Some(drafted) if step_tokens > 0.0 => {
                let drafted = drafted.clamp(0.0, step_tokens);
                plain * (step_tokens - drafted + drafted * width) / step_tokens
            }
            Drafting::None | Drafting::Some(_) => plain,
        };
        widened * overhead.activations
    }
}

impl GraphQuery<'_> {
    /// Bytes of the activations of a step of `tokens` tokens, none of them a draft.
    ///
    /// # Errors
    /// [`PerfModelError::WidthNotCovered`] for a tensor-parallel width without a factor.
    pub fn activation_bytes(self, tokens: u32) -> Result<f64, PerfModelError> {
        let overhead = RuntimeOverhead::of(self.backend);
        let plain = activations_per_token(self)? * f64::from(tokens);
        Ok(plain.max(overhead.least_activations) * overhead.activations)
    }
}

/// Bytes that one token of a step takes: a factor on the width of attention and, where experts' inputs are scaled by
/// block, the scales (one of 4 bytes a block of 128 elements) of the tokens of every expert.
fn activations_per_token(q: GraphQuery<'_>) -> Result<f64, PerfModelError> {
    let widths = q.mapping.widths();
    let model = q.model;
    let factor = activation_factor(q.backend, activation_class(q.backend, model.family), widths.tp)
        .ok_or(PerfModelError::WidthNotCovered { tp: widths.tp })?;
    let width = f64::from(model.heads * model.head_dim);
    let scales = match model.experts {
        Some(experts) if scales_by_block(model.family) => {
            let width = match (q.backend, model.family) {
                (Backend::Sglang, _) | (_, ModelFamily::Gemma4 | ModelFamily::SharedHybridMixture) => {
                    f64::from(model.hidden)
                }
                (Backend::Trtllm | Backend::Vllm, _) => width,
            };
            width * f64::from(widths.attention_dp) * f64::from(experts.count) * f64::from(experts.per_token)
                / f64::from(widths.moe_ep)
                / 128.0
                * 4.0
        }
        _ => 0.0,
    };
    Ok(2.0 * width * factor + scales)
}

const fn activation_class(backend: Backend, family: ModelFamily) -> ActivationClass {
    match family {
        // Only SGLang's table of factors knows it.
        ModelFamily::KimiK3 if matches!(backend, Backend::Sglang) => ActivationClass::Experts,
        ModelFamily::Dense => ActivationClass::Dense,
        ModelFamily::MixtureOfExperts
        | ModelFamily::DeepSeek
        | ModelFamily::DeepSeekSparse
        | ModelFamily::DeepSeekV4
        | ModelFamily::Gemma4
        | ModelFamily::SharedHybridMixture => ActivationClass::Experts,
        ModelFamily::KimiK3
        | ModelFamily::NemotronNas
        | ModelFamily::NemotronH
        | ModelFamily::HybridMixture
        | ModelFamily::GatedLinear
        | ModelFamily::Vision
        | ModelFamily::MinimaxM3 => ActivationClass::Other,
    }
}

const fn scales_by_block(family: ModelFamily) -> bool {
    matches!(
        family,
        ModelFamily::DeepSeek
            | ModelFamily::DeepSeekSparse
            | ModelFamily::DeepSeekV4
            | ModelFamily::Gemma4
            | ModelFamily::SharedHybridMixture
    )
}

impl Engine {
    /// The same worker on GPUs with another amount of memory than the system description has.
    #[must_use]
    pub fn with_memory_capacity(mut self, capacity: Bytes) -> Self {
        self.memory.capacity = capacity;
        self
    }

    /// What one GPU holds. Drafts are taken to be counted in `step_tokens`.
    pub fn memory(&self, q: MemoryQuery) -> MemoryBreakdown {
        self.memory_with(q, Drafting::None)
    }

    pub(super) fn memory_with(&self, q: MemoryQuery, drafting: Drafting) -> MemoryBreakdown {
        let overhead = RuntimeOverhead::of(self.backend);
        let footprint = Footprint {
            weights: self.memory.weights,
            activations: self.memory.activations(
                &overhead,
                f64::from(q.step_tokens),
                (drafting, self.speculation),
            ),
            kv_cache: f64::from(q.batch) * self.memory.kv_cache.sequence_bytes(u64::from(q.sequence)),
            nccl: self.memory.nccl,
            others: self.memory.others,
        };
        MemoryBreakdown::new(
            &footprint,
            self.memory.capacity,
            self.memory_fraction(q.role),
            overhead.kv_scale,
        )
    }

    /// The time that the keys and values of a prompt of `isl` tokens take from a prefill worker of this kind to a decode
    /// worker: each GPU sends what it holds over its own link, at the same time. The reference predictor leaves this out.
    ///
    /// # Errors
    /// [`PerfModelError::Number`] for a prompt longer than numbers reach.
    pub fn kv_transfer(&self, isl: u32) -> Result<Estimate<Milliseconds>, PerfModelError> {
        let bytes = self.memory.kv_cache.sequence_bytes(u64::from(isl));
        let mut transfer = StepLatency::default();
        transfer.add(operators::kv_transfer(self.system, bytes));
        estimate(&transfer)
    }

    /// Tokens whose keys and values fit beside weights and activations, within the
    /// engine's own share of memory and without tolerance.
    ///
    /// # Errors
    /// [`PerfModelError::NoKvRoom`] when nothing fits.
    pub fn kv_capacity(&self, q: KvCapacityQuery) -> Result<KvCapacity, PerfModelError> {
        let memory = self.memory(MemoryQuery {
            role: q.role,
            batch: 0,
            sequence: 0,
            step_tokens: q.max_num_tokens,
        });
        let capacity = real(memory.capacity.get());
        let taken = real(memory.without_kv().get());
        let share = memory.fraction.value.get();
        let (granted, budget) = match memory.fraction.basis {
            FractionBasis::Free => (capacity, (capacity - taken) * share),
            FractionBasis::Total => (capacity * share, capacity * share - taken),
        };
        let tokens = self.memory.kv_cache.longest_within(budget);
        if tokens == 0 {
            return Err(PerfModelError::NoKvRoom {
                mapping: self.mapping,
                needed_gib: taken / BYTES_PER_GIB,
                granted_gib: granted / BYTES_PER_GIB,
            });
        }
        Ok(KvCapacity {
            tokens: Tokens::new(tokens),
            memory,
        })
    }
}
