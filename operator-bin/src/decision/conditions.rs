//! The next status, condition by condition.

use std::time::Duration;

use dgdr_types::contract::{condition, reason};
use dgdr_types::spec::{Condition, ConditionStatus, DeploymentInfo, DgdrStatus, Phase};

use super::observation::Observation;
use super::{Action, Decision, Event, EventKind};

/// Bytes of a condition's message.
const MAX_MESSAGE: usize = 32_768;

/// A time in RFC 3339, as conditions write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp<'a>(pub &'a str);

/// A statement of a condition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statement<'s> {
    pub(super) kind: &'static str,
    pub(super) status: ConditionStatus,
    pub(super) reason: &'s str,
    pub(super) message: &'s str,
}

/// A decision in the making.
pub(super) struct Next<'a> {
    status: DgdrStatus,
    actions: Vec<Action>,
    events: Vec<Event>,
    wake_after: Option<Duration>,
    generation: i64,
    now: Timestamp<'a>,
}

impl<'a> Next<'a> {
    pub(super) fn of(observed: &Observation<'a>) -> Self {
        Self {
            status: observed.object.status.clone(),
            actions: Vec::new(),
            events: Vec::new(),
            wake_after: None,
            generation: observed.object.generation,
            now: observed.now,
        }
    }

    pub(super) fn status(&mut self) -> &mut DgdrStatus {
        &mut self.status
    }

    pub(super) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        self.status.phase = Some(phase);
    }

    pub(super) fn wake_after(&mut self, wait: Duration) {
        self.wake_after = Some(wait);
    }

    pub(super) fn tell(&mut self, kind: EventKind, reason: &'static str, message: impl Into<String>) {
        self.events.push(Event {
            kind,
            reason,
            message: message.into(),
        });
    }

    /// Says a condition; the time of its last change moves only with its status.
    pub(super) fn say(&mut self, statement: Statement<'_>) {
        let Statement {
            kind,
            status,
            reason,
            message,
        } = statement;
        let known = self.status.conditions.iter().position(|known| known.kind == kind);
        let since = known
            .map(|index| &self.status.conditions[index])
            .filter(|known| known.status == status)
            .map_or_else(
                || self.now.0.to_owned(),
                |known| known.last_transition_time.clone(),
            );
        let said = Condition {
            kind: kind.to_owned(),
            status,
            observed_generation: Some(self.generation),
            last_transition_time: since,
            reason: reason.to_owned(),
            message: shortened(message),
        };
        match known {
            Some(index) => self.status.conditions[index] = said,
            None => self.status.conditions.push(said),
        }
    }

    /// Ends badly: the condition that says why, an event once, and the phase.
    pub(super) fn fail(&mut self, event: &'static str, statement: Statement<'_>) {
        self.say(statement);
        self.tell(EventKind::Warning, event, statement.message);
        self.enter(Phase::Failed);
    }

    /// Shows how many replicas serve.
    pub(super) fn show(&mut self, replicas: i32, available: i32) {
        self.status.deployment_info = Some(DeploymentInfo {
            replicas: Some(replicas),
            available_replicas: Some(available),
        });
    }

    pub(super) fn finish(mut self) -> Decision {
        self.status.observed_generation = Some(self.generation);
        let (status, reason, message) = self.aggregate();
        self.say(Statement {
            kind: condition::SUCCEEDED,
            status,
            reason: &reason,
            message: &message,
        });
        self.say_for_tools(&reason, &message);
        self.status
            .conditions
            .sort_by_key(|condition| order(&condition.kind));
        Decision {
            status: self.status,
            actions: self.actions,
            events: self.events,
            wake_after: self.wake_after,
        }
    }

    /// The two conditions by which kstatus tells waiting from failing; each is there only while it holds.
    fn say_for_tools(&mut self, reason: &str, message: &str) {
        let holds = match self.status.phase.unwrap_or(Phase::Pending) {
            Phase::Pending | Phase::Profiling | Phase::Deploying => Some(condition::RECONCILING),
            Phase::Failed => Some(condition::STALLED),
            Phase::Ready | Phase::Deployed => None,
        };
        for kind in [condition::RECONCILING, condition::STALLED] {
            if holds == Some(kind) {
                self.say(Statement {
                    kind,
                    status: ConditionStatus::True,
                    reason,
                    message,
                });
            } else {
                self.status.conditions.retain(|said| said.kind != kind);
            }
        }
    }

    /// What all conditions together come to, in upstream's words.
    fn aggregate(&self) -> (ConditionStatus, String, String) {
        let said = |status, reason: &str, message: &str| (status, reason.to_owned(), message.to_owned());
        match self.status.phase.unwrap_or(Phase::Pending) {
            Phase::Pending => said(ConditionStatus::False, reason::PENDING, "DGDR is pending"),
            Phase::Profiling => said(
                ConditionStatus::False,
                reason::PROFILING,
                "Profiling is in progress",
            ),
            Phase::Ready => said(
                ConditionStatus::True,
                reason::SPEC_GENERATED,
                "Profiling complete, spec available",
            ),
            Phase::Deploying => said(
                ConditionStatus::False,
                reason::DEPLOYING,
                "Deployment is in progress",
            ),
            Phase::Deployed => said(ConditionStatus::True, reason::DEPLOYED, "Deployment is healthy"),
            Phase::Failed => self.cause(),
        }
    }

    /// The first condition that says why it failed.
    fn cause(&self) -> (ConditionStatus, String, String) {
        let prefixes = [
            (condition::VALIDATION, "Validation failed"),
            (condition::PROFILING, "Profiling failed"),
            (condition::SPEC_GENERATED, "Spec generation failed"),
            (condition::DEPLOYMENT_READY, "Deployment failed"),
        ];
        let found = prefixes.into_iter().find_map(|(kind, prefix)| {
            let said = self.status.conditions.iter().find(|said| said.kind == kind)?;
            (said.status == ConditionStatus::False && !said.message.is_empty())
                .then(|| (said.reason.clone(), format!("{prefix}: {}", said.message)))
        });
        let (reason, message) =
            found.unwrap_or_else(|| (reason::FAILED.to_owned(), "DGDR has failed".to_owned()));
        (ConditionStatus::False, reason, message)
    }
}

/// The aggregate first, the others in the order in which they come true.
fn order(kind: &str) -> usize {
    [
        condition::SUCCEEDED,
        condition::VALIDATION,
        condition::PROFILING,
        condition::SPEC_GENERATED,
        condition::DEPLOYMENT_READY,
        condition::RECONCILING,
        condition::STALLED,
    ]
    .iter()
    .position(|known| *known == kind)
    .unwrap_or(usize::MAX)
}

fn shortened(message: &str) -> String {
    const MARK: &str = " …";
    if message.len() <= MAX_MESSAGE {
        return message.to_owned();
    }
    let mut end = MAX_MESSAGE - MARK.len();
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{MARK}", &message[..end])
}
