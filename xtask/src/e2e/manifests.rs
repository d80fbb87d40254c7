//! What `deploy/manifests` installs, without the operator itself, which the checks run as a process.

use std::fs;

use anyhow::{Context as _, bail};
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::{GroupVersionKind, TypeMeta};

use crate::cluster::test_cluster::ServiceAccountName;
use crate::workspace;

/// Who the operator is, where it serves the whole cluster.
pub(super) const OPERATOR: ServiceAccountName<'static> = ServiceAccountName {
    namespace: NAMESPACE,
    name: "dgdr-operator",
};
/// The same, as the API server calls it.
pub(super) const OPERATOR_USER: &str = "system:serviceaccount:dgdr-system:dgdr-operator";
/// Where the manifests put it.
const NAMESPACE: &str = "dgdr-system";
const OWNER: &str = "dgdr-test-e2e";

/// Which install.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Install<'a> {
    /// For all namespaces.
    Cluster,
    /// For one namespace, which exists.
    Namespace(&'a str),
}

/// Applies identities and roles, as `kubectl apply -k` would.
pub(super) async fn install(client: &kube::Client, install: Install<'_>) -> anyhow::Result<()> {
    let files: &[&str] = match install {
        Install::Cluster => &[
            "cluster-scoped/namespace.yaml",
            "cluster-scoped/rbac.yaml",
            "base/operator.yaml",
        ],
        Install::Namespace(_) => &[
            "namespace-scoped/profiling.yaml",
            "namespace-scoped/rbac.yaml",
            "base/operator.yaml",
        ],
    };
    for file in files {
        let path = workspace::root().join("deploy/manifests").join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let text = match install {
            Install::Cluster => text,
            Install::Namespace(namespace) => text.replace(NAMESPACE, namespace),
        };
        apply(client, &text)
            .await
            .with_context(|| format!("cannot apply {}", path.display()))?;
    }
    Ok(())
}

/// Applies all documents of a text that say who may do what.
pub(super) async fn apply(client: &kube::Client, text: &str) -> anyhow::Result<()> {
    for document in text
        .split("\n---\n")
        .filter(|document| document.contains("kind:"))
    {
        let object: DynamicObject = serde_saphyr::from_str(document)?;
        let TypeMeta { api_version, kind } = object.types.clone().context("an object has no kind")?;
        let is_namespaced = match kind.as_str() {
            "Namespace"
            | "ClusterRole"
            | "ClusterRoleBinding"
            | "CustomResourceDefinition"
            | "MutatingWebhookConfiguration"
            | "ValidatingWebhookConfiguration" => false,
            "ServiceAccount" | "Role" | "RoleBinding" => true,
            "Deployment" | "PodDisruptionBudget" | "Service" => continue,
            other => bail!("nobody said what is to be done with a {other}"),
        };
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
        let api: Api<DynamicObject> = if is_namespaced {
            let namespace = object
                .namespace()
                .with_context(|| format!("a {kind} has no namespace"))?;
            Api::namespaced_with(client.clone(), &namespace, &resource)
        } else {
            Api::all_with(client.clone(), &resource)
        };
        api.patch(
            &object.name_any(),
            &PatchParams::apply(OWNER).force(),
            &Patch::Apply(&object),
        )
        .await
        .with_context(|| format!("cannot apply {kind} {}", object.name_any()))?;
    }
    Ok(())
}
