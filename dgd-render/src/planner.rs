//! The planner's component, and what it changes on the components that it scales.

use std::collections::BTreeMap;

use dgdr_perf_model::Backend;
use dgdr_types::dgd::{
    CONFIG_MAP_API_VERSION, CONFIG_MAP_KIND, Component, ComponentType, ConfigMap, ConfigMapSource, Container,
    MAIN_CONTAINER, PodSpec, PodTemplate, ScalingAdapter, Volume, VolumeMount, VolumeSource,
};

use super::components::variable;
use super::error::RenderError;
use super::metadata;
use super::plan::{DeploymentPlan, PlannerPlan};
use super::planner_settings::{PROFILE_DIRECTORY, is_advisory, scaled_mode};

/// File name of the settings.
const SETTINGS_FILE: &str = "planner_config.json";
/// Where the settings are mounted.
const SETTINGS_DIRECTORY: &str = "/workspace/planner_config";
/// Volume of the settings.
const SETTINGS_VOLUME: &str = "planner-config";
/// Volume of the curves.
const PROFILE_VOLUME: &str = "planner-profile-data";

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
        prepare(plan.backend, planner, component);
    }
    components.push(component(plan, planner));
    let settings = serde_json::to_string(&planner.settings).map_err(|error| RenderError::Text {
        problem: error.to_string(),
    })?;
    let files = BTreeMap::from([(SETTINGS_FILE.to_owned(), settings)]);
    let mut config_maps = vec![config_map(plan, &planner.config_map, files)];
    if let Some(profile) = &planner.profile {
        config_maps.push(config_map(plan, &profile.config_map, profile.files.clone()));
    }
    Ok(config_maps)
}

/// Lets the planner scale a worker, and a vLLM worker measure itself at start, which the planner prefers to curves.
fn prepare(backend: Backend, planner: &PlannerPlan, component: &mut Component) {
    let measured = match component.component_type {
        ComponentType::Worker => "agg",
        ComponentType::Prefill => "prefill",
        ComponentType::Decode => "decode",
        ComponentType::Frontend | ComponentType::Planner => return,
    };
    if backend == Backend::Vllm {
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
    let mut mounts = vec![(SETTINGS_VOLUME, planner.config_map.as_str(), SETTINGS_DIRECTORY)];
    if let Some(profile) = &planner.profile {
        mounts.push((PROFILE_VOLUME, profile.config_map.as_str(), PROFILE_DIRECTORY));
    }
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
        volume_mounts: mounts
            .iter()
            .map(|(volume, _, path)| VolumeMount {
                name: (*volume).to_owned(),
                mount_path: (*path).to_owned(),
                read_only: true,
            })
            .collect(),
    };
    let volumes = mounts
        .iter()
        .map(|(volume, config_map, _)| Volume {
            name: (*volume).to_owned(),
            source: VolumeSource::ConfigMap(ConfigMapSource {
                name: (*config_map).to_owned(),
            }),
        })
        .collect();
    Component {
        name: "Planner".to_owned(),
        component_type: ComponentType::Planner,
        replicas: Some(1),
        multinode: None,
        shared_memory_size: None,
        scaling_adapter: None,
        runtime_version_override: plan.runtime_version_override.clone(),
        pod_template: PodTemplate {
            spec: PodSpec {
                containers: vec![container],
                volumes,
                tolerations: plan.tolerations.clone(),
            },
        },
    }
}

fn config_map(plan: &DeploymentPlan, name: &str, data: BTreeMap<String, String>) -> ConfigMap {
    ConfigMap {
        api_version: CONFIG_MAP_API_VERSION.to_owned(),
        kind: CONFIG_MAP_KIND.to_owned(),
        metadata: metadata(plan, name),
        data,
    }
}
