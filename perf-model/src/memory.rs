//! What one GPU of a worker must hold, and whether it fits.
//!
//! Constants and rules restate aiconfigurator-core 0.12.0: activations are a per-engine multiple of the tokens of one
//! step, NCCL and the runtime take what the system description says, and the KV cache may grow to the share of memory
//! that the engine's own flag grants it.

use dgdr_units::{BYTES_PER_GIB, Bytes, Fraction, floor_count, real};
use serde::{Deserialize, Serialize};

use crate::backend::Backend;
use crate::mapping::ParallelMapping;
use crate::system::SystemSpec;

const MIB: f64 = 1_048_576.0;

/// What a worker does, as far as its memory rules depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerRole {
    /// Prefill or decode alone.
    Disaggregated,
    /// Prefill and decode in the same batch.
    Aggregated,
}

/// What a share of memory is a share of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FractionBasis {
    /// Of what weights, activations and runtime leave free (TensorRT-LLM's `free_gpu_memory_fraction`).
    Free,
    /// Of all memory, weights included (vLLM's `gpu_memory_utilization`, SGLang's `mem_fraction_static`).
    Total,
}

/// The share of memory that an engine may use, as its own flag states it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MemoryFraction {
    /// The share.
    pub value: Fraction,
    /// What it is a share of.
    pub basis: FractionBasis,
}

/// An engine whose default memory share is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemoryFractionQuery<'a> {
    /// GPU system.
    pub system: &'a SystemSpec,
    /// Engine.
    pub backend: Backend,
    /// Version of the engine, as the measured tables name it.
    pub version: &'a str,
    /// GPUs of the worker.
    pub mapping: ParallelMapping,
    /// What the worker does.
    pub role: WorkerRole,
}

impl MemoryFraction {
    /// What the engine uses when nobody sets its flag.
    ///
    /// TensorRT-LLM: 0.9 of free memory. vLLM: 0.92 of all memory, 0.90 up to 0.19. SGLang aggregated: 0.88; SGLang
    /// prefill and decode workers derive it from the memory and the mapping, see [`sglang_static_fraction`].
    pub fn default_of(query: MemoryFractionQuery<'_>) -> Self {
        let (share, basis) = match query.backend {
            Backend::Trtllm => (0.9, FractionBasis::Free),
            Backend::Vllm => (vllm_utilization(query.version), FractionBasis::Total),
            Backend::Sglang => (
                match query.role {
                    WorkerRole::Aggregated => 0.88,
                    WorkerRole::Disaggregated => {
                        sglang_static_fraction(query.system.memory_capacity, query.mapping)
                    }
                },
                FractionBasis::Total,
            ),
        };
        Self {
            value: Fraction::new(share.clamp(0.0, 1.0)).unwrap_or(Fraction::ZERO),
            basis,
        }
    }

    /// Bytes that the KV cache may take beside `other` bytes; negative when they alone exceed the share.
    fn budget(self, capacity: f64, other: f64, scale: f64) -> f64 {
        let share = self.value.get() * scale;
        match self.basis {
            FractionBasis::Free => (capacity - other) * share,
            FractionBasis::Total => capacity * share - other,
        }
    }
}

fn vllm_utilization(version: &str) -> f64 {
    if version.starts_with("0.14") || version.starts_with("0.19") {
        0.90
    } else {
        0.92
    }
}

/// SGLang's `mem_fraction_static` as its start-up code derives it: memory minus 512 MiB, 1.5 MiB per token of a prefill
/// chunk, 128 MiB per GPU of the mapping and 2 MiB per sequence of the largest decode graph (more with attention data
/// parallelism), at least 10 GiB on large GPUs; rounded to three decimals.
pub fn sglang_static_fraction(capacity: Bytes, mapping: ParallelMapping) -> f64 {
    let widths = mapping.widths();
    let capacity = real(capacity.get()) / MIB;
    let gib = capacity / 1024.0;
    let wide = widths.tp >= 4;
    let pick = |narrow: f64, broad: f64| if wide { broad } else { narrow };
    let (chunk, graph) = match gib {
        gib if gib < 20.0 => (2048.0, 8.0),
        gib if gib < 35.0 => (2048.0, pick(24.0, 80.0)),
        gib if gib < 60.0 => (4096.0, pick(32.0, 160.0)),
        gib if gib < 160.0 => (8192.0, pick(256.0, 512.0)),
        _ => (16_384.0, 512.0),
    };
    let mut reserved = 512.0 + 1.5 * chunk + f64::from(widths.tp * widths.pp) * 128.0 + 2.0 * graph;
    if widths.attention_dp > 1 {
        let per_rank = if graph > 300.0 { 4.5 } else { 3.0 };
        reserved += per_rank * graph * f64::from(widths.attention_dp);
    }
    if gib > 60.0 {
        reserved = reserved.max(10_240.0);
    }
    ((capacity - reserved) / capacity * 1000.0).round() / 1000.0
}

/// Families that the reference gives one activation factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActivationClass {
    /// Llama and its like.
    Dense,
    /// Mixtures of experts.
    Experts,
    /// All others.
    Other,
}

/// Bytes of activations per token and unit of `heads · head_dim`, halved: the engine's factor for a class of models by
/// tensor-parallel width, 1, 2, 4 and 8 or more; nothing for another width.
pub(crate) fn activation_factor(backend: Backend, class: ActivationClass, tp: u32) -> Option<f64> {
    let by_width = match (backend, class) {
        (Backend::Trtllm | Backend::Vllm, ActivationClass::Dense) => [11.0, 6.5, 5.0, 5.0],
        (Backend::Trtllm | Backend::Vllm, ActivationClass::Experts) => [22.0, 13.0, 10.0, 10.0],
        (Backend::Trtllm | Backend::Vllm, ActivationClass::Other) => [10.0, 6.0, 5.0, 5.0],
        (Backend::Sglang, ActivationClass::Dense) => [14.0, 8.5, 6.5, 6.5],
        (Backend::Sglang, ActivationClass::Experts) => [28.0, 17.0, 13.0, 13.0],
        (Backend::Sglang, ActivationClass::Other) => [13.0, 8.0, 6.5, 6.5],
    };
    match tp.min(8) {
        1 => Some(by_width[0]),
        2 => Some(by_width[1]),
        4 => Some(by_width[2]),
        8 => Some(by_width[3]),
        _ => None,
    }
}

/// Additions that an engine's runtime makes.
pub(crate) struct RuntimeOverhead {
    /// Least bytes of activations.
    pub(crate) least_activations: f64,
    /// Factor on activations.
    pub(crate) activations: f64,
    /// Factor on the memory of runtime and driver.
    pub(crate) others: f64,
    /// Share of the KV budget that survives allocator overhead and tolerance.
    pub(crate) kv_scale: f64,
}

impl RuntimeOverhead {
    pub(crate) const fn of(backend: Backend) -> Self {
        match backend {
            Backend::Trtllm => Self {
                least_activations: 70.0 * MIB,
                activations: 1.0,
                others: 1.0,
                kv_scale: (1.0 - 0.015) * (1.0 - 0.02),
            },
            Backend::Vllm => Self {
                least_activations: 70.0 * MIB,
                activations: 1.0,
                others: 1.0,
                kv_scale: 1.0 - 0.02,
            },
            Backend::Sglang => Self {
                least_activations: 90.0 * MIB,
                activations: 1.15,
                others: 1.2,
                kv_scale: 1.0 - 0.02,
            },
        }
    }
}

/// Bytes that one GPU of a worker holds at its fullest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MemoryBreakdown {
    /// Weights.
    pub weights: Bytes,
    /// Activations of one step.
    pub activations: Bytes,
    /// KV cache of all sequences in flight.
    pub kv_cache: Bytes,
    /// Communication buffers.
    pub nccl: Bytes,
    /// Runtime and driver.
    pub others: Bytes,
    /// Memory of the GPU.
    pub capacity: Bytes,
    /// What the KV cache may take: the engine's share, less allocator overhead and tolerance.
    pub kv_budget: Bytes,
    /// The engine's share that the budget rests on: the value of the engine's own flag.
    pub fraction: MemoryFraction,
}

/// Whether a worker fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryFit {
    /// It fits.
    Fits,
    /// More than the GPU has.
    OutOfMemory {
        /// Bytes needed.
        needed: Bytes,
        /// Bytes that the GPU has.
        available: Bytes,
    },
    /// The GPU would hold it, but the engine grants the KV cache less.
    KvOutOfMemory {
        /// Bytes that the KV cache needs.
        needed: Bytes,
        /// Bytes that the engine grants it.
        budget: Bytes,
    },
}

/// The parts of a footprint, in bytes, before they are rounded.
pub(crate) struct Footprint {
    pub(crate) weights: f64,
    pub(crate) activations: f64,
    pub(crate) kv_cache: f64,
    pub(crate) nccl: f64,
    pub(crate) others: f64,
}

impl Footprint {
    pub(crate) fn without_kv(&self) -> f64 {
        self.weights + self.activations + self.nccl + self.others
    }
}

impl MemoryBreakdown {
    pub(crate) fn new(
        footprint: &Footprint,
        capacity: Bytes,
        fraction: MemoryFraction,
        kv_scale: f64,
    ) -> Self {
        let budget = fraction.budget(real(capacity.get()), footprint.without_kv(), kv_scale);
        let bytes = |value: f64| Bytes::new(floor_count(value));
        Self {
            weights: bytes(footprint.weights),
            activations: bytes(footprint.activations),
            kv_cache: bytes(footprint.kv_cache),
            nccl: bytes(footprint.nccl),
            others: bytes(footprint.others),
            capacity,
            kv_budget: bytes(budget),
            fraction,
        }
    }

    /// All parts together.
    pub fn total(&self) -> Bytes {
        self.without_kv() + self.kv_cache
    }

    /// All parts but the KV cache.
    pub fn without_kv(&self) -> Bytes {
        self.weights + self.activations + self.nccl + self.others
    }

    /// All parts together, in GiB.
    pub fn gib(&self) -> f64 {
        real(self.total().get()) / BYTES_PER_GIB
    }

    /// Whether it fits: the total must stay below the GPU's memory, the KV cache within its budget.
    pub fn fit(&self) -> MemoryFit {
        if self.total() >= self.capacity {
            MemoryFit::OutOfMemory {
                needed: self.total(),
                available: self.capacity,
            }
        } else if self.kv_cache > self.kv_budget {
            MemoryFit::KvOutOfMemory {
                needed: self.kv_cache,
                budget: self.kv_budget,
            }
        } else {
            MemoryFit::Fits
        }
    }
}

#[cfg(test)]
mod tests;
