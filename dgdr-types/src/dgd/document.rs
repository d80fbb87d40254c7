//! Deployments as untyped documents, in which all that users wrote survives.

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Value};

use super::DynamoGraphDeployment;

/// A deployment that is not as its API has it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}; {fix}")]
pub struct DocumentError {
    /// Path within the deployment, such as `spec.services.Frontend.ingress`.
    pub path: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub fix: String,
}

impl DocumentError {
    pub(super) fn new(path: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            problem: problem.into(),
            fix: fix.into(),
        }
    }

    /// A value of another kind than the API's.
    pub(super) fn kind(path: &str, wanted: &str) -> Self {
        Self::new(path, format!("must be {wanted}"), "write it as the API has it")
    }
}

/// A generated deployment as a document.
///
/// # Errors
/// When a part of it has no JSON form, which only a user's own toleration could lack.
pub fn to_document(deployment: &DynamoGraphDeployment) -> Result<Value, DocumentError> {
    serde_json::to_value(deployment).map_err(|error| {
        DocumentError::new("spec", format!("has no JSON form: {error}"), "give plain values")
    })
}

/// A document that serializes with its keys in the order in which people read them: what names a thing first, then
/// what it is, then what it holds; keys of no known place follow by name. Two documents that are equal print alike.
#[derive(Debug, Clone, Copy)]
pub struct Readable<'a>(pub &'a Value);

/// Keys in reading order.
const ORDER: [&str; 46] = [
    "apiVersion",
    "kind",
    "name",
    "namespace",
    "metadata",
    "labels",
    "annotations",
    "spec",
    "backendFramework",
    "type",
    "componentType",
    "subComponentType",
    "replicas",
    "multinode",
    "sharedMemorySize",
    "sharedMemory",
    "scalingAdapter",
    "runtimeVersionOverride",
    "modelRef",
    "pvcs",
    "components",
    "services",
    "envFromSecret",
    "envs",
    "compilationCache",
    "mainContainer",
    "containers",
    "image",
    "workingDir",
    "command",
    "args",
    "envFrom",
    "env",
    "resources",
    "mountPath",
    "mountPoint",
    "readOnly",
    "volumeMounts",
    "podTemplate",
    "extraPodMetadata",
    "extraPodSpec",
    "volumes",
    "tolerations",
    "claimName",
    "secretRef",
    "optional",
];

/// Place of a key, by which keys are sorted.
fn place(key: &str) -> (usize, &str) {
    let known = ORDER.iter().position(|known| *known == key);
    (known.unwrap_or(ORDER.len()), key)
}

/// Rank of a component in a graph: what speaks with clients, what computes, what scales.
fn rank(component: &Value) -> u8 {
    let kind = component.get("type").or_else(|| component.get("componentType"));
    match kind.and_then(Value::as_str) {
        Some("frontend") => 0,
        Some("worker" | "prefill" | "decode") => 1,
        Some("planner") => 3,
        Some("epp") => 4,
        _ => 2,
    }
}

/// Components in reading order: by what they do, then by name. Generated deployments list theirs so, and v1alpha1,
/// which keeps no order, is read back so.
pub(super) fn in_reading_order(components: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut sorted: Vec<_> = components.iter().collect();
    sorted.sort_by_key(|(name, component)| (rank(component), name.as_str()));
    sorted
}

impl Serialize for Readable<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Keyed {
            key: "",
            value: self.0,
        }
        .serialize(serializer)
    }
}

/// A value and the key under which it stands.
struct Keyed<'a> {
    key: &'a str,
    value: &'a Value,
}

impl Serialize for Keyed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Object(fields) => {
                let fields = if self.key == "services" {
                    in_reading_order(fields)
                } else {
                    let mut sorted: Vec<_> = fields.iter().collect();
                    sorted.sort_by_key(|(key, _)| place(key));
                    sorted
                };
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (key, value) in fields {
                    map.serialize_entry(key, &Keyed { key, value })?;
                }
                map.end()
            }
            Value::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Readable(item))?;
                }
                list.end()
            }
            scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                scalar.serialize(serializer)
            }
        }
    }
}
