//! The planner's component, and what it changes on the components that it scales.

use std::collections::BTreeMap;

use dgdr_perf_model::Backend;
use dgdr_types::dgd::{Component, ComponentType, ConfigMap, Container, MAIN_CONTAINER, ScalingAdapter};

use super::components::{bare_pod, variable};
use super::config_maps::{Mount, config_map, profile_config_map, profile_mount};
use super::error::RenderError;
use super::plan::{DeploymentPlan, PlannerPlan};
use super::planner_settings::{is_advisory, scaled_mode};

/// File name of the settings.
const SETTINGS_FILE: &str = "planner_config.json";
/// Where the settings are mounted.
const SETTINGS_DIRECTORY: &str = "/workspace/planner_config";
/// Volume of the settings.
const SETTINGS_VOLUME: &str = "planner-config";

/// Adds the planner to the components; returns what it mounts.
///
/// # Errors
/// [`RenderError::Text`] when the settings have no JSON form.
pub(super) fn add(
    plan: &DeploymentPlan,
    planner: &PlannerPlan,
    components: &mut Vec<Component>,
) -> Result<Vec<ConfigMap>, RenderError> {
    for component in components.iter_mut() {
        prepare(plan, planner, component);
    }
    components.push(component(plan, planner));
    let settings = serde_json::to_string(&planner.settings).map_err(|error| RenderError::Text {
        problem: error.to_string(),
    })?;
    let files = BTreeMap::from([(SETTINGS_FILE.to_owned(), settings)]);
    let mut config_maps = vec![config_map(plan, &planner.config_map, files)];
    if let Some(profile) = &planner.profile {
        config_maps.push(profile_config_map(plan, profile));
    }
    Ok(config_maps)
}

/// Lets the planner scale a worker, and a vLLM worker measure itself at start, which the planner prefers to curves.
fn prepare(plan: &DeploymentPlan, planner: &PlannerPlan, component: &mut Component) {
    let measured = match component.component_type {
        ComponentType::Worker => "agg",
        ComponentType::Prefill => "prefill",
        ComponentType::Decode => "decode",
        ComponentType::Frontend | ComponentType::Planner => return,
    };
    if plan.backend == Backend::Vllm && plan.mocker.is_none() {
        for container in &mut component.pod_template.spec.containers {
            container.env.push(variable("DYN_BENCHMARK_MODE", measured));
        }
    }
    // The planner looks for its aggregated worker among those of type decode.
    if component.component_type == ComponentType::Worker {
        component.component_type = ComponentType::Decode;
    }
    let is_scaled = match scaled_mode(&planner.settings) {
        "prefill" => component.component_type == ComponentType::Prefill,
        "decode" => component.component_type == ComponentType::Decode,
        _ => true,
    };
    if is_scaled && !is_advisory(&planner.settings) {
        component.scaling_adapter = Some(ScalingAdapter {});
    }
}

fn component(plan: &DeploymentPlan, planner: &PlannerPlan) -> Component {
    let settings = Mount {
        volume: SETTINGS_VOLUME,
        config_map: &planner.config_map,
        path: SETTINGS_DIRECTORY,
    };
    let mounts: Vec<Mount<'_>> = [settings]
        .into_iter()
        .chain(planner.profile.as_ref().map(profile_mount))
        .collect();
    let container = Container {
        name: MAIN_CONTAINER.to_owned(),
        image: planner.image.to_string(),
        working_dir: Some("/workspace/components/src/dynamo/planner".to_owned()),
        command: vec!["python3".to_owned()],
        args: ["-m", "dynamo.planner", "--config"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("{SETTINGS_DIRECTORY}/{SETTINGS_FILE}")])
            .collect(),
        env_from: Vec::new(),
        env: Vec::new(),
        resources: None,
        volume_mounts: mounts.iter().map(Mount::point).collect(),
    };
    let volumes = mounts.iter().map(Mount::volume).collect();
    Component {
        name: "Planner".to_owned(),
        component_type: ComponentType::Planner,
        replicas: Some(1),
        multinode: None,
        shared_memory_size: None,
        scaling_adapter: None,
        runtime_version_override: plan.runtime_version_override.clone(),
        pod_template: bare_pod(plan, container, volumes),
    }
}
