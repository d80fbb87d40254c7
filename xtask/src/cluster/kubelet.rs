//! A kubelet that runs pods as processes of this machine, for all nodes of a test cluster at once.
//!
//! What it has in common with a real one: volumes, variables, init containers, sidecars, restarts, termination messages,
//! graceful ends, image pull errors, statuses and conditions, logs by `kubectl logs`. What it leaves out: users,
//! capabilities and limits (processes run as xtask does), probes (who runs is ready), networks (all is loopback).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff;
use kube::api::Api;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::folder::Folder;
use super::{certificates, kubeconfig};

mod container;
pub(crate) mod container_root;
mod environment;
pub(crate) mod images;
mod logs;
mod objects;
mod pod;
mod status;
mod volumes;

use images::Images;
use pod::Landlord;

/// How long a pod may take to end where it does not say.
const USUAL_GRACE: i64 = 30;

fn now() -> Time {
    Time(jiff::Timestamp::now())
}

/// Whose pods are run, and with what.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    /// The nodes.
    pub(crate) nodes: Vec<String>,
    /// What stands for images.
    pub(crate) images: Images,
}

/// Runs the pods of all nodes until it is dropped; all their processes end with it.
pub(crate) async fn run(folder: Folder, assignment: Assignment) -> anyhow::Result<()> {
    let images = Arc::new(assignment.images);
    let mut nodes = JoinSet::new();
    nodes.spawn(logs::serve(folder.clone()));
    for node in assignment.nodes {
        certificates::node(&folder, &node)?;
        let kubeconfig = kubeconfig::write_for_certificate(&folder, &node)?;
        let landlord = Landlord {
            client: kubeconfig::client(&kubeconfig).await?,
            images: images.clone(),
            pods: folder.pods(),
            claims: folder.volumes(),
            port: folder.ports().api_server,
        };
        nodes.spawn(async move {
            run_node(landlord, node).await;
            Ok(())
        });
    }
    while let Some(end) = nodes.join_next().await {
        end??;
    }
    Ok(())
}

/// The pods of a node that are not done with.
#[derive(Default)]
struct Guests {
    by_uid: BTreeMap<String, watch::Sender<Option<Duration>>>,
    tasks: JoinSet<String>,
}

impl Guests {
    /// Takes the pod in, or tells it that it is to end.
    fn see(&mut self, landlord: &Landlord, pod: Pod) {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let grace = pod.metadata.deletion_timestamp.is_some().then(|| {
            let seconds = pod.metadata.deletion_grace_period_seconds.unwrap_or(USUAL_GRACE);
            Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
        });
        if let Some(known) = self.by_uid.get(&uid) {
            if grace.is_some() {
                known.send_replace(grace);
            }
            return;
        }
        let (sender, receiver) = watch::channel(grace);
        self.by_uid.insert(uid.clone(), sender);
        let house = landlord.clone().house(pod, receiver);
        self.tasks.spawn(async move {
            house.await;
            uid
        });
    }

    /// A pod that is gone from the API server has no time left.
    fn lose(&mut self, uid: &str) {
        if let Some(known) = self.by_uid.get(uid) {
            known.send_replace(Some(Duration::ZERO));
        }
    }
}

async fn run_node(landlord: Landlord, node: String) {
    let api: Api<Pod> = Api::all(landlord.client.clone());
    let config = watcher::Config::default().fields(&format!("spec.nodeName={node}"));
    let mut events = std::pin::pin!(watcher(api, config));
    let mut guests = Guests::default();
    let mut listed = Vec::new();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(Event::Apply(pod))) => guests.see(&landlord, pod),
                Some(Ok(Event::Delete(pod))) => guests.lose(pod.metadata.uid.as_deref().unwrap_or_default()),
                Some(Ok(Event::Init)) => listed.clear(),
                Some(Ok(Event::InitApply(pod))) => {
                    listed.push(pod.metadata.uid.clone().unwrap_or_default());
                    guests.see(&landlord, pod);
                }
                Some(Ok(Event::InitDone)) => {
                    let gone: Vec<String> =
                        guests.by_uid.keys().filter(|uid| !listed.contains(uid)).cloned().collect();
                    for uid in gone {
                        guests.lose(&uid);
                    }
                }
                // The watcher starts anew by itself; it only must not do so without end.
                Some(Err(_)) => tokio::time::sleep(Duration::from_millis(200)).await,
                None => return,
            },
            Some(Ok(uid)) = guests.tasks.join_next() => {
                guests.by_uid.remove(&uid);
            }
        }
    }
}
