//! A finished run as its files tell it.

use std::path::Path;

use dgdr_interpolation::json::Stored;
use dgdr_interpolation::{DecodeSurface, PrefillCurve, json};
use dgdr_sweep_planner::{Closest, Configuration, Excluded, Goal, ParetoPoint, Picking};
use serde::Deserialize;
use serde_json::Value;

use crate::artifacts::{DECODE_JSON_FILE, DEPLOYMENT_FILE, PREFILL_JSON_FILE, RECORD_FILE};
use crate::error::ProfilerError;
use crate::pipeline::price::GpuPrice;
use crate::pipeline::sensitivity::Sensitivity;

/// The files that a report is made from.
#[derive(Debug, Clone, Copy)]
pub struct RunFiles<'a> {
    /// The directory that they belong to, for messages.
    pub directory: &'a Path,
    /// `profile.json`.
    pub record: &'a [u8],
    /// `prefill_raw_data.json`.
    pub prefill: &'a [u8],
    /// `decode_raw_data.json`.
    pub decode: &'a [u8],
    /// `final_config.yaml`.
    pub deployment: &'a str,
}

/// What a report tells of.
pub(super) struct Run<'a> {
    pub(super) record: Record,
    pub(super) prefill: Stored<PrefillCurve>,
    pub(super) decode: Stored<DecodeSurface>,
    pub(super) deployment: &'a str,
}

/// `profile.json`, as far as people want to read it.
#[derive(Deserialize)]
pub(super) struct Record {
    pub(super) schema_version: u32,
    pub(super) profiler_version: String,
    pub(super) request: Value,
    pub(super) model: ModelFacts,
    pub(super) hardware: HardwareFacts,
    chosen_backend: String,
    pub(super) backends: Vec<Engine>,
    #[serde(default)]
    pub(super) failed_curve_points: Vec<FailedPoint>,
    pub(super) runner_up: Option<RunnerUp>,
    #[serde(default)]
    pub(super) sensitivity: Vec<Sensitivity>,
    #[serde(rename = "gpu_hour_price_usd")]
    pub(super) price: Option<GpuPrice>,
    #[serde(default)]
    pub(super) warnings: Vec<String>,
    pub(super) timings: Timings,
}

#[derive(Deserialize)]
pub(super) struct ModelFacts {
    pub(super) name: String,
    pub(super) architecture: String,
    pub(super) layers: u32,
    pub(super) context_length: u32,
}

#[derive(Deserialize)]
pub(super) struct HardwareFacts {
    pub(super) system: String,
    pub(super) memory_gib: f64,
    pub(super) gpus_per_node: u32,
    pub(super) total_gpus: u32,
    #[serde(default)]
    pub(super) filled: Vec<Filled>,
}

/// A hardware field that the request left open.
#[derive(Deserialize)]
pub(super) struct Filled {
    pub(super) field: String,
    pub(super) value: String,
    pub(super) origin: String,
}

#[derive(Deserialize)]
pub(super) struct FailedPoint {
    pub(super) point: String,
}

/// One engine that was compared.
#[derive(Deserialize)]
pub(super) struct Engine {
    pub(super) backend: String,
    pub(super) version: String,
    pub(super) precision: Precision,
    pub(super) problem: Problem,
    pub(super) decision: Decision,
}

#[derive(Deserialize)]
pub(super) struct Precision {
    pub(super) gemm: String,
    pub(super) moe: String,
    pub(super) kv: String,
}

#[derive(Deserialize)]
pub(super) struct Problem {
    pub(super) workload: Workload,
    pub(super) goal: Goal,
    pub(super) picking: Picking,
}

#[derive(Deserialize)]
pub(super) struct Workload {
    pub(super) isl: u32,
    pub(super) osl: u32,
}

#[derive(Deserialize)]
pub(super) struct Decision {
    pub(super) outcome: Outcome,
    pub(super) ranking: Ranking,
}

/// What was picked.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Met(Configuration),
    Closest(Closest),
    Infeasible {
        #[serde(rename = "reasons")]
        _reasons: serde::de::IgnoredAny,
    },
}

impl Outcome {
    pub(super) const fn configuration(&self) -> Option<&Configuration> {
        match self {
            Self::Met(pick) => Some(pick),
            Self::Closest(closest) => Some(&closest.pick),
            Self::Infeasible { .. } => None,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Ranking {
    pub(super) agg: Vec<Entry>,
    pub(super) disagg: Vec<Entry>,
    pub(super) pareto: Vec<ParetoPoint>,
    pub(super) rejected: Vec<Excluded>,
}

/// The best of one mapping.
#[derive(Deserialize)]
pub(super) struct Entry {
    #[serde(flatten)]
    pub(super) configuration: Configuration,
    pub(super) meets_sla: bool,
    pub(super) lost: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct RunnerUp {
    pub(super) backend: String,
    pub(super) meets_sla: bool,
    pub(super) lost: String,
    #[serde(flatten)]
    pub(super) configuration: Configuration,
}

#[derive(Deserialize)]
pub(super) struct Timings {
    pub(super) steps: Vec<(String, f64)>,
    pub(super) total_ms: f64,
}

impl<'a> Run<'a> {
    /// # Errors
    /// [`ProfilerError::RunUnreadable`] with the file that is not what a run writes.
    pub(super) fn read(files: RunFiles<'a>) -> Result<Self, ProfilerError> {
        let unreadable = |name: &str, problem: String| ProfilerError::RunUnreadable {
            path: files.directory.join(name),
            problem,
        };
        let record: Record = serde_json::from_slice(files.record)
            .map_err(|error| unreadable(RECORD_FILE, error.to_string()))?;
        if files.deployment.trim().is_empty() {
            return Err(unreadable(DEPLOYMENT_FILE, "it is empty".to_owned()));
        }
        Ok(Self {
            record,
            prefill: json::read_prefill(files.prefill)
                .map_err(|error| unreadable(PREFILL_JSON_FILE, error.to_string()))?,
            decode: json::read_decode(files.decode)
                .map_err(|error| unreadable(DECODE_JSON_FILE, error.to_string()))?,
            deployment: files.deployment,
        })
    }
}

impl Record {
    /// The engine that was picked, and what of it.
    pub(super) fn winner(&self) -> Option<(&Engine, &Configuration)> {
        let engine = self
            .backends
            .iter()
            .find(|engine| engine.backend == self.chosen_backend)?;
        Some((engine, engine.decision.outcome.configuration()?))
    }
}
