//! What a kubelet reports of a pod.

use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, Pod, PodCondition, PodSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::now;

/// A container with what became of it.
#[derive(Debug, Clone)]
pub(super) struct Record {
    status: ContainerStatus,
    init: bool,
    /// Whether it will run again, whatever becomes of it.
    restarts: Restarts,
    /// Whether it ended and stays so.
    over: bool,
}

/// When a container runs again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restarts {
    Never,
    OnFailure,
    Always,
}

/// Something happened to a container.
#[derive(Debug, Clone)]
pub(super) struct Note {
    /// Its name.
    pub(super) container: String,
    /// What it is now.
    pub(super) change: Change,
}

/// What can happen to a container.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// It cannot start yet.
    Waiting { reason: &'static str, message: String },
    /// It runs for the nth time, counted from 0.
    Running { times: i32, id: String },
    /// It ended.
    Ended { end: Ended, over: bool },
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) exit_code: i32,
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) started: Time,
    pub(super) id: String,
}

/// All containers of a pod, and the conditions that were reported last.
#[derive(Debug)]
pub(super) struct Ledger {
    records: Vec<Record>,
    conditions: Vec<PodCondition>,
    started: Time,
    /// Why the pod ended, where it was not its containers.
    pub(super) verdict: Option<Verdict>,
}

/// A reason of the pod's own to have failed.
#[derive(Debug, Clone)]
pub(super) struct Verdict {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// How a container of this policy restarts.
pub(super) fn restarts(policy: Option<&str>) -> Restarts {
    match policy {
        Some("Never") => Restarts::Never,
        Some("OnFailure") => Restarts::OnFailure,
        _ => Restarts::Always,
    }
}

/// Whether an init container stays beside the others.
pub(super) fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

impl Ledger {
    /// A pod whose containers have not been touched.
    pub(super) fn of(spec: &PodSpec) -> Self {
        let policy = restarts(spec.restart_policy.as_deref());
        let inits = spec.init_containers.as_deref().unwrap_or_default();
        let first = if inits.is_empty() {
            "ContainerCreating"
        } else {
            "PodInitializing"
        };
        let records = inits
            .iter()
            .map(|container| {
                record(
                    container,
                    "PodInitializing",
                    true,
                    init_restarts(container, policy),
                )
            })
            .chain(
                spec.containers
                    .iter()
                    .map(|container| record(container, first, false, policy)),
            )
            .collect();
        Self {
            records,
            conditions: Vec::new(),
            started: now(),
            verdict: None,
        }
    }

    /// Enters what happened.
    pub(super) fn enter(&mut self, note: Note) {
        let Some(record) = self
            .records
            .iter_mut()
            .find(|record| record.status.name == note.container)
        else {
            return;
        };
        let status = &mut record.status;
        let runs = matches!(note.change, Change::Running { .. });
        match note.change {
            Change::Waiting { reason, message } => {
                if let Some(ContainerState {
                    terminated: Some(last),
                    ..
                }) = status.state.take()
                {
                    status.last_state = Some(ContainerState {
                        terminated: Some(last),
                        ..ContainerState::default()
                    });
                }
                status.state = Some(waiting(reason, &message));
            }
            Change::Running { times, id } => {
                if let Some(last) = status.state.take().filter(|state| state.terminated.is_some()) {
                    status.last_state = Some(last);
                }
                status.restart_count = times;
                status.container_id = Some(id);
                status.state = Some(ContainerState {
                    running: Some(ContainerStateRunning {
                        started_at: Some(now()),
                    }),
                    ..ContainerState::default()
                });
            }
            Change::Ended { end, over } => {
                record.over = over;
                // An init container that did its work counts as ready.
                status.ready = record.init && end.exit_code == 0;
                status.started = Some(false);
                status.state = Some(terminated(end));
                return;
            }
        }
        status.ready = runs && (!record.init || record.restarts == Restarts::Always);
        status.started = Some(runs);
    }

    /// The status as a patch.
    pub(super) fn patch(&mut self, pod: &Pod) -> Value {
        let phase = self.phase();
        self.conditions = self.conditions(phase, pod.metadata.generation);
        let statuses = |init: bool| -> Vec<&ContainerStatus> {
            self.records
                .iter()
                .filter(|record| record.init == init)
                .map(|record| &record.status)
                .collect()
        };
        json!({
            "metadata": { "uid": pod.metadata.uid },
            "status": {
                "phase": phase,
                "reason": self.verdict.as_ref().map(|verdict| verdict.reason),
                "message": self.verdict.as_ref().map(|verdict| verdict.message.as_str()),
                "hostIP": "127.0.0.1",
                "hostIPs": [{ "ip": "127.0.0.1" }],
                "podIP": "127.0.0.1",
                "podIPs": [{ "ip": "127.0.0.1" }],
                "qosClass": pod.status.as_ref().and_then(|status| status.qos_class.as_deref()),
                "startTime": self.started,
                "conditions": self.conditions,
                "initContainerStatuses": statuses(true),
                "containerStatuses": statuses(false),
            },
        })
    }

    fn phase(&self) -> &'static str {
        let failed = |record: &Record| record.over && exit_code(record) != 0;
        if self.verdict.is_some() {
            return "Failed";
        }
        let mut inits = self
            .records
            .iter()
            .filter(|record| record.init && record.restarts != Restarts::Always);
        if inits.clone().any(failed) {
            return "Failed";
        }
        if !inits.all(|record| record.over) {
            return "Pending";
        }
        let mains: Vec<&Record> = self.records.iter().filter(|record| !record.init).collect();
        if mains.iter().all(|record| record.over) {
            return if mains.into_iter().any(failed) {
                "Failed"
            } else {
                "Succeeded"
            };
        }
        let untouched = |record: &&Record| {
            let state = record.status.state.as_ref();
            state.is_some_and(|state| state.waiting.is_some()) && record.status.last_state.is_none()
        };
        if mains.iter().any(untouched) {
            "Pending"
        } else {
            "Running"
        }
    }

    fn conditions(&self, phase: &str, generation: Option<i64>) -> Vec<PodCondition> {
        let over = matches!(phase, "Succeeded" | "Failed");
        let unready: Vec<&str> = self
            .records
            .iter()
            .filter(|record| !record.init && !record.status.ready)
            .map(|record| record.status.name.as_str())
            .collect();
        let incomplete: Vec<&str> = self
            .records
            .iter()
            .filter(|record| record.init && !record.status.ready)
            .map(|record| record.status.name.as_str())
            .collect();
        let ready = if over && phase == "Succeeded" {
            Some(("PodCompleted", String::new()))
        } else if unready.is_empty() {
            None
        } else {
            Some((
                "ContainersNotReady",
                format!("containers with unready status: [{}]", unready.join(" ")),
            ))
        };
        let initialized = (!incomplete.is_empty()).then(|| {
            (
                "ContainersNotInitialized",
                format!("containers with incomplete status: [{}]", incomplete.join(" ")),
            )
        });
        [
            ("Initialized", initialized),
            ("ContainersReady", ready.clone()),
            ("Ready", ready),
        ]
        .into_iter()
        .map(|(kind, fault)| self.condition(kind, fault, generation))
        .collect()
    }

    fn condition(&self, kind: &str, fault: Option<(&str, String)>, generation: Option<i64>) -> PodCondition {
        let status = if fault.is_some() { "False" } else { "True" };
        let since = self
            .conditions
            .iter()
            .find(|known| known.type_ == kind && known.status == status)
            .and_then(|known| known.last_transition_time.clone());
        let (reason, message) = fault.unzip();
        PodCondition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.map(str::to_owned),
            message: message.filter(|message| !message.is_empty()),
            last_transition_time: Some(since.unwrap_or_else(now)),
            observed_generation: generation,
            ..PodCondition::default()
        }
    }
}

fn init_restarts(container: &Container, policy: Restarts) -> Restarts {
    if is_sidecar(container) {
        Restarts::Always
    } else if policy == Restarts::Never {
        Restarts::Never
    } else {
        Restarts::OnFailure
    }
}

fn record(container: &Container, reason: &str, init: bool, restarts: Restarts) -> Record {
    let image = container.image.clone().unwrap_or_default();
    Record {
        status: ContainerStatus {
            name: container.name.clone(),
            image_id: image.clone(),
            image,
            ready: false,
            started: Some(false),
            state: Some(waiting(reason, "")),
            ..ContainerStatus::default()
        },
        init,
        restarts,
        over: false,
    }
}

fn exit_code(record: &Record) -> i32 {
    let state = record.status.state.as_ref();
    state
        .and_then(|state| state.terminated.as_ref())
        .map_or(0, |end| end.exit_code)
}

fn waiting(reason: &str, message: &str) -> ContainerState {
    ContainerState {
        waiting: Some(ContainerStateWaiting {
            reason: Some(reason.to_owned()),
            message: (!message.is_empty()).then(|| message.to_owned()),
        }),
        ..ContainerState::default()
    }
}

fn terminated(end: Ended) -> ContainerState {
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            exit_code: end.exit_code,
            reason: Some(end.reason.to_owned()),
            message: (!end.message.is_empty()).then_some(end.message),
            started_at: Some(end.started),
            finished_at: Some(now()),
            container_id: Some(end.id),
            ..ContainerStateTerminated::default()
        }),
        ..ContainerState::default()
    }
}

#[cfg(test)]
mod tests;
