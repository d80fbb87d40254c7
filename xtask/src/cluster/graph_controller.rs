//! Stands in for the controller of DynamoGraphDeployments: says what state a deployment is in, as a test wants it.
//!
//! Without a wish a deployment is `pending` at first and `successful` soon after. Annotations of the deployment, which may
//! change at any time, wish otherwise.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::discovery;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// The state that a deployment is to be in.
const STATE: &str = "test.dgdr/state";
/// An image for a pod of the deployment: one that no registry has leaves the pod stuck.
const POD_IMAGE: &str = "test.dgdr/pod-image";
/// Whose pods they are, as upstream labels them.
const POD_LABEL: &str = "nvidia.com/dynamo-graph-deployment-name";
const PENDING: &str = "pending";
const SUCCESSFUL: &str = "successful";
/// How long a deployment is pending.
const UNTIL_READY: Duration = Duration::from_millis(200);
const GROUP: &str = "nvidia.com";
const KIND: &str = "DynamoGraphDeployment";
const OWNER: &str = "dgdr-test-graph-controller";
/// Writes at a time: each takes a connection.
const AT_ONCE: usize = 16;
/// How long to wait for a cluster to know the kind.
const AGAIN: Duration = Duration::from_secs(1);

/// Works until it is dropped.
pub(super) async fn run(client: kube::Client) {
    let kind = loop {
        if let Some(kind) = served_kind(&client).await {
            break kind;
        }
        tokio::time::sleep(AGAIN).await;
    };
    let all: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
    let mut events = std::pin::pin!(watcher(all, watcher::Config::default()));
    let mut reports = Reports::default();
    loop {
        tokio::select! {
            event = events.next() => {
                let outcome = match event {
                    Some(Ok(Event::Apply(dgd) | Event::InitApply(dgd))) => {
                        see(&client, &kind, &dgd, &mut reports).await
                    }
                    Some(Ok(Event::Delete(_) | Event::Init | Event::InitDone)) => Ok(()),
                    Some(Err(error)) => Err(error.into()),
                    None => return,
                };
                if outcome.is_err() {
                    tokio::time::sleep(UNTIL_READY).await;
                }
            }
            Some(_) = reports.tasks.join_next() => {}
        }
    }
}

/// The deployment in the newest version that the cluster serves, which may be older than that of other kinds.
async fn served_kind(client: &kube::Client) -> Option<ApiResource> {
    let group = discovery::group(client, GROUP).await.ok()?;
    let mut kinds = group.resources_by_stability().into_iter();
    kinds.find(|(kind, _)| kind.kind == KIND).map(|(kind, _)| kind)
}

async fn see(
    client: &kube::Client,
    kind: &ApiResource,
    dgd: &DynamicObject,
    reports: &mut Reports,
) -> anyhow::Result<()> {
    if dgd.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    let namespace = dgd.namespace().unwrap_or_default();
    if let Some(image) = dgd.annotations().get(POD_IMAGE) {
        let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
        let pod = pod_of(kind, dgd, image);
        pods.patch(
            &format!("{}-worker", dgd.name_any()),
            &PatchParams::apply(OWNER).force(),
            &Patch::Apply(&pod),
        )
        .await?;
    }
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, kind);
    let (state, wait) = match next(dgd) {
        Step::None => return Ok(()),
        Step::Now(state) => (state, Duration::ZERO),
        Step::Later(state) => (state, UNTIL_READY),
    };
    let (name, patch) = (dgd.name_any(), status(kind, dgd, state));
    let turns = reports.turns.clone();
    reports.tasks.spawn(async move {
        tokio::time::sleep(wait).await;
        let turn = turns.acquire().await;
        // Whatever went wrong, the next change of the deployment is seen.
        let _ = api
            .patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch))
            .await;
        drop(turn);
    });
    Ok(())
}

/// States that are being written.
struct Reports {
    tasks: JoinSet<()>,
    turns: Arc<Semaphore>,
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            tasks: JoinSet::new(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

/// What is to be said next of a deployment.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    None,
    Now(&'a str),
    Later(&'a str),
}

fn next(dgd: &DynamicObject) -> Step<'_> {
    let wish = dgd.annotations().get(STATE).map_or(SUCCESSFUL, String::as_str);
    match dgd.data["status"]["state"].as_str().unwrap_or_default() {
        "" => Step::Now(PENDING),
        state if state == wish => Step::None,
        PENDING => Step::Later(wish),
        _ => Step::Now(wish),
    }
}

fn status(kind: &ApiResource, dgd: &DynamicObject, state: &str) -> Value {
    let (list, components) = replicas(dgd);
    let reports: Map<String, Value> = components
        .into_iter()
        .map(|(name, replicas)| {
            let available = if state == SUCCESSFUL { replicas } else { 0 };
            let resource = format!("{}-{}", dgd.name_any(), name.to_lowercase());
            let mut report = json!({
                "componentKind": "Deployment",
                "replicas": replicas,
                "updatedReplicas": replicas,
                "readyReplicas": available,
                "availableReplicas": available,
            });
            // The one field whose name the versions do not share.
            if kind.version == "v1alpha1" {
                report["componentName"] = json!(resource);
            } else {
                report["componentNames"] = json!([resource]);
            }
            (name, report)
        })
        .collect();
    json!({ "status": {
        "state": state,
        "observedGeneration": dgd.metadata.generation,
        list: reports,
    } })
}

/// What the parts of a deployment are called as a whole, and how many replicas each wants.
fn replicas(dgd: &DynamicObject) -> (&'static str, Vec<(String, u64)>) {
    let wanted = |part: &Value| part["replicas"].as_u64().unwrap_or(1);
    let spec = &dgd.data["spec"];
    if let Some(services) = spec["services"].as_object() {
        let parts = services.iter().map(|(name, part)| (name.clone(), wanted(part)));
        return ("services", parts.collect());
    }
    let parts = spec["components"].as_array().into_iter().flatten();
    let named = parts.map(|part| (part["name"].as_str().unwrap_or_default().to_owned(), wanted(part)));
    ("components", named.collect())
}

fn pod_of(kind: &ApiResource, dgd: &DynamicObject, image: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("{}-worker", dgd.name_any()),
            "labels": { POD_LABEL: dgd.name_any() },
            "ownerReferences": [{
                "apiVersion": kind.api_version,
                "kind": kind.kind,
                "name": dgd.name_any(),
                "uid": dgd.uid(),
            }],
        },
        "spec": { "containers": [{ "name": "main", "image": image, "command": ["sleep", "3600"] }] },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(document: Value) -> DynamicObject {
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn a_deployment_is_pending_and_then_what_is_wished() {
        let at = |state: &str, wish: Option<&str>| {
            deployment(json!({
                "metadata": { "annotations": wish.map(|wish| json!({ STATE: wish })) },
                "status": { "state": state },
            }))
        };
        assert_eq!(next(&deployment(json!({ "metadata": {} }))), Step::Now(PENDING));
        assert_eq!(next(&at(PENDING, None)), Step::Later(SUCCESSFUL));
        assert_eq!(next(&at(SUCCESSFUL, None)), Step::None);
        assert_eq!(next(&at(PENDING, Some(PENDING))), Step::None);
        assert_eq!(next(&at(PENDING, Some("failed"))), Step::Later("failed"));
        assert_eq!(next(&at(SUCCESSFUL, Some("failed"))), Step::Now("failed"));
    }

    #[test]
    fn replicas_are_reported_in_either_version() {
        let alpha = deployment(json!({
            "metadata": { "name": "d" },
            "spec": { "services": { "Frontend": {}, "Worker": { "replicas": 3 } } },
        }));
        let kind = |version: &str| ApiResource {
            group: GROUP.to_owned(),
            version: version.to_owned(),
            api_version: format!("{GROUP}/{version}"),
            kind: KIND.to_owned(),
            plural: "dynamographdeployments".to_owned(),
        };
        let report = status(&kind("v1alpha1"), &alpha, SUCCESSFUL);
        assert_eq!(report["status"]["services"]["Frontend"]["availableReplicas"], 1);
        assert_eq!(
            report["status"]["services"]["Worker"]["componentName"],
            "d-worker"
        );
        let beta = deployment(json!({
            "metadata": { "name": "d" },
            "spec": { "components": [{ "name": "worker", "replicas": 2 }] },
        }));
        let report = status(&kind("v1beta1"), &beta, PENDING);
        assert_eq!(report["status"]["components"]["worker"]["replicas"], 2);
        assert_eq!(report["status"]["components"]["worker"]["availableReplicas"], 0);
        assert_eq!(
            report["status"]["components"]["worker"]["componentNames"],
            json!(["d-worker"])
        );
    }
}
