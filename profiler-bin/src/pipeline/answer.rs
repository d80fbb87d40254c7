//! What a request comes to: the pick, its curves and the deployment, before any file is written.

use std::collections::BTreeMap;

use dgdr_render::{FinishInput, finish, render};
use dgdr_sweep_planner::{Configuration, Outcome};
use dgdr_types::ResolvedRequest;
use dgdr_types::spec::ProfilingPhase;

use super::comparison::{Comparison, simulate};
use super::curve_files::curve_files;
use super::curves::{CurveRequest, Curves, measure};
use super::deployment::{DeploymentInput, Planned, plan};
use super::limits::Limits;
use super::options::{ProfileOptions, UnmetSla};
use super::question::Question;
use super::request::{dgd_override, engine_tables, question};
use super::sizes;
use super::stage::{Notices, Stage, Stopwatch};
use crate::artifacts::RunLog;
use crate::error::ProfilerError;
use crate::hardware::Origin;

/// What a request comes to.
#[derive(Debug)]
pub(super) struct Answer {
    /// The question.
    pub(super) question: Question,
    /// All engines that were compared.
    pub(super) comparison: Comparison,
    /// What was picked.
    pub(super) pick: Configuration,
    /// The picked engines in depth.
    pub(super) curves: Curves,
    /// The same as JSON by file name.
    pub(super) curve_files: BTreeMap<&'static str, String>,
    /// The deployment as YAML.
    pub(super) deployment: String,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
}

/// Answers a request.
///
/// # Errors
/// [`ProfilerError`] for what cannot be done, found, or fitted into what passes it on.
pub(super) async fn answer(
    request: &ResolvedRequest,
    options: &ProfileOptions,
    stage: &mut Stage<'_, '_>,
    watch: &mut Stopwatch,
) -> Result<Answer, ProfilerError> {
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
    watch.lap("generate");
    Ok(Answer {
        question,
        comparison,
        pick,
        curves,
        curve_files,
        deployment,
        warnings: notices.0,
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
