//! A structural check of objects against a CRD: what the API server would refuse or prune.

use std::path::Path;

use dgdr_types::dgd::DgdVersion;
use serde_json::Value;

/// The schema of a DGD in a release of upstream's CRDs; none where they are missing.
pub(crate) fn of_release(release: &str, version: DgdVersion) -> Option<Value> {
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/crds");
    let crd = std::fs::read_to_string(crds.join(release).join("nvidia.com_dynamographdeployments.yaml"));
    Some(deployment(&crd.ok()?, version))
}

fn deployment(crd: &str, version: DgdVersion) -> Value {
    let options = serde_saphyr::options! { budget: None };
    let crd: Value = serde_saphyr::from_str_with_options(crd, options).unwrap();
    let versions = crd["spec"]["versions"].as_array().unwrap();
    let version = versions
        .iter()
        .find(|known| known["name"] == version.name())
        .unwrap();
    version["schema"]["openAPIV3Schema"].clone()
}

/// Everything that is wrong with a value, one line each.
pub(crate) fn problems(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "", &mut found);
    found
}

/// The one pattern that rendered fields meet.
const COMPONENT_NAME: &str = "^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?$";

fn is_component_name(text: &str) -> bool {
    let is_edge = |byte: &u8| byte.is_ascii_alphanumeric();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(is_edge)
        && bytes.last().is_some_and(is_edge)
        && bytes.iter().all(|byte| is_edge(byte) || *byte == b'-')
}

fn check(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    if schema["x-kubernetes-int-or-string"] == true {
        if !value.is_string() && !value.is_i64() && !value.is_u64() {
            found.push(format!("{path}: neither integer nor string"));
        }
        return;
    }
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str())
        && pattern == COMPONENT_NAME
        && !is_component_name(text)
    {
        found.push(format!("{path}: {text:?} does not match {pattern}"));
    }
    if let Some(names) = schema["enum"].as_array()
        && !names.contains(value)
    {
        found.push(format!("{path}: {value} is not one of {names:?}"));
    }
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        _ => true,
    };
    if !fits {
        found.push(format!("{path}: {value} is not of type {}", schema["type"]));
    }
    if let (Some(least), Some(number)) = (schema["minimum"].as_f64(), value.as_f64())
        && number < least
    {
        found.push(format!("{path}: {number} is below {least}"));
    }
    if let Some(fields) = value.as_object() {
        for required in schema["required"].as_array().into_iter().flatten() {
            if !fields.contains_key(required.as_str().unwrap()) {
                found.push(format!("{path}: {required} is missing"));
            }
        }
        for (name, field) in fields {
            let below = format!("{path}.{name}");
            // Metadata of the object itself is typed by the API server, not by the CRD.
            if path.is_empty() && name == "metadata" {
                continue;
            }
            let property = &schema["properties"][name];
            if !property.is_null() {
                check(property, field, &below, found);
            } else if schema["additionalProperties"].is_object() {
                check(&schema["additionalProperties"], field, &below, found);
            } else if schema["x-kubernetes-preserve-unknown-fields"] != true {
                found.push(format!("{below}: unknown field"));
            }
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(&schema["items"], item, &format!("{path}[{index}]"), found);
    }
}
