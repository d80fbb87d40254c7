//! Defaults of a new request.

use dgdr_types::spec::{BackendChoice, SearchStrategy};
use serde_json::{Value, json};

use super::Policy;

/// A JSON patch that sets what a new request leaves unset; empty where nothing is.
pub(super) fn defaults(object: &Value, policy: &Policy) -> Vec<Value> {
    let spec = &object["spec"];
    if !spec.is_object() || spec.get("v1beta2").is_some() {
        // A request of a newer version in an envelope has defaults of its own.
        return Vec::new();
    }
    let image = policy.default_image.as_ref().map(ToString::to_string);
    [
        ("backend", Some(json!(BackendChoice::Auto))),
        ("searchStrategy", Some(json!(SearchStrategy::Rapid))),
        ("autoApply", Some(json!(true))),
        ("image", image.map(Value::from)),
    ]
    .into_iter()
    .filter_map(|(field, default)| Some((field, default?)))
    // Clients of upstream's Go types write unset texts as empty ones.
    .filter(|(field, _)| spec[*field].is_null() || spec[*field] == "")
    .map(|(field, default)| json!({"op": "add", "path": format!("/spec/{field}"), "value": default}))
    .collect()
}
