//! What is wrong with an override whatever will be picked.

use dgdr_types::dgd::{DgdVersion, component_path, components};
use dgdr_types::nearest;
use serde_json::{Map, Value};

use super::merge::{below, kind};
use super::problem::OverrideProblem;
use super::vocabulary::{component_fields, holds, spec_fields};

/// Everything that is wrong, in the order of the document.
pub(super) fn problems(document: &Value, version: DgdVersion) -> Vec<OverrideProblem> {
    let mut found = Vec::new();
    if document.get("status").is_some() {
        found.push(OverrideProblem::Status);
    }
    nulls(document, "", &mut found);
    texts(document, "", &mut found);
    if let Value::Object(top) = document {
        let mut top = top.clone();
        top.remove("status");
        let level = Level {
            path: "",
            version,
            fields: |_| &["apiVersion", "kind", "metadata", "spec"],
        };
        unknown(&top, level, &mut found);
    }
    if let Some(Value::Object(spec)) = document.get("spec") {
        unknown(
            spec,
            Level {
                path: "spec",
                version,
                fields: spec_fields,
            },
            &mut found,
        );
    }
    match components(document, version) {
        Err(error) => found.push(error.into()),
        Ok(components) => {
            for (name, component) in components {
                let path = component_path(version, &name);
                if let Value::Object(fields) = component {
                    let level = Level {
                        path: &path,
                        version,
                        fields: component_fields,
                    };
                    unknown(fields, level, &mut found);
                }
            }
        }
    }
    found
}

/// Where fields are checked.
#[derive(Clone, Copy)]
struct Level<'a> {
    path: &'a str,
    version: DgdVersion,
    fields: fn(DgdVersion) -> &'static [&'static str],
}

fn unknown(fields: &Map<String, Value>, level: Level<'_>, found: &mut Vec<OverrideProblem>) {
    let Level {
        path,
        version,
        fields: known,
    } = level;
    let other = match version {
        DgdVersion::V1alpha1 => DgdVersion::V1beta1,
        DgdVersion::V1beta1 => DgdVersion::V1alpha1,
    };
    for (field, value) in fields {
        let path = below(path, field);
        if known(version).contains(&field.as_str()) {
            if let Some(wanted) = holds(field).filter(|holds| !holds.fits(value) && !value.is_null()) {
                found.push(OverrideProblem::Kind {
                    path,
                    given: kind(value),
                    wanted: wanted.name(),
                });
            }
            continue;
        }
        found.push(if known(other).contains(&field.as_str()) {
            OverrideProblem::MixedVersions { path, version, other }
        } else {
            OverrideProblem::UnknownField {
                path,
                version,
                fix: nearest(field, known(version).iter().copied()).map_or_else(
                    || format!("use one of {}", known(version).join(", ")),
                    |name| format!("did you mean `{name}`?"),
                ),
            }
        });
    }
}

/// Nulls, which could only mean that a field is to be deleted.
fn nulls(value: &Value, path: &str, found: &mut Vec<OverrideProblem>) {
    match value {
        Value::Null => found.push(OverrideProblem::Null {
            path: path.to_owned(),
        }),
        Value::Object(fields) => {
            for (name, field) in fields {
                nulls(field, &below(path, name), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                nulls(item, &item_path(path, index, item), found);
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Numbers and switches where the cluster takes texts only: YAML makes them of `value: 1` and `args: [--n, 64]`.
fn texts(value: &Value, path: &str, found: &mut Vec<OverrideProblem>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let path = below(path, field);
                match (field.as_str(), value) {
                    ("env" | "envs", Value::Array(variables)) => {
                        for (index, variable) in variables.iter().enumerate() {
                            let path = item_path(&path, index, variable);
                            found.extend(not_a_text(variable.get("value"), || below(&path, "value")));
                        }
                    }
                    ("args" | "command", Value::Array(words)) => {
                        for (index, word) in words.iter().enumerate() {
                            found.extend(not_a_text(Some(word), || format!("{path}[{index}]")));
                        }
                    }
                    ("labels" | "annotations" | "nodeSelector" | "matchLabels", Value::Object(named)) => {
                        for (name, text) in named {
                            found.extend(not_a_text(Some(text), || below(&path, name)));
                        }
                    }
                    _ => {}
                }
                texts(value, &path, found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                texts(item, &item_path(path, index, item), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn not_a_text(value: Option<&Value>, path: impl FnOnce() -> String) -> Option<OverrideProblem> {
    let value = value.filter(|value| !value.is_string() && !value.is_null())?;
    Some(OverrideProblem::Kind {
        path: path(),
        given: kind(value),
        wanted: "a text in quotes",
    })
}

/// Path of an item of a list, by its name where it has one.
fn item_path(path: &str, index: usize, item: &Value) -> String {
    let name = item.get("name").and_then(Value::as_str);
    let key = name.map_or_else(|| index.to_string(), str::to_owned);
    format!("{path}[{key}]")
}
