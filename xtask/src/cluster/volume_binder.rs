//! Gives every claim a volume that is a folder, as a provisioner would.

use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::json;

use super::folder::Folder;

const OWNER: &str = "dgdr-test-volume-binder";
const AGAIN: Duration = Duration::from_millis(200);
/// Keeps a claim without a volume.
const UNBOUND: &str = "test.dgdr/unbound";

/// Binds claims until it is dropped.
pub(super) async fn run(client: kube::Client, folder: Folder) {
    let claims: Api<PersistentVolumeClaim> = Api::all(client.clone());
    let mut events = std::pin::pin!(watcher(claims, watcher::Config::default()));
    while let Some(event) = events.next().await {
        let outcome = match event {
            Ok(Event::Apply(claim) | Event::InitApply(claim)) => {
                bind(&client, &claim, &folder.volumes()).await
            }
            Ok(Event::Delete(claim)) => release(&client, &claim).await,
            Ok(Event::Init | Event::InitDone) => Ok(()),
            Err(error) => Err(error.into()),
        };
        if outcome.is_err() {
            // The claim is seen again with its next change, or when the watch starts anew.
            tokio::time::sleep(AGAIN).await;
        }
    }
}

fn volume_name(claim: &PersistentVolumeClaim) -> String {
    format!("pvc-{}", claim.uid().unwrap_or_default())
}

async fn bind(client: &kube::Client, claim: &PersistentVolumeClaim, volumes: &Path) -> anyhow::Result<()> {
    let bound = claim
        .status
        .as_ref()
        .is_some_and(|status| status.phase.as_deref() == Some("Bound"));
    if bound || claim.annotations().contains_key(UNBOUND) || claim.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    let (name, namespace) = (claim.name_any(), claim.namespace().unwrap_or_default());
    let spec = claim.spec.clone().unwrap_or_default();
    let capacity = spec.resources.and_then(|resources| resources.requests);
    let volume_name = volume_name(claim);
    let volume = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": { "name": volume_name },
        "spec": {
            "accessModes": spec.access_modes,
            "capacity": capacity,
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": name,
                "namespace": namespace,
                "uid": claim.uid(),
            },
            "hostPath": { "path": volumes.join(format!("{namespace}_{name}")) },
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": spec.storage_class_name.unwrap_or_default(),
            "volumeMode": spec.volume_mode,
        },
    });
    let apply = PatchParams::apply(OWNER).force();
    let all: Api<PersistentVolume> = Api::all(client.clone());
    all.patch(&volume_name, &apply, &Patch::Apply(&volume)).await?;
    let phase = json!({ "status": { "phase": "Bound" } });
    all.patch_status(&volume_name, &PatchParams::default(), &Patch::Merge(&phase))
        .await?;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &namespace);
    let binding = json!({
        "metadata": { "annotations": {
            "pv.kubernetes.io/bind-completed": "yes",
            "pv.kubernetes.io/bound-by-controller": "yes",
        } },
        "spec": { "volumeName": volume_name },
    });
    claims
        .patch(&name, &PatchParams::default(), &Patch::Merge(&binding))
        .await?;
    let status = json!({ "status": {
        "accessModes": claim.spec.as_ref().and_then(|spec| spec.access_modes.as_ref()),
        "capacity": capacity,
        "phase": "Bound",
    } });
    claims
        .patch_status(&name, &PatchParams::default(), &Patch::Merge(&status))
        .await?;
    Ok(())
}

async fn release(client: &kube::Client, claim: &PersistentVolumeClaim) -> anyhow::Result<()> {
    let all: Api<PersistentVolume> = Api::all(client.clone());
    let name = volume_name(claim);
    // The API server keeps volumes that are bound, until their finalizer is taken away.
    let free = json!({ "metadata": { "finalizers": null } });
    all.patch(&name, &PatchParams::default(), &Patch::Merge(&free))
        .await?;
    all.delete(&name, &DeleteParams::default()).await?;
    Ok(())
}
