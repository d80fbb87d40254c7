//! GPUs that a document asks for, in either version.

use serde_json::Value;

use super::document::{DocumentError, in_reading_order};
use super::version::DgdVersion;
use super::{GPU_RESOURCE, MAIN_CONTAINER};

/// What one component asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentGpus {
    /// Name of the component.
    pub name: String,
    /// GPUs of one pod.
    pub per_pod: u64,
    /// Pods of one copy.
    pub nodes: u64,
    /// Copies.
    pub replicas: u64,
}

impl ComponentGpus {
    /// GPUs of one copy.
    pub const fn per_copy(&self) -> u64 {
        self.per_pod.saturating_mul(self.nodes)
    }

    /// GPUs of all copies.
    pub const fn total(&self) -> u64 {
        self.per_copy().saturating_mul(self.replicas)
    }
}

/// What every component of a document asks for, in reading order.
///
/// # Errors
/// When a number is none, or the document is no deployment.
pub fn component_gpus(document: &Value) -> Result<Vec<ComponentGpus>, DocumentError> {
    let version = DgdVersion::of(document)?;
    components(document, version)?
        .into_iter()
        .map(|(name, component)| {
            let path = component_path(version, &name);
            let nodes = component
                .get("multinode")
                .and_then(|multinode| multinode.get("nodeCount"));
            Ok(ComponentGpus {
                per_pod: per_pod(component, version, &path)?,
                nodes: count(nodes, &format!("{path}.multinode.nodeCount"))?.unwrap_or(1),
                replicas: count(component.get("replicas"), &format!("{path}.replicas"))?.unwrap_or(1),
                name,
            })
        })
        .collect()
}

/// Path of a component within a document: `spec.components[worker]` or `spec.services.worker`.
pub fn component_path(version: DgdVersion, name: &str) -> String {
    match version {
        DgdVersion::V1alpha1 => format!("spec.services.{name}"),
        DgdVersion::V1beta1 => format!("spec.components[{name}]"),
    }
}

/// The components of a document by name: as listed in v1beta1, in reading order in v1alpha1.
///
/// # Errors
/// When the field is of another kind, or a component has no name.
pub fn components(document: &Value, version: DgdVersion) -> Result<Vec<(String, &Value)>, DocumentError> {
    let field = version.components_field();
    let path = format!("spec.{field}");
    let Some(given) = document.get("spec").and_then(|spec| spec.get(field)) else {
        return Ok(Vec::new());
    };
    match version {
        DgdVersion::V1alpha1 => Ok(given
            .as_object()
            .map(in_reading_order)
            .ok_or_else(|| DocumentError::kind(&path, "a map of services by name"))?
            .into_iter()
            .map(|(name, service)| (name.clone(), service))
            .collect()),
        DgdVersion::V1beta1 => given
            .as_array()
            .ok_or_else(|| DocumentError::kind(&path, "a list of components"))?
            .iter()
            .enumerate()
            .map(|(index, component)| {
                let name = component.get("name").and_then(Value::as_str);
                let name = name.filter(|name| !name.is_empty()).ok_or_else(|| {
                    DocumentError::new(
                        format!("{path}[{index}].name"),
                        "is missing",
                        "name the component",
                    )
                })?;
                Ok((name.to_owned(), component))
            })
            .collect(),
    }
}

/// GPUs of one pod: of the serving container, wherever the version keeps them, and of those beside it.
fn per_pod(component: &Value, version: DgdVersion, path: &str) -> Result<u64, DocumentError> {
    let no_containers = Vec::new();
    let (field, pod) = match version {
        DgdVersion::V1alpha1 => ("extraPodSpec", component.get("extraPodSpec")),
        DgdVersion::V1beta1 => (
            "podTemplate.spec",
            component
                .get("podTemplate")
                .and_then(|template| template.get("spec")),
        ),
    };
    let containers = pod
        .and_then(|pod| pod.get("containers")?.as_array())
        .unwrap_or(&no_containers);
    let mut sum = 0_u64;
    for container in containers {
        let name = container
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or(MAIN_CONTAINER);
        let path = format!("{path}.{field}.containers[{name}].resources");
        sum = sum.saturating_add(of_container(container, &path)?.unwrap_or(0));
    }
    if version == DgdVersion::V1alpha1 {
        let main = pod.and_then(|pod| pod.get("mainContainer"));
        let path_of_main = format!("{path}.extraPodSpec.mainContainer.resources");
        let native = main
            .map(|main| of_container(main, &path_of_main))
            .transpose()?
            .flatten();
        let dedicated = of_service(component, &format!("{path}.resources"))?;
        sum = sum.saturating_add(native.or(dedicated).unwrap_or(0));
    }
    Ok(sum)
}

fn of_container(container: &Value, path: &str) -> Result<Option<u64>, DocumentError> {
    limit(container, GPU_RESOURCE, path)
}

/// The service's own resources, in which GPUs have a field of their own.
fn of_service(service: &Value, path: &str) -> Result<Option<u64>, DocumentError> {
    limit(service, "gpu", path)
}

/// A limit, or the request where there is none: Kubernetes takes both for one with devices.
fn limit(holder: &Value, resource: &str, path: &str) -> Result<Option<u64>, DocumentError> {
    for kind in ["limits", "requests"] {
        let given = holder
            .get("resources")
            .and_then(|resources| resources.get(kind)?.get(resource));
        if let Some(gpus) = count(given, &format!("{path}.{kind}.{resource}"))? {
            return Ok(Some(gpus));
        }
    }
    Ok(None)
}

/// A whole number, which the API also takes as text.
fn count(given: Option<&Value>, path: &str) -> Result<Option<u64>, DocumentError> {
    match given {
        None => Ok(None),
        Some(value) => value
            .as_u64()
            .or_else(|| value.as_str()?.parse().ok())
            .map(Some)
            .ok_or_else(|| {
                DocumentError::new(
                    path,
                    format!("{value} is no whole number"),
                    "write one, such as 8",
                )
            }),
    }
}
