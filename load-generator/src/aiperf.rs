//! AIPerf's form of results, and its command line.
//!
//! Tools that read AIPerf's `profile_export_aiperf.json` (schema 1.4, of aiperf 0.13.0) read ours; and where AIPerf
//! itself is to measure, it is called as upstream's profiler calls it (`get_prefill_aiperf_cmd`,
//! `get_decode_aiperf_cmd` in dynamo 1.6.1) and its results become a [`Summary`].

use std::collections::BTreeMap;
use std::path::Path;

use dgdr_units::{floor_count, real};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::arrivals::Arrivals;
use crate::endpoint::{Api, Target};
use crate::lengths::Lengths;
use crate::run::Run;
use crate::sample::Sample;
use crate::statistics::{Distribution, mean, percentile};
use crate::summary::Summary;

/// The file of results, in the folder of a run.
pub const EXPORT_FILE: &str = "profile_export_aiperf.json";
/// Version of its form.
const SCHEMA_VERSION: &str = "1.4";
/// Percentiles that it tells.
const PERCENTILES: [u8; 9] = [1, 5, 10, 25, 50, 75, 90, 95, 99];

/// A run in AIPerf's form.
pub fn export(run: &Run, summary: &Summary, target: &Target) -> Value {
    let mut export = Map::new();
    export.insert("schema_version".to_owned(), json!(SCHEMA_VERSION));
    let answered: Vec<&Sample> = run
        .samples
        .iter()
        .filter(|sample| sample.failure.is_none())
        .collect();
    let mut metric = |name: &str, unit: &str, value: &dyn Fn(&Sample) -> Option<f64>| {
        let values: Vec<f64> = answered.iter().filter_map(|sample| value(sample)).collect();
        if let Some(figures) = figures(&values, unit) {
            export.insert(name.to_owned(), figures);
        }
    };
    metric("time_to_first_token", "ms", &Sample::ttft_ms);
    // AIPerf's inter-token latency is that of each request on average, which is our TPOT.
    metric("inter_token_latency", "ms", &Sample::tpot_ms);
    metric("time_to_second_token", "ms", &|sample| {
        let second = sample.chunks.get(1)?;
        Some(second.at_ms - sample.chunks.first()?.at_ms)
    });
    metric("request_latency", "ms", &Sample::e2e_ms);
    metric("output_sequence_length", "tokens", &|sample| {
        Some(f64::from(sample.output_tokens()))
    });
    metric("input_sequence_length", "tokens", &|sample| {
        Some(f64::from(sample.isl))
    });
    metric("usage_prompt_tokens", "tokens", &|sample| {
        Some(f64::from(sample.usage?.prompt_tokens))
    });
    metric("usage_prompt_cache_read_tokens", "tokens", &|sample| {
        Some(f64::from(sample.usage?.cached_tokens?))
    });
    metric("output_token_throughput_per_user", "tokens/sec/user", &|sample| {
        Some(1000.0 / sample.tpot_ms()?)
    });
    let count = |count: usize| real(u64::try_from(count).unwrap_or(u64::MAX));
    let tokens: u64 = answered
        .iter()
        .map(|sample| u64::from(sample.output_tokens()))
        .sum();
    for (name, unit, value) in [
        (
            "output_token_throughput",
            "tokens/sec",
            summary.output_tokens_per_s,
        ),
        ("request_throughput", "requests/sec", summary.requests_per_s),
        ("request_count", "requests", count(answered.len())),
        ("error_request_count", "requests", count(summary.errors)),
        ("benchmark_duration", "sec", summary.duration_s),
        ("total_osl", "tokens", real(tokens)),
    ] {
        export.insert(name.to_owned(), json!({"unit": unit, "avg": value}));
    }
    let errors = summary.failures.iter();
    let errors: Vec<Value> = errors
        .map(|(message, count)| json!({"error_details": {"message": message}, "count": count}))
        .collect();
    export.insert("error_summary".to_owned(), json!(errors));
    export.insert("was_cancelled".to_owned(), json!(false));
    export.insert("is_complete".to_owned(), json!(true));
    let input = json!({"endpoint": {"model_names": [target.model], "urls": [target.endpoint.to_string()], "streaming": true}});
    export.insert("input_config".to_owned(), input);
    Value::Object(export)
}

/// The figures of one metric; none of no values.
fn figures(values: &[f64], unit: &str) -> Option<Value> {
    let whole = Distribution::of(values, &[])?;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut figures = json!({
        "unit": unit, "avg": mean(values)?, "min": whole.min, "max": whole.max, "std": whole.std,
        "count": whole.count, "sum": values.iter().sum::<f64>(),
    });
    for percent in PERCENTILES {
        figures[format!("p{percent}")] = json!(percentile(&sorted, f64::from(percent)));
    }
    Some(figures)
}

/// What AIPerf is asked to do.
#[derive(Debug, Clone, Copy)]
pub struct Commission<'a> {
    /// Where and what.
    pub target: &'a Target,
    /// A tokenizer's folder or name.
    pub tokenizer: Option<&'a str>,
    /// Lengths of prompts and answers.
    pub lengths: (Lengths, Lengths),
    /// When requests are sent.
    pub arrivals: &'a Arrivals,
    /// Measured requests, and those of the warm-up.
    pub requests: (usize, usize),
    /// Seconds that an answer may take.
    pub timeout_s: u64,
    /// What prompts are drawn from.
    pub seed: u64,
    /// Where its files go.
    pub folder: &'a Path,
}

impl Commission<'_> {
    /// The arguments of `aiperf`, as upstream's profiler gives them; traces are not passed on.
    pub fn arguments(&self) -> Vec<String> {
        let target = self.target;
        let (kind, path) = match target.api {
            Api::Chat => ("chat", "/v1/chat/completions"),
            Api::Completions => ("completions", "/v1/completions"),
        };
        let mut arguments = vec!["profile".to_owned(), "--streaming".to_owned()];
        let mut say = |name: &str, value: String| arguments.extend([format!("--{name}"), value]);
        say("model", target.model.clone());
        if let Some(tokenizer) = self.tokenizer {
            say("tokenizer", tokenizer.to_owned());
        }
        say("endpoint-type", kind.to_owned());
        say("endpoint", path.to_owned());
        say("url", target.endpoint.to_string());
        say("artifact-dir", self.folder.display().to_string());
        say("random-seed", self.seed.to_string());
        say("request-timeout-seconds", self.timeout_s.to_string());
        let rounded = |value: f64| floor_count(value.round()).to_string();
        let (isl, isl_deviation) = self.lengths.0.moments();
        let (osl, osl_deviation) = self.lengths.1.moments();
        say("synthetic-input-tokens-mean", rounded(isl));
        say("synthetic-input-tokens-stddev", rounded(isl_deviation));
        say("output-tokens-mean", rounded(osl));
        say("output-tokens-stddev", rounded(osl_deviation));
        say("extra-inputs", "ignore_eos:true".to_owned());
        if let Some(osl) = self.lengths.1.fixed() {
            say("extra-inputs", format!("max_tokens:{osl}"));
            say("extra-inputs", format!("min_tokens:{osl}"));
        }
        for (key, value) in &target.extra {
            say("extra-inputs", format!("{key}:{value}"));
        }
        match self.arrivals {
            Arrivals::Closed { concurrency } => say("concurrency", concurrency.to_string()),
            Arrivals::Constant { rate } => {
                say("request-rate", rate.get().to_string());
                say("request-rate-mode", "constant".to_owned());
            }
            Arrivals::Poisson { rate } => {
                say("request-rate", rate.get().to_string());
                say("request-rate-mode", "poisson".to_owned());
            }
            Arrivals::At(_) => {}
        }
        let (requests, warmup) = self.requests;
        say("num-dataset-entries", requests.to_string());
        say("request-count", requests.to_string());
        if warmup > 0 {
            say("warmup-request-count", warmup.to_string());
        }
        arguments
    }
}

#[derive(Deserialize)]
struct Metric {
    avg: Option<f64>,
    p50: Option<f64>,
    p90: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    std: Option<f64>,
    count: Option<f64>,
}

/// AIPerf's own results, from the text of [`EXPORT_FILE`], as far as they are told.
///
/// # Errors
/// What is wrong with the text.
pub fn import(text: &str) -> Result<Summary, String> {
    let export: BTreeMap<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let metric = |name: &str| -> Option<Metric> { serde_json::from_value(export.get(name)?.clone()).ok() };
    let distribution = |name: &str| metric(name).and_then(|metric| metric.distribution());
    let average = |name: &str| metric(name).and_then(|metric| metric.avg);
    let count = |name: &str| {
        let count = floor_count(average(name).unwrap_or(0.0));
        usize::try_from(count).unwrap_or(usize::MAX)
    };
    let ttft_ms = distribution("time_to_first_token");
    let errors = count("error_request_count");
    let itl = distribution("inter_token_latency");
    let reasons = if ttft_ms.is_none() {
        vec!["AIPerf measured no time to first token".to_owned()]
    } else if errors > 0 {
        vec![format!("{errors} requests of AIPerf failed")]
    } else {
        Vec::new()
    };
    Ok(Summary {
        ttft_ms,
        itl_ms: itl,
        tpot_ms: itl,
        e2e_ms: distribution("request_latency"),
        requests: count("request_count") + errors,
        errors,
        failures: BTreeMap::new(),
        output_tokens_per_s: average("output_token_throughput").unwrap_or(0.0),
        requests_per_s: average("request_throughput").unwrap_or(0.0),
        input_tokens: distribution("input_sequence_length"),
        output_tokens: distribution("output_sequence_length"),
        cached_share: None,
        counted_by: None,
        send_lag_ms: None,
        duration_s: average("benchmark_duration").unwrap_or(0.0),
        cpu_s: 0.0,
        valid: reasons.is_empty(),
        reasons,
    })
}

impl Metric {
    fn distribution(&self) -> Option<Distribution> {
        Some(Distribution {
            count: floor_count(self.count.unwrap_or(0.0)),
            mean: self.avg?,
            std: self.std?,
            min: self.min?,
            p50: self.p50?,
            p90: self.p90?,
            p95: self.p95?,
            p99: self.p99?,
            max: self.max?,
            ci95: None,
        })
    }
}

#[cfg(test)]
mod tests;
