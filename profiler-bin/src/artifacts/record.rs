//! `profile.json`: the whole run for programs: what was asked, tried, found, picked, and how long it took.

use dgdr_perf_model::Precision;
use dgdr_sweep_planner::{Candidates, Decision, Measured, Measurements, Problem, Query};
use serde::Serialize;

use crate::error::ProfilerError;
use crate::hardware::Filled;
use crate::pipeline::curves::FailedPoint;
use crate::pipeline::price::GpuPrice;
use crate::pipeline::question::Question;
use crate::pipeline::runner_up::RunnerUp;
use crate::pipeline::sensitivity::Sensitivity;
use crate::pipeline::study::Study;

/// The file's name.
pub const RECORD_FILE: &str = "profile.json";

/// Version of the file's layout; raised when a reader of the previous one would misread it.
const SCHEMA_VERSION: u32 = 1;

/// Wall time of each step, milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Timings {
    /// Name and duration of each step, in order.
    pub steps: Vec<(String, f64)>,
    /// All of them together.
    pub total_ms: f64,
}

/// What the record is made from.
#[derive(Debug)]
pub struct RecordInput<'a, R: Serialize> {
    /// The resolved request.
    pub request: &'a R,
    /// The question.
    pub question: &'a Question,
    /// One study each engine.
    pub studies: &'a [Study],
    /// Index of the study that won.
    pub chosen: usize,
    /// Curve points without a number.
    pub failed_points: &'a [FailedPoint],
    /// What came second.
    pub runner_up: Option<&'a RunnerUp>,
    /// What would be picked if the request asked for a little less or more.
    pub sensitivity: &'a [Sensitivity],
    /// Dollars for a GPU hour.
    pub price: Option<GpuPrice>,
    /// What the user should know.
    pub warnings: &'a [String],
    /// How long it took.
    pub timings: &'a Timings,
}

/// The file's content.
#[derive(Debug, Serialize)]
pub struct Record<'a, R: Serialize> {
    schema_version: u32,
    profiler_version: &'static str,
    request: &'a R,
    model: &'a dgdr_perf_model::ModelSpec,
    hardware: HardwareRecord<'a>,
    chosen_backend: &'static str,
    backends: Vec<BackendRecord<'a>>,
    failed_curve_points: &'a [FailedPoint],
    #[serde(skip_serializing_if = "Option::is_none")]
    runner_up: Option<&'a RunnerUp>,
    sensitivity: &'a [Sensitivity],
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu_hour_price_usd: Option<GpuPrice>,
    warnings: &'a [String],
    timings: &'a Timings,
}

#[derive(Debug, Serialize)]
struct HardwareRecord<'a> {
    system: &'static str,
    memory_gib: f64,
    gpus_per_node: u32,
    total_gpus: u32,
    filled: &'a [Filled],
}

#[derive(Debug, Serialize)]
struct BackendRecord<'a> {
    backend: &'static str,
    version: &'a str,
    precision: Precision,
    problem: &'a Problem,
    candidates: &'a Candidates,
    decision: &'a Decision,
    measurements: Vec<MeasurementRecord<'a>>,
}

#[derive(Debug, Serialize)]
struct MeasurementRecord<'a> {
    query: &'a Query,
    #[serde(skip_serializing_if = "Option::is_none")]
    measured: Option<&'a Measured>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

impl<'a, R: Serialize> Record<'a, R> {
    /// The record of a run.
    pub fn new(input: &RecordInput<'a, R>) -> Self {
        let hardware = &input.question.hardware;
        Self {
            schema_version: SCHEMA_VERSION,
            profiler_version: env!("CARGO_PKG_VERSION"),
            request: input.request,
            model: &input.question.model,
            hardware: HardwareRecord {
                system: hardware.system.name,
                memory_gib: hardware.memory.gib(),
                gpus_per_node: hardware.gpus_per_node.get(),
                total_gpus: hardware.total_gpus.get(),
                filled: &hardware.filled,
            },
            chosen_backend: input
                .studies
                .get(input.chosen)
                .map_or("", |study| study.backend.name()),
            backends: input.studies.iter().map(BackendRecord::of).collect(),
            failed_curve_points: input.failed_points,
            runner_up: input.runner_up,
            sensitivity: input.sensitivity,
            gpu_hour_price_usd: input.price,
            warnings: input.warnings,
            timings: input.timings,
        }
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// [`ProfilerError::Encode`] when a value has no JSON form.
    pub fn to_json(&self) -> Result<Vec<u8>, ProfilerError> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|error| ProfilerError::Encode {
            what: RECORD_FILE,
            problem: error.to_string(),
        })?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

impl<'a> BackendRecord<'a> {
    fn of(study: &'a Study) -> Self {
        Self {
            backend: study.backend.name(),
            version: &study.version,
            precision: study.precision,
            problem: &study.problem,
            candidates: &study.candidates,
            decision: &study.decision,
            measurements: records(&study.measurements),
        }
    }
}

fn records(measurements: &Measurements) -> Vec<MeasurementRecord<'_>> {
    measurements
        .iter()
        .map(|(query, answer)| MeasurementRecord {
            query,
            measured: answer.as_ref().ok(),
            failure: answer.as_ref().err().map(ToString::to_string),
        })
        .collect()
}
