//! Where a component keeps its containers, in either version.

use dgdr_types::dgd::{DgdVersion, MAIN_CONTAINER};
use serde_json::{Map, Value};

/// The container that serves.
pub(super) fn main_container(component: &Value, version: DgdVersion) -> Option<&Value> {
    match version {
        DgdVersion::V1alpha1 => component.get("extraPodSpec")?.get("mainContainer"),
        DgdVersion::V1beta1 => component
            .get("podTemplate")?
            .get("spec")?
            .get("containers")?
            .as_array()?
            .iter()
            .find(|container| name_of(container) == Some(MAIN_CONTAINER)),
    }
}

/// Path of the container that serves, below its component.
pub(super) const fn main_container_path(version: DgdVersion) -> &'static str {
    match version {
        DgdVersion::V1alpha1 => "extraPodSpec.mainContainer",
        DgdVersion::V1beta1 => "podTemplate.spec.containers[main]",
    }
}

/// A container of a part, and its path below the component.
#[derive(Debug)]
pub(super) struct Given<'a> {
    /// Its fields.
    pub(super) fields: &'a mut Map<String, Value>,
    /// Its path below the component.
    pub(super) path: String,
    /// Whether it is the one that serves.
    pub(super) is_main: bool,
}

/// All containers that a part gives for a component.
pub(super) fn given_containers(component: &mut Value, version: DgdVersion) -> Vec<Given<'_>> {
    let mut found = Vec::new();
    let (pod, path) = match version {
        DgdVersion::V1alpha1 => (component.get_mut("extraPodSpec"), "extraPodSpec"),
        DgdVersion::V1beta1 => (
            component
                .get_mut("podTemplate")
                .and_then(|template| template.get_mut("spec")),
            "podTemplate.spec",
        ),
    };
    let Some(Value::Object(pod)) = pod else {
        return found;
    };
    for (field, value) in pod.iter_mut() {
        let is_main = version == DgdVersion::V1alpha1 && field == "mainContainer";
        let is_list = matches!(field.as_str(), "containers" | "initContainers");
        if is_main && let Value::Object(fields) = value {
            found.push(Given {
                fields,
                path: format!("{path}.mainContainer"),
                is_main: true,
            });
        } else if is_list && let Value::Array(items) = value {
            for item in items {
                let Some(name) = name_of(item).map(str::to_owned) else {
                    continue;
                };
                if let Value::Object(fields) = item {
                    found.push(Given {
                        fields,
                        path: format!("{path}.{field}[{name}]"),
                        is_main: name == MAIN_CONTAINER
                            && field == "containers"
                            && version == DgdVersion::V1beta1,
                    });
                }
            }
        }
    }
    found
}

/// The name of an item.
pub(super) fn name_of(item: &Value) -> Option<&str> {
    item.get("name").and_then(Value::as_str)
}

/// What a component does: `frontend`, `worker`, `prefill`, `decode`, `planner`, `epp`.
pub(super) fn role(component: &Value) -> Option<&str> {
    ["subComponentType", "type", "componentType"]
        .into_iter()
        .find_map(|field| component.get(field)?.as_str().filter(|role| !role.is_empty()))
}

/// Whether a component runs engines.
pub(super) fn is_engine(component: &Value) -> bool {
    matches!(role(component), Some("worker" | "prefill" | "decode"))
}

/// A list of texts; none where it is something else.
pub(super) fn texts(value: Option<&Value>) -> Option<Vec<String>> {
    value?
        .as_array()?
        .iter()
        .map(|item| item.as_str().map(str::to_owned))
        .collect()
}
