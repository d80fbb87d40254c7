//! Schemas of a DGDR: the JSON Schema for editors, and the CRD for API servers.

use serde_json::{Map, Value, json};

use crate::contract::{API_VERSION, KIND};
use crate::spec::DgdrSpec;

/// The JSON Schema (2020-12) of a DGDR file: a whole DynamoGraphDeploymentRequest.
///
/// Other than the CRD, it takes products such as `H100-SXM5-80GB` as `gpuSku`, as files may.
pub fn json_schema() -> Value {
    let mut spec = schemars::schema_for!(DgdrSpec).to_value();
    walk(&mut spec, &mut plain_json_schema);
    if let Some(sku) = spec
        .pointer_mut("/$defs/HardwareSpec/properties/gpuSku")
        .and_then(Value::as_object_mut)
        && let Some(names) = sku.remove("enum")
    {
        sku.insert("examples".to_owned(), names);
    }
    let definitions = take(&mut spec, "$defs");
    let dialect = take(&mut spec, "$schema");
    json!({
        "$schema": dialect,
        "title": KIND,
        "type": "object",
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": KIND},
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}, "namespace": {"type": "string"}}},
            "spec": spec,
            "status": {"type": "object"},
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": false,
        "$defs": definitions,
    })
}

fn take(value: &mut Value, key: &str) -> Value {
    value
        .as_object_mut()
        .and_then(|object| object.remove(key))
        .unwrap_or_default()
}

/// Turns what structural schemas write their own way into JSON Schema.
fn plain_json_schema(schema: &mut Map<String, Value>) {
    schema.retain(|key, _| !key.starts_with("x-kubernetes-"));
    if schema.get("exclusiveMinimum") == Some(&Value::Bool(true))
        && let Some(minimum) = schema.remove("minimum")
    {
        schema.insert("exclusiveMinimum".to_owned(), minimum);
    }
}

/// Visits every object of a tree, outermost first.
fn walk(value: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            visit(object);
            object.values_mut().for_each(|below| walk(below, visit));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The CustomResourceDefinition of the DGDR.
///
/// Its properties, types, enums and defaults are upstream's; what upstream finds only inside its Job is stated as
/// ranges and CEL rules. `gpuSku` keeps its enum, so free text is for files alone. `overrides.profilingJob` is untyped:
/// upstream embeds the whole JobSpec, which makes its CRD too large for client-side apply and forces users to write
/// `containers: []`.
#[cfg(feature = "kube")]
pub fn crd() -> Value {
    use kube::CustomResourceExt;

    let mut crd = json!(crate::spec::DynamoGraphDeploymentRequest::crd());
    complete(&mut crd);
    if let Some(root) = crd
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema")
        .and_then(Value::as_object_mut)
    {
        let spec = root["properties"]["spec"]["properties"].as_object();
        let fields = spec.into_iter().flatten().map(|(field, _)| field.as_str());
        let rules = json!([
            crate::contract::rules::NAME.to_json(),
            crate::immutability::rule(fields)
        ]);
        root.insert("x-kubernetes-validations".to_owned(), rules);
    }
    if let Some(metadata) = crd.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        // As upstream's: removing the chart must not remove the requests.
        metadata.insert(
            "annotations".to_owned(),
            json!({"helm.sh/resource-policy": "keep"}),
        );
    }
    crd
}

/// Where the API server finds the webhook that converts.
#[derive(Debug, Clone, Copy)]
pub struct WebhookService<'a> {
    /// Namespace of the Service.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Path of the handler.
    pub path: &'a str,
}

/// The CustomResourceDefinition with the older version beside the stored one, for clusters where the webhook runs: without
/// it, the API server cannot answer for that version.
#[cfg(feature = "kube")]
pub fn crd_with_v1alpha1(webhook: WebhookService<'_>) -> Value {
    use kube::CustomResourceExt;

    let mut older = json!(crate::v1alpha1::AlphaRequest::crd());
    complete(&mut older);
    let mut version = older
        .pointer_mut("/spec/versions/0")
        .map(Value::take)
        .unwrap_or_default();
    version["deprecated"] = json!(true);
    version["deprecationWarning"] = json!(crate::v1alpha1::DEPRECATION);
    let mut crd = crd();
    if let Some(versions) = crd.pointer_mut("/spec/versions").and_then(Value::as_array_mut) {
        versions.insert(0, version);
    }
    crd["spec"]["conversion"] = json!({
        "strategy": "Webhook",
        "webhook": {
            "conversionReviewVersions": ["v1"],
            "clientConfig": {"service": {
                "namespace": webhook.namespace, "name": webhook.name, "path": webhook.path, "port": 443,
            }},
        },
    });
    crd
}

/// Makes a derived CRD of one version structural, with the fields that every object has.
#[cfg(feature = "kube")]
fn complete(crd: &mut Value) {
    walk(crd, &mut structural);
    if let Some(properties) = crd
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties")
        .and_then(Value::as_object_mut)
    {
        let text = json!({"type": "string"});
        properties.extend([
            ("apiVersion".to_owned(), text.clone()),
            ("kind".to_owned(), text),
            ("metadata".to_owned(), json!({"type": "object"})),
        ]);
    }
}

/// Drops what the derive adds and upstream's CRD has not: explicit null is refused as there, and nothing defaults to
/// null or to an empty list.
#[cfg(feature = "kube")]
fn structural(schema: &mut Map<String, Value>) {
    schema.remove("nullable");
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.retain(|value| !value.is_null());
    }
    // API servers know no unsigned formats; the minimum says it.
    schema.retain(|key, value| {
        key != "format" || !value.as_str().is_some_and(|format| format.starts_with("uint"))
    });
    if schema.contains_key("x-kubernetes-preserve-unknown-fields") {
        schema.remove("additionalProperties");
    }
    schema.retain(|key, value| key != "default" || !(value.is_null() || *value == json!([])));
}

#[cfg(test)]
#[cfg(feature = "kube")]
mod tests;
