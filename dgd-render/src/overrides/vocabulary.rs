//! What the two APIs know: field names, and how Kubernetes tells the items of a list apart.
//!
//! Keys are the `x-kubernetes-list-map-keys` of upstream's CRDs; variables of v1alpha1, for which the CRD names none,
//! are told apart by the patch merge key of the core API. A test compares both lists with the CRDs.

use dgdr_types::dgd::DgdVersion;
use serde_json::Value;

/// Fields of `spec`.
pub(super) const fn spec_fields(version: DgdVersion) -> &'static [&'static str] {
    match version {
        DgdVersion::V1alpha1 => &[
            "annotations",
            "backendFramework",
            "envs",
            "experimental",
            "labels",
            "priorityClassName",
            "providerOverride",
            "pvcs",
            "restart",
            "services",
            "topologyConstraint",
        ],
        DgdVersion::V1beta1 => &[
            "annotations",
            "backendFramework",
            "components",
            "env",
            "experimental",
            "labels",
            "priorityClassName",
            "providerOverride",
            "restart",
            "topologyConstraint",
        ],
    }
}

/// Fields of a component.
pub(super) const fn component_fields(version: DgdVersion) -> &'static [&'static str] {
    match version {
        DgdVersion::V1alpha1 => &[
            "annotations",
            "autoscaling",
            "checkpoint",
            "componentType",
            "dynamoNamespace",
            "envFromSecret",
            "envs",
            "eppConfig",
            "extraPodMetadata",
            "extraPodSpec",
            "failover",
            "frontendSidecar",
            "globalDynamoNamespace",
            "gpuMemoryService",
            "ingress",
            "labels",
            "livenessProbe",
            "lpx",
            "minAvailable",
            "modelRef",
            "multinode",
            "providerOverride",
            "readinessProbe",
            "replicas",
            "resources",
            "roles",
            "runtimeVersionOverride",
            "scalingAdapter",
            "serviceName",
            "sharedMemory",
            "subComponentType",
            "topologyConstraint",
            "volumeMounts",
        ],
        DgdVersion::V1beta1 => &[
            "compilationCache",
            "dynamoSidecar",
            "eppConfig",
            "experimental",
            "frontendSidecar",
            "globalDynamoNamespace",
            "lpx",
            "minAvailable",
            "modelRef",
            "multinode",
            "name",
            "podTemplate",
            "providerOverride",
            "replicas",
            "roles",
            "runtimeVersionOverride",
            "scalingAdapter",
            "sharedMemorySize",
            "topologyConstraint",
            "type",
        ],
    }
}

/// What a field of `spec` or of a component holds, where both APIs that have it agree.
pub(super) fn holds(field: &str) -> Option<Holds> {
    Some(match field {
        "annotations" | "autoscaling" | "checkpoint" | "compilationCache" | "eppConfig" | "experimental"
        | "extraPodMetadata" | "extraPodSpec" | "failover" | "gpuMemoryService" | "ingress" | "labels"
        | "livenessProbe" | "metadata" | "modelRef" | "multinode" | "podTemplate" | "readinessProbe"
        | "resources" | "restart" | "scalingAdapter" | "sharedMemory" | "spec" | "topologyConstraint" => {
            Holds::Object
        }
        "env" | "envs" | "pvcs" | "roles" | "volumeMounts" => Holds::List,
        "minAvailable" | "replicas" => Holds::Count,
        "backendFramework"
        | "componentType"
        | "dynamoNamespace"
        | "envFromSecret"
        | "priorityClassName"
        | "runtimeVersionOverride"
        | "serviceName"
        | "subComponentType"
        | "type" => Holds::Text,
        _ => return None,
    })
}

/// Kinds of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// Fields.
    Object,
    /// Items.
    List,
    /// A whole number.
    Count,
    /// A text.
    Text,
}

impl Holds {
    /// Whether a value is of this kind.
    pub(super) fn fits(self, value: &Value) -> bool {
        match self {
            Self::Object => value.is_object(),
            Self::List => value.is_array(),
            Self::Count => value.is_u64(),
            Self::Text => value.is_string(),
        }
    }

    /// The kind in words.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::List => "a list",
            Self::Count => "a whole number",
            Self::Text => "a text",
        }
    }
}

/// Fields by which the items of a list are told apart; none where a list is replaced as a whole.
pub(super) fn list_keys(field: &str) -> &'static [&'static str] {
    match field {
        "components"
        | "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "envs"
        | "volumes"
        | "imagePullSecrets"
        | "resourceClaims"
        | "schedulingGates"
        | "claims"
        | "pvcs" => &["name"],
        "volumeMounts" => &["mountPath"],
        "volumeDevices" => &["devicePath"],
        "ports" => &["containerPort", "protocol"],
        "hostAliases" => &["ip"],
        "topologySpreadConstraints" => &["topologyKey", "whenUnsatisfiable"],
        _ => &[],
    }
}

/// What Kubernetes assumes for a key field that is not given.
pub(super) fn key_default(field: &str) -> Option<&'static str> {
    (field == "protocol").then_some("TCP")
}

/// Objects that are replaced as a whole (`x-kubernetes-map-type: atomic`), by their field.
pub(super) fn is_atomic(field: &str) -> bool {
    matches!(
        field,
        "configMapKeyRef"
            | "configMapRef"
            | "fieldRef"
            | "fileKeyRef"
            | "labelSelector"
            | "namespaceSelector"
            | "nodePublishSecretRef"
            | "nodeSelector"
            | "resourceFieldRef"
            | "secretKeyRef"
            | "secretRef"
            | "selector"
            | "dataSource"
    )
}

/// Fields of which an object holds one: giving another takes the place of the first. `None` for those that may stand
/// together.
pub(super) fn alternatives(field: &str, within: &str) -> Option<Alternatives> {
    let alternatives: &[&str] = match field {
        "volumes" => return (within != "name").then_some(Alternatives::AllBut("name")),
        "env" | "envs" => &["value", "valueFrom"],
        "valueFrom" => return Some(Alternatives::AllBut("")),
        "sharedMemory" => &["size", "disabled"],
        "livenessProbe" | "readinessProbe" | "startupProbe" | "postStart" | "preStop" => {
            &["exec", "httpGet", "grpc", "tcpSocket", "sleep"]
        }
        _ => return None,
    };
    alternatives
        .contains(&within)
        .then_some(Alternatives::Of(alternatives))
}

/// Fields of which one may stand.
#[derive(Debug, Clone, Copy)]
pub(super) enum Alternatives {
    /// These.
    Of(&'static [&'static str]),
    /// All but one.
    AllBut(&'static str),
}

impl Alternatives {
    /// Whether a field is one of them.
    pub(super) fn has(self, field: &str) -> bool {
        match self {
            Self::Of(fields) => fields.contains(&field),
            Self::AllBut(other) => field != other,
        }
    }
}
