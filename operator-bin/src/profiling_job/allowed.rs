//! Which parts of a JobSpec an override may set: upstream's list. The rest is ours, and said so.

use dgdr_types::spec::Open;
use serde_json::Value;

use super::{COLLECTOR, PROFILER};

/// Fields of the Job's spec.
const JOB: [&str; 7] = [
    "activeDeadlineSeconds",
    "backoffLimit",
    "completions",
    "parallelism",
    "suspend",
    "template",
    "ttlSecondsAfterFinished",
];
/// Fields of the pod template's metadata.
const METADATA: [&str; 2] = ["annotations", "labels"];
/// Fields of the pod.
const POD: [&str; 16] = [
    "affinity",
    "automountServiceAccountToken",
    "containers",
    "dnsConfig",
    "dnsPolicy",
    "imagePullSecrets",
    "initContainers",
    "nodeSelector",
    "priorityClassName",
    "runtimeClassName",
    "securityContext",
    "serviceAccountName",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
];
/// Fields of the profiler's container; what it runs is ours.
const PROFILER_FIELDS: [&str; 7] = [
    "env",
    "envFrom",
    "image",
    "name",
    "resources",
    "securityContext",
    "volumeMounts",
];
/// Fields of the collector's container.
const COLLECTOR_FIELDS: [&str; 3] = ["image", "name", "resources"];

/// Where overrides are, for messages.
const ROOT: &str = "spec.overrides.profilingJob";

/// The paths of overrides that have no effect, in the order of the text.
pub(super) fn ignored(overrides: &Open) -> Vec<String> {
    let mut found = Vec::new();
    beyond(overrides, &JOB, ROOT, &mut found);
    let template = overrides.get("template").and_then(Value::as_object);
    if let Some(template) = template {
        beyond(
            template,
            &["metadata", "spec"],
            &format!("{ROOT}.template"),
            &mut found,
        );
        if let Some(metadata) = template.get("metadata").and_then(Value::as_object) {
            beyond(
                metadata,
                &METADATA,
                &format!("{ROOT}.template.metadata"),
                &mut found,
            );
        }
        if let Some(pod) = template.get("spec").and_then(Value::as_object) {
            let path = format!("{ROOT}.template.spec");
            beyond(pod, &POD, &path, &mut found);
            containers(pod, &path, &mut found);
        }
    }
    found
}

fn containers(pod: &Open, path: &str, found: &mut Vec<String>) {
    let list = pod.get("containers").and_then(Value::as_array);
    for (index, container) in list.into_iter().flatten().enumerate() {
        let Some(container) = container.as_object() else {
            continue;
        };
        let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
        let path = format!("{path}.containers[{index}]");
        match name {
            "" | PROFILER => beyond(container, &PROFILER_FIELDS, &path, found),
            COLLECTOR => beyond(container, &COLLECTOR_FIELDS, &path, found),
            _ => found.push(format!(
                "{path}: the Job has no container `{name}`, only `{PROFILER}` and `{COLLECTOR}`"
            )),
        }
    }
}

fn beyond(object: &Open, allowed: &[&str], path: &str, found: &mut Vec<String>) {
    found.extend(
        object
            .keys()
            .filter(|key| !allowed.contains(&key.as_str()))
            .map(|key| format!("{path}.{key}: cannot be overridden")),
    );
}
