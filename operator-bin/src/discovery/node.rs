//! The GPUs of one node, by the labels of NVIDIA's GPU Feature Discovery.

use std::collections::BTreeMap;
use std::fmt;

use dgdr_types::GpuSku;
use dgdr_types::dgd::GPU_RESOURCE;
use k8s_openapi::api::core::v1::{Node, Pod, PodSpec, Taint, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::ClusterView;

/// Number of GPUs of a node.
const COUNT: &str = "nvidia.com/gpu.count";
/// Product of its GPUs.
pub const PRODUCT_LABEL: &str = "nvidia.com/gpu.product";
/// Memory of each, MiB.
const MEMORY: &str = "nvidia.com/gpu.memory";
/// Labels of nodes that are joined by RDMA.
const RDMA: [&str; 2] = [
    "nvidia.com/rdma.present",
    "feature.node.kubernetes.io/rdma.available",
];

/// Why a node's GPUs cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// Somebody took it out of scheduling.
    Cordoned,
    /// It does not report as ready.
    NotReady,
    /// A taint that nothing tolerates.
    Tainted {
        /// The taint as `key=value:effect`.
        taint: String,
    },
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cordoned => f.write_str("is cordoned"),
            Self::NotReady => f.write_str("is not ready"),
            Self::Tainted { taint } => write!(
                f,
                "has the taint {taint}, which spec.overrides.profilingJob.template.spec.tolerations does not tolerate"
            ),
        }
    }
}

/// The GPUs of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeGpus {
    /// Name of the node.
    pub name: String,
    /// The system, where the product is known.
    pub sku: Option<GpuSku>,
    /// The product.
    pub product: String,
    /// Memory of each, MiB.
    pub memory_mib: u64,
    /// How many are built in.
    pub count: u32,
    /// How many pods may ask for.
    pub allocatable: u32,
    /// How many pods have asked for.
    pub requested: u32,
    /// Why they cannot be had.
    pub unusable: Option<Unusable>,
    /// Whether the node says that it has RDMA.
    pub rdma: bool,
}

impl NodeGpus {
    /// GPUs that nobody asked for.
    pub fn free(&self) -> u32 {
        self.allocatable.saturating_sub(self.requested)
    }
}

/// The GPUs of a node; none where its labels do not tell product, number and memory.
pub fn node_gpus(node: &Node, cluster: &ClusterView<'_>) -> Option<NodeGpus> {
    let labels = node.metadata.labels.as_ref()?;
    let name = node.metadata.name.clone()?;
    let product = labels.get(PRODUCT_LABEL)?.clone();
    let count: u32 = labels.get(COUNT)?.parse().ok()?;
    let memory_mib = labels.get(MEMORY)?.parse().ok()?;
    let allocatable = node
        .status
        .as_ref()
        .and_then(|status| status.allocatable.as_ref());
    let requested = cluster
        .pods
        .iter()
        .filter(|pod| holds_resources(pod, &name))
        .filter_map(|pod| pod.spec.as_ref())
        .map(requested)
        .sum();
    Some(NodeGpus {
        sku: GpuSku::from_product(&product),
        product,
        memory_mib,
        count,
        allocatable: allocatable.map_or(count, |resources| gpus(Some(resources))),
        requested,
        unusable: unusable(node, cluster.tolerations),
        rdma: RDMA
            .iter()
            .any(|key| labels.get(*key).is_some_and(|value| value == "true")),
        name,
    })
}

fn unusable(node: &Node, tolerations: &[Toleration]) -> Option<Unusable> {
    let spec = node.spec.as_ref();
    if spec.and_then(|spec| spec.unschedulable) == Some(true) {
        return Some(Unusable::Cordoned);
    }
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let is_down = conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status != "True");
    if is_down {
        return Some(Unusable::NotReady);
    }
    let taints = spec.and_then(|spec| spec.taints.as_ref());
    taints
        .into_iter()
        .flatten()
        .filter(|taint| taint.effect != "PreferNoSchedule")
        .find(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint)))
        .map(|taint| Unusable::Tainted {
            taint: match &taint.value {
                Some(value) => format!("{}={value}:{}", taint.key, taint.effect),
                None => format!("{}:{}", taint.key, taint.effect),
            },
        })
}

/// Whether a toleration covers a taint, as the scheduler sees it.
fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let same_effect = toleration
        .effect
        .as_ref()
        .is_none_or(|effect| effect.is_empty() || *effect == taint.effect);
    let key = toleration.key.as_deref().unwrap_or_default();
    let exists = toleration.operator.as_deref() == Some("Exists");
    let same_value =
        toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default();
    same_effect && ((key.is_empty() && exists) || (key == taint.key && (exists || same_value)))
}

/// Whether a pod holds resources of a node: it is bound to it and has not ended.
fn holds_resources(pod: &Pod, node: &str) -> bool {
    let bound = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(node);
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    bound && !matches!(phase, Some("Succeeded" | "Failed"))
}

/// GPUs that a pod asks for: all containers together, or one init container that asks for more.
fn requested(pod: &PodSpec) -> u32 {
    let of = |container: &k8s_openapi::api::core::v1::Container| {
        let resources = container.resources.as_ref();
        let limits = gpus(resources.and_then(|resources| resources.limits.as_ref()));
        // Extended resources cannot be overcommitted, so requests equal limits where both are given.
        limits.max(gpus(resources.and_then(|resources| resources.requests.as_ref())))
    };
    let running = pod.containers.iter().map(of).sum::<u32>();
    let first = pod.init_containers.iter().flatten().map(of).max().unwrap_or(0);
    running.max(first)
}

fn gpus(resources: Option<&BTreeMap<String, Quantity>>) -> u32 {
    resources
        .and_then(|resources| resources.get(GPU_RESOURCE))
        .and_then(|quantity| quantity.0.parse().ok())
        .unwrap_or(0)
}
