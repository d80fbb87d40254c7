//! The planner's settings: what the user wishes, in the planner's own words, and what the pick decides.
//!
//! Source of the names: `PlannerConfig` of ai-dynamo 1.6.1, which ignores names that it does not know.

use std::collections::BTreeMap;

use dgdr_perf_model::Backend;
use dgdr_types::PlannerSettings;
use dgdr_units::{Gpus, Milliseconds};
use serde_json::Value;

use super::config_maps::PROFILE_DIRECTORY;
use super::plan::PlanLayout;

/// Every name that the planner knows.
const KNOWN: [&str; 63] = [
    "advisory",
    "aic_interpolation",
    "ais_perf_model",
    "backend",
    "control_api_port",
    "decode_engine_num_gpu",
    "decode_min_endpoint",
    "decode_scale_down_kv_rate",
    "decode_scale_up_kv_rate",
    "enable_load_scaling",
    "enable_power_awareness",
    "enable_throughput_scaling",
    "environment",
    "fpm_sample_bucket_size",
    "global_planner_namespace",
    "itl_ms",
    "kalman_min_points",
    "kalman_q_level",
    "kalman_q_trend",
    "kalman_r",
    "live_dashboard_port",
    "load_adjustment_interval_seconds",
    "load_min_observations",
    "load_predictor",
    "load_predictor_log1p",
    "load_predictor_warmup_trace",
    "load_scaling_down_sensitivity",
    "log_dir",
    "max_gpu_budget",
    "max_num_fpm_samples",
    "max_throughput_scaling_replicas",
    "metric_pulling_prometheus_ca_bundle",
    "metric_pulling_prometheus_endpoint",
    "metric_pulling_prometheus_extra_query_params",
    "metric_pulling_prometheus_request_timeout_seconds",
    "metric_pulling_prometheus_ssl_verify",
    "metric_pulling_prometheus_token",
    "metric_pulling_prometheus_token_file",
    "metric_reporting_prometheus_port",
    "min_endpoint",
    "min_gpu_budget",
    "mode",
    "model_name",
    "namespace",
    "optimization_target",
    "plugin_registration",
    "pre_deployment_sweeping_mode",
    "prefill_engine_num_gpu",
    "prefill_min_endpoint",
    "prefill_scale_down_queue_tokens",
    "prefill_scale_up_queue_tokens",
    "profile_results_dir",
    "prophet_window_size",
    "report_filename",
    "report_interval_hours",
    "report_output_dir",
    "report_write_gzip_log",
    "scheduling",
    "speculative_nextn",
    "throughput_adjustment_interval_seconds",
    "throughput_metrics_source",
    "total_gpu_power_limit",
    "ttft_ms",
];

/// Older and shorter names, after a `planner_` prefix is taken off.
const RENAMED: [(&str, &str); 5] = [
    ("adjustment_interval", "throughput_adjustment_interval_seconds"),
    ("itl", "itl_ms"),
    ("load_adjustment_interval", "load_adjustment_interval_seconds"),
    (
        "throughput_adjustment_interval",
        "throughput_adjustment_interval_seconds",
    ),
    ("ttft", "ttft_ms"),
];

/// A setting that the planner stops at.
const REFUSED: &str = "aic_perf_model";

/// What settings are made from.
#[derive(Debug, Clone, Copy)]
pub struct PlannerInput<'a> {
    /// `spec.features.planner`.
    pub wishes: &'a PlannerSettings,
    /// Name that clients call the model by.
    pub served_name: &'a str,
    /// Engine of the workers.
    pub backend: Backend,
    /// The workers.
    pub layout: &'a PlanLayout,
    /// GPUs that the deployment may grow to.
    pub budget: Gpus,
    /// Latency targets, where the user gave them.
    pub targets: Option<LatencyTargets>,
}

/// Latency targets of the request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyTargets {
    /// Time to first token.
    pub ttft: Milliseconds,
    /// Time between tokens.
    pub itl: Milliseconds,
}

/// Contents of `planner_config.json`, and what the user should know of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannerConfig {
    /// Settings by name.
    pub settings: BTreeMap<String, Value>,
    /// What the user should know of them.
    pub warnings: Vec<String>,
}

/// The settings of a deployment's planner.
///
/// Wishes win over the request's targets and GPUs, and the pick wins over wishes that contradict it. Without a wish the
/// planner may use all GPUs of the request: its own default is 8, whatever the cluster holds.
pub fn planner_settings(input: PlannerInput<'_>) -> PlannerConfig {
    let mut config = translate(input.wishes);
    set_mode(&mut config, input.layout);
    let settings = &mut config.settings;
    let mut default = |name: &str, value: Value| {
        settings.entry(name.to_owned()).or_insert(value);
    };
    default("backend", input.backend.to_string().into());
    default("model_name", input.served_name.into());
    default("max_gpu_budget", input.budget.get().into());
    if let Some(targets) = input.targets {
        default("ttft_ms", targets.ttft.get().into());
        default("itl_ms", targets.itl.get().into());
        if settings.get("optimization_target") != Some(&Value::from("sla")) {
            config.warnings.push(
                "spec.features.planner.optimization_target: the planner scales to the targets of spec.sla only where \
                 this is \"sla\""
                    .to_owned(),
            );
        }
    }
    let engines: &[_] = match input.layout {
        PlanLayout::Aggregated { worker } => &[("decode_engine_num_gpu", worker)],
        PlanLayout::Disaggregated { prefill, decode } => &[
            ("prefill_engine_num_gpu", prefill),
            ("decode_engine_num_gpu", decode),
        ],
    };
    for (name, worker) in engines {
        decide(&mut config, name, worker.mapping.gpus().get().into());
    }
    decide(&mut config, "profile_results_dir", PROFILE_DIRECTORY.into());
    config
}

/// The wishes in the planner's own words.
fn translate(wishes: &PlannerSettings) -> PlannerConfig {
    let mut settings = BTreeMap::new();
    let mut warnings = Vec::new();
    for (written, value) in &wishes.0 {
        let bare = written.strip_prefix("planner_").unwrap_or(written);
        let name = RENAMED
            .iter()
            .find(|(older, _)| *older == bare)
            .map_or(bare, |(_, newer)| newer);
        let path = format!("spec.features.planner.{written}");
        if name == REFUSED {
            warnings.push(format!(
                "{path}: the planner refuses to start with it, so it is left out: use ais_perf_model"
            ));
            continue;
        }
        if name != written {
            if wishes.0.contains_key(name) {
                warnings.push(format!("{path} is ignored, since {name} is given too"));
                continue;
            }
            warnings.push(format!(
                "{path} is an older name of {name}, under which it is passed on"
            ));
        }
        if KNOWN.binary_search(&name).is_err() {
            warnings.push(format!(
                "{path}: the planner knows no such setting and ignores it"
            ));
        }
        let mut value = value.clone();
        if name == "load_predictor" && value == "linear" {
            warnings.push(format!(
                "{path}: the planner has no predictor \"linear\", so \"arima\" is used, which follows trends too"
            ));
            value = "arima".into();
        }
        settings.insert(name.to_owned(), value);
    }
    PlannerConfig { settings, warnings }
}

/// Sets what is no matter of wishes.
fn decide(config: &mut PlannerConfig, name: &str, value: Value) {
    let wish = config.settings.get(name).filter(|wish| **wish != value);
    if let Some(wish) = wish {
        config.warnings.push(format!(
            "spec.features.planner.{name}: {wish} is not what is deployed, so {value} is used"
        ));
    }
    config.settings.insert(name.to_owned(), value);
}

/// The planner's mode must fit the workers that there are.
fn set_mode(config: &mut PlannerConfig, layout: &PlanLayout) {
    let fitting: &[&str] = match layout {
        PlanLayout::Aggregated { .. } => &["agg"],
        PlanLayout::Disaggregated { .. } => &["disagg", "prefill", "decode"],
    };
    let wish = config.settings.get("mode").and_then(Value::as_str);
    if wish.is_some_and(|wish| fitting.contains(&wish)) {
        return;
    }
    let mode = fitting[0];
    if let Some(wish) = config.settings.get("mode") {
        config.warnings.push(format!(
            "spec.features.planner.mode: {wish} does not fit the workers of the pick, so \"{mode}\" is used"
        ));
    }
    config.settings.insert("mode".to_owned(), mode.into());
}

/// Which workers are scaled: `agg`, `disagg`, `prefill` or `decode`.
pub(super) fn scaled_mode(settings: &BTreeMap<String, Value>) -> &str {
    settings.get("mode").and_then(Value::as_str).unwrap_or("disagg")
}

/// Whether the planner only tells what it would do.
pub(super) fn is_advisory(settings: &BTreeMap<String, Value>) -> bool {
    settings.get("advisory") == Some(&Value::Bool(true))
}

#[cfg(test)]
mod tests;
