//! The DGDR in its older version `nvidia.com/v1alpha1`, and its conversion to v1beta1 and back.
//!
//! Documents are converted, not types, and nothing is lost: what the other version cannot say goes with the object in
//! the annotations `nvidia.com/dgdr-spec` and `nvidia.com/dgdr-status`, which hold that part as the version it came from
//! has it. The way back starts from there and takes over every field that was changed since, so that fields that both
//! versions have always win. Annotations of upstream (sparse, of the same names) and of its releases 1.0 and 1.1 (one a
//! field) are read too.
//!
//! The pairs are upstream's (`dynamographdeploymentrequest_conversion.go`):
//!
//! | v1alpha1 | v1beta1 |
//! |---|---|
//! | `spec.model`, `spec.runtimeVersionOverride` | the same |
//! | `spec.backend` (required) | `spec.backend`, unset as `auto` |
//! | `spec.autoApply`, unset as `false` | `spec.autoApply`, unset as `true` |
//! | `spec.useMocker` | `spec.features.mocker.enabled` |
//! | `spec.profilingConfig.profilerImage`, else `spec.deploymentOverrides.workersImage` | `spec.image` |
//! | `spec.profilingConfig.config.sla.ttft`, `.itl`, `.optimizationType` | `spec.sla` |
//! | `spec.profilingConfig.config.sla.isl`, `.osl` | `spec.workload` |
//! | `spec.profilingConfig.config.deployment.modelCache` | `spec.modelCache` |
//! | `spec.profilingConfig.config.planner` | `spec.features.planner` |
//! | `spec.profilingConfig.resources` | `resources` of the profiler in `spec.overrides.profilingJob` |
//! | `spec.profilingConfig.tolerations`, `.nodeSelector` | of the pod in `spec.overrides.profilingJob` |
//! | `status.state`, with `status.deployment.created` | `status.phase` |
//! | `status.deployment.name` | `status.dgdName` |
//! | `status.generatedDeployment` | `status.profilingResults.selectedConfig` |
//! | `status.conditions`, `status.observedGeneration` | the same |

mod field;
mod part;
mod preserved;
#[cfg(feature = "kube")]
mod wire;

use std::fmt;

use serde_json::{Value, json};

use crate::contract::{API_VERSION, KIND};
use crate::error::DgdrError;
use part::{SPEC, STATUS};

pub use preserved::{ConfigMapRef, RuntimeEffects, runtime_effects};
#[cfg(feature = "kube")]
pub use wire::{AlphaRequest, AlphaSpec, AlphaStatus};

/// `apiVersion` of a DGDR in its older version.
pub const ALPHA_API_VERSION: &str = "nvidia.com/v1alpha1";
/// What the API server warns of when the older version is used; upstream's words.
pub const DEPRECATION: &str = "nvidia.com/v1alpha1 DynamoGraphDeploymentRequest is deprecated; use nvidia.com/v1beta1 \
                               DynamoGraphDeploymentRequest";

/// A version of the DGDR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DgdrVersion {
    /// The older one.
    V1alpha1,
    /// The one that is stored.
    V1beta1,
}

impl DgdrVersion {
    /// The version of an `apiVersion`.
    ///
    /// # Errors
    /// [`DgdrError::UnknownVersion`].
    pub fn from_api_version(api_version: &str) -> Result<Self, DgdrError> {
        match api_version {
            ALPHA_API_VERSION => Ok(Self::V1alpha1),
            API_VERSION => Ok(Self::V1beta1),
            other => Err(DgdrError::UnknownVersion {
                found: other.to_owned(),
            }),
        }
    }

    /// The `apiVersion`.
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::V1alpha1 => ALPHA_API_VERSION,
            Self::V1beta1 => API_VERSION,
        }
    }
}

impl fmt::Display for DgdrVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.api_version())
    }
}

/// A DGDR in a version.
///
/// # Errors
/// [`DgdrError::UnknownVersion`] or [`DgdrError::OtherKind`] for what is no DGDR of a version known here.
pub fn convert(object: &Value, to: DgdrVersion) -> Result<Value, DgdrError> {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let kind = text("kind");
    if kind != KIND {
        return Err(DgdrError::OtherKind {
            found: kind.to_owned(),
        });
    }
    let from = DgdrVersion::from_api_version(text("apiVersion"))?;
    if from == to {
        return Ok(object.clone());
    }
    let mut converted = object.clone();
    converted["apiVersion"] = json!(to.api_version());
    let kept = preserved::take(&mut converted, to);
    for (name, pairs, kept) in [("spec", SPEC, kept.spec), ("status", STATUS, kept.status)] {
        let Some(source) = object.get(name).filter(|part| part.is_object()) else {
            continue;
        };
        let target = part::translate(source, kept.as_ref(), part::Way { pairs, to });
        let back = part::translate(&target, None, part::Way { pairs, to: from });
        if back != *source {
            preserved::put(&mut converted, name, source);
        }
        converted[name] = target;
    }
    Ok(converted)
}

#[cfg(test)]
mod tests;
