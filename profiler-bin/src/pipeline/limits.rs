//! How large a step and a batch each engine is started for.
//!
//! The same numbers go into the KV capacity of the curves and into the flags of the deployment, so that an engine is
//! never ranked with memory that it will not have.

use dgdr_perf_model::WorkerRole;
use dgdr_sweep_planner::{Layout, Workload};

use crate::probe::EngineLimits;

/// Room beyond the prompt in the largest prefill step: chat templates and tool descriptions lengthen prompts
/// (upstream's generator uses the same margin).
const PROMPT_MARGIN: u32 = 1500;
/// Batches that an engine accepts beyond the picked one, so that a burst queues in the engine and not in front of it.
const BATCH_HEADROOM: u32 = 2;
/// Sequences that engines accept by default.
const DEFAULT_MAX_BATCH: u32 = 512;

/// Which half of inference an engine is looked at for; an aggregated engine plays both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// Prompts.
    Prefill,
    /// Tokens.
    Decode,
}

/// What an engine is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerLimits {
    /// Requests in flight.
    pub max_batch_size: u32,
    /// Tokens of the largest step.
    pub max_num_tokens: u32,
}

/// The limits of all engines of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    prefill: WorkerLimits,
    decode: WorkerLimits,
    role: WorkerRole,
}

impl Limits {
    /// The limits for a picked layout. An aggregated engine plays both roles.
    pub fn of_layout(layout: &Layout, workload: Workload) -> Self {
        match layout {
            Layout::Aggregated { batch_size, .. } => {
                let max_batch_size = max_batch(*batch_size);
                let limits = WorkerLimits {
                    max_batch_size,
                    max_num_tokens: max_batch_size + workload.isl() + PROMPT_MARGIN,
                };
                Self {
                    prefill: limits,
                    decode: limits,
                    role: WorkerRole::Aggregated,
                }
            }
            Layout::Disaggregated { prefill, decode } => {
                let decode_batch = max_batch(decode.batch_size);
                Self {
                    prefill: WorkerLimits {
                        max_batch_size: max_batch(prefill.batch_size),
                        max_num_tokens: prefill.batch_size * workload.isl() + PROMPT_MARGIN,
                    },
                    decode: WorkerLimits {
                        max_batch_size: decode_batch,
                        max_num_tokens: decode_batch,
                    },
                    role: WorkerRole::Disaggregated,
                }
            }
        }
    }

    /// What the engine of a half is started for, as far as its KV cache depends on it.
    pub const fn engine(&self, half: Half) -> EngineLimits {
        EngineLimits {
            max_num_tokens: self.of(half).max_num_tokens,
            role: self.role,
        }
    }

    /// The limits of the engine that plays a role.
    pub const fn of(&self, half: Half) -> WorkerLimits {
        match half {
            Half::Prefill => self.prefill,
            Half::Decode => self.decode,
        }
    }
}

const fn max_batch(batch_size: u32) -> u32 {
    let doubled = batch_size.saturating_mul(BATCH_HEADROOM);
    if doubled > DEFAULT_MAX_BATCH {
        doubled
    } else {
        DEFAULT_MAX_BATCH
    }
}
