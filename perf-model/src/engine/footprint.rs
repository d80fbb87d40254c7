//! The memory of one worker.

use dgdr_units::{BYTES_PER_GIB, Bytes, Tokens, floor_count, real};

use super::Engine;
use super::query::{KvCapacity, KvCapacityQuery, Speculation};
use crate::error::PerfModelError;
use crate::mapping::ParallelMapping;
use crate::memory::{
    Footprint, FractionBasis, MemoryBreakdown, RuntimeOverhead, WorkerRole, dense_activation_factor,
};
use crate::model::{DenseShard, ModelSpec};
use crate::quant::Precision;
use crate::tables::PerfDatabase;

/// Sizes that do not change from question to question.
#[derive(Debug, Clone)]
pub(super) struct MemoryModel {
    weights: f64,
    activations_per_token: f64,
    kv_per_token: f64,
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
    pub(super) fn new(
        database: &PerfDatabase,
        model: &ModelSpec,
        precision: Precision,
        mapping: ParallelMapping,
    ) -> Result<Self, PerfModelError> {
        let widths = mapping.widths();
        let system = database.system();
        let overhead = RuntimeOverhead::of(database.backend());
        let factor = dense_activation_factor(database.backend(), widths.tp)
            .ok_or(PerfModelError::WidthNotCovered { tp: widths.tp })?;
        Ok(Self {
            weights: DenseShard::new(model, widths.tp).weight_bytes(precision.gemm) / f64::from(widths.pp),
            activations_per_token: 2.0 * f64::from(model.heads * model.head_dim) * factor,
            kv_per_token: model.kv_bytes_per_token(widths.tp, precision.kv),
            nccl: real(system.nccl_memory_of(widths.tp.min(8)).get()),
            others: real(system.other_memory.get()) * overhead.others,
            capacity: system.memory_capacity,
        })
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
            kv_cache: f64::from(q.batch) * f64::from(q.sequence) * self.memory.kv_per_token,
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
        let tokens = floor_count(budget / self.memory.kv_per_token);
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
