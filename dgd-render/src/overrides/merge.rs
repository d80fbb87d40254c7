//! Merging a part into a whole, as the API server merges what two owners apply.

use serde_json::{Map, Value};

use super::problem::OverrideProblem;
use super::vocabulary::{alternatives, is_atomic, key_default, list_keys};

/// Merges a part into a whole. Objects are merged field by field, lists that have keys item by item (new items follow),
/// everything else is replaced.
///
/// # Errors
/// When a value is of another kind than what it would replace, or an item does not say which it changes.
pub(super) fn merge(whole: &mut Value, part: Value, place: Place<'_>) -> Result<(), OverrideProblem> {
    match (whole, part) {
        (Value::Object(fields), Value::Object(part)) if !is_atomic(place.field) => {
            merge_fields(fields, part, place)
        }
        (Value::Array(items), Value::Array(part)) if !list_keys(place.field).is_empty() => {
            merge_items(items, part, place)
        }
        (whole, part) => {
            let (given, wanted) = (kind(&part), kind(whole));
            // A quantity may be a number or a text.
            if given != wanted && !(is_scalar(&part) && is_scalar(whole)) {
                return Err(OverrideProblem::Kind {
                    path: place.path.to_owned(),
                    given,
                    wanted,
                });
            }
            *whole = part;
            Ok(())
        }
    }
}

/// Where a value stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// Its path.
    pub(super) path: &'a str,
    /// The field that holds it, or holds the list that it is an item of.
    pub(super) field: &'a str,
}

fn merge_fields(
    fields: &mut Map<String, Value>,
    part: Map<String, Value>,
    place: Place<'_>,
) -> Result<(), OverrideProblem> {
    for (name, value) in part {
        if let Some(others) = alternatives(place.field, &name) {
            fields.retain(|field, _| *field == name || !others.has(field));
        }
        let path = below(place.path, &name);
        let below = Place {
            path: &path,
            field: &name,
        };
        if let Some(known) = fields.get_mut(&name) {
            merge(known, value, below)?;
        } else {
            let value = anew(value, below)?;
            fields.insert(name, value);
        }
    }
    Ok(())
}

/// A value that stands where nothing stood: its lists are keyed all the same.
fn anew(value: Value, place: Place<'_>) -> Result<Value, OverrideProblem> {
    let mut whole = match &value {
        Value::Object(_) => Value::Object(Map::new()),
        Value::Array(_) => Value::Array(Vec::new()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Ok(value),
    };
    merge(&mut whole, value, place)?;
    Ok(whole)
}

fn merge_items(items: &mut Vec<Value>, part: Vec<Value>, place: Place<'_>) -> Result<(), OverrideProblem> {
    for (index, item) in part.into_iter().enumerate() {
        let Some(key) = key_of(&item, place.field) else {
            return Err(OverrideProblem::Keyless {
                path: format!("{}[{index}]", place.path),
                key: list_keys(place.field).join(" and "),
            });
        };
        let path = format!("{}[{}]", place.path, key.join(","));
        let below = Place {
            path: &path,
            field: place.field,
        };
        match items
            .iter_mut()
            .find(|known| key_of(known, place.field).as_ref() == Some(&key))
        {
            Some(known) => merge(known, item, below)?,
            None => items.push(anew(item, below)?),
        }
    }
    Ok(())
}

/// What tells an item of a list apart. Mounts of a v1alpha1 service call their path otherwise.
fn key_of(item: &Value, field: &str) -> Option<Vec<String>> {
    list_keys(field)
        .iter()
        .map(|key| {
            let given = item.get(key).or_else(|| match *key {
                "mountPath" => item.get("mountPoint"),
                _ => None,
            });
            match given {
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Number(number)) => Some(number.to_string()),
                Some(_) => None,
                None => key_default(key).map(str::to_owned),
            }
        })
        .collect()
}

/// Path of a field.
pub(super) fn below(path: &str, field: &str) -> String {
    if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

const fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Object(_) | Value::Array(_) | Value::Null)
}

/// What a value is, in words.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
