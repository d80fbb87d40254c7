//! The deployment as it is written: with the user's part merged in, in the version that the cluster serves.

use dgdr_perf_model::Backend;
use dgdr_types::dgd::{ConfigMap, DgdVersion, component_path, convert, to_document};
use dgdr_units::Gpus;
use serde_json::{Map, Value, json};

use super::error::RenderError;
use super::overrides::{DgdOverride, OverrideTarget};
use super::{Manifests, documents};

/// Fields of v1alpha1 that release 1.0, the last to serve nothing newer, does not know yet.
const NEWER_SPEC_FIELDS: [&str; 6] = [
    "annotations",
    "labels",
    "topologyConstraint",
    "priorityClassName",
    "providerOverride",
    "experimental",
];

/// As [`NEWER_SPEC_FIELDS`], of a service.
const NEWER_SERVICE_FIELDS: [&str; 8] = [
    "failover",
    "frontendSidecar",
    "gpuMemoryService",
    "lpx",
    "minAvailable",
    "providerOverride",
    "roles",
    "topologyConstraint",
];

/// How a deployment is finished.
#[derive(Debug, Clone, Copy)]
pub struct FinishInput<'a> {
    /// The version that the cluster serves.
    pub version: DgdVersion,
    /// What the user changes.
    pub part: Option<&'a DgdOverride>,
    /// The engine that was picked.
    pub backend: Backend,
    /// GPUs that there are.
    pub budget: Gpus,
}

/// A deployment as it is written, and what it mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// What it mounts.
    pub config_maps: Vec<ConfigMap>,
    /// The deployment.
    pub deployment: Value,
    /// What its user should know.
    pub warnings: Vec<String>,
}

/// Merges the user's part into rendered manifests, and says them in the version of the cluster.
///
/// # Errors
/// [`RenderError::Override`] for a part that cannot be merged.
pub fn finish(manifests: Manifests, input: FinishInput<'_>) -> Result<Finished, RenderError> {
    let generated = to_document(&manifests.deployment)?;
    let (mut deployment, mut warnings) = if let Some(part) = input.part {
        let merged = part.apply(OverrideTarget {
            deployment: &generated,
            config_maps: &manifests.config_maps,
            backend: input.backend,
            budget: input.budget,
            version: input.version,
        })?;
        (merged.document, merged.warnings)
    } else {
        let converted = convert(&generated, input.version)?;
        (converted.document, converted.notices)
    };
    if input.version == DgdVersion::V1alpha1 {
        warnings.extend(fit_release_1_0(&mut deployment));
    }
    Ok(Finished {
        config_maps: manifests.config_maps,
        deployment,
        warnings,
    })
}

/// A cluster that serves v1alpha1 only runs release 1.0 or older: what that would prune is not written, or said.
fn fit_release_1_0(deployment: &mut Value) -> Vec<String> {
    let mut notices = Vec::new();
    let Some(Value::Object(spec)) = deployment.get_mut("spec") else {
        return notices;
    };
    let ignored =
        |path: String| format!("{path}: a cluster that serves v1alpha1 only drops it without a word");
    for field in NEWER_SPEC_FIELDS {
        if spec.contains_key(field) {
            notices.push(ignored(format!("spec.{field}")));
        }
    }
    if let Some(Value::Object(services)) = spec.get_mut("services") {
        let mut told = false;
        for (name, service) in services {
            let Value::Object(service) = service else { continue };
            join_secrets(service);
            // Such a cluster neither knows nor needs it: its admission does not ask for versions.
            if service.remove("runtimeVersionOverride").is_some() && !told {
                told = true;
                notices.push(
                    "runtimeVersionOverride is left out: clusters that serve v1alpha1 only do not know it"
                        .to_owned(),
                );
            }
            for field in NEWER_SERVICE_FIELDS {
                if service.contains_key(field) {
                    let path = component_path(DgdVersion::V1alpha1, name);
                    notices.push(ignored(format!("{path}.{field}")));
                }
            }
        }
    }
    notices
}

/// That release lets the container's own sources take the place of the service's secret, where v1beta1 has both.
fn join_secrets(service: &mut Map<String, Value>) {
    let Some(secret) = service.get("envFromSecret").cloned() else {
        return;
    };
    let sources = service
        .get_mut("extraPodSpec")
        .and_then(|pod| pod.get_mut("mainContainer")?.get_mut("envFrom"));
    if let Some(Value::Array(sources)) = sources {
        let is_there = sources
            .iter()
            .any(|source| source.get("secretRef").and_then(|known| known.get("name")) == Some(&secret));
        if !is_there {
            sources.insert(0, json!({"secretRef": {"name": secret}}));
        }
        service.remove("envFromSecret");
    }
}

impl Finished {
    /// All documents as YAML, which Go and Python readers understand alike: ConfigMaps first, the deployment last, as
    /// upstream's operator expects.
    ///
    /// # Errors
    /// [`RenderError::Text`] when a value has no YAML form.
    pub fn to_yaml(&self) -> Result<String, RenderError> {
        documents(&self.config_maps, &self.deployment)
    }
}
