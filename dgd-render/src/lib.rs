//! From a pick to a `DynamoGraphDeployment` and the ConfigMaps that it mounts: pure, no I/O.
//!
//! The limits and the memory share of a [`WorkerPlan`] come from the memory model that ranked the pick, so an engine is
//! started for what it was ranked with.
#![forbid(unsafe_code)]

mod components;
mod config_maps;
mod error;
mod finished;
mod flags;
mod images;
mod mocker;
mod overrides;
mod plan;
mod planner;
mod planner_settings;

use dgdr_perf_model::Backend;
use dgdr_types::dgd::{
    API_VERSION, BackendFramework, ConfigMap, DeploymentSpec, DynamoGraphDeployment, KIND, Metadata,
    Readable, to_document,
};
use dgdr_types::names::MAX_DGD_AND_COMPONENT;
use serde::Serialize;
use serde_json::Value;

pub use error::RenderError;
pub use finished::{FinishInput, Finished, finish};
pub use images::{DEFAULT_IMAGE, DerivedImage, mocker_image, planner_image, worker_image};
pub use mocker::MOCKER_TABLE_FILE;
pub use overrides::{DgdOverride, Merged, OverrideProblem, OverrideProblems, OverrideTarget};
pub use plan::{
    DeploymentPlan, MockerPlan, ModelCacheMount, ModelLocation, PlanLayout, PlannerPlan, ProfileData,
    RouterMode, TokenExchange, TrustRemoteCode, WorkerPlan,
};
pub use planner_settings::{LatencyTargets, PlannerConfig, PlannerInput, planner_settings};

use config_maps::profile_config_map;
use flags::Role;

/// A deployment and what it mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifests {
    /// What it mounts.
    pub config_maps: Vec<ConfigMap>,
    /// The deployment.
    pub deployment: DynamoGraphDeployment,
}

/// The deployment of a plan.
///
/// # Errors
/// [`RenderError`] when a name is too long for the cluster, a worker cannot be placed on nodes, or an engine cannot keep
/// its KV cache as planned.
pub fn render(plan: &DeploymentPlan) -> Result<Manifests, RenderError> {
    let mut components = vec![components::frontend(plan)];
    match &plan.layout {
        PlanLayout::Aggregated { worker } => {
            components.push(components::worker(plan, Role::Aggregated, worker)?);
        }
        PlanLayout::Disaggregated { prefill, decode } => {
            components.push(components::worker(plan, Role::Decode, decode)?);
            components.push(components::worker(plan, Role::Prefill, prefill)?);
        }
    }
    let mut config_maps = match &plan.planner {
        Some(planner) => planner::add(plan, planner, &mut components)?,
        None => Vec::new(),
    };
    if let Some(mocker) = &plan.mocker {
        let profile = &mocker.profile;
        // The planner may read the same curves.
        if config_maps
            .iter()
            .all(|map| map.metadata.name != profile.config_map)
        {
            config_maps.push(profile_config_map(plan, profile));
        }
    }
    for component in &components {
        let length = plan.name.len() + component.name.len();
        if length > MAX_DGD_AND_COMPONENT {
            return Err(RenderError::NameTooLong {
                name: plan.name.clone(),
                component: component.name.clone(),
                length,
                limit: MAX_DGD_AND_COMPONENT,
            });
        }
    }
    let deployment = DynamoGraphDeployment {
        api_version: API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        metadata: metadata(plan, &plan.name),
        spec: DeploymentSpec {
            // The operator prepares workers for their engine by this, and a simulated engine needs nothing.
            backend_framework: plan.mocker.is_none().then(|| framework(plan.backend)),
            components,
        },
    };
    Ok(Manifests {
        config_maps,
        deployment,
    })
}

/// The manifests as YAML, which Go and Python readers understand alike: ConfigMaps first, the deployment last, as
/// upstream's operator expects.
///
/// # Errors
/// [`RenderError::Text`] when a value has no YAML form.
pub fn to_yaml(manifests: &Manifests) -> Result<String, RenderError> {
    documents(&manifests.config_maps, &to_document(&manifests.deployment)?)
}

/// ConfigMaps and a deployment of either version as YAML.
///
/// # Errors
/// [`RenderError::Text`] when a value has no YAML form.
fn documents(config_maps: &[ConfigMap], deployment: &Value) -> Result<String, RenderError> {
    let mut texts = config_maps.iter().map(document).collect::<Result<Vec<_>, _>>()?;
    texts.push(document(&Readable(deployment))?);
    Ok(texts.join("---\n"))
}

fn document(value: &impl Serialize) -> Result<String, RenderError> {
    serde_saphyr::to_string(value).map_err(|error| RenderError::Text {
        problem: error.to_string(),
    })
}

fn metadata(plan: &DeploymentPlan, name: &str) -> Metadata {
    Metadata {
        name: name.to_owned(),
        namespace: plan.namespace.clone(),
        labels: plan.labels.clone(),
    }
}

const fn framework(backend: Backend) -> BackendFramework {
    match backend {
        Backend::Vllm => BackendFramework::Vllm,
        Backend::Sglang => BackendFramework::Sglang,
        Backend::Trtllm => BackendFramework::Trtllm,
    }
}

#[cfg(test)]
mod tests;
