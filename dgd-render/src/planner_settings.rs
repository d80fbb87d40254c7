//! The planner's settings: what the user wishes, in the planner's own words, and what the pick decides.
//!
//! Source of the names: `PlannerConfig` of ai-dynamo 1.6.1, which ignores names that it does not know. What it would
//! refuse never gets here: `dgdr_types::resolve` reports it.

use std::collections::BTreeMap;

use dgdr_perf_model::Backend;
use dgdr_types::PlannerSettings;
use dgdr_types::planner_settings::{OLDER_PREDICTOR, conflicts, current_name, find, flag};
use dgdr_units::{Gpus, Milliseconds};
use serde_json::{Map, Value};

use super::config_maps::PROFILE_DIRECTORY;
use super::plan::PlanLayout;

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
    set_target(&mut config, input.targets);
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
    let decided: Map<String, Value> = config.settings.clone().into_iter().collect();
    for conflict in conflicts(&decided) {
        config.warnings.push(format!(
            "spec.features.planner.{}: beside what was picked, {}; the planner stops at start: {}",
            conflict.setting, conflict.problem, conflict.fix
        ));
    }
    config
}

/// Who states latencies expects that they are kept, but the planner's own aim is throughput, for which it ignores
/// latencies and switches its scaling by throughput off.
fn set_target(config: &mut PlannerConfig, targets: Option<LatencyTargets>) {
    let settings = &config.settings;
    let switch = |name: &str| settings.get(name).and_then(flag);
    let stated = ["ttft_ms", "itl_ms"];
    let is_wished = targets.is_some()
        || stated.iter().any(|name| settings.contains_key(*name))
        || switch("enable_throughput_scaling") == Some(true);
    let aiming: Map<String, Value> = settings
        .clone()
        .into_iter()
        .chain([("optimization_target".to_owned(), "sla".into())])
        .collect();
    let is_possible = conflicts(&aiming).is_empty();
    match settings.get("optimization_target").and_then(Value::as_str) {
        None if is_wished && is_possible => {
            config.settings.insert("optimization_target".to_owned(), "sla".into());
            config.warnings.push(
                "spec.features.planner.optimization_target is not given, so \"sla\" is used: the planner keeps the \
                 targets, with the curves of this run and the load that Prometheus reports; with its own default, \
                 \"throughput\", it ignores them"
                    .to_owned(),
            );
        }
        Some(other) if other != "sla" && targets.is_some() => config.warnings.push(format!(
            "spec.features.planner.optimization_target: with {other:?} the planner ignores the targets of spec.sla; \
             \"sla\" keeps them"
        )),
        None | Some(_) => {}
    }
}

/// The wishes in the planner's own words.
fn translate(wishes: &PlannerSettings) -> PlannerConfig {
    let mut settings = BTreeMap::new();
    let mut warnings = Vec::new();
    for (written, value) in &wishes.0 {
        let name = current_name(written);
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
        if find(name).is_none() {
            warnings.push(format!(
                "{path}: the planner knows no such setting and ignores it"
            ));
        }
        let mut value = value.clone();
        let (older, newer) = OLDER_PREDICTOR;
        if name == "load_predictor" && value == older {
            warnings.push(format!(
                "{path}: the planner has no predictor {older:?}, so {newer:?} is used, which follows trends too"
            ));
            value = newer.into();
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
    let mode = fitting
        .iter()
        .find(|mode| wish == Some(mode))
        .unwrap_or(&fitting[0]);
    if let Some(wish) = wish.filter(|wish| wish != mode) {
        config.warnings.push(format!(
            "spec.features.planner.mode: {wish:?} does not fit the workers of the pick, so {mode:?} is used"
        ));
    }
    config.settings.insert("mode".to_owned(), (*mode).into());
    let foreign: &[&str] = match *mode {
        "prefill" => &["decode_min_endpoint"],
        "decode" => &["prefill_min_endpoint"],
        "agg" => &["prefill_min_endpoint", "decode_min_endpoint"],
        _ => &[],
    };
    for name in foreign {
        if config
            .settings
            .remove(*name)
            .is_some_and(|value| !value.is_null())
        {
            config.warnings.push(format!(
                "spec.features.planner.{name}: with mode {mode:?} the planner refuses to start with it, so it is left \
                 out: use min_endpoint"
            ));
        }
    }
}

/// Which workers are scaled: `agg`, `disagg`, `prefill` or `decode`.
pub(super) fn scaled_mode(settings: &BTreeMap<String, Value>) -> &str {
    settings.get("mode").and_then(Value::as_str).unwrap_or("disagg")
}

/// Whether the planner only tells what it would do.
pub(super) fn is_advisory(settings: &BTreeMap<String, Value>) -> bool {
    settings.get("advisory").and_then(flag) == Some(true)
}

#[cfg(test)]
mod tests;
