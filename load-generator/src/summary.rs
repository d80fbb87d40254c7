//! The figures of a run.

use std::collections::BTreeMap;

use dgdr_units::real;
use serde::Serialize;

use crate::run::Run;
use crate::sample::{CountedBy, Sample};
use crate::statistics::{Distribution, mean};
use crate::validity::{self, Limits};
use crate::workload::KvReuse;

/// The figures of a run: what `dgdr-profiler bench` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Time to the first token.
    pub ttft_ms: Option<Distribution>,
    /// Time between tokens, over all tokens; its interval is that of the mean over requests.
    pub itl_ms: Option<Distribution>,
    /// Time between tokens of each request, over requests.
    pub tpot_ms: Option<Distribution>,
    /// Time to the last token.
    pub e2e_ms: Option<Distribution>,
    /// Requests that were sent.
    pub requests: usize,
    /// Requests that failed.
    pub errors: usize,
    /// How often each failure happened.
    pub failures: BTreeMap<String, usize>,
    /// Tokens of answers a second, from the first request to the last answer.
    pub output_tokens_per_s: f64,
    /// Answers a second, likewise.
    pub requests_per_s: f64,
    /// Tokens of prompts, as the server counts them.
    pub input_tokens: Option<Distribution>,
    /// Tokens of answers.
    pub output_tokens: Option<Distribution>,
    /// Share of prompt tokens that were cached, where the server tells.
    pub cached_share: Option<f64>,
    /// How tokens were counted.
    pub counted_by: Option<CountedBy>,
    /// How late requests were sent.
    pub send_lag_ms: Option<Distribution>,
    /// Seconds from the first request to the last answer.
    pub duration_s: f64,
    /// Seconds of processor time of this client.
    pub cpu_s: f64,
    /// Whether the figures can be trusted.
    pub valid: bool,
    /// Why not.
    pub reasons: Vec<String>,
}

impl Summary {
    /// Makes the figures of a run.
    pub fn of(run: &Run, kv_reuse: KvReuse, limits: &Limits) -> Self {
        let mut answered: Vec<&Sample> = run
            .samples
            .iter()
            .filter(|sample| sample.failure.is_none())
            .collect();
        answered.sort_by(|a, b| a.sent_ms.total_cmp(&b.sent_ms));
        let each = |value: &dyn Fn(&Sample) -> Option<f64>| {
            let values: Vec<f64> = answered.iter().filter_map(|sample| value(sample)).collect();
            Distribution::of(&values, &values)
        };
        let duration_s = duration_s(&answered);
        let per_s = |count: f64| if duration_s > 0.0 { count / duration_s } else { 0.0 };
        let tokens: u64 = answered
            .iter()
            .map(|sample| u64::from(sample.output_tokens()))
            .sum();
        let reasons = validity::reasons(run, kv_reuse, limits);
        Self {
            ttft_ms: each(&Sample::ttft_ms),
            itl_ms: gaps(&answered),
            tpot_ms: each(&Sample::tpot_ms),
            e2e_ms: each(&Sample::e2e_ms),
            requests: run.samples.len(),
            errors: run.samples.len() - answered.len(),
            failures: validity::failure_counts(&run.samples),
            output_tokens_per_s: per_s(real(tokens)),
            requests_per_s: per_s(real(u64::try_from(answered.len()).unwrap_or(u64::MAX))),
            input_tokens: each(&|sample| sample.usage.map(|usage| f64::from(usage.prompt_tokens))),
            output_tokens: each(&|sample| Some(f64::from(sample.output_tokens()))),
            cached_share: cached_share(&answered),
            counted_by: answered.iter().map(|sample| sample.counted_by).max(),
            send_lag_ms: each(&|sample| Some(sample.send_lag_ms())),
            duration_s,
            cpu_s: run.cpu_s,
            valid: reasons.is_empty(),
            reasons: reasons.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Seconds from the first request to the last answer.
fn duration_s(answered: &[&Sample]) -> f64 {
    let first = answered
        .iter()
        .map(|sample| sample.start_ms())
        .fold(f64::INFINITY, f64::min);
    let last = answered.iter().map(|sample| sample.end_ms).fold(0.0, f64::max);
    if answered.is_empty() {
        0.0
    } else {
        (last - first) / 1000.0
    }
}

/// The gaps of all tokens; those of one answer depend on one another, so its mean is one unit of the interval.
fn gaps(answered: &[&Sample]) -> Option<Distribution> {
    let mut gaps = Vec::new();
    for (gap, tokens) in answered.iter().flat_map(|sample| sample.gaps()) {
        gaps.extend((0..tokens).map(|_| gap));
    }
    let units: Vec<f64> = answered.iter().filter_map(|sample| sample.tpot_ms()).collect();
    Distribution::of(&gaps, &units)
}

fn cached_share(answered: &[&Sample]) -> Option<f64> {
    let shares = answered.iter().filter_map(|sample| {
        let usage = sample.usage?;
        let cached = usage.cached_tokens?;
        (usage.prompt_tokens > 0).then(|| f64::from(cached) / f64::from(usage.prompt_tokens))
    });
    mean(&shares.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Chunk;

    fn sample(index: usize, start: f64, gaps: &[f64]) -> Sample {
        let mut at_ms = start + 50.0;
        let mut chunks = vec![Chunk { at_ms, tokens: 1 }];
        for gap in gaps {
            at_ms += gap;
            chunks.push(Chunk { at_ms, tokens: 1 });
        }
        Sample {
            index,
            isl: 10,
            osl: u32::try_from(chunks.len()).expect("few"),
            intended_ms: start,
            sent_ms: start,
            counts_from_intended: false,
            head_ms: None,
            chunks,
            end_ms: at_ms,
            usage: None,
            server_timing: None,
            counted_by: CountedBy::Tokenizer,
            reused_connection: false,
            failure: None,
        }
    }

    #[test]
    fn figures_are_those_of_the_answered_requests() {
        let mut failed = sample(2, 0.0, &[500.0]);
        failed.failure = Some(crate::sample::Failure::Empty);
        let run = Run {
            samples: vec![sample(0, 0.0, &[10.0, 20.0]), sample(1, 20.0, &[30.0]), failed],
            warmup: Vec::new(),
            concurrency: None,
            wall_s: 1.0,
            cpu_s: 0.1,
            threads: 1,
        };
        let summary = Summary::of(&run, KvReuse::Fresh, &Limits::default());
        let near = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-9, "{value} {expected}");
        let itl = summary.itl_ms.expect("gaps");
        near(itl.mean, 20.0);
        assert_eq!((itl.count, summary.errors, summary.valid), (3, 1, false));
        near(summary.tpot_ms.expect("tpot").mean, 22.5);
        near(summary.e2e_ms.expect("latency").max, 80.0);
        near(summary.duration_s, 0.1);
        near(summary.output_tokens_per_s, 50.0);
        near(summary.requests_per_s, 20.0);
    }

    #[test]
    fn a_run_without_answers_has_no_figures() {
        let run = Run {
            samples: Vec::new(),
            warmup: Vec::new(),
            concurrency: None,
            wall_s: 0.0,
            cpu_s: 0.0,
            threads: 1,
        };
        let summary = Summary::of(&run, KvReuse::Fresh, &Limits::default());
        assert_eq!((summary.ttft_ms, summary.valid), (None, false));
        assert!(summary.output_tokens_per_s.abs() < 1e-9);
    }
}
