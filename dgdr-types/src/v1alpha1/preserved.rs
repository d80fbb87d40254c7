//! What one version cannot say, in annotations of the object.

use serde_json::{Map, Value, json};

use super::DgdrVersion;
use super::field::{at, set};
use crate::contract::annotation;

/// The `spec` and `status` as the other version had them.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) spec: Option<Value>,
    pub(super) status: Option<Value>,
}

/// Fields that upstream's releases 1.0 and 1.1 kept in annotations of their own, as text or as JSON.
const LEGACY_SPEC: [(&str, &[&str]); 5] = [
    (
        "nvidia.com/dgdr-config-map-ref",
        &["profilingConfig", "configMapRef"],
    ),
    ("nvidia.com/dgdr-output-pvc", &["profilingConfig", "outputPVC"]),
    ("nvidia.com/dgdr-enable-gpu-discovery", &["enableGpuDiscovery"]),
    ("nvidia.com/dgdr-deployment-overrides", &["deploymentOverrides"]),
    ("nvidia.com/dgdr-profiling-config", &["profilingConfig", "config"]),
];
/// The same of v1alpha1's status.
const LEGACY_STATUS: [(&str, &[&str]); 3] = [
    ("nvidia.com/dgdr-status-backend", &["backend"]),
    ("nvidia.com/dgdr-profiling-results", &["profilingResults"]),
    ("nvidia.com/dgdr-deployment-status", &["deployment"]),
];
/// The same of v1beta1's status.
const LEGACY_BETA_STATUS: [(&str, &[&str]); 1] =
    [("nvidia.com/dgdr-profiling-job-name", &["profilingJobName"])];

/// Takes what was preserved for a version out of an object.
pub(super) fn take(object: &mut Value, version: DgdrVersion) -> Kept {
    let Some(annotations) = object
        .get_mut("metadata")
        .and_then(|metadata| metadata.get_mut("annotations"))
        .and_then(Value::as_object_mut)
    else {
        return Kept::default();
    };
    let (spec, status): (&[_], &[_]) = match version {
        DgdrVersion::V1alpha1 => (&LEGACY_SPEC, &LEGACY_STATUS),
        DgdrVersion::V1beta1 => (&[], &LEGACY_BETA_STATUS),
    };
    let kept = Kept {
        spec: read(annotations, annotation::PRESERVED_SPEC, spec),
        status: read(annotations, annotation::PRESERVED_STATUS, status),
    };
    for key in [annotation::PRESERVED_SPEC, annotation::PRESERVED_STATUS]
        .into_iter()
        .chain([spec, status].concat().into_iter().map(|(key, _)| key))
    {
        annotations.remove(key);
    }
    if annotations.is_empty() {
        set(object, &["metadata", "annotations"], None);
    }
    kept
}

/// The structural annotation, else what the older ones hold together. What cannot be read was not written by a conversion.
fn read(annotations: &Map<String, Value>, key: &str, legacy: &[(&str, &[&str])]) -> Option<Value> {
    let text = |key: &str| annotations.get(key).and_then(Value::as_str);
    if let Some(kept) = text(key) {
        let kept: Option<Value> = serde_json::from_str(kept).ok();
        return kept.filter(Value::is_object);
    }
    let mut kept = json!({});
    for (key, path) in legacy {
        if let Some(value) = text(key).filter(|text| !text.is_empty()) {
            // Names are kept as they are, all else as JSON.
            let value = serde_json::from_str(value)
                .ok()
                .filter(|value: &Value| value.is_object() || value.is_boolean())
                .unwrap_or_else(|| json!(value));
            set(&mut kept, path, Some(value));
        }
    }
    kept.as_object()
        .is_some_and(|fields| !fields.is_empty())
        .then_some(kept)
}

/// Preserves a part of an object, as the version it comes from has it.
pub(super) fn put(object: &mut Value, part: &str, value: &Value) {
    let key = match part {
        "spec" => annotation::PRESERVED_SPEC,
        _ => annotation::PRESERVED_STATUS,
    };
    set(
        object,
        &["metadata", "annotations", key],
        Some(json!(value.to_string())),
    );
}

/// A key of a ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigMapRef {
    /// Name of the ConfigMap, in the namespace of the DGDR.
    pub name: String,
    /// The key; `disagg.yaml` when unset.
    pub key: String,
}

/// Settings of v1alpha1 that v1beta1 has no field for and that still take effect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuntimeEffects {
    /// Claim that keeps the profiler's results, in place of a volume that goes with the Job.
    pub output_pvc: Option<String>,
    /// A deployment for the profiler to start from.
    pub config_map_ref: Option<ConfigMapRef>,
}

/// What the annotations of a stored DGDR say that takes effect.
pub fn runtime_effects<'a>(
    annotations: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> RuntimeEffects {
    let annotations: Map<String, Value> = annotations
        .into_iter()
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    let spec = read(&annotations, annotation::PRESERVED_SPEC, &LEGACY_SPEC).unwrap_or_default();
    let text = |path: &[&str]| {
        at(&spec, path)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let config_map = ["profilingConfig", "configMapRef"];
    RuntimeEffects {
        output_pvc: text(&["profilingConfig", "outputPVC"]),
        config_map_ref: text(&[config_map.as_slice(), &["name"]].concat()).map(|name| ConfigMapRef {
            name,
            key: text(&[config_map.as_slice(), &["key"]].concat())
                .unwrap_or_else(|| "disagg.yaml".to_owned()),
        }),
    }
}
