//! Which GPUs a cluster has to offer: nodes to pools, pools to the hardware of a request.
//!
//! What is counted is what a deployment can get: allocatable GPUs that no pod has asked for, on nodes that are ready, not
//! cordoned, and whose taints the deployment tolerates. Discovered values go to the status and the profiling Job, never
//! into the user's spec.

pub mod dcgm;
mod node;

use std::collections::BTreeMap;
use std::fmt;

use dgdr_types::GpuSku;
use dgdr_types::spec::HardwareSpec;
use dgdr_units::Gpus;
use k8s_openapi::api::core::v1::{Node, Pod, Toleration};

pub use node::{NodeGpus, PRODUCT_LABEL, Unusable, node_gpus};

/// Most GPUs that a request without `totalGpus` is planned with: upstream's limit, so that one request does not take a
/// whole cluster unasked.
pub const DEFAULT_GPU_CAP: Gpus = Gpus::new(32);

/// Nodes whose GPUs are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// The system, where the product is known.
    pub sku: Option<GpuSku>,
    /// The product, as the nodes name it.
    pub product: String,
    /// Memory of one GPU, MiB: the least of the pool.
    pub memory_mib: u64,
    /// GPUs of a node: the most of the pool.
    pub gpus_per_node: Gpus,
    /// Nodes that can be used.
    pub nodes: u32,
    /// GPUs of these nodes.
    pub gpus: Gpus,
    /// Those that nobody asked for.
    pub free: Gpus,
    /// Nodes that cannot be used, with the reason.
    pub unusable: Vec<(String, Unusable)>,
    /// Whether all usable nodes say that they are joined by RDMA.
    pub rdma: bool,
}

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    /// Pools, the one with most free GPUs first.
    pub pools: Vec<Pool>,
    /// Nodes that were looked at.
    pub nodes: u32,
}

/// Why no hardware can be offered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// The cluster has no node.
    #[error("no nodes found in cluster: {FIX}")]
    NoNodes,
    /// No node carries the labels.
    #[error(
        "no nodes with NVIDIA GPU Feature Discovery labels found (checked {nodes} nodes): label GPU nodes with \
         nvidia.com/gpu.product, nvidia.com/gpu.count and nvidia.com/gpu.memory, or {FIX}"
    )]
    NoLabels {
        /// Nodes that were looked at.
        nodes: u32,
    },
    /// No node has the GPU that was asked for.
    #[error("spec.hardware.gpuSku: no node has {sku}; the cluster has {known}")]
    NoSuchGpu {
        /// What was asked for.
        sku: GpuSku,
        /// What there is.
        known: String,
    },
    /// GPUs of a product that no name of a system stands for.
    #[error("the GPU product \"{product}\" is none of the known systems: set spec.hardware.gpuSku")]
    UnknownProduct {
        /// The product.
        product: String,
    },
    /// All GPUs are taken, or their nodes cannot be used.
    #[error("no GPU of {pool} is free{reasons}: free some, or set spec.hardware.totalGpus")]
    NothingFree {
        /// The pool.
        pool: String,
        /// Why its nodes cannot be used.
        reasons: String,
    },
}

/// What a user can always do.
const FIX: &str = "set spec.hardware.gpuSku, vramMb, numGpusPerNode and totalGpus";

/// What a cluster shows of itself.
#[derive(Debug, Clone, Copy)]
pub struct ClusterView<'a> {
    /// All nodes.
    pub nodes: &'a [Node],
    /// All pods that may hold GPUs.
    pub pods: &'a [Pod],
    /// Taints that a deployment tolerates.
    pub tolerations: &'a [Toleration],
}

impl Inventory {
    /// Sorts the nodes of a cluster into pools.
    pub fn of(cluster: ClusterView<'_>) -> Self {
        let gpus = cluster.nodes.iter().filter_map(|node| node_gpus(node, &cluster));
        Self::pooled(gpus, cluster.nodes.len())
    }

    /// Sorts what exporters tell into pools. They do not tell who holds GPUs, so that all of them count as free.
    pub fn of_scraped(scraped: &[dcgm::ScrapedGpus]) -> Self {
        let gpus = scraped.iter().map(|gpus| NodeGpus {
            name: gpus.node.clone(),
            sku: GpuSku::from_product(&gpus.product),
            product: gpus.product.clone(),
            memory_mib: gpus.memory_mib,
            count: gpus.count,
            allocatable: gpus.count,
            requested: 0,
            unusable: None,
            rdma: false,
        });
        Self::pooled(gpus, scraped.len())
    }

    fn pooled(gpus: impl Iterator<Item = NodeGpus>, nodes: usize) -> Self {
        let mut pools: BTreeMap<(Option<GpuSku>, String), Vec<NodeGpus>> = BTreeMap::new();
        for gpus in gpus {
            // Products of one system differ in their spelling only; without a system the spelling is all there is.
            let product = gpus.sku.map_or_else(|| gpus.product.clone(), |_| String::new());
            pools.entry((gpus.sku, product)).or_default().push(gpus);
        }
        let mut pools: Vec<Pool> = pools.into_values().filter_map(|nodes| Pool::of(&nodes)).collect();
        pools.sort_by(|one, other| {
            let rank = |pool: &Pool| (pool.free, pool.gpus, pool.memory_mib);
            rank(other)
                .cmp(&rank(one))
                .then_with(|| one.product.cmp(&other.product))
        });
        Self {
            pools,
            nodes: u32::try_from(nodes).unwrap_or(u32::MAX),
        }
    }

    /// The pool for a request: the one of its system, else the one with most free GPUs.
    ///
    /// # Errors
    /// [`DiscoveryError`] where there is none.
    pub fn choose(&self, wanted: Option<GpuSku>) -> Result<&Pool, DiscoveryError> {
        if self.nodes == 0 {
            return Err(DiscoveryError::NoNodes);
        }
        let Some(largest) = self.pools.first() else {
            return Err(DiscoveryError::NoLabels { nodes: self.nodes });
        };
        let Some(wanted) = wanted else { return Ok(largest) };
        self.pools
            .iter()
            .find(|pool| pool.sku.is_some_and(|sku| sku.canonical() == wanted.canonical()))
            .ok_or_else(|| DiscoveryError::NoSuchGpu {
                sku: wanted,
                known: self
                    .pools
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sku {
            Some(sku) => write!(f, "{sku}"),
            None => write!(f, "\"{}\"", self.product),
        }
    }
}

impl Pool {
    /// The pool of alike nodes; none without a node.
    fn of(nodes: &[NodeGpus]) -> Option<Self> {
        let first = nodes.first()?;
        let usable: Vec<&NodeGpus> = nodes.iter().filter(|node| node.unusable.is_none()).collect();
        let sum = |of: fn(&NodeGpus) -> u32| Gpus::new(usable.iter().map(|node| of(node)).sum());
        Some(Self {
            sku: first.sku,
            product: nodes.iter().map(|node| &node.product).min()?.clone(),
            memory_mib: nodes.iter().map(|node| node.memory_mib).min()?,
            gpus_per_node: Gpus::new(nodes.iter().map(|node| node.count).max()?),
            nodes: u32::try_from(usable.len()).unwrap_or(u32::MAX),
            gpus: sum(|node| node.allocatable),
            free: sum(NodeGpus::free),
            unusable: nodes
                .iter()
                .filter_map(|node| Some((node.name.clone(), node.unusable.clone()?)))
                .collect(),
            rdma: !usable.is_empty() && usable.iter().all(|node| node.rdma),
        })
    }

    /// The hardware of a request, with what it leaves open taken from this pool. What the user set stays.
    ///
    /// # Errors
    /// [`DiscoveryError`] where the pool's product is unknown or no GPU is free, and the user did not say either.
    pub fn fill(&self, wish: &HardwareSpec, cap: Gpus) -> Result<HardwareSpec, DiscoveryError> {
        let gpu_sku = match (&wish.gpu_sku, self.sku) {
            (Some(given), _) => given.clone(),
            (None, Some(sku)) => sku.name().to_owned(),
            (None, None) => {
                return Err(DiscoveryError::UnknownProduct {
                    product: self.product.clone(),
                });
            }
        };
        let total_gpus = match wish.total_gpus {
            Some(given) => given,
            None if self.free == Gpus::new(0) => {
                return Err(DiscoveryError::NothingFree {
                    pool: self.to_string(),
                    reasons: self.reasons(),
                });
            }
            None => whole(self.free.min(cap)),
        };
        Ok(HardwareSpec {
            gpu_sku: Some(gpu_sku),
            vram_mb: wish
                .vram_mb
                .or_else(|| u32::try_from(self.memory_mib).ok().map(f64::from)),
            total_gpus: Some(total_gpus),
            num_gpus_per_node: wish.num_gpus_per_node.or_else(|| Some(whole(self.gpus_per_node))),
            max_num_gpus_per_engine: wish.max_num_gpus_per_engine,
            interconnect: wish.interconnect.clone(),
            rdma: wish.rdma.or(Some(self.rdma)),
        })
    }

    fn reasons(&self) -> String {
        let reasons: Vec<String> = self
            .unusable
            .iter()
            .map(|(node, reason)| format!("{node} {reason}"))
            .collect();
        if reasons.is_empty() {
            String::new()
        } else {
            format!(" ({})", reasons.join("; "))
        }
    }
}

/// A count as the wire writes it.
fn whole(gpus: Gpus) -> i32 {
    i32::try_from(gpus.get()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
