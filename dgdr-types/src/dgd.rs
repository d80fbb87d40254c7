//! `DynamoGraphDeployment`: typed in v1beta1, as far as deployments are generated; as documents in both versions.
//!
//! Field names and order are the API's own; what is not set is not written.

mod config_map;
mod conversion;
mod document;
mod gpus;
mod version;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use config_map::{CONFIG_MAP_API_VERSION, CONFIG_MAP_KIND, ConfigMap};
pub use conversion::{Converted, convert};
pub use document::{DocumentError, Readable, to_document};
pub use gpus::{ComponentGpus, component_gpus, component_path, components};
pub use version::{DgdVersion, DgdVersionError};

/// API version of the generated deployments.
pub const API_VERSION: &str = "nvidia.com/v1beta1";
/// Kind of the generated deployments.
pub const KIND: &str = "DynamoGraphDeployment";
/// Resource name of a GPU.
pub const GPU_RESOURCE: &str = "nvidia.com/gpu";
/// Name of the container that serves, in every component.
pub const MAIN_CONTAINER: &str = "main";

/// A graph of components that together serve one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DynamoGraphDeployment {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// Always [`KIND`].
    pub kind: String,
    /// Name, namespace, labels.
    pub metadata: Metadata,
    /// The graph.
    pub spec: DeploymentSpec,
}

/// Object metadata, as far as it is generated.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// Name.
    pub name: String,
    /// Namespace, when it is fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// The graph's components.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentSpec {
    /// Engine of the workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_framework: Option<BackendFramework>,
    /// Components, each with a name of its own.
    pub components: Vec<Component>,
}

/// Engine of a graph's workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendFramework {
    /// vLLM.
    Vllm,
    /// SGLang.
    Sglang,
    /// TensorRT-LLM.
    Trtllm,
}

/// One component of a graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    /// Name, unique within the graph.
    pub name: String,
    /// What it does.
    #[serde(rename = "type")]
    pub component_type: ComponentType,
    /// Copies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// Nodes of one copy, where it spans several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multinode: Option<Multinode>,
    /// Size of `/dev/shm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_memory_size: Option<String>,
    /// Lets a planner or autoscaler own the replicas; its presence is the switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling_adapter: Option<ScalingAdapter>,
    /// Version of the runtime, where the image tag does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_version_override: Option<String>,
    /// Its pods.
    pub pod_template: PodTemplate,
}

/// What a component does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ComponentType {
    /// Speaks HTTP with clients and routes.
    Frontend,
    /// Prefill and decode.
    Worker,
    /// Prefill.
    Prefill,
    /// Decode.
    Decode,
    /// Scales the others.
    Planner,
}

/// Nodes of one copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Multinode {
    /// At least 2.
    pub node_count: u32,
}

/// The switch of replica scaling: the API gives it no fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScalingAdapter {}

/// Pods of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodTemplate {
    /// The pod.
    pub spec: PodSpec,
}

/// A pod, as far as it is generated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec {
    /// Containers; [`MAIN_CONTAINER`] serves.
    pub containers: Vec<Container>,
    /// Volumes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// Taints that the pod tolerates, each a `core/v1` Toleration as the user wrote it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<serde_json::Value>,
    /// Secrets that images are pulled with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<ObjectName>,
}

/// A container, as far as it is generated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Name.
    pub name: String,
    /// Image.
    pub image: String,
    /// Where it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// What it runs.
    pub command: Vec<String>,
    /// With which arguments.
    pub args: Vec<String>,
    /// Environment taken from other objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env_from: Vec<EnvFrom>,
    /// Environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
    /// GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Mounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volume_mounts: Vec<VolumeMount>,
}

/// Environment from a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvFrom {
    /// The secret.
    pub secret_ref: SecretRef,
}

/// A secret by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRef {
    /// Its name.
    pub name: String,
    /// Whether pods may start without it.
    pub optional: bool,
}

/// An object of the same namespace, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectName {
    /// Its name.
    pub name: String,
}

/// An environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvVar {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
}

/// Resources of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Limits by resource name; quantities are strings, as the API writes them.
    pub limits: BTreeMap<String, String>,
}

/// A volume of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Name.
    pub name: String,
    /// What it mounts.
    #[serde(flatten)]
    pub source: VolumeSource,
}

/// What a volume mounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VolumeSource {
    /// A claim.
    PersistentVolumeClaim(ClaimSource),
    /// The entries of a ConfigMap, as files.
    ConfigMap(ConfigMapSource),
}

/// A ConfigMap by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigMapSource {
    /// Its name.
    pub name: String,
}

/// A claim by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimSource {
    /// Its name.
    pub claim_name: String,
}

/// Where a volume appears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeMount {
    /// The volume.
    pub name: String,
    /// The path.
    pub mount_path: String,
    /// Whether it may only be read.
    #[serde(default, skip_serializing_if = "is_writable")]
    pub read_only: bool,
}

/// Serde asks by reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_writable(read_only: &bool) -> bool {
    !*read_only
}

impl Component {
    /// GPUs of all copies: per pod, times the nodes of a copy, times the copies.
    pub fn gpus(&self) -> u64 {
        let per_pod: u64 = self
            .pod_template
            .spec
            .containers
            .iter()
            .filter_map(|container| {
                container
                    .resources
                    .as_ref()?
                    .limits
                    .get(GPU_RESOURCE)?
                    .parse::<u64>()
                    .ok()
            })
            .sum();
        let nodes = self.multinode.map_or(1, |multinode| multinode.node_count);
        per_pod * u64::from(nodes) * u64::from(self.replicas.unwrap_or(1))
    }
}

impl DynamoGraphDeployment {
    /// GPUs that the whole graph asks for, read off the manifest.
    pub fn gpus(&self) -> u64 {
        self.spec.components.iter().map(Component::gpus).sum()
    }
}
