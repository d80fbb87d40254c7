//! `ConfigMap`s that an override mounts under the names of the guide or of upstream's runs.

use dgdr_types::dgd::ConfigMap;
use dgdr_types::names::{PlannerConfigMap, planner_config_map};
use serde_json::Value;

use super::Findings;
use super::merge::below;
use super::problem::OverrideProblem;

/// Puts our names in the place of others that mean the same objects.
pub(super) fn rename(value: &mut Value, path: &str, made: &[ConfigMap], found: &mut Findings) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let path = below(path, field);
                if matches!(field.as_str(), "configMap" | "configMapRef" | "configMapKeyRef")
                    && let Some(Value::String(name)) = value.get_mut("name")
                {
                    rename_one(name, &format!("{path}.name"), made, found);
                }
                rename(value, &path, made, found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                let name = item.get("name").and_then(Value::as_str);
                let key = name.map_or_else(|| index.to_string(), str::to_owned);
                rename(item, &format!("{path}[{key}]"), made, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn rename_one(name: &mut String, path: &str, made: &[ConfigMap], found: &mut Findings) {
    if made.iter().any(|map| map.metadata.name == *name) {
        return;
    }
    let Some(kind) = planner_config_map(name, None) else {
        return;
    };
    let prefix = match kind {
        PlannerConfigMap::Settings => "planner-config",
        PlannerConfigMap::ProfileData => "planner-profile-data",
    };
    match made.iter().find(|map| map.metadata.name.starts_with(prefix)) {
        Some(ours) => {
            found.warnings.push(format!(
                "{path}: {name} is called {} here, and is mounted so",
                ours.metadata.name
            ));
            name.clone_from(&ours.metadata.name);
        }
        None => found.problems.push(OverrideProblem::NoConfigMap {
            path: path.to_owned(),
            name: name.clone(),
        }),
    }
}
