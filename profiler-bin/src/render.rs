//! From a pick to a `DynamoGraphDeployment`: pure, no I/O.
//!
//! The limits and the memory share of a [`WorkerPlan`] come from the memory model that ranked the pick, so an engine is
//! started for what it was ranked with.

mod error;
mod flags;
mod images;
mod plan;

use std::collections::BTreeMap;

use dgdr_perf_model::Backend;
use dgdr_types::dgd::{
    API_VERSION, BackendFramework, ClaimSource, Component, ComponentType, Container, DeploymentSpec,
    DynamoGraphDeployment, EnvFrom, EnvVar, GPU_RESOURCE, KIND, MAIN_CONTAINER, Metadata, Multinode, PodSpec,
    PodTemplate, Resources, SecretRef, Volume, VolumeMount,
};

pub use error::RenderError;
pub use images::{DEFAULT_IMAGE, WorkerImage, worker_image};
pub use plan::{
    DeploymentPlan, ModelCacheMount, ModelLocation, PlanLayout, RouterMode, TrustRemoteCode, WorkerPlan,
};

use dgdr_types::contract::HF_TOKEN_SECRET;

use flags::{Role, worker_arguments};

/// Longest name of deployment and component together: upstream's operator refuses longer ones.
const MAX_COMBINED_NAME: usize = dgdr_types::names::MAX_DGD_AND_COMPONENT;
/// Shared memory of a worker whose ranks exchange tensors through it.
const SHARED_MEMORY: &str = "80Gi";

/// The deployment of a plan.
///
/// # Errors
/// [`RenderError`] when a name is too long for the cluster, or a worker cannot be placed on nodes.
pub fn render(plan: &DeploymentPlan) -> Result<DynamoGraphDeployment, RenderError> {
    let mut components = vec![frontend(plan)];
    match &plan.layout {
        PlanLayout::Aggregated { worker } => {
            components.push(worker_component(plan, Role::Aggregated, worker)?);
        }
        PlanLayout::Disaggregated { prefill, decode } => {
            components.push(worker_component(plan, Role::Decode, decode)?);
            components.push(worker_component(plan, Role::Prefill, prefill)?);
        }
    }
    for component in &components {
        let length = plan.name.len() + component.name.len();
        if length > MAX_COMBINED_NAME {
            return Err(RenderError::NameTooLong {
                name: plan.name.clone(),
                component: component.name.clone(),
                length,
                limit: MAX_COMBINED_NAME,
            });
        }
    }
    Ok(DynamoGraphDeployment {
        api_version: API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        metadata: Metadata {
            name: plan.name.clone(),
            namespace: plan.namespace.clone(),
            labels: plan.labels.clone(),
        },
        spec: DeploymentSpec {
            backend_framework: Some(framework(plan.backend)),
            components,
        },
    })
}

/// The manifest as YAML, which Go and Python readers understand alike.
///
/// # Errors
/// [`RenderError::Yaml`] when a value has no YAML form.
pub fn to_yaml(deployment: &DynamoGraphDeployment) -> Result<String, RenderError> {
    serde_saphyr::to_string(deployment).map_err(|error| RenderError::Yaml {
        problem: error.to_string(),
    })
}

const fn framework(backend: Backend) -> BackendFramework {
    match backend {
        Backend::Vllm => BackendFramework::Vllm,
        Backend::Sglang => BackendFramework::Sglang,
        Backend::Trtllm => BackendFramework::Trtllm,
    }
}

fn frontend(plan: &DeploymentPlan) -> Component {
    let mut args = vec!["-m".to_owned(), "dynamo.frontend".to_owned()];
    if let Some(path) = &plan.model.path {
        args.extend(["--model-name".to_owned(), plan.model.served_name.clone()]);
        args.extend(["--model-path".to_owned(), path.clone()]);
    }
    let mut pod_template = pod(
        plan,
        PodParts {
            working_dir: None,
            args,
            gpus: 0,
        },
    );
    if plan.router == RouterMode::KvAware
        && let Some(container) = pod_template.spec.containers.first_mut()
    {
        container.env.push(EnvVar {
            name: "DYN_ROUTER_MODE".to_owned(),
            value: "kv".to_owned(),
        });
    }
    Component {
        name: "Frontend".to_owned(),
        component_type: ComponentType::Frontend,
        replicas: Some(1),
        multinode: None,
        shared_memory_size: None,
        runtime_version_override: plan.runtime_version_override.clone(),
        pod_template,
    }
}

fn worker_component(
    plan: &DeploymentPlan,
    role: Role,
    worker: &WorkerPlan,
) -> Result<Component, RenderError> {
    let gpus = worker.mapping.gpus().get();
    let per_node = plan.gpus_per_node.get();
    let nodes = gpus.div_ceil(per_node);
    if nodes > 1 && !gpus.is_multiple_of(nodes) {
        return Err(RenderError::UnevenNodes {
            mapping: worker.mapping,
            per_node,
        });
    }
    let mut args = vec!["-m".to_owned(), module(plan.backend).to_owned()];
    args.extend(worker_arguments(plan, role, worker));
    let (name, component_type) = identity(plan.backend, role);
    Ok(Component {
        name: name.to_owned(),
        component_type,
        replicas: Some(worker.replicas),
        multinode: (nodes > 1).then_some(Multinode { node_count: nodes }),
        shared_memory_size: (gpus > 1).then(|| SHARED_MEMORY.to_owned()),
        runtime_version_override: plan.runtime_version_override.clone(),
        pod_template: pod(
            plan,
            PodParts {
                working_dir: Some(working_dir(plan.backend)),
                args,
                gpus: gpus / nodes,
            },
        ),
    })
}

/// Component names and types of upstream's templates, which its tools look for.
const fn identity(backend: Backend, role: Role) -> (&'static str, ComponentType) {
    match (role, backend) {
        (Role::Prefill, _) => ("prefill", ComponentType::Prefill),
        (Role::Decode, _) => ("decode", ComponentType::Decode),
        (Role::Aggregated, Backend::Vllm) => ("worker", ComponentType::Worker),
        (Role::Aggregated, Backend::Sglang) => ("decode", ComponentType::Worker),
        (Role::Aggregated, Backend::Trtllm) => ("TRTLLMWorker", ComponentType::Worker),
    }
}

const fn module(backend: Backend) -> &'static str {
    match backend {
        Backend::Vllm => "dynamo.vllm",
        Backend::Sglang => "dynamo.sglang",
        Backend::Trtllm => "dynamo.trtllm",
    }
}

const fn working_dir(backend: Backend) -> &'static str {
    match backend {
        Backend::Vllm => "/workspace/examples/backends/vllm",
        Backend::Sglang => "/workspace/examples/backends/sglang",
        Backend::Trtllm => "/workspace/",
    }
}

struct PodParts {
    working_dir: Option<&'static str>,
    args: Vec<String>,
    gpus: u32,
}

fn pod(plan: &DeploymentPlan, parts: PodParts) -> PodTemplate {
    let mut env = Vec::new();
    let mut volumes = Vec::new();
    let mut volume_mounts = Vec::new();
    if let Some(cache) = &plan.model.cache {
        volumes.push(Volume {
            name: cache.claim.clone(),
            persistent_volume_claim: ClaimSource {
                claim_name: cache.claim.clone(),
            },
        });
        volume_mounts.push(VolumeMount {
            name: cache.claim.clone(),
            mount_path: cache.mount_path.clone(),
        });
        if plan.model.path.is_none() {
            env.push(EnvVar {
                name: "HF_HOME".to_owned(),
                value: cache.mount_path.clone(),
            });
        }
    }
    let resources = (parts.gpus > 0).then(|| Resources {
        limits: BTreeMap::from([(GPU_RESOURCE.to_owned(), parts.gpus.to_string())]),
    });
    // Optional, so that models that need no token start in namespaces that hold none.
    let token = SecretRef {
        name: HF_TOKEN_SECRET.to_owned(),
        optional: true,
    };
    PodTemplate {
        spec: PodSpec {
            containers: vec![Container {
                name: MAIN_CONTAINER.to_owned(),
                image: plan.image.to_string(),
                working_dir: parts.working_dir.map(str::to_owned),
                command: vec!["python3".to_owned()],
                args: parts.args,
                env_from: vec![EnvFrom { secret_ref: token }],
                env,
                resources,
                volume_mounts,
            }],
            volumes,
        },
    }
}

#[cfg(test)]
mod tests;
