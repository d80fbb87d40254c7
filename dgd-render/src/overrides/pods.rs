//! Fields of pods that the core API does not have: the cluster would drop them without a word.
//!
//! They are said, not refused: a newer cluster may know them.

use dgdr_types::dgd::DgdVersion;
use dgdr_types::nearest;
use serde_json::{Map, Value};

use super::Findings;
use super::containers::name_of;
use super::merge::below;

/// Fields of a `core/v1` `PodSpec`, as upstream's CRD has them; a test compares.
pub(super) const POD_FIELDS: [&str; 41] = [
    "activeDeadlineSeconds",
    "affinity",
    "automountServiceAccountToken",
    "containers",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "ephemeralContainers",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostUsers",
    "hostname",
    "hostnameOverride",
    "imagePullSecrets",
    "initContainers",
    "nodeName",
    "nodeSelector",
    "os",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "readinessGates",
    "resourceClaims",
    "resources",
    "restartPolicy",
    "runtimeClassName",
    "schedulerName",
    "schedulingGates",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "subdomain",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
];

/// Fields of a `core/v1` `Container`, as upstream's CRD has them; a test compares.
pub(super) const CONTAINER_FIELDS: [&str; 25] = [
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "name",
    "ports",
    "readinessProbe",
    "resizePolicy",
    "resources",
    "restartPolicy",
    "restartPolicyRules",
    "securityContext",
    "startupProbe",
    "stdin",
    "stdinOnce",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
];

/// Says which fields of a component's pods are not known.
pub(super) fn judge(component: &Value, version: DgdVersion, path: &str, found: &mut Findings) {
    let (pod, path) = match version {
        DgdVersion::V1alpha1 => (component.get("extraPodSpec"), below(path, "extraPodSpec")),
        DgdVersion::V1beta1 => (
            component
                .get("podTemplate")
                .and_then(|template| template.get("spec")),
            below(path, "podTemplate.spec"),
        ),
    };
    let Some(Value::Object(pod)) = pod else { return };
    for (field, value) in pod {
        let path = below(&path, field);
        match field.as_str() {
            "mainContainer" if version == DgdVersion::V1alpha1 => judge_container(value, &path, found),
            "containers" | "initContainers" => {
                for container in value.as_array().into_iter().flatten() {
                    let name = name_of(container).unwrap_or_default();
                    judge_container(container, &format!("{path}[{name}]"), found);
                }
            }
            _ => {}
        }
    }
    let is_extra = |field: &str| version == DgdVersion::V1alpha1 && field == "mainContainer";
    say_unknown(pod, &POD_FIELDS, &path, found, is_extra);
}

fn judge_container(container: &Value, path: &str, found: &mut Findings) {
    if let Value::Object(container) = container {
        say_unknown(container, &CONTAINER_FIELDS, path, found, |_| false);
    }
}

fn say_unknown(
    fields: &Map<String, Value>,
    known: &[&'static str],
    path: &str,
    found: &mut Findings,
    is_extra: impl Fn(&str) -> bool,
) {
    for field in fields.keys() {
        if known.contains(&field.as_str()) || is_extra(field) {
            continue;
        }
        let meant = nearest(field, known.iter().copied())
            .map_or_else(String::new, |name| format!(", did you mean `{name}`?"));
        found.warnings.push(format!(
            "{}: pods have no such field, and the cluster may drop it{meant}",
            below(path, field)
        ));
    }
}
