//! Text in, value tree out: a whole DGDR or a bare spec, YAML or JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::DgdrError;
use crate::finding::Position;
use crate::yaml::{self, join};

/// A request as it was written: always in the shape of a whole DGDR, with the place of every field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRequest {
    pub(crate) document: Value,
    pub(crate) positions: BTreeMap<String, Position>,
}

impl RawRequest {
    /// A request that is no text, for example an object from the API server. A bare spec is told from a whole DGDR
    /// as in [`parse_request`].
    pub fn from_value(value: Value) -> Self {
        let document = if is_whole(&value) { value } else { wrap(value) };
        Self {
            document,
            positions: BTreeMap::new(),
        }
    }

    /// The value tree.
    pub fn document(&self) -> &Value {
        &self.document
    }
}

/// Reads a request: a whole DynamoGraphDeploymentRequest, or its spec alone, as YAML or JSON.
///
/// A document with `apiVersion`, `kind`, `metadata` or `spec` at its top is a whole DGDR.
///
/// # Errors
/// [`DgdrError::Syntax`] with place and snippet, or [`DgdrError::Empty`]. What the fields hold is checked later, by
/// [`resolve`](crate::resolve).
pub fn parse_request(text: &str) -> Result<RawRequest, DgdrError> {
    if text.trim().is_empty() {
        return Err(DgdrError::Empty);
    }
    let mut positions = BTreeMap::new();
    let value = yaml::read(text)?.into_value("", &mut |path, position| {
        positions.insert(path.to_owned(), position);
    });
    if value.is_null() {
        return Err(DgdrError::Empty);
    }
    if is_whole(&value) {
        return Ok(RawRequest {
            document: value,
            positions,
        });
    }
    let below_spec = |(path, position): (String, Position)| {
        (
            if path.is_empty() {
                "spec".to_owned()
            } else {
                format!("spec.{path}")
            },
            position,
        )
    };
    Ok(RawRequest {
        document: wrap(value),
        positions: positions.into_iter().map(below_spec).collect(),
    })
}

fn is_whole(value: &Value) -> bool {
    ["apiVersion", "kind", "metadata", "spec"]
        .iter()
        .any(|field| value.get(field).is_some())
}

fn wrap(spec: Value) -> Value {
    Value::Object(Map::from_iter([("spec".to_owned(), spec)]))
}

/// Sets one field, as the command line's `--set spec.sla.ttft=300` does. The value is read as YAML; the leading
/// `spec.` may be left out. An empty value unsets the field.
///
/// # Errors
/// [`DgdrError::SetSyntax`], [`DgdrError::SetBlocked`] or [`DgdrError::SetValue`], each with the argument. Whether
/// the field exists is checked later, by [`resolve`](crate::resolve).
pub fn apply_set(request: &mut RawRequest, argument: &str) -> Result<(), DgdrError> {
    let syntax = || DgdrError::SetSyntax {
        argument: argument.to_owned(),
    };
    let (path, text) = argument.split_once('=').ok_or_else(syntax)?;
    let mut keys: Vec<&str> = path.trim().split('.').collect();
    if keys.iter().any(|key| key.is_empty()) {
        return Err(syntax());
    }
    if !matches!(keys.first(), Some(&("spec" | "metadata"))) {
        keys.insert(0, "spec");
    }
    let value = set_value(argument, text)?;
    let full_path = keys.join(".");
    let last = keys.pop().ok_or_else(syntax)?;
    let mut parent = &mut request.document;
    let mut walked = String::new();
    for key in keys {
        parent = field_of(parent, argument, &walked)?
            .entry(key)
            .or_insert(Value::Null);
        walked = join(&walked, key);
    }
    field_of(parent, argument, &walked)?.insert(last.to_owned(), value);
    // The text's place no longer tells where the value comes from.
    request.positions.retain(|known, _| {
        known != &full_path
            && !known
                .strip_prefix(&full_path)
                .is_some_and(|below| below.starts_with(['.', '[']))
    });
    Ok(())
}

fn set_value(argument: &str, text: &str) -> Result<Value, DgdrError> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    match yaml::read(text) {
        Ok(value) => Ok(value.into_value("", &mut |_, _| {})),
        Err(DgdrError::Syntax { message, .. }) => Err(DgdrError::SetValue {
            argument: argument.to_owned(),
            message,
        }),
        Err(other) => Err(other),
    }
}

/// The fields of an object; null becomes an empty object.
fn field_of<'v>(
    value: &'v mut Value,
    argument: &str,
    path: &str,
) -> Result<&'v mut Map<String, Value>, DgdrError> {
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    let kind = kind_of(value);
    value.as_object_mut().ok_or_else(|| DgdrError::SetBlocked {
        argument: argument.to_owned(),
        blocked: if path.is_empty() {
            "the request".to_owned()
        } else {
            path.to_owned()
        },
        kind,
    })
}

/// What a value is, in words.
pub(crate) const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
