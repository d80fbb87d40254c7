//! Which batches and context tokens a walk visits.

use dgdr_units::floor_count;

use crate::Workload;

/// Whether a decode climb goes on once the ITL target is missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PastItl {
    /// Go on: points are cheap, and the Pareto front and the nearest miss want them.
    Continue,
    /// Stop: points are expensive, and ITL only grows with the batch.
    Stop,
}

/// How densely a walk measures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkPolicy {
    /// Requests in flight of an aggregated worker, ascending.
    pub aggregated_batches: Vec<u32>,
    /// Prompt tokens of a mixed step, ascending.
    pub context_tokens: Vec<u32>,
    /// Prompts processed together by a prefill worker, ascending.
    pub prefill_batches: Vec<u32>,
    /// Requests in flight of a decode worker, ascending.
    pub decode_batches: Vec<u32>,
    /// When a decode climb ends.
    pub past_itl: PastItl,
}

impl WalkPolicy {
    /// The schedules of aiconfigurator 0.12.0, for probes that answer in microseconds.
    pub fn exhaustive(workload: Workload) -> Self {
        Self {
            aggregated_batches: strides(&[
                (1, 15, 1),
                (16, 28, 4),
                (32, 56, 8),
                (64, 240, 16),
                (256, 512, 32),
            ])
            .into_iter()
            .filter(|batch| *batch <= 480 || *batch == 512)
            .collect(),
            context_tokens: context_tokens(workload.isl()),
            prefill_batches: vec![1],
            decode_batches: strides(&[
                (1, 15, 1),
                (16, 30, 2),
                (32, 124, 4),
                (128, 504, 8),
                (512, 512, 1),
            ]),
            past_itl: PastItl::Continue,
        }
    }

    /// Doublings only, for probes that start an engine and generate load: a climb of at most ten points a worker.
    pub fn sparse(workload: Workload) -> Self {
        let doublings: Vec<u32> = (0..10).map(|power| 1_u32 << power).collect();
        Self {
            aggregated_batches: doublings.clone(),
            context_tokens: context_tokens(workload.isl()).into_iter().take(1).collect(),
            prefill_batches: vec![1],
            decode_batches: doublings,
            past_itl: PastItl::Stop,
        }
    }
}

/// Arithmetic runs of (first, last, step), one after the other.
fn strides(runs: &[(u32, u32, usize)]) -> Vec<u32> {
    runs.iter()
        .flat_map(|&(first, last, step)| (first..=last).step_by(step))
        .collect()
}

/// Upstream's context tokens without chunked prefill: multiples of the prompt up to twice the prompt or 8192.
fn context_tokens(isl: u32) -> Vec<u32> {
    const FINE_LIMIT: u32 = 8192;
    const STRIDE: u32 = 512;
    let max = FINE_LIMIT.max(isl.saturating_mul(2));
    let fine = STRIDE.max(isl);
    let coarse = (max / 8).max(1024).div_ceil(isl).saturating_mul(isl);
    let mut list = vec![isl, isl.saturating_mul(2)];
    let mut tokens = 0_u32;
    while tokens <= max {
        let step = if tokens < FINE_LIMIT { fine } else { coarse };
        tokens = tokens.saturating_add(step);
        if tokens <= max {
            list.push(tokens);
        }
    }
    list.sort_unstable();
    list.dedup();
    list
}

/// Decode requests that share a mixed step when the worker is bound by prefill, else none.
///
/// Upstream evaluates each such share once a mapping: larger batches would only wait.
pub(super) fn decodes_per_step(workload: Workload, batch: u32, context_tokens: u32) -> Option<u64> {
    let balance =
        f64::from(workload.isl()) * f64::from(batch) / f64::from(context_tokens) / f64::from(workload.osl());
    (balance > 1.0).then(|| floor_count(floor_quotient(f64::from(batch), balance)))
}

/// Floor division of positive reals by way of the exact remainder, as Python's `//`, so that exact quotients which
/// plain division would round down to the integer below (or up to it) agree with upstream.
fn floor_quotient(dividend: f64, divisor: f64) -> f64 {
    let quotient = (dividend - dividend % divisor) / divisor;
    let floor = quotient.floor();
    if quotient - floor > 0.5 {
        floor + 1.0
    } else {
        floor
    }
}

#[cfg(test)]
mod tests {
    use super::{WalkPolicy, decodes_per_step, floor_quotient};
    use crate::Workload;

    #[test]
    fn schedules_are_those_of_upstream() {
        let policy = WalkPolicy::exhaustive(Workload::new(4000, 1000).unwrap());
        assert_eq!(policy.context_tokens, [4000, 8000]);
        assert_eq!(policy.prefill_batches, [1]);
        assert_eq!(
            policy.aggregated_batches,
            [
                1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80,
                96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256, 288, 320, 352, 384, 416, 448, 480, 512
            ]
        );
        assert_eq!(policy.decode_batches.len(), 15 + 8 + 24 + 48 + 1);
        assert!(policy.decode_batches.is_sorted());
    }

    #[test]
    fn short_prompts_fill_a_step_in_strides() {
        let policy = WalkPolicy::exhaustive(Workload::new(100, 10).unwrap());
        assert_eq!(policy.context_tokens.first(), Some(&100));
        assert_eq!(policy.context_tokens[1], 200);
        assert_eq!(policy.context_tokens[2], 512);
        assert_eq!(policy.context_tokens.last(), Some(&8192));
    }

    #[test]
    fn floor_division_agrees_with_python() {
        // Printed by Python: 1.0 // 0.1, 7.5 // 2.5, 512 // 1.024.
        for (dividend, divisor, floor) in [(1.0, 0.1, 9.0), (7.5, 2.5, 3.0), (512.0, 1.024, 499.0)] {
            assert!((floor_quotient(dividend, divisor) - floor).abs() < 1e-9);
        }
    }

    #[test]
    fn only_prefill_bound_points_share_a_decode_count() {
        let workload = Workload::new(4000, 500).unwrap();
        assert_eq!(decodes_per_step(workload, 480, 4000), None);
        assert_eq!(decodes_per_step(workload, 512, 4000), Some(499));
    }
}
