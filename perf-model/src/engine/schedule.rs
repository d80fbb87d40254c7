//! How an aggregated worker spends its steps: closed forms over the durations of a mixed and a decode step.
//!
//! The forms restate aiconfigurator-core 0.12.0, per engine.

use dgdr_units::{floor_count, real};

use super::query::AggregatedQuery;
use crate::backend::Backend;

/// CPU time that vLLM spends on one layer of a prefill, milliseconds.
const VLLM_DISPATCH_MS_PER_LAYER: f64 = 0.8;

/// The steps that a full batch takes from first prompt to last token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Schedule {
    /// Steps that take in prompts.
    pub(super) mixed_count: f64,
    /// Steps that only decode.
    pub(super) decode_count: f64,
    /// Mixed steps that count towards the time per output token.
    pub(super) mixed_count_for_tpot: f64,
    /// Requests whose prompt one mixed step works on.
    pub(super) context_requests: u32,
    /// Requests that decode in one mixed step.
    pub(super) generation_requests: u32,
    /// Mixed steps that one prompt is spread over.
    chunks: f64,
    /// How often a prompt waits for the one before it.
    queueing: f64,
}

impl Schedule {
    /// `progress` is the number of tokens that a decode step yields per request.
    pub(super) fn new(backend: Backend, q: AggregatedQuery, progress: f64) -> Self {
        let iterations = 1.0 + f64::from(q.osl.saturating_sub(1)) / progress;
        let steps = real((u64::from(q.isl) * u64::from(q.batch)).div_ceil(u64::from(q.context_tokens)));
        let context_requests = q.context_tokens.div_ceil(q.isl);
        let chunks = f64::from(q.isl.div_ceil(q.context_tokens));
        let queueing = queueing_factor(backend, q.batch, steps);
        if q.batch == 1 {
            return Self {
                mixed_count: 1.0,
                decode_count: iterations - 1.0,
                mixed_count_for_tpot: 0.0,
                context_requests: 1,
                generation_requests: 0,
                chunks,
                queueing,
            };
        }
        let context_bound = steps >= iterations;
        let rest = q.batch.saturating_sub(context_requests).max(1);
        let generation_requests = match backend {
            Backend::Trtllm | Backend::Sglang if context_bound => {
                let share = whole_quotient(f64::from(q.batch), steps / iterations);
                u32::try_from(share).unwrap_or(q.batch).max(1)
            }
            Backend::Trtllm | Backend::Sglang | Backend::Vllm => rest,
        };
        Self {
            mixed_count: steps,
            decode_count: if context_bound { 0.0 } else { iterations - steps },
            mixed_count_for_tpot: match backend {
                // The last prompts drain for about three steps before new requests enter.
                Backend::Trtllm | Backend::Sglang if !context_bound => (steps - 3.0).max(1.0),
                Backend::Trtllm | Backend::Sglang | Backend::Vllm => steps,
            },
            context_requests,
            generation_requests,
            chunks,
            queueing,
        }
    }

    /// Time to first token from the duration of a mixed step.
    pub(super) fn ttft(&self, backend: Backend, layers: u32, mixed_ms: f64) -> f64 {
        let dispatch = match backend {
            Backend::Vllm => VLLM_DISPATCH_MS_PER_LAYER * f64::from(layers),
            Backend::Trtllm | Backend::Sglang => 0.0,
        };
        (mixed_ms * self.chunks + dispatch) * self.queueing
    }

    /// Weights of the mixed and of the decode step in the time per output token.
    pub(super) fn tpot_weights(&self, progress: f64) -> (f64, f64) {
        let steps = self.mixed_count_for_tpot + self.decode_count;
        if steps > 0.0 {
            (
                self.mixed_count_for_tpot / steps / progress,
                self.decode_count / steps / progress,
            )
        } else {
            (0.0, 0.0)
        }
    }

    /// Output tokens per second of one attention copy and pipeline stage.
    pub(super) fn tokens_per_s(&self, q: AggregatedQuery, mixed_ms: f64, decode_ms: f64) -> f64 {
        let total = self.mixed_count * mixed_ms + self.decode_count * decode_ms;
        per_second(q, total)
    }
}

/// How often a positive divisor fits: a quotient that is rounded first would make 15 of 14.999….
fn whole_quotient(dividend: f64, divisor: f64) -> u64 {
    floor_count(((dividend - dividend % divisor) / divisor).round())
}

/// Output tokens per second when a batch takes `total_ms`.
fn per_second(q: AggregatedQuery, total_ms: f64) -> f64 {
    if total_ms > 0.0 {
        1000.0 / total_ms * f64::from(q.batch) * f64::from(q.osl.saturating_sub(1))
    } else {
        0.0
    }
}

/// vLLM's throughput cannot exceed what its latencies allow (Little's law); the other engines' is not capped.
pub(super) fn capped_tokens_per_s(
    backend: Backend,
    q: AggregatedQuery,
    uncapped: f64,
    latency_ms: f64,
) -> f64 {
    match backend {
        Backend::Vllm if latency_ms > 0.0 => uncapped.min(per_second(q, latency_ms)),
        Backend::Trtllm | Backend::Sglang | Backend::Vllm => uncapped,
    }
}

/// All requests of a batch arrive together, so a prompt waits for the ones before it.
fn queueing_factor(backend: Backend, batch: u32, steps: f64) -> f64 {
    match backend {
        Backend::Vllm if batch <= 1 => 1.0,
        Backend::Vllm => (1.0 + f64::from(batch).log2() / 8.0).min(2.0),
        Backend::Trtllm | Backend::Sglang => (2.0 + (steps - 3.0) / 20.0).min(4.0),
    }
}

#[cfg(test)]
mod tests;
