//! One pod from its arrival on a node to its end.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::container::{Stop, Workshop, stopped};
use super::images::Images;
use super::objects::Objects;
use super::status::{self, Change, Ledger, Note, Restarts, Verdict};
use super::volumes::Room;

/// How long to wait before something missing is looked for again.
const AGAIN: Duration = Duration::from_millis(200);
/// How long to wait while the API server does not answer.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How long containers may take to end when their pod took too long.
const GRACE_AFTER_DEADLINE: Duration = Duration::from_secs(1);

/// What a node lends to each of its pods.
#[derive(Clone)]
pub(super) struct Landlord {
    /// A client that is the node.
    pub(super) client: kube::Client,
    pub(super) images: Arc<Images>,
    /// Where pods have their folders.
    pub(super) pods: PathBuf,
    /// Where claims have their files.
    pub(super) claims: PathBuf,
    /// The port of the API server.
    pub(super) port: u16,
}

/// The folder of a pod.
pub(super) fn folder_name(pod: &Pod) -> String {
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    format!(
        "{}_{}_{}",
        part(&pod.metadata.namespace),
        part(&pod.metadata.name),
        part(&pod.metadata.uid)
    )
}

impl Landlord {
    /// Runs the pod; returns when it has ended and, if it was to be deleted, is deleted.
    pub(super) async fn house(self, pod: Pod, mut deleted: Stop) {
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        let known = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        match known {
            Some("Succeeded" | "Failed") => {}
            // Its processes died with the kubelet that started them.
            Some("Running") => lose(&api, &pod).await,
            _ => self.run(&api, &pod, &mut deleted).await,
        }
        stopped(&mut deleted).await;
        delete(&api, &pod).await;
        // Logs go with their pod.
        let _ = fs::remove_dir_all(self.pods.join(folder_name(&pod)));
    }

    async fn run(&self, api: &Api<Pod>, pod: &Pod, deleted: &mut Stop) {
        let Some(spec) = &pod.spec else {
            return;
        };
        let mut ledger = Ledger::of(spec);
        let (notes, mut incoming) = mpsc::unbounded_channel();
        let (ending, stop) = watch::channel(None);
        // Dropped with this future, and then all its containers end.
        let mut life = JoinSet::new();
        life.spawn(self.clone().live(Arc::new(pod.clone()), notes, stop));
        publish(api, pod, &mut ledger).await;
        let mut deadline = std::pin::pin!(deadline(spec.active_deadline_seconds));
        loop {
            tokio::select! {
                note = incoming.recv() => {
                    let Some(note) = note else {
                        break;
                    };
                    ledger.enter(note);
                    while let Ok(note) = incoming.try_recv() {
                        ledger.enter(note);
                    }
                    publish(api, pod, &mut ledger).await;
                }
                grace = stopped(deleted), if ending.borrow().is_none() => {
                    ending.send_replace(Some(grace));
                }
                () = &mut deadline, if ending.borrow().is_none() => {
                    ledger.verdict = Some(Verdict {
                        reason: "DeadlineExceeded",
                        message: "Pod was active on the node longer than the specified deadline".to_owned(),
                    });
                    ending.send_replace(Some(GRACE_AFTER_DEADLINE));
                }
            }
        }
        if ledger.verdict.is_some() {
            publish(api, pod, &mut ledger).await;
        }
    }

    /// Volumes, then init containers one after the other, then all others at once.
    async fn live(self, pod: Arc<Pod>, notes: mpsc::UnboundedSender<Note>, stop: Stop) {
        let Some(spec) = &pod.spec else {
            return;
        };
        let Some(workshop) = self.furnish(&pod, notes, stop.clone()).await else {
            return;
        };
        let policy = status::restarts(spec.restart_policy.as_deref());
        // Sidecars end with the pod, or when the others have ended.
        let (leave, leaving) = watch::channel(None);
        let mut beside = JoinSet::new();
        beside.spawn(forward(stop, leave.clone()));
        let mut initialized = true;
        for container in spec.init_containers.iter().flatten() {
            if status::is_sidecar(container) {
                let sidecar = Workshop {
                    stop: leaving.clone(),
                    ..workshop.clone()
                };
                let container = container.clone();
                beside.spawn(async move {
                    sidecar.keep_running(&container, Restarts::Always).await;
                });
                continue;
            }
            let restarts = match policy {
                Restarts::Never => Restarts::Never,
                Restarts::OnFailure | Restarts::Always => Restarts::OnFailure,
            };
            initialized = workshop.clone().keep_running(container, restarts).await;
            if !initialized {
                break;
            }
        }
        if initialized {
            let mains = spec.containers.iter();
            join_all(mains.map(|container| workshop.clone().keep_running(container, policy))).await;
        }
        let grace = spec.termination_grace_period_seconds.unwrap_or(30);
        leave.send_replace(Some(Duration::from_secs(
            u64::try_from(grace).unwrap_or_default(),
        )));
        drop(workshop);
        beside.join_all().await;
    }

    /// Makes the volumes, as soon as all that they refer to is there; none when the pod is to end first.
    async fn furnish(
        &self,
        pod: &Arc<Pod>,
        notes: mpsc::UnboundedSender<Note>,
        stop: Stop,
    ) -> Option<Workshop> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let objects = Objects::new(self.client.clone(), namespace, self.port);
        let folder = self.pods.join(folder_name(pod));
        let place = folder.join("volumes");
        loop {
            let room = Room {
                pod,
                folder: &place,
                claims: &self.claims,
                objects: &objects,
            };
            match room.furnish().await {
                Ok(volumes) => {
                    return Some(Workshop {
                        pod: pod.clone(),
                        images: self.images.clone(),
                        folder,
                        volumes: Arc::new(volumes),
                        objects,
                        notes,
                        stop,
                    });
                }
                Err(missing) => {
                    for container in pod.spec.iter().flat_map(|spec| &spec.containers) {
                        // A kubelet tells by an event; here the reason stands with the containers.
                        let _ = notes.send(Note {
                            container: container.name.clone(),
                            change: Change::Waiting {
                                reason: "ContainerCreating",
                                message: missing.to_string(),
                            },
                        });
                    }
                }
            }
            if stop.borrow().is_some() {
                return None;
            }
            sleep(AGAIN).await;
        }
    }
}

/// Passes the end of the pod on to its sidecars, or learns that they were told already.
async fn forward(mut stop: Stop, leave: watch::Sender<Option<Duration>>) {
    let mut told = leave.subscribe();
    tokio::select! {
        grace = stopped(&mut stop) => {
            leave.send_replace(Some(grace));
        }
        _ = stopped(&mut told) => {}
    }
}

async fn deadline(seconds: Option<i64>) {
    match seconds.and_then(|seconds| u64::try_from(seconds).ok()) {
        Some(seconds) => sleep(Duration::from_secs(seconds)).await,
        None => std::future::pending().await,
    }
}

/// Reports the pod, however long the API server takes; not when the pod is gone.
async fn publish(api: &Api<Pod>, pod: &Pod, ledger: &mut Ledger) {
    let patch = ledger.patch(pod);
    persist(|| async {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        api.patch_status(name, &PatchParams::default(), &Patch::Strategic(&patch))
            .await
            .map(drop)
    })
    .await;
}

/// Reports a pod whose processes are gone.
async fn lose(api: &Api<Pod>, pod: &Pod) {
    let Some(spec) = &pod.spec else {
        return;
    };
    let mut ledger = Ledger::of(spec);
    ledger.verdict = Some(Verdict {
        reason: "NodeLost",
        message: "the kubelet that ran the pod ended".to_owned(),
    });
    publish(api, pod, &mut ledger).await;
}

/// Takes the pod from the API server: no other of the same name.
async fn delete(api: &Api<Pod>, pod: &Pod) {
    persist(|| async {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let params = DeleteParams::default()
            .grace_period(0)
            .preconditions(Preconditions {
                uid: pod.metadata.uid.clone(),
                resource_version: None,
            });
        api.delete(name, &params).await.map(drop)
    })
    .await;
}

/// Asks again until there is an answer that is one of the request's own.
async fn persist<F: Future<Output = kube::Result<()>>>(request: impl Fn() -> F) {
    let mut wait = AGAIN;
    loop {
        match request().await {
            Ok(()) => return,
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => return,
            Err(_) => sleep(wait).await,
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}
