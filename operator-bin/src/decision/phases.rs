//! Each phase's part of a decision.

use std::time::Duration;

use dgdr_types::contract::{condition, reason};
use dgdr_types::spec::{Choice as _, ConditionStatus, Phase, ProfilingPhase};

use super::conditions::{Next, Statement};
use super::observation::{Deployment, GraphState, JobState, Observation, Output, Trouble, TroubleSort};
use super::{Action, EventKind};

/// Upstream's words while the Job comes up.
const PREPARING: &str = "Discovering GPU hardware and preparing profiling job";

/// Whether the spec changed where it may not: once profiling runs, until it failed. Flipping `autoApply` is allowed.
pub(super) fn is_locked_change(observed: &Observation<'_>) -> bool {
    let object = observed.object;
    let changed = object
        .status
        .observed_generation
        .is_some_and(|known| known > 0 && known != object.generation);
    let locked = match object.status.phase.unwrap_or(Phase::Pending) {
        // In Ready the runtime version may still change, and with autoApply the user asks for the deployment.
        Phase::Pending | Phase::Failed | Phase::Ready => false,
        Phase::Profiling | Phase::Deploying => object.auto_apply,
        Phase::Deployed => true,
    };
    changed && locked
}

/// Told once, since the generation counts as observed afterwards. What was generated stays.
pub(super) fn reject_change(next: &mut Next<'_>) {
    let phase = next.status().phase.unwrap_or(Phase::Pending);
    next.tell(
        EventKind::Warning,
        "SpecChangeRejected",
        format!(
            "Cannot modify spec in phase '{phase}'. DynamoGraphDeploymentRequest is immutable once profiling starts. \
             Create a new resource with a different name instead."
        ),
    );
}

pub(super) fn pending(observed: &Observation<'_>, next: &mut Next<'_>) {
    if let Some(faults) = observed.faults {
        return next.fail(
            "ValidationFailed",
            no(condition::VALIDATION, reason::VALIDATION_FAILED, faults),
        );
    }
    if let Some(missing) = observed.missing {
        let statement = no(condition::VALIDATION, reason::VALIDATION_FAILED, missing);
        if observed.waited >= observed.deadlines.pending {
            return next.fail("ValidationFailed", statement);
        }
        next.say(statement);
        next.enter(Phase::Pending);
        return next.wake_after(left(observed.deadlines.pending, observed.waited));
    }
    next.say(yes(
        condition::VALIDATION,
        reason::VALIDATION_PASSED,
        "DGDR spec validation passed",
    ));
    next.status().hardware = observed.hardware.cloned();
    match observed.job {
        JobState::Absent => {
            prepare(observed, next);
            next.act(Action::DeleteStaleOutput);
            return next.act(Action::CreateJob);
        }
        JobState::Leftover => {
            prepare(observed, next);
            return next.act(Action::DeleteJob);
        }
        JobState::Inline if observed.output == Output::Absent => {
            prepare(observed, next);
            return next.act(Action::ProfileInline);
        }
        JobState::Inline => return profiling(observed, next),
        JobState::Rejected { message } => {
            let statement = no(condition::PROFILING, reason::JOB_CREATION_FAILED, message);
            return next.fail("ProfilingJobFailed", statement);
        }
        JobState::Active { .. } | JobState::Complete | JobState::Failed { .. } => {}
    }
    next.tell(EventKind::Normal, "ProfilingJobCreated", "Profiling job created");
    next.status().profiling_job_name = Some(observed.object.job.to_owned());
    next.status().profiling_phase = Some(ProfilingPhase::Initializing);
    next.say(no(condition::PROFILING, reason::INITIALIZING, PREPARING));
    next.enter(Phase::Profiling);
    next.wake_after(observed.deadlines.profiling);
}

fn prepare(observed: &Observation<'_>, next: &mut Next<'_>) {
    if observed.object.status.observed_generation.is_none() {
        next.tell(EventKind::Normal, "Initialized", "DGDR initialized successfully");
    }
    next.say(no(condition::PROFILING, reason::DISCOVERING_HARDWARE, PREPARING));
    next.enter(Phase::Pending);
}

pub(super) fn profiling(observed: &Observation<'_>, next: &mut Next<'_>) {
    match observed.output {
        Output::Succeeded { name, manifest } => {
            next.status().dgd_name = Some(name.to_owned());
            next.status()
                .profiling_results
                .get_or_insert_default()
                .selected_config = Some(manifest.clone());
            return generated(observed, next);
        }
        Output::Unusable { problem } => {
            next.status().profiling_phase = None;
            let statement = no(condition::SPEC_GENERATED, reason::GENERATION_FAILED, problem);
            return next.fail("GenerationFailed", statement);
        }
        Output::Failed { phase, error } => {
            if phase.is_some() {
                next.status().profiling_phase = phase;
            }
            return profiling_failed(next, &format!("profiling failed: {error}"));
        }
        Output::Progress { phase, message } => relay(next, phase, message),
        Output::Absent => {}
    }
    let too_long = observed.waited >= observed.deadlines.profiling;
    match observed.job {
        JobState::Failed { message } => profiling_failed(next, &format!("profiling job failed: {message}")),
        JobState::Rejected { message } => {
            next.fail(
                "ProfilingJobFailed",
                no(condition::PROFILING, reason::JOB_CREATION_FAILED, message),
            );
        }
        // Somebody deleted it: what was not finished is begun again.
        JobState::Absent => next.act(Action::CreateJob),
        JobState::Leftover => next.act(Action::DeleteJob),
        JobState::Inline => next.act(Action::ProfileInline),
        JobState::Active { .. } | JobState::Complete if too_long => {
            let length = length(observed.deadlines.profiling);
            profiling_failed(
                next,
                &format!(
                    "no result after {length}: look at the logs of the profiling job, or raise the operator's \
                     deadline for profiling"
                ),
            );
        }
        JobState::Active {
            trouble: Some(trouble),
        } => {
            tell_trouble(observed, next, condition::PROFILING, trouble);
            next.say(no(condition::PROFILING, "ProfilerPodNotRunning", trouble.text));
            next.wake_after(left(observed.deadlines.profiling, observed.waited));
        }
        JobState::Active { trouble: None } | JobState::Complete => {
            if observed.output == Output::Absent {
                next.say(no(
                    condition::PROFILING,
                    reason::PROFILING_RUNNING,
                    "Profiling is in progress",
                ));
            }
            next.wake_after(left(observed.deadlines.profiling, observed.waited));
        }
    }
}

/// A length of time for people, in whole units.
fn length(time: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    match time.as_secs() {
        seconds if seconds < 2 * MINUTE => format!("{seconds} s"),
        seconds if seconds < 2 * HOUR => format!("{} minutes", seconds / MINUTE),
        seconds => format!("{} hours", seconds / HOUR),
    }
}

fn relay(next: &mut Next<'_>, phase: ProfilingPhase, message: &str) {
    next.status().profiling_phase = Some(phase);
    let reason = if phase == ProfilingPhase::Done {
        reason::COMPLETED
    } else {
        phase.name()
    };
    next.say(no(condition::PROFILING, reason, message));
}

fn profiling_failed(next: &mut Next<'_>, message: &str) {
    let reason = match next.status().profiling_phase {
        Some(phase) => format!("{phase}Failed"),
        None => reason::PROFILING_FAILED.to_owned(),
    };
    next.fail("ProfilingCheckFailed", no(condition::PROFILING, &reason, message));
}

/// The profiler's result is in the status: it is deployed, or waits for the user.
fn generated(observed: &Observation<'_>, next: &mut Next<'_>) {
    const GENERATED: &str = "DynamoGraphDeployment spec generated successfully";
    next.status().profiling_phase = None;
    next.say(yes(
        condition::PROFILING,
        reason::PROFILING_COMPLETED,
        "Profiling job completed successfully",
    ));
    next.tell(EventKind::Normal, "SpecGenerated", GENERATED);
    next.act(Action::ApplyConfigMaps);
    if observed.object.auto_apply {
        next.say(yes(condition::SPEC_GENERATED, reason::SPEC_GENERATED, GENERATED));
        next.enter(Phase::Deploying);
    } else {
        next.say(yes(
            condition::SPEC_GENERATED,
            reason::SPEC_GENERATED,
            "Generated spec is available in status.profilingResults.selectedConfig",
        ));
        next.enter(Phase::Ready);
    }
}

pub(super) fn ready(observed: &Observation<'_>, next: &mut Next<'_>) {
    if observed.object.auto_apply {
        return next.enter(Phase::Deploying);
    }
    // Applied by hand: shown, and given what it mounts, but not ours to judge.
    if let Deployment::Present {
        replicas, available, ..
    } = observed.deployment
    {
        next.show(replicas, available);
        next.act(Action::AdoptConfigMaps);
    }
}

pub(super) fn deploying(observed: &Observation<'_>, next: &mut Next<'_>) {
    if !observed.object.auto_apply {
        return next.enter(Phase::Ready);
    }
    match observed.deployment {
        Deployment::Absent if was_seen(observed) => deleted(next),
        Deployment::Absent | Deployment::Outdated => {
            next.act(Action::ApplyConfigMaps);
            next.act(Action::ApplyDeployment);
        }
        Deployment::Rejected { message } => next.fail(
            "DeploymentCreationFailed",
            no(condition::DEPLOYMENT_READY, reason::DEPLOYMENT_REJECTED, message),
        ),
        Deployment::Foreign { owner } => {
            let name = name(next);
            let message = format!(
                "DynamoGraphDeployment {name} exists and belongs to {owner}: delete it, or give this one another name \
                 with spec.overrides.dgd.metadata.name"
            );
            next.fail(
                "DeploymentCreationFailed",
                no(condition::DEPLOYMENT_READY, reason::DEPLOYMENT_REJECTED, &message),
            );
        }
        Deployment::Present {
            state,
            replicas,
            available,
            trouble,
        } => {
            next.show(replicas, available);
            next.act(Action::AdoptConfigMaps);
            if state == GraphState::Successful {
                let message = format!("DynamoGraphDeployment {} is ready", name(next));
                next.tell(EventKind::Normal, "DeploymentReady", message.clone());
                next.say(yes(
                    condition::DEPLOYMENT_READY,
                    reason::DEPLOYMENT_READY,
                    &message,
                ));
                return next.enter(Phase::Deployed);
            }
            progress(observed, next, state, trouble);
        }
    }
}

/// An event for a pod that does not run, once a pod: what a cluster says of it changes with every try.
fn tell_trouble(observed: &Observation<'_>, next: &mut Next<'_>, kind: &str, trouble: Trouble<'_>) {
    let conditions = &observed.object.status.conditions;
    let is_known = conditions
        .iter()
        .any(|said| said.kind == kind && said.message.contains(trouble.place()));
    if !is_known {
        let reason = match trouble.sort {
            TroubleSort::Image => "ImagePullFailed",
            TroubleSort::Other => "PodNotRunning",
        };
        next.tell(EventKind::Warning, reason, trouble.text);
    }
}

fn progress(
    observed: &Observation<'_>,
    next: &mut Next<'_>,
    state: GraphState,
    trouble: Option<Trouble<'_>>,
) {
    let mut message = format!("DGD {} is in {} state", name(next), state.name());
    if let Some(trouble) = trouble {
        tell_trouble(observed, next, condition::DEPLOYMENT_READY, trouble);
        message = format!("{message}: {}", trouble.text);
    }
    if observed.waited < observed.deadlines.deploying {
        next.wake_after(left(observed.deadlines.deploying, observed.waited));
    } else {
        // It may still come up, so the phase stays; but nobody should wait for it unaware.
        let length = length(observed.deadlines.deploying);
        message = format!("{message}, for more than {length}: look at its pods");
    }
    next.say(no(
        condition::DEPLOYMENT_READY,
        reason::DEPLOYMENT_IN_PROGRESS,
        &message,
    ));
}

pub(super) fn deployed(observed: &Observation<'_>, next: &mut Next<'_>) {
    match observed.deployment {
        Deployment::Present {
            state,
            replicas,
            available,
            ..
        } => {
            next.show(replicas, available);
            next.act(Action::AdoptConfigMaps);
            if state != GraphState::Successful {
                let state = state.name();
                let told = format!(
                    "DynamoGraphDeployment {} degraded from Ready to {state}",
                    name(next)
                );
                next.tell(EventKind::Warning, "DeploymentDegraded", told);
                let message = format!("Deployment degraded to {state}");
                next.say(no(
                    condition::DEPLOYMENT_READY,
                    reason::DEPLOYMENT_DEGRADED,
                    &message,
                ));
                next.enter(Phase::Deploying);
            }
        }
        Deployment::Absent
        | Deployment::Rejected { .. }
        | Deployment::Foreign { .. }
        | Deployment::Outdated => deleted(next),
    }
}

/// Only a changed spec begins again: the user has read why it failed.
pub(super) fn failed(observed: &Observation<'_>, next: &mut Next<'_>) {
    let object = observed.object;
    let changed = object
        .status
        .observed_generation
        .is_some_and(|known| known != object.generation);
    let was_deleted = object
        .status
        .conditions
        .iter()
        .any(|said| said.reason == reason::DEPLOYMENT_DELETED);
    if !changed || was_deleted {
        return;
    }
    next.tell(
        EventKind::Normal,
        "Retrying",
        "The spec changed: profiling begins again",
    );
    next.act(Action::DeleteJob);
    next.act(Action::DeleteStaleOutput);
    let status = next.status();
    status.conditions.clear();
    status.profiling_phase = None;
    status.profiling_results = None;
    status.dgd_name = None;
    next.enter(Phase::Pending);
}

/// The user took it away: it is not made again.
fn deleted(next: &mut Next<'_>) {
    let name = name(next);
    next.status().dgd_name = None;
    next.status().deployment_info = None;
    next.tell(
        EventKind::Warning,
        "DeploymentDeleted",
        format!(
            "DGD {name} was deleted. DGDR will not recreate it. Delete this DGDR and create a new one to redeploy."
        ),
    );
    next.say(no(
        condition::DEPLOYMENT_READY,
        reason::DEPLOYMENT_DELETED,
        "Deployment was deleted by user. Create a new DGDR to redeploy.",
    ));
    next.enter(Phase::Failed);
}

/// Whether the deployment was there once.
fn was_seen(observed: &Observation<'_>) -> bool {
    let conditions = &observed.object.status.conditions;
    conditions
        .iter()
        .any(|said| said.kind == condition::DEPLOYMENT_READY)
}

fn name(next: &mut Next<'_>) -> String {
    next.status().dgd_name.clone().unwrap_or_default()
}

fn left(deadline: Duration, waited: Duration) -> Duration {
    deadline.saturating_sub(waited)
}

const fn yes<'s>(kind: &'static str, reason: &'s str, message: &'s str) -> Statement<'s> {
    Statement {
        kind,
        status: ConditionStatus::True,
        reason,
        message,
    }
}

const fn no<'s>(kind: &'static str, reason: &'s str, message: &'s str) -> Statement<'s> {
    Statement {
        kind,
        status: ConditionStatus::False,
        reason,
        message,
    }
}
