//! Whether figures can be trusted, and why not.

use std::collections::BTreeMap;

use dgdr_units::real;

use crate::run::Run;
use crate::sample::{CountedBy, Failure, Sample};
use crate::statistics::{mean, percentile, trend};
use crate::workload::KvReuse;

/// Beyond what figures are not trusted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Requests that may fail, as a share.
    pub failures: f64,
    /// Answers that may be of another length than asked, as a share.
    pub other_lengths: f64,
    /// Prompt tokens that may come from a cache which was meant to be cold, as a share.
    pub cached: f64,
    /// How late a request may be sent (99th percentile), ms …
    pub send_lag_ms: f64,
    /// … or as a share of the median time that the request takes, if that is longer.
    pub send_lag_share: f64,
    /// Processor time that the client may take, as a share of its threads.
    pub cpu: f64,
    /// Change of TTFT or TPOT from beginning to end, as a share of the median, when it is no accident.
    pub drift: f64,
    /// From which statistic on a trend is no accident (2.58: one steady run in a hundred).
    pub drift_z: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            failures: 0.01,
            other_lengths: 0.01,
            cached: 0.05,
            send_lag_ms: 2.0,
            send_lag_share: 0.02,
            cpu: 0.8,
            drift: 0.2,
            drift_z: 2.58,
        }
    }
}

/// Why figures are not to be trusted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing was answered.
    #[error("no request was answered")]
    Nothing,
    /// Too many failures.
    #[error("{failed} of {requests} requests failed, most often: {most_often}")]
    Failures {
        /// How many.
        failed: usize,
        /// Of how many.
        requests: usize,
        /// The most frequent failure.
        most_often: String,
    },
    /// The warm-up did not warm up.
    #[error("{failed} of {requests} warm-up requests failed, most often: {most_often}")]
    Warmup {
        /// How many.
        failed: usize,
        /// Of how many.
        requests: usize,
        /// The most frequent failure.
        most_often: String,
    },
    /// Answers are not as long as asked.
    #[error(
        "{other} of {requests} answers are not as long as asked ({mean_osl:.1} tokens instead of {asked:.1} on average): does the server take ignore_eos and min_tokens, and does the context length suffice?"
    )]
    OutputLength {
        /// How many.
        other: usize,
        /// Of how many.
        requests: usize,
        /// Mean length.
        mean_osl: f64,
        /// Mean length that was asked.
        asked: f64,
    },
    /// Prompts are not as long as asked.
    #[error(
        "prompts are {low} to {high} tokens longer than asked: their length is not what was meant, give the model's own --tokenizer"
    )]
    InputLength {
        /// Least difference.
        low: i64,
        /// Largest difference.
        high: i64,
    },
    /// Prompts were found in a cache.
    #[error("{:.0} % of all prompt tokens were cached already: switch prefix caching off, or measure with warmed prompts", share * 100.0)]
    Cached {
        /// Share of prompt tokens.
        share: f64,
    },
    /// Nobody counted tokens.
    #[error("the server tells no usage and no --tokenizer was given: chunks were counted as tokens")]
    Uncounted,
    /// The client could not keep up with its plan.
    #[error(
        "requests were sent up to {p99_ms:.1} ms late (99th percentile): this client cannot send the load, use more cores"
    )]
    SendLag {
        /// 99th percentile.
        p99_ms: f64,
    },
    /// The client was short of processor time.
    #[error("this client used {:.0} % of its processor time: what it measures is itself, use more cores", share * 100.0)]
    Cpu {
        /// Share of its threads' time.
        share: f64,
    },
    /// Not steady.
    #[error("{what} changed by {:+.0} % during the run: it was not steady, warm up or run longer, or send less", change * 100.0)]
    Drift {
        /// What.
        what: &'static str,
        /// Change as a share of the median.
        change: f64,
    },
}

/// Requests of a closed loop for each place, from which on it can be steady: the first ones all start at once.
const ROUNDS_TO_BE_STEADY: usize = 4;
/// Requests of an open loop from which on it can be steady.
const REQUESTS_TO_BE_STEADY: usize = 50;
/// What a chat template may add to a prompt, tokens.
const MOST_TEMPLATE_TOKENS: i64 = 512;

/// All reasons not to trust a run.
pub fn reasons(run: &Run, kv_reuse: KvReuse, limits: &Limits) -> Vec<Reason> {
    let answered: Vec<&Sample> = run
        .samples
        .iter()
        .filter(|sample| sample.failure.is_none())
        .collect();
    let mut reasons = Vec::new();
    if let Some((failed, requests, most_often)) = failures(&run.warmup, limits.failures) {
        reasons.push(Reason::Warmup {
            failed,
            requests,
            most_often,
        });
    }
    if let Some((failed, requests, most_often)) = failures(&run.samples, limits.failures) {
        reasons.push(Reason::Failures {
            failed,
            requests,
            most_often,
        });
    }
    if answered.is_empty() {
        reasons.push(Reason::Nothing);
        return reasons;
    }
    reasons.extend(output_length(&answered, limits));
    reasons.extend(input_length(&answered));
    if kv_reuse == KvReuse::Fresh {
        reasons.extend(cached(&answered, limits));
    }
    if answered
        .iter()
        .any(|sample| sample.counted_by == CountedBy::Chunks)
    {
        reasons.push(Reason::Uncounted);
    }
    reasons.extend(client(run, &answered, limits));
    if is_long_enough(run) {
        reasons.extend(drift("TTFT", &answered, Sample::ttft_ms, limits));
        reasons.extend(drift("TPOT", &answered, Sample::tpot_ms, limits));
    }
    reasons
}

/// How often each failure happened.
pub fn failure_counts(samples: &[Sample]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for failure in samples.iter().filter_map(|sample| sample.failure.as_ref()) {
        *counts.entry(Failure::to_string(failure)).or_insert(0) += 1;
    }
    counts
}

fn failures(samples: &[Sample], limit: f64) -> Option<(usize, usize, String)> {
    let counts = failure_counts(samples);
    let failed: usize = counts.values().sum();
    if share(failed, samples.len()) <= limit {
        return None;
    }
    let most_often = counts.into_iter().max_by_key(|(_, count)| *count)?.0;
    Some((failed, samples.len(), most_often))
}

fn output_length(answered: &[&Sample], limits: &Limits) -> Option<Reason> {
    let other = answered
        .iter()
        .filter(|sample| sample.output_tokens() != sample.osl)
        .count();
    let mean_of = |length: fn(&Sample) -> u32| {
        mean(
            &answered
                .iter()
                .map(|sample| f64::from(length(sample)))
                .collect::<Vec<_>>(),
        )
        .unwrap_or(0.0)
    };
    (share(other, answered.len()) > limits.other_lengths).then(|| Reason::OutputLength {
        other,
        requests: answered.len(),
        mean_osl: mean_of(Sample::output_tokens),
        asked: mean_of(|sample| sample.osl),
    })
}

/// A chat template adds the same few tokens to every prompt; anything else is a prompt of another length.
fn input_length(answered: &[&Sample]) -> Option<Reason> {
    let differences = answered.iter().filter_map(|sample| {
        let told = sample.usage?.prompt_tokens;
        (told > 0).then(|| (i64::from(told) - i64::from(sample.isl), i64::from(sample.isl)))
    });
    let (mut low, mut high, mut longest) = (i64::MAX, i64::MIN, 0);
    for (difference, isl) in differences {
        low = low.min(difference);
        high = high.max(difference);
        longest = longest.max(isl);
    }
    // One or two tokens of a prompt can melt into those of the template.
    let slack = 2.max(longest / 100);
    let is_fine =
        low > high || (low >= -slack && high <= MOST_TEMPLATE_TOKENS + slack && high - low <= slack);
    (!is_fine).then_some(Reason::InputLength { low, high })
}

fn cached(answered: &[&Sample], limits: &Limits) -> Option<Reason> {
    let usages = || answered.iter().filter_map(|sample| sample.usage);
    let prompts: u64 = usages().map(|usage| u64::from(usage.prompt_tokens)).sum();
    let cached: u64 = usages()
        .filter_map(|usage| usage.cached_tokens)
        .map(u64::from)
        .sum();
    let share = if prompts > 0 {
        real(cached) / real(prompts)
    } else {
        0.0
    };
    (share > limits.cached).then_some(Reason::Cached { share })
}

fn client(run: &Run, answered: &[&Sample], limits: &Limits) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let sorted = |value: &dyn Fn(&Sample) -> f64| {
        let mut values: Vec<f64> = answered.iter().map(|sample| value(sample)).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let p99_ms = percentile(&sorted(&Sample::send_lag_ms), 99.0);
    let median_ms = percentile(&sorted(&|sample| sample.e2e_ms().unwrap_or(0.0)), 50.0);
    if p99_ms > limits.send_lag_ms.max(limits.send_lag_share * median_ms) {
        reasons.push(Reason::SendLag { p99_ms });
    }
    let threads = real(u64::try_from(run.threads.max(1)).unwrap_or(u64::MAX));
    let share = run.cpu_s / (run.wall_s.max(f64::MIN_POSITIVE) * threads);
    // What a run takes to start and end fills the processor time of a very short one.
    if share > limits.cpu && run.wall_s > 0.5 {
        reasons.push(Reason::Cpu { share });
    }
    reasons
}

fn is_long_enough(run: &Run) -> bool {
    let fewest = match run.concurrency {
        Some(places) => {
            ROUNDS_TO_BE_STEADY.saturating_mul(usize::try_from(places.get()).unwrap_or(usize::MAX))
        }
        None => REQUESTS_TO_BE_STEADY,
    };
    run.samples.len() >= fewest.max(REQUESTS_TO_BE_STEADY / 2)
}

/// Whether a quantity moves; the first round of a closed loop, which starts all at once, is left out.
fn drift(
    what: &'static str,
    answered: &[&Sample],
    value: impl Fn(&Sample) -> Option<f64>,
    limits: &Limits,
) -> Option<Reason> {
    let mut in_time: Vec<(f64, f64)> = answered
        .iter()
        .filter_map(|sample| Some((sample.sent_ms, value(sample)?)))
        .collect();
    in_time.sort_by(|a, b| a.0.total_cmp(&b.0));
    let values: Vec<f64> = in_time.into_iter().map(|(_, value)| value).collect();
    let trend = trend(&values)?;
    let moves = trend.z.abs() > limits.drift_z && trend.change.abs() > limits.drift;
    moves.then_some(Reason::Drift {
        what,
        change: trend.change,
    })
}

fn share(part: usize, whole: usize) -> f64 {
    let real = |count: usize| real(u64::try_from(count).unwrap_or(u64::MAX));
    if whole == 0 { 0.0 } else { real(part) / real(whole) }
}

#[cfg(test)]
mod tests;
