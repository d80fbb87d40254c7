//! Settings of the SLA planner: their names, what values they take, and which of them cannot stand together.
//!
//! **Source**: `PlannerConfig` of ai-dynamo 1.6.1; `tests/data/planner_config.json` holds the JSON Schema of its fields, with
//! which a test compares this table.

use serde_json::{Map, Value};

use Bounds::{Any, NotNegative, Percent, Port, Positive};
use Kind::{Flag, OneOf, Real, Structure, Text, Whole};

mod conflicts;

pub use conflicts::{Conflict, conflicts};

/// A setting that the planner knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Whether it may be null.
    pub is_optional: bool,
}

/// What values a setting takes. As in the planner, a text that holds a number or a truth value stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Flag,
    /// A whole number.
    Whole(Bounds),
    /// A number.
    Real(Bounds),
    /// Any text.
    Text,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// An object, which the planner checks.
    Structure,
}

/// Bounds of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bounds {
    /// None.
    Any,
    /// At least 0.
    NotNegative,
    /// Above 0.
    Positive,
    /// 0 to 100.
    Percent,
    /// 0 to 65535.
    Port,
}

/// Every setting, sorted by name.
pub const SETTINGS: [Setting; 63] = [
    setting("advisory", Flag),
    optional("aic_interpolation", Structure),
    optional("ais_perf_model", Structure),
    setting("backend", OneOf(&["vllm", "sglang", "trtllm", "mocker"])),
    setting("control_api_port", Whole(Port)),
    optional("decode_engine_num_gpu", Whole(Any)),
    optional("decode_min_endpoint", Whole(Positive)),
    optional("decode_scale_down_kv_rate", Real(Percent)),
    optional("decode_scale_up_kv_rate", Real(Percent)),
    setting("enable_load_scaling", Flag),
    setting("enable_power_awareness", Flag),
    setting("enable_throughput_scaling", Flag),
    setting("environment", OneOf(&["kubernetes", "virtual", "global-planner"])),
    setting("fpm_sample_bucket_size", Whole(Positive)),
    optional("global_planner_namespace", Text),
    setting("itl_ms", Real(Any)),
    setting("kalman_min_points", Whole(Any)),
    setting("kalman_q_level", Real(Any)),
    setting("kalman_q_trend", Real(Any)),
    setting("kalman_r", Real(Any)),
    setting("live_dashboard_port", Whole(Any)),
    setting("load_adjustment_interval_seconds", Whole(Positive)),
    setting("load_min_observations", Whole(Any)),
    setting(
        "load_predictor",
        OneOf(&["constant", "arima", "prophet", "kalman"]),
    ),
    setting("load_predictor_log1p", Flag),
    optional("load_predictor_warmup_trace", Text),
    setting("load_scaling_down_sensitivity", Whole(Percent)),
    optional("log_dir", Text),
    setting("max_gpu_budget", Whole(Any)),
    setting("max_num_fpm_samples", Whole(Positive)),
    setting("max_throughput_scaling_replicas", Whole(Positive)),
    optional("metric_pulling_prometheus_ca_bundle", Text),
    setting("metric_pulling_prometheus_endpoint", Text),
    optional("metric_pulling_prometheus_extra_query_params", Structure),
    setting(
        "metric_pulling_prometheus_request_timeout_seconds",
        Real(Positive),
    ),
    setting("metric_pulling_prometheus_ssl_verify", Flag),
    optional("metric_pulling_prometheus_token", Text),
    optional("metric_pulling_prometheus_token_file", Text),
    setting("metric_reporting_prometheus_port", Whole(Any)),
    setting("min_endpoint", Whole(NotNegative)),
    setting("min_gpu_budget", Whole(Any)),
    setting("mode", OneOf(&["disagg", "prefill", "decode", "agg"])),
    optional("model_name", Text),
    setting("namespace", Text),
    setting(
        "optimization_target",
        OneOf(&["throughput", "latency", "load", "sla"]),
    ),
    setting("plugin_registration", Structure),
    optional(
        "pre_deployment_sweeping_mode",
        OneOf(&["none", "rapid", "thorough"]),
    ),
    optional("prefill_engine_num_gpu", Whole(Any)),
    optional("prefill_min_endpoint", Whole(Positive)),
    optional("prefill_scale_down_queue_tokens", Whole(NotNegative)),
    optional("prefill_scale_up_queue_tokens", Whole(NotNegative)),
    setting("profile_results_dir", Text),
    setting("prophet_window_size", Whole(Positive)),
    optional("report_filename", Text),
    optional("report_interval_hours", Real(Positive)),
    setting("report_output_dir", Text),
    setting("report_write_gzip_log", Flag),
    setting("scheduling", Structure),
    setting("speculative_nextn", Whole(NotNegative)),
    setting("throughput_adjustment_interval_seconds", Whole(Any)),
    setting("throughput_metrics_source", OneOf(&["frontend", "router"])),
    optional("total_gpu_power_limit", Whole(Positive)),
    setting("ttft_ms", Real(Positive)),
];

/// Older and shorter names, after a `planner_` prefix is taken off, and the names of today.
pub const RENAMED: [(&str, &str); 5] = [
    ("adjustment_interval", "throughput_adjustment_interval_seconds"),
    ("itl", "itl_ms"),
    ("load_adjustment_interval", "load_adjustment_interval_seconds"),
    (
        "throughput_adjustment_interval",
        "throughput_adjustment_interval_seconds",
    ),
    ("ttft", "ttft_ms"),
];

/// A predictor of older planners, and the one of today that follows trends too.
pub const OLDER_PREDICTOR: (&str, &str) = ("linear", "arima");

const fn setting(name: &'static str, kind: Kind) -> Setting {
    Setting {
        name,
        kind,
        is_optional: false,
    }
}

const fn optional(name: &'static str, kind: Kind) -> Setting {
    Setting {
        name,
        kind,
        is_optional: true,
    }
}

/// The name of today of a setting, however it is written.
pub fn current_name(written: &str) -> &str {
    let bare = written.strip_prefix("planner_").unwrap_or(written);
    RENAMED
        .iter()
        .find(|(older, _)| *older == bare)
        .map_or(bare, |(_, newer)| newer)
}

/// The setting of a name of today.
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS
        .binary_search_by(|setting| setting.name.cmp(name))
        .ok()
        .map(|index| &SETTINGS[index])
}

/// Settings by their names of today, as the planner will read them: a name of today wins over an older one.
pub fn in_current_names(written: &Map<String, Value>) -> Map<String, Value> {
    let mut settings = Map::new();
    for (name, value) in written {
        let current = current_name(name);
        if current == name || !written.contains_key(current) {
            let (older, newer) = OLDER_PREDICTOR;
            let value = if current == "load_predictor" && value == older {
                newer.into()
            } else {
                value.clone()
            };
            settings.insert(current.to_owned(), value);
        }
    }
    settings
}

impl Setting {
    /// What a value must be, where this one is not; none where the planner takes it.
    pub fn refuses(&self, value: &Value) -> Option<String> {
        if value.is_null() {
            return (!self.is_optional).then(|| self.kind.expected());
        }
        (!self.kind.takes(value)).then(|| self.kind.expected())
    }
}

impl Kind {
    fn takes(self, value: &Value) -> bool {
        match self {
            Self::Flag => flag(value).is_some(),
            Self::Whole(bounds) => {
                number(value).is_some_and(|number| number.fract() == 0.0 && bounds.hold(number))
            }
            Self::Real(bounds) => number(value).is_some_and(|number| bounds.hold(number)),
            Self::Text => value.is_string(),
            Self::OneOf(names) => value.as_str().is_some_and(|text| names.contains(&text)),
            Self::Structure => value.is_object(),
        }
    }

    fn expected(self) -> String {
        match self {
            Self::Flag => "true or false".to_owned(),
            Self::Whole(bounds) => format!("a whole number{}", bounds.words()),
            Self::Real(bounds) => format!("a number{}", bounds.words()),
            Self::Text => "a text".to_owned(),
            Self::OneOf(names) => format!("one of {}", names.join(", ")),
            Self::Structure => "an object".to_owned(),
        }
    }
}

impl Bounds {
    fn hold(self, number: f64) -> bool {
        match self {
            Self::Any => true,
            Self::NotNegative => number >= 0.0,
            Self::Positive => number > 0.0,
            Self::Percent => (0.0..=100.0).contains(&number),
            Self::Port => (0.0..=65_535.0).contains(&number),
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::NotNegative => " of at least 0",
            Self::Positive => " above 0",
            Self::Percent => " from 0 to 100",
            Self::Port => " from 0 to 65535",
        }
    }
}

/// A truth value, as the planner reads it.
pub fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" | "t" | "y" => Some(true),
            "false" | "no" | "off" | "0" | "f" | "n" => Some(false),
            _ => None,
        },
        Value::Number(number) => match number.as_f64() {
            Some(0.0) => Some(false),
            Some(1.0) => Some(true),
            _ => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A number, as the planner reads it.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;
