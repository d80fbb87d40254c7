//! From one API version of a deployment to the other, and back.
//!
//! Documents are converted, not types: what users wrote must survive, and one conversion serves them and what is
//! generated. Fields that both versions have travel as they are, pod templates with all that is in them. What the other
//! version cannot say is an error with its path, except where the field has no effect on the cluster, which a notice
//! says. The pairs are those of upstream's conversion webhook; where it hides a rest in annotations, this one refuses.
//!
//! | v1beta1 | v1alpha1 |
//! |---|---|
//! | `components[]`, in reading order | `services{}` |
//! | `type: prefill`, `decode` | `componentType: worker` with that `subComponentType` |
//! | container `main` | `extraPodSpec.mainContainer` |
//! | its `resources` | `resources`, where `nvidia.com/gpu` is `gpu` |
//! | its `env`, `livenessProbe`, `readinessProbe` | `envs`, `livenessProbe`, `readinessProbe` |
//! | its `envFrom` of one required secret | `envFromSecret`; any other stays with the container |
//! | the pod's `metadata`, `spec` | `extraPodMetadata`, `extraPodSpec` |
//! | a claim's volume and mount | `pvcs` and `volumeMounts`; written as volume and mount of the pod |
//! | `sharedMemorySize`; `0` | `sharedMemory.size`; `disabled` |
//! | `scalingAdapter: {}` | `scalingAdapter.enabled` |
//! | `compilationCache` | a mount with `useAsCompilationCache` |
//! | `experimental.gpuMemoryService`, `.failover`, `.checkpoint` | fields of the service, `enabled` |
//! | `frontendSidecar: sidecar-frontend` and its container | `frontendSidecar` |

mod fields;
mod to_v1alpha1;
mod to_v1beta1;

use serde_json::Value;

use super::document::DocumentError;
use super::version::DgdVersion;

/// Fields of a component that both versions have.
const SHARED_COMPONENT_FIELDS: [&str; 11] = [
    "replicas",
    "minAvailable",
    "multinode",
    "modelRef",
    "topologyConstraint",
    "eppConfig",
    "globalDynamoNamespace",
    "runtimeVersionOverride",
    "roles",
    "providerOverride",
    "lpx",
];

/// Fields of `spec` that both versions have.
const SHARED_SPEC_FIELDS: [&str; 8] = [
    "backendFramework",
    "annotations",
    "labels",
    "priorityClassName",
    "restart",
    "topologyConstraint",
    "providerOverride",
    "experimental",
];

/// Name of the container that v1alpha1's `frontendSidecar` stands for.
const SIDECAR: &str = "sidecar-frontend";

/// Experimental features of a component that v1alpha1 keeps beside the others, switched by a field.
const EXPERIMENTAL: [&str; 3] = ["gpuMemoryService", "failover", "checkpoint"];

/// A document in another version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The document.
    pub document: Value,
    /// What was left out, because it has no effect.
    pub notices: Vec<String>,
}

/// A deployment in a version.
///
/// # Errors
/// [`DocumentError`] for what that version cannot say, and for what is not as its own version has it.
pub fn convert(document: &Value, version: DgdVersion) -> Result<Converted, DocumentError> {
    match (DgdVersion::of(document)?, version) {
        (DgdVersion::V1alpha1, DgdVersion::V1beta1) => to_v1beta1::convert(document),
        (DgdVersion::V1beta1, DgdVersion::V1alpha1) => to_v1alpha1::convert(document),
        (DgdVersion::V1alpha1, DgdVersion::V1alpha1) | (DgdVersion::V1beta1, DgdVersion::V1beta1) => {
            Ok(Converted {
                document: document.clone(),
                notices: Vec::new(),
            })
        }
    }
}

#[cfg(test)]
mod tests;
