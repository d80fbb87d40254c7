//! What is kept of watched objects: what decisions rest on. Large clusters fit in little memory so.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, Node, NodeSpec, NodeStatus, PersistentVolumeClaim, Pod, PodSpec, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DynamicObject, PartialObjectMeta};
use serde_json::{Value, json};

use crate::collection::key;

fn metadata(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

/// Without its template.
pub(super) fn job(job: &mut Job) {
    metadata(&mut job.metadata);
    job.spec = Some(JobSpec::default());
}

/// The GPUs that it asks for, where it runs, and how.
pub(super) fn pod(pod: &mut Pod) {
    metadata(&mut pod.metadata);
    pod.metadata.annotations = None;
    let resources = |container: Container| Container {
        name: container.name,
        resources: container.resources,
        ..Container::default()
    };
    pod.spec = pod.spec.take().map(|spec| PodSpec {
        node_name: spec.node_name,
        containers: spec.containers.into_iter().map(resources).collect(),
        init_containers: spec
            .init_containers
            .map(|containers| containers.into_iter().map(resources).collect()),
        ..PodSpec::default()
    });
    pod.status = pod.status.take().map(|status| PodStatus {
        phase: status.phase,
        reason: status.reason,
        message: status.message,
        conditions: status.conditions,
        container_statuses: status.container_statuses,
        init_container_statuses: status.init_container_statuses,
        pod_ip: status.pod_ip,
        ..PodStatus::default()
    });
}

/// Labels, taints, and what may be asked of it.
pub(super) fn node(node: &mut Node) {
    metadata(&mut node.metadata);
    // Heartbeats change nothing that counts.
    node.metadata.resource_version = None;
    node.spec = node.spec.take().map(|spec| NodeSpec {
        unschedulable: spec.unschedulable,
        taints: spec.taints,
        ..NodeSpec::default()
    });
    node.status = node.status.take().map(|status| NodeStatus {
        allocatable: status.allocatable,
        conditions: status.conditions.map(|conditions| {
            let mut kept: Vec<_> = conditions
                .into_iter()
                .filter(|condition| condition.type_ == "Ready")
                .collect();
            for condition in &mut kept {
                condition.last_heartbeat_time = None;
            }
            kept
        }),
        ..NodeStatus::default()
    });
}

/// Where the profiler stands, without its results: they are read when they are needed.
pub(super) fn config_map(map: &mut ConfigMap) {
    metadata(&mut map.metadata);
    map.binary_data = None;
    let kept = [key::PHASE, key::MESSAGE, key::STATUS, key::ERROR];
    map.data = map.data.take().map(|data| {
        data.into_iter()
            .filter(|(name, _)| kept.contains(&name.as_str()))
            .collect::<BTreeMap<_, _>>()
    });
}

/// That it exists.
pub(super) fn claim(claim: &mut PartialObjectMeta<PersistentVolumeClaim>) {
    metadata(&mut claim.metadata);
    claim.metadata.annotations = None;
    claim.metadata.labels = None;
}

/// Whose it is and how it goes. What it runs is read when it is needed.
pub(super) fn graph(graph: &mut DynamicObject) {
    metadata(&mut graph.metadata);
    let status = graph.data.get("status").cloned().unwrap_or(Value::Null);
    graph.data = json!({ "status": status });
}
