//! The main job: a resolved request in, a directory of results out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use dgdr_perf_model::Backend;
use dgdr_sweep_planner::{
    Candidates, Configuration, Goal, Granularity, Load, Outcome, Picking, SearchSpace, Serving, Sla,
    Workload, candidates,
};
use dgdr_types::spec::ProfilingPhase;
use dgdr_types::{BackendChoice, OptimizationType, ResolvedRequest, SearchStrategy};
use dgdr_units::{Gpus, Tokens};

use super::comparison::{Comparison, EngineTables, problems, simulate};
use super::curves::{CurveOrigins, CurveRequest, Curves, measure};
use super::deployment::{DeploymentInput, plan};
use super::limits::Limits;
use super::pictures::{PictureInput, draw};
use super::question::Question;
use crate::artifacts::{
    DECODE_JSON_FILE, DECODE_NPZ_FILE, DEPLOYMENT_FILE, OutputDirectory, PARETO_FILE, PREFILL_JSON_FILE,
    PREFILL_NPZ_FILE, RECORD_FILE, Record, RecordInput, RunLog, StatusFile, Timings, message, pareto_csv,
};
use crate::error::ProfilerError;
use crate::hardware::{Hardware, HardwareWish, LocalSystem, Origin};
use crate::kernel_tables::KernelTables;
use crate::model_source::{ModelOrigin, ModelQuery, find_model};
use crate::probe::KvTransfer;
use crate::progress::Progress;
use dgdr_render::{render, to_yaml};

/// Whether pictures are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pictures {
    /// All six.
    Draw,
    /// None.
    Skip,
}

/// What happens when the SLA cannot be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnmetSla {
    /// The nearest configuration is deployed, and the outcome says so.
    TakeClosest,
    /// The run fails and deploys nothing.
    Fail,
}

/// How a run is made.
#[derive(Debug, Clone)]
pub struct ProfileOptions {
    /// A model description to use instead of looking the model up.
    pub model_config: Option<PathBuf>,
    /// Where kernels were measured.
    pub tables: KernelTables,
    /// Whether the way of the KV cache counts.
    pub transfer: KvTransfer,
    /// Whether pictures are drawn.
    pub pictures: Pictures,
    /// What happens when the SLA cannot be met.
    pub unmet_sla: UnmetSla,
    /// Points of the curves.
    pub granularity: Granularity,
    /// Which mappings are tried.
    pub space: SearchSpace,
}

/// A finished run.
#[derive(Debug)]
pub struct Finished {
    /// The question.
    pub question: Question,
    /// All engines that were compared.
    pub comparison: Comparison,
    /// How long each step took.
    pub timings: Timings,
}

/// What a run works with.
#[derive(Debug)]
pub struct Run<'a> {
    /// The request.
    pub request: &'a ResolvedRequest,
    /// How it is made.
    pub options: &'a ProfileOptions,
    /// Where results go.
    pub directory: &'a OutputDirectory,
    /// What is said on the way.
    pub log: &'a mut RunLog,
    /// What a person sees on the way.
    pub progress: &'a Progress,
}

/// Everything that is said once and must not be lost.
#[derive(Debug, Default)]
struct Notices(Vec<String>);

impl Notices {
    fn warn(&mut self, log: &mut RunLog, text: String) {
        log.warn(&text);
        self.0.push(text);
    }
}

/// Duration of each step, as it ends.
#[derive(Debug)]
struct Stopwatch {
    started: Instant,
    lap: Instant,
    timings: Timings,
}

impl Stopwatch {
    fn start() -> Self {
        let now = Instant::now();
        Self {
            started: now,
            lap: now,
            timings: Timings::default(),
        }
    }

    fn lap(&mut self, name: &str) {
        let now = Instant::now();
        self.timings
            .steps
            .push((name.to_owned(), (now - self.lap).as_secs_f64() * 1000.0));
        self.lap = now;
        self.timings.total_ms = (now - self.started).as_secs_f64() * 1000.0;
    }
}

/// Runs all steps and writes all files. The status file tells of every step, and of a failure.
///
/// # Errors
/// [`ProfilerError`], after the status file and the log say the same.
pub async fn profile(run: Run<'_>) -> Result<Finished, ProfilerError> {
    let Run {
        request,
        options,
        directory,
        log,
        progress,
    } = run;
    let mut status = StatusFile::new(directory);
    let result = steps(
        request,
        options,
        &mut Stage {
            directory,
            log,
            progress,
            status: &mut status,
        },
    )
    .await;
    progress.finish();
    match &result {
        Ok(_) => log.info("done"),
        Err(error) => {
            log.error(error);
            status.fail(&error.to_string())?;
        }
    }
    log.write(directory)?;
    result
}

/// The edges that a step may touch.
struct Stage<'a, 'b> {
    directory: &'a OutputDirectory,
    log: &'a mut RunLog,
    progress: &'a Progress,
    status: &'a mut StatusFile<'b>,
}

impl Stage<'_, '_> {
    fn enter(&mut self, phase: ProfilingPhase) -> Result<(), ProfilerError> {
        self.progress.step(message(phase));
        self.log.info(message(phase));
        self.status.enter(phase)?;
        Ok(())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ProfilerError> {
        self.directory.write(name, bytes)?;
        Ok(())
    }
}

async fn steps(
    request: &ResolvedRequest,
    options: &ProfileOptions,
    stage: &mut Stage<'_, '_>,
) -> Result<Finished, ProfilerError> {
    let mut watch = Stopwatch::start();
    let mut notices = Notices::default();
    stage.enter(ProfilingPhase::Initializing)?;
    let question = understand(request, options, stage.log, &mut notices)?;
    watch.lap("initialize");

    stage.enter(ProfilingPhase::SweepingPrefill)?;
    let mut comparison = simulate(&question, engine_tables(request, options), stage.progress).await?;
    for (backend, why) in &comparison.skipped {
        notices.warn(stage.log, format!("{backend} was not compared: {why}"));
    }
    watch.lap("sweep");

    stage.enter(ProfilingPhase::SelectingConfig)?;
    let pick = picked(&question, &comparison, options.unmet_sla, stage.log, &mut notices)?;
    watch.lap("select");

    stage.enter(ProfilingPhase::BuildingCurves)?;
    let limits = Limits::of_layout(&pick.layout, question.workload);
    let chosen = comparison.chosen;
    let curves = measure(
        CurveRequest {
            pick: &pick,
            limits: &limits,
            context_length: question.model.context_length,
            osl: question.workload.osl(),
            granularity: options.granularity,
        },
        &mut comparison.probes[chosen],
    )
    .await?;
    watch.lap("curves");

    stage.enter(ProfilingPhase::GeneratingDgd)?;
    let study = &comparison.studies[chosen];
    let curve_files = curve_files(&curves, &curves.origins(&question, study))?;
    let input = DeploymentInput {
        request,
        question: &question,
        study,
        pick: &pick,
        limits: &limits,
        curve_files: &curve_files,
    };
    let planned = plan(input, &mut comparison.probes[chosen]).await?;
    for warning in planned.warnings {
        notices.warn(stage.log, warning);
    }
    let deployment = to_yaml(&render(&planned.plan)?)?;
    write_curves(stage, &curves, &curve_files)?;
    if options.pictures == Pictures::Draw {
        write_pictures(
            stage,
            PictureInput {
                question: &question,
                study,
                pick: &pick,
                curves: &curves,
            },
        )?;
    }
    write_pareto(stage, &comparison)?;
    watch.lap("render");
    let record = Record::new(&RecordInput {
        request,
        question: &question,
        studies: &comparison.studies,
        chosen,
        failed_points: &curves.failed,
        warnings: &notices.0,
        timings: &watch.timings,
    })
    .to_json()?;
    stage.write(RECORD_FILE, &record)?;
    stage.write(DEPLOYMENT_FILE, deployment.as_bytes())?;
    watch.lap("record");
    stage.enter(ProfilingPhase::Done)?;
    Ok(Finished {
        question,
        comparison,
        timings: watch.timings,
    })
}

/// All pictures under all their names.
fn write_pictures(stage: &Stage<'_, '_>, input: PictureInput<'_>) -> Result<(), ProfilerError> {
    for picture in draw(input)? {
        for name in picture.names {
            stage.write(name, &picture.png)?;
        }
    }
    Ok(())
}

/// The fronts of all engines.
fn write_pareto(stage: &Stage<'_, '_>, comparison: &Comparison) -> Result<(), ProfilerError> {
    let fronts = pareto_csv(&comparison.studies).map_err(|error| ProfilerError::Encode {
        what: PARETO_FILE,
        problem: error.to_string(),
    })?;
    stage.write(PARETO_FILE, &fronts)
}

/// The request with model and hardware found, and what it cannot have said plainly.
///
/// # Errors
/// [`ProfilerError`] for what cannot be done, an unknown model or unknown hardware.
fn understand(
    request: &ResolvedRequest,
    options: &ProfileOptions,
    log: &mut RunLog,
    notices: &mut Notices,
) -> Result<Question, ProfilerError> {
    for warning in &request.warnings {
        notices.warn(log, warning.clone());
    }
    let found = question(request, options)?;
    for filled in &found.question.hardware.filled {
        match filled.origin {
            Origin::Assumed => notices.warn(log, filled.describe()),
            Origin::Discovered | Origin::System => log.info(filled.describe()),
        }
    }
    log.info(format!("model {} found: {:?}", request.model, found.origin));
    for assumption in &found.question.model.assumed {
        notices.warn(log, assumption.to_string());
    }
    Ok(found.question)
}

/// A question and where its model was found.
#[derive(Debug)]
pub struct Understood {
    /// The question.
    pub question: Question,
    /// Where the model was found.
    pub origin: ModelOrigin,
}

/// The question of a request.
///
/// # Errors
/// [`ProfilerError`] for what cannot be done, an unknown model or unknown hardware.
pub fn question(request: &ResolvedRequest, options: &ProfileOptions) -> Result<Understood, ProfilerError> {
    refuse_unsupported(request)?;
    let wanted = &request.hardware;
    let wish = HardwareWish {
        system: wanted.gpu_sku.map(dgdr_types::GpuSku::name),
        tables: Some(&options.tables),
        gpus_per_node: wanted.gpus_per_node,
        total_gpus: wanted.total_gpus,
        memory_mib: wanted.vram_mib,
    };
    let is_open = wish.system.is_none() || wish.gpus_per_node.is_none() || wish.total_gpus.is_none();
    let local = if is_open { LocalSystem::find() } else { None };
    let hardware = Hardware::resolve(wish, local)?;
    let query = ModelQuery::named(&request.model)
        .with_config(options.model_config.as_deref())
        .with_local(
            request
                .model_cache
                .as_ref()
                .and_then(dgdr_types::ModelCache::model_path)
                .map(PathBuf::from),
        );
    let found = find_model(&query)?;
    let (picking, serving) = picking(request, hardware.total_gpus)?;
    let question = Question {
        transfer: options.transfer,
        model: found.spec,
        hardware,
        backends: backends(request.backend),
        workload: Workload::new(narrow(request.workload.isl), narrow(request.workload.osl))?,
        goal: goal(request),
        picking,
        serving,
        max_gpus_per_engine: wanted.max_gpus_per_engine.map(|gpus| Gpus::new(gpus.get())),
        space: options.space,
    };
    Ok(Understood {
        question,
        origin: found.origin,
    })
}

/// What would be tried, per engine, without trying it.
///
/// # Errors
/// As [`question`], and why no engine could be studied.
pub fn dry_run(
    request: &ResolvedRequest,
    options: &ProfileOptions,
) -> Result<(Question, Vec<(Backend, Candidates)>), ProfilerError> {
    let understood = question(request, options)?;
    let tried = problems(&understood.question, engine_tables(request, options))?
        .into_iter()
        .map(|problem| (problem.backend, candidates(&problem)))
        .collect();
    Ok((understood.question, tried))
}

/// The tables that a request and its options ask for.
fn engine_tables<'a>(request: &'a ResolvedRequest, options: &'a ProfileOptions) -> EngineTables<'a> {
    EngineTables {
        source: &options.tables,
        version: request.aic_backend_version.as_deref(),
    }
}

fn refuse_unsupported(request: &ResolvedRequest) -> Result<(), ProfilerError> {
    if request.search_strategy == SearchStrategy::Thorough {
        return Err(ProfilerError::Unsupported {
            field: "spec.searchStrategy",
            value: "thorough".to_owned(),
            why: "needs real engines, which this version cannot start; use rapid, which simulates them",
        });
    }
    if request.features.mocker {
        return Err(ProfilerError::Unsupported {
            field: "spec.features.mocker.enabled",
            value: "true".to_owned(),
            why: "cannot be rendered by this version, and real engines are not what was asked for; remove it",
        });
    }
    if request.overrides.dgd.is_some() {
        return Err(ProfilerError::Unsupported {
            field: "spec.overrides.dgd",
            value: "an override".to_owned(),
            why: "cannot be merged by this version, and would be lost; remove it and patch final_config.yaml",
        });
    }
    Ok(())
}

fn backends(choice: BackendChoice) -> Vec<Backend> {
    match choice {
        BackendChoice::Auto => Backend::ALL.to_vec(),
        BackendChoice::Vllm => vec![Backend::Vllm],
        BackendChoice::Sglang => vec![Backend::Sglang],
        BackendChoice::Trtllm => vec![Backend::Trtllm],
    }
}

/// A direction of optimisation replaces targets that nobody set.
fn goal(request: &ResolvedRequest) -> Goal {
    let nobody_set_targets = request.is_assumed("spec.sla.ttft") && request.is_assumed("spec.sla.itl");
    match (request.optimization_type, nobody_set_targets) {
        (Some(OptimizationType::Throughput), true) => Goal::Throughput,
        (Some(OptimizationType::Latency), true) => Goal::Latency,
        (Some(_) | None, _) => Goal::Sla(match request.sla {
            dgdr_types::Sla::TokenLatency { ttft, itl } => Sla::TokenLatency { ttft, itl },
            dgdr_types::Sla::RequestLatency(latency) => Sla::RequestLatency(latency),
        }),
    }
}

/// A planner scales one worker of each role; a load is matched; else the GPUs are used as well as can be.
fn picking(request: &ResolvedRequest, total_gpus: Gpus) -> Result<(Picking, Serving), ProfilerError> {
    if let Some(planner) = &request.features.planner {
        let is_aggregated = planner.get("mode").and_then(|mode| mode.as_str()) == Some("agg");
        let serving = if is_aggregated || total_gpus < Gpus::new(2) {
            Serving::Aggregated
        } else {
            Serving::Disaggregated
        };
        return Ok((Picking::Autoscale, serving));
    }
    let picking = match request.load {
        dgdr_types::Load::None => Picking::BestThroughput,
        dgdr_types::Load::Concurrency(requests) => Picking::LoadMatch(Load::Concurrency(requests)),
        dgdr_types::Load::RequestRate(rate) => Picking::LoadMatch(Load::rate(rate)?),
    };
    Ok((picking, Serving::Both))
}

/// The pick, unless there is none, or none that a strict user accepts.
fn picked(
    question: &Question,
    comparison: &Comparison,
    unmet: UnmetSla,
    log: &mut RunLog,
    notices: &mut Notices,
) -> Result<Configuration, ProfilerError> {
    match &comparison.winner().decision.outcome {
        Outcome::Met(pick) => Ok(pick.clone()),
        Outcome::Closest(closest) => {
            if unmet == UnmetSla::Fail {
                return Err(ProfilerError::SlaNotMet(Box::new(closest.clone())));
            }
            let remedies: Vec<String> = closest.remedies.iter().map(ToString::to_string).collect();
            notices.warn(
                log,
                format!(
                    "the SLA is not met: {}; to meet it: {}",
                    closest.binding,
                    remedies.join(", or ")
                ),
            );
            Ok(closest.pick.clone())
        }
        Outcome::Infeasible { reasons } => Err(ProfilerError::Infeasible {
            model: question.model.name.clone(),
            reasons: reasons.clone(),
        }),
    }
}

/// Curves in both of upstream's formats.
/// The curves as JSON by file name: what the planner reads.
fn curve_files(
    curves: &Curves,
    origins: &CurveOrigins,
) -> Result<BTreeMap<&'static str, String>, ProfilerError> {
    let prefill = dgdr_interpolation::json::write_prefill(&curves.prefill, &origins.prefill)?;
    let decode = dgdr_interpolation::json::write_decode(&curves.decode, &origins.decode)?;
    [(PREFILL_JSON_FILE, prefill), (DECODE_JSON_FILE, decode)]
        .into_iter()
        .map(|(name, bytes)| match String::from_utf8(bytes) {
            Ok(text) => Ok((name, text)),
            Err(error) => Err(ProfilerError::Encode {
                what: name,
                problem: error.to_string(),
            }),
        })
        .collect()
}

fn write_curves(
    stage: &Stage<'_, '_>,
    curves: &Curves,
    files: &BTreeMap<&'static str, String>,
) -> Result<(), ProfilerError> {
    stage.write(
        PREFILL_NPZ_FILE,
        &dgdr_interpolation::npz::write_prefill(&curves.prefill)?,
    )?;
    stage.write(
        DECODE_NPZ_FILE,
        &dgdr_interpolation::npz::write_decode(&curves.decode)?,
    )?;
    for (name, text) in files {
        stage.write(name, text.as_bytes())?;
    }
    Ok(())
}

/// Lengths beyond what any model takes saturate and are refused by the planner's own checks.
fn narrow(tokens: Tokens) -> u32 {
    u32::try_from(tokens.get()).unwrap_or(u32::MAX)
}
