//! What is to be done for a DGDR, and what its status says: a pure function of what was observed.
//!
//! It is level-based: the same observation gives the same decision, however often it is asked and whatever happened
//! before. A decision that was carried out changes the next observation; one that was lost is taken again.

mod conditions;
mod observation;
mod phases;

use std::time::Duration;

use dgdr_types::spec::{DgdrStatus, Phase};

pub use conditions::Timestamp;
pub use observation::{
    Deadlines, Deployment, GraphState, JobState, Object, Observation, Output, Trouble, TroubleSort,
};

use conditions::Next;

/// What is to be done, all of it safe to be done again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Delete the output of an earlier run, once the API server itself says that there is no Job: a cache may be behind,
    /// and a fast profiler's output must survive.
    DeleteStaleOutput,
    /// Delete the Job of an earlier run.
    DeleteJob,
    /// Create the profiling Job.
    CreateJob,
    /// Simulate here and write the output that a Job would have left.
    ProfileInline,
    /// Apply the ConfigMaps beside the deployment.
    ApplyConfigMaps,
    /// Apply the deployment.
    ApplyDeployment,
    /// Let the deployment own the ConfigMaps that it mounts.
    AdoptConfigMaps,
}

/// Whether an event is good news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It is.
    Normal,
    /// It is not.
    Warning,
}

/// Something that the user may want to read in `kubectl describe`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Whether it is good news.
    pub kind: EventKind,
    /// Why, in CamelCase.
    pub reason: &'static str,
    /// Details for people.
    pub message: String,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The whole status; to be written only where it differs from the one observed.
    pub status: DgdrStatus,
    /// What is to be done, in this order, before the status is written.
    pub actions: Vec<Action>,
    /// What is to be told.
    pub events: Vec<Event>,
    /// When to look again though nothing changes: a deadline.
    pub wake_after: Option<Duration>,
}

/// What follows from an observation.
pub fn decide(observed: &Observation<'_>) -> Decision {
    let mut next = Next::of(observed);
    if phases::is_locked_change(observed) {
        phases::reject_change(&mut next);
    }
    match observed.object.status.phase.unwrap_or(Phase::Pending) {
        Phase::Pending => phases::pending(observed, &mut next),
        Phase::Profiling => phases::profiling(observed, &mut next),
        Phase::Ready => phases::ready(observed, &mut next),
        Phase::Deploying => phases::deploying(observed, &mut next),
        Phase::Deployed => phases::deployed(observed, &mut next),
        Phase::Failed => phases::failed(observed, &mut next),
    }
    next.finish()
}

/// The status of a DGDR whose own cannot be read: something else wrote it, and as upstream has it, it has failed.
pub fn unreadable(generation: i64, now: Timestamp<'_>) -> DgdrStatus {
    let status = DgdrStatus {
        phase: Some(Phase::Failed),
        observed_generation: Some(generation),
        ..DgdrStatus::default()
    };
    let object = Object {
        generation,
        status: &status,
        auto_apply: true,
        job: "",
    };
    let observed = Observation {
        object,
        faults: None,
        missing: None,
        hardware: None,
        job: JobState::Absent,
        output: Output::Absent,
        deployment: Deployment::Absent,
        waited: Duration::ZERO,
        deadlines: Deadlines::default(),
        now,
    };
    decide(&observed).status
}

#[cfg(test)]
mod tests;
