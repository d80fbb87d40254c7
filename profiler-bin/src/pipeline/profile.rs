//! The main job: a resolved request in, a directory of results out.

use dgdr_render::{FinishInput, finish, render};
use dgdr_sweep_planner::{Configuration, Outcome, Picking};
use dgdr_types::ResolvedRequest;
use dgdr_types::spec::ProfilingPhase;

use super::comparison::{Comparison, simulate};
use super::curve_files::curve_files;
use super::curves::{CurveRequest, measure};
use super::deployment::{DeploymentInput, Planned, plan};
use super::limits::Limits;
use super::options::{ProfileOptions, UnmetSla};
use super::question::Question;
use super::request::{dgd_override, engine_tables, question};
use super::results::Results;
use super::runner_up::runner_up;
use super::sensitivity::{Sensitivity, sensitivity};
use super::sizes;
use super::stage::{Notices, Stage, Stopwatch};
use crate::artifacts::{OutputDirectory, RunLog, StatusFile, Timings};
use crate::error::ProfilerError;
use crate::hardware::Origin;
use crate::progress::Progress;
use crate::report::Picked;

/// A finished run.
#[derive(Debug)]
pub struct Finished {
    /// The question.
    pub question: Question,
    /// All engines that were compared.
    pub comparison: Comparison,
    /// What would be picked if the request asked for a little less or more.
    pub sensitivity: Vec<Sensitivity>,
    /// How long each step took.
    pub timings: Timings,
}

impl Finished {
    /// What was picked, as far as a changed request is compared with it.
    pub fn picked(&self) -> Option<Picked> {
        let winner = self.comparison.winner();
        let pick = winner.decision.outcome.configuration()?;
        Some(Picked {
            tokens_per_s_per_gpu: pick.performance.tokens_per_s_per_gpu.get(),
            gpus: pick.total_gpus().get(),
            met: matches!(winner.decision.outcome, Outcome::Met(_)),
            fewest_gpus: matches!(winner.problem.picking, Picking::LoadMatch(_)),
        })
    }
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
    tell_skipped(&comparison, stage.log, &mut notices);
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
            isl: question.workload.isl(),
            osl: question.workload.osl(),
            granularity: options.granularity,
        },
        &mut comparison.probes[chosen],
    )
    .await?;
    watch.lap("curves");
    let sensitivity = sensitivity(&question, &mut comparison).await?;
    let runner_up = runner_up(&comparison);
    watch.lap("sensitivity");

    stage.enter(ProfilingPhase::GeneratingDgd)?;
    let study = &comparison.studies[chosen];
    let curve_files = curve_files(&curves, &curves.origins(&question, study))?;
    let input = DeploymentInput {
        request,
        question: &question,
        study,
        pick: &pick,
        limits: &limits,
        curves: &curves,
        curve_files: &curve_files,
    };
    let planned = plan(input, &mut comparison.probes[chosen]).await?;
    let deployment = deployment(planned, &input, options, stage.log, &mut notices)?;
    let results = Results {
        request,
        options,
        question: &question,
        comparison: &comparison,
        pick: &pick,
        runner_up: runner_up.as_ref(),
        sensitivity: &sensitivity,
        curves: &curves,
        curve_files: &curve_files,
        deployment: &deployment,
        warnings: &notices.0,
    };
    results.write_data(stage)?;
    watch.lap("render");
    results.write_record(stage, &watch.timings)?;
    watch.lap("record");
    stage.enter(ProfilingPhase::Done)?;
    Ok(Finished {
        question,
        comparison,
        sensitivity,
        timings: watch.timings,
    })
}

/// Engines that were not compared, and why.
fn tell_skipped(comparison: &Comparison, log: &mut RunLog, notices: &mut Notices) {
    for (backend, why) in &comparison.skipped {
        notices.warn(log, format!("{backend} was not compared: {why}"));
    }
}

/// The text of a deployment, after its user was told what to know of it.
fn deployment(
    planned: Planned,
    input: &DeploymentInput<'_>,
    options: &ProfileOptions,
    log: &mut RunLog,
    notices: &mut Notices,
) -> Result<String, ProfilerError> {
    for warning in planned.warnings {
        notices.warn(log, warning);
    }
    let finished = finish(
        render(&planned.plan)?,
        FinishInput {
            version: options.dgd_version,
            part: dgd_override(input.request)?.as_ref(),
            backend: planned.plan.backend,
            budget: input.question.hardware.total_gpus,
        },
    )?;
    for warning in &finished.warnings {
        notices.warn(log, warning.clone());
    }
    let text = finished.to_yaml()?;
    if let Some(warning) = sizes::check(input.curve_files, &text)? {
        notices.warn(log, warning);
    }
    Ok(text)
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
    if found.ships_code && !request.overrides.trust_remote_code && !request.features.mocker {
        notices.warn(
            log,
            format!(
                "spec.overrides.trustRemoteCode is not set, and config.json of {} names code of the checkpoint's own \
                 (auto_map): an engine that does not know the architecture itself will not start; set it if you trust \
                 that code",
                request.model
            ),
        );
    }
    for assumption in &found.question.model.assumed {
        notices.warn(log, assumption.to_string());
    }
    Ok(found.question)
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
