//! Requests as the checks make and watch them.

use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};

use super::bench::Bench;

const OWNER: &str = "dgdr-test-e2e";
const GROUP: &str = "nvidia.com";
const KIND: &str = "DynamoGraphDeploymentRequest";

/// An object of a namespace, by its names.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    /// Its namespace.
    pub(super) namespace: &'a str,
    /// Its name there.
    pub(super) name: &'a str,
}

/// The condition of that type; null where there is none.
pub(super) fn condition<'a>(object: &'a DynamicObject, kind: &str) -> &'a Value {
    let mut all = object.data["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    all.find(|said| said["type"] == kind).unwrap_or(&Value::Null)
}

/// Where a request stands; empty where nobody has said.
pub(super) fn phase(object: &DynamicObject) -> &str {
    object.data["status"]["phase"].as_str().unwrap_or_default()
}

impl Bench {
    /// Makes a namespace.
    pub(super) async fn namespace(&self, name: &str) -> anyhow::Result<()> {
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        Api::<Namespace>::all(self.client.clone())
            .patch(name, &PatchParams::apply(OWNER), &Patch::Apply(&namespace))
            .await?;
        Ok(())
    }

    /// The requests of a namespace, in the version that is stored.
    pub(super) fn requests(&self, namespace: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk(GROUP, "v1beta1", KIND);
        let resource = ApiResource::from_gvk(&kind);
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }

    /// Makes a request, or changes one.
    pub(super) async fn ask(&self, at: At<'_>, spec: &Value) -> anyhow::Result<DynamicObject> {
        let request = json!({
            "apiVersion": "nvidia.com/v1beta1",
            "kind": KIND,
            "metadata": { "name": at.name },
            "spec": spec,
        });
        let api = self.requests(at.namespace);
        api.patch(
            at.name,
            &PatchParams::apply(OWNER).force(),
            &Patch::Apply(&request),
        )
        .await
        .with_context(|| format!("request {} is not taken", at.name))
    }

    /// Waits until a request is as it should be.
    pub(super) async fn wait_until(
        &self,
        at: At<'_>,
        most: Duration,
        is_there: impl Fn(&DynamicObject) -> bool,
    ) -> anyhow::Result<DynamicObject> {
        let api = self.requests(at.namespace);
        let condition = |object: Option<&DynamicObject>| object.is_some_and(&is_there);
        let waiting = await_condition(api.clone(), at.name, condition);
        if let Ok(found) = tokio::time::timeout(most, waiting).await {
            return found?.with_context(|| format!("request {} is gone", at.name));
        }
        let now = api.get_opt(at.name).await?.context("it does not exist")?;
        bail!(
            "after {most:?} request {} is not what it should be: {}",
            at.name,
            now.data["status"]
        );
    }

    /// Waits for a phase; an error as soon as the request has failed instead.
    pub(super) async fn wait_for(
        &self,
        at: At<'_>,
        wanted: &str,
        most: Duration,
    ) -> anyhow::Result<DynamicObject> {
        let found = self
            .wait_until(at, most, |object| {
                phase(object) == wanted || phase(object) == "Failed"
            })
            .await?;
        if phase(&found) != wanted {
            bail!(
                "request {} failed: {}",
                at.name,
                condition(&found, "Succeeded")["message"]
            );
        }
        Ok(found)
    }

    /// Reasons of the events of a request, sorted, each with how often it was told.
    pub(super) async fn event_reasons(&self, at: At<'_>) -> anyhow::Result<Vec<(String, i32)>> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), at.namespace);
        let events = api.list(&ListParams::default()).await?;
        let mut reasons: Vec<(String, i32)> = events
            .into_iter()
            .filter(|event| {
                let about = event.regarding.as_ref();
                about.is_some_and(|about| {
                    about.kind.as_deref() == Some(KIND) && about.name.as_deref() == Some(at.name)
                })
            })
            .map(|event| {
                let count = event.series.map_or(1, |series| series.count);
                (event.reason.unwrap_or_default(), count)
            })
            .collect();
        reasons.sort();
        Ok(reasons)
    }
}
