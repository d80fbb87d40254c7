//! The profiler's result: a deployment and the ConfigMaps beside it, out of a stream of YAML documents.
//!
//! Ours and upstream's profiler write ConfigMaps first and the deployment last, or the deployment alone.

use dgdr_types::contract::file::DEPLOYMENT as RESULT_FILE;
use dgdr_types::dgd::{self, DgdVersion, DocumentError, convert};
use dgdr_types::names::is_dns_label;
use dgdr_types::spec::Open;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Map, Value};

/// What a profiler generated.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// The deployment as its user may apply it: named, without namespace and without labels of the operator.
    pub manifest: Open,
    /// ConfigMaps that it mounts.
    pub config_maps: Vec<ConfigMap>,
    /// Documents of kinds that are not applied.
    pub skipped: Vec<String>,
}

/// Why a result cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GeneratedError {
    /// Not YAML.
    #[error("failed to extract DGD from {RESULT_FILE}: {problem}")]
    Syntax {
        /// What is wrong.
        problem: String,
    },
    /// No deployment among the documents.
    #[error("failed to extract DGD from {RESULT_FILE}: no DynamoGraphDeployment found in YAML content")]
    NoDeployment,
    /// A ConfigMap that is none.
    #[error("failed to read ConfigMap {name} of {RESULT_FILE}: {problem}")]
    ConfigMap {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// A deployment that is not as its API has it, or that the cluster's version cannot say.
    #[error("the generated DynamoGraphDeployment cannot be used: {0}")]
    Deployment(#[from] DocumentError),
    /// A name that no deployment may have.
    #[error(
        "the DynamoGraphDeployment cannot be named {name:?}: give spec.overrides.dgd.metadata.name as a DNS label of \
         at most 63 characters"
    )]
    Name {
        /// The name.
        name: String,
    },
}

/// Reads a profiler's result, names its deployment, and says it in a version that the cluster serves.
///
/// # Errors
/// [`GeneratedError`] for a result that cannot be deployed. Nothing is skipped silently.
pub fn read(text: &str, name: &str, version: DgdVersion) -> Result<Generated, GeneratedError> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| GeneratedError::Syntax {
            problem: error.to_string(),
        })?;
    let mut deployment = None;
    let mut config_maps = Vec::new();
    let mut skipped = Vec::new();
    for document in documents {
        match document.get("kind").and_then(Value::as_str) {
            Some(dgd::KIND) => deployment = Some(document),
            Some("ConfigMap") => config_maps.push(config_map(document)?),
            Some(kind) => skipped.push(kind.to_owned()),
            None if document.is_null() => {}
            None => skipped.push("a document without kind".to_owned()),
        }
    }
    let deployment = deployment.ok_or(GeneratedError::NoDeployment)?;
    if !is_dns_label(name) {
        return Err(GeneratedError::Name {
            name: name.to_owned(),
        });
    }
    let converted = convert(&deployment, version)?.document;
    Ok(Generated {
        manifest: named(converted, name),
        config_maps,
        skipped,
    })
}

fn config_map(document: Value) -> Result<ConfigMap, GeneratedError> {
    let name = document["metadata"]["name"]
        .as_str()
        .unwrap_or("without name")
        .to_owned();
    serde_json::from_value(document).map_err(|error| GeneratedError::ConfigMap {
        name,
        problem: error.to_string(),
    })
}

fn named(document: Value, name: &str) -> Open {
    let Value::Object(mut manifest) = document else {
        return Map::new();
    };
    manifest.remove("status");
    let metadata = manifest
        .entry("metadata")
        .or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(metadata) = metadata {
        metadata.insert("name".to_owned(), name.into());
        metadata.remove("namespace");
    }
    manifest
}

/// Fills the runtime's version into components that state none: it may be given after the search.
pub fn fill_runtime_version(manifest: &mut Open, runtime_version: &str) {
    const FIELD: &str = "runtimeVersionOverride";
    let Some(Value::Object(spec)) = manifest.get_mut("spec") else {
        return;
    };
    let mut fill = |component: &mut Value| {
        if let Value::Object(component) = component {
            component.entry(FIELD).or_insert_with(|| runtime_version.into());
        }
    };
    for version in DgdVersion::ALL {
        match spec.get_mut(version.components_field()) {
            Some(Value::Array(components)) => components.iter_mut().for_each(&mut fill),
            Some(Value::Object(services)) => services.values_mut().for_each(&mut fill),
            Some(_) | None => {}
        }
    }
}

#[cfg(test)]
mod tests;
