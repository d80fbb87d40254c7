//! Frontend and workers.

use std::collections::BTreeMap;

use dgdr_perf_model::{Backend, KvQuant, ParallelMapping};
use dgdr_types::contract::HF_TOKEN_SECRET;
use dgdr_types::dgd::{
    ClaimSource, Component, ComponentType, Container, EnvFrom, EnvVar, GPU_RESOURCE, MAIN_CONTAINER,
    Multinode, ObjectName, PodSpec, PodTemplate, Resources, SecretRef, Volume, VolumeMount, VolumeSource,
};
use dgdr_types::names::is_dns_label;

use super::error::RenderError;
use super::flags::{Role, worker_arguments};
use super::mocker;
use super::plan::{DeploymentPlan, ModelCacheMount, RouterMode, WorkerPlan};

/// Shared memory of a worker whose ranks exchange tensors through it; the operator's own default (8Gi) is too little.
const SHARED_MEMORY: &str = "80Gi";

/// The component that clients talk to.
pub(super) fn frontend(plan: &DeploymentPlan) -> Component {
    let mut args = vec!["-m".to_owned(), "dynamo.frontend".to_owned()];
    if let Some(path) = &plan.model.path {
        args.extend(["--model-name".to_owned(), plan.model.served_name.clone()]);
        args.extend(["--model-path".to_owned(), path.clone()]);
    }
    let mut container = container(plan, args);
    if plan.router == RouterMode::KvAware {
        container.env.push(variable("DYN_ROUTER_MODE", "kv"));
    }
    Component {
        name: "Frontend".to_owned(),
        component_type: ComponentType::Frontend,
        replicas: Some(1),
        multinode: None,
        shared_memory_size: None,
        scaling_adapter: None,
        runtime_version_override: plan.runtime_version_override.clone(),
        pod_template: pod(plan, container),
    }
}

/// The component of one role's engines.
///
/// # Errors
/// [`RenderError`] when its GPUs cannot be spread over nodes, or the engine has no such KV cache.
pub(super) fn worker(
    plan: &DeploymentPlan,
    role: Role,
    worker: &WorkerPlan,
) -> Result<Component, RenderError> {
    if worker.kv == KvQuant::Int8 {
        return Err(RenderError::KvCacheFormat {
            backend: plan.backend,
            format: worker.kv,
        });
    }
    if let Some(simulated) = &plan.mocker {
        return Ok(mocker::worker(plan, simulated, role, worker));
    }
    let (nodes, gpus_per_pod) = spread(plan, worker.mapping)?;
    let mut args = vec!["-m".to_owned(), module(plan.backend).to_owned()];
    args.extend(worker_arguments(plan, role, worker));
    let (name, component_type) = identity(plan.backend, role);
    let mut container = container(plan, args);
    container.working_dir = Some(working_dir(plan.backend).to_owned());
    container.resources = Some(Resources {
        limits: BTreeMap::from([(GPU_RESOURCE.to_owned(), gpus_per_pod.to_string())]),
    });
    Ok(Component {
        name: name.to_owned(),
        component_type,
        replicas: Some(worker.replicas),
        multinode: (nodes > 1).then_some(Multinode { node_count: nodes }),
        shared_memory_size: (nodes * gpus_per_pod > 1).then(|| SHARED_MEMORY.to_owned()),
        scaling_adapter: None,
        runtime_version_override: plan.runtime_version_override.clone(),
        pod_template: pod(plan, container),
    })
}

/// Nodes of a worker, and GPUs of its pod on each.
///
/// # Errors
/// [`RenderError::UnevenNodes`] when the nodes would not have equal parts. The operator starts as many copies of vLLM's
/// attention on a node as fit whole, so that a copy across the edge of a node would be lost.
fn spread(plan: &DeploymentPlan, mapping: ParallelMapping) -> Result<(u32, u32), RenderError> {
    let gpus = mapping.gpus().get();
    let per_node = plan.gpus_per_node.get();
    let nodes = gpus.div_ceil(per_node);
    let per_pod = gpus / nodes;
    let copy = gpus / mapping.widths().attention_dp;
    let parts_a_copy =
        plan.backend == Backend::Vllm && !per_pod.is_multiple_of(copy) && !copy.is_multiple_of(per_pod);
    if nodes > 1 && (!gpus.is_multiple_of(nodes) || parts_a_copy) {
        return Err(RenderError::UnevenNodes { mapping, per_node });
    }
    Ok((nodes, per_pod))
}

/// An environment variable.
pub(super) fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

/// Component names and types of upstream's templates, which its tools look for.
pub(super) const fn identity(backend: Backend, role: Role) -> (&'static str, ComponentType) {
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

/// A container that can reach the model.
pub(super) fn container(plan: &DeploymentPlan, args: Vec<String>) -> Container {
    let mut env = Vec::new();
    let mut volume_mounts = Vec::new();
    if let Some(cache) = &plan.model.cache {
        volume_mounts.push(VolumeMount {
            name: volume_name(cache).to_owned(),
            mount_path: cache.mount_path.clone(),
            read_only: false,
        });
        if plan.model.path.is_none() {
            env.push(variable("HF_HOME", &cache.mount_path));
        }
    }
    Container {
        name: MAIN_CONTAINER.to_owned(),
        image: plan.image.to_string(),
        working_dir: None,
        command: vec!["python3".to_owned()],
        args,
        env_from: vec![EnvFrom {
            // Optional, so that models that need no token start in namespaces that hold none.
            secret_ref: SecretRef {
                name: HF_TOKEN_SECRET.to_owned(),
                optional: true,
            },
        }],
        env,
        resources: None,
        volume_mounts,
    }
}

/// The pod of a container that can reach the model.
pub(super) fn pod(plan: &DeploymentPlan, container: Container) -> PodTemplate {
    let volumes = plan.model.cache.as_ref().map(|cache| Volume {
        name: volume_name(cache).to_owned(),
        source: VolumeSource::PersistentVolumeClaim(ClaimSource {
            claim_name: cache.claim.clone(),
        }),
    });
    bare_pod(plan, container, volumes.into_iter().collect())
}

/// The pod of a container, with what all pods of a deployment share.
pub(super) fn bare_pod(plan: &DeploymentPlan, container: Container, volumes: Vec<Volume>) -> PodTemplate {
    let secrets = plan.image_pull_secrets.iter();
    PodTemplate {
        spec: PodSpec {
            containers: vec![container],
            volumes,
            tolerations: plan.tolerations.clone(),
            image_pull_secrets: secrets.map(|name| ObjectName { name: name.clone() }).collect(),
        },
    }
}

/// The claim's own name, as upstream names the volume; claims may hold dots and 253 characters, volumes may not.
fn volume_name(cache: &ModelCacheMount) -> &str {
    if is_dns_label(&cache.claim) {
        &cache.claim
    } else {
        "model-cache"
    }
}
