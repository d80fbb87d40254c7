//! The GPUs of a request: what its spec says, and what the cluster has for the rest.

use std::collections::BTreeMap;

use dgdr_types::ResolvedRequest;
use dgdr_types::spec::{DiscoveredHardware, HardwareSpec};
use dgdr_units::Gpus;
use k8s_openapi::api::core::v1::{Node, Pod, Toleration};
use serde::Deserialize;
use serde_json::Value;

use super::request::Request;
use super::stores::Stores;
use crate::discovery::dcgm::ScrapedGpus;
use crate::discovery::{ClusterView, Inventory, Pool};
use crate::settings::DiscoverySource;

/// Hardware for the profiler, and what was discovered of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Offer {
    /// The hardware of the spec with its gaps filled.
    pub hardware: HardwareSpec,
    /// What was discovered; none where the spec says all.
    pub discovered: Option<DiscoveredHardware>,
}

/// Where inventories come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sources<'a> {
    /// What is watched.
    pub stores: &'a Stores,
    /// What the exporters told; none where they were not asked.
    pub scraped: Option<&'a [ScrapedGpus]>,
    /// Which of both may be used.
    pub allowed: DiscoverySource,
    /// Most GPUs that are given unasked.
    pub cap: Gpus,
}

/// The hardware of a request.
///
/// # Errors
/// In words, what is missing and what to do.
pub(super) fn offer(
    request: &Request,
    resolved: &ResolvedRequest,
    sources: Sources<'_>,
) -> Result<Offer, String> {
    let wish: HardwareSpec = request
        .spec
        .get("hardware")
        .and_then(|hardware| HardwareSpec::deserialize(hardware).ok())
        .unwrap_or_default();
    let given = &resolved.hardware;
    if given.is_complete() {
        return Ok(Offer {
            hardware: wish,
            discovered: None,
        });
    }
    let enough = given.gpu_sku.is_some() && given.gpus_per_node.is_some();
    let found = discovered(request, resolved, &wish, sources);
    match found {
        Ok(offer) => Ok(offer),
        // A total that nobody knows is the profiler's default.
        Err(_) if enough => Ok(Offer {
            hardware: wish,
            discovered: None,
        }),
        Err(problem) => Err(format!(
            "GPU hardware info required but auto-discovery failed: {problem}"
        )),
    }
}

fn discovered(
    request: &Request,
    resolved: &ResolvedRequest,
    wish: &HardwareSpec,
    sources: Sources<'_>,
) -> Result<Offer, String> {
    let (inventory, source) = inventory(request, sources)?;
    let pool = inventory
        .choose(resolved.hardware.gpu_sku)
        .map_err(|error| error.to_string())?;
    let hardware = pool.fill(wish, sources.cap).map_err(|error| error.to_string())?;
    let discovered = shown(pool, &hardware, source);
    Ok(Offer {
        hardware,
        discovered: Some(discovered),
    })
}

fn inventory(request: &Request, sources: Sources<'_>) -> Result<(Inventory, &'static str), String> {
    let nodes = sources.stores.nodes.as_ref();
    let by_labels = |nodes: &kube::runtime::reflector::Store<Node>| {
        let nodes: Vec<Node> = nodes.state().iter().map(|node| (**node).clone()).collect();
        let pods: Vec<Pod> = sources
            .stores
            .pods
            .state_filter(is_bound)
            .iter()
            .map(|pod| (**pod).clone())
            .collect();
        Inventory::of(ClusterView {
            nodes: &nodes,
            pods: &pods,
            tolerations: &tolerations(request),
        })
    };
    let by_metrics = || sources.scraped.map(Inventory::of_scraped);
    match (sources.allowed, nodes) {
        (DiscoverySource::Off, _) => Err(
            "discovery is switched off (--gpu-discovery=off): set spec.hardware.gpuSku, numGpusPerNode and totalGpus"
                .to_owned(),
        ),
        (DiscoverySource::Nodes, None) => Err(
            "this operator may not read nodes: grant it the node reader role, or set spec.hardware.gpuSku, \
             numGpusPerNode and totalGpus"
                .to_owned(),
        ),
        (DiscoverySource::Nodes, Some(nodes)) => Ok((by_labels(nodes), "NodeLabels")),
        (DiscoverySource::Auto, Some(nodes)) => {
            let inventory = by_labels(nodes);
            match by_metrics() {
                Some(scraped) if inventory.pools.is_empty() && !scraped.pools.is_empty() => {
                    Ok((scraped, "DCGM"))
                }
                Some(_) | None => Ok((inventory, "NodeLabels")),
            }
        }
        (DiscoverySource::Auto | DiscoverySource::Dcgm, _) => by_metrics()
            .filter(|inventory| !inventory.pools.is_empty())
            .map(|inventory| (inventory, "DCGM"))
            .ok_or_else(|| {
                "no DCGM exporter tells of GPUs: check that its pods run and that the operator reaches their port 9400, \
                 let the operator read nodes, or set spec.hardware.gpuSku, numGpusPerNode and totalGpus"
                    .to_owned()
            }),
    }
}

fn is_bound(pod: &Pod) -> bool {
    pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some())
}

/// Tolerations of the profiling Job, which every generated component gets too.
fn tolerations(request: &Request) -> Vec<Toleration> {
    request
        .spec
        .pointer("/overrides/profilingJob/template/spec/tolerations")
        .and_then(|tolerations| Vec::<Toleration>::deserialize(tolerations).ok())
        .unwrap_or_default()
}

fn shown(pool: &Pool, hardware: &HardwareSpec, source: &str) -> DiscoveredHardware {
    let count = |count: Option<i32>| {
        count
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or_default()
    };
    DiscoveredHardware {
        gpu_sku: hardware.gpu_sku.clone().unwrap_or_default(),
        product: pool.product.clone(),
        vram_mb: pool.memory_mib,
        num_gpus_per_node: count(hardware.num_gpus_per_node),
        nodes: pool.nodes,
        free_gpus: pool.free.get(),
        total_gpus: count(hardware.total_gpus),
        rdma: pool.rdma,
        source: source.to_owned(),
    }
}

/// The spec for the profiler: the user's, with the hardware that it is to plan for.
pub(super) fn with_hardware(spec: &Value, offer: &Offer) -> Value {
    let mut spec = spec.clone();
    if let (Value::Object(fields), Ok(hardware)) = (&mut spec, serde_json::to_value(&offer.hardware)) {
        let is_empty = hardware.as_object().is_some_and(serde_json::Map::is_empty);
        if !is_empty {
            fields.insert("hardware".to_owned(), hardware);
        }
    }
    spec
}

/// Addresses of the exporters that run, by pod.
pub(super) fn exporters(pods: &[std::sync::Arc<Pod>]) -> BTreeMap<String, String> {
    const LABELS: [(&str, &str); 3] = [
        ("app", "nvidia-dcgm-exporter"),
        ("app", "dcgm-exporter"),
        ("app.kubernetes.io/name", "dcgm-exporter"),
    ];
    pods.iter()
        .filter(|pod| {
            let labels = pod.metadata.labels.as_ref();
            LABELS.iter().any(|(key, value)| {
                labels
                    .and_then(|labels| labels.get(*key))
                    .is_some_and(|found| found == value)
            })
        })
        .filter_map(|pod| {
            let status = pod.status.as_ref()?;
            let runs = status.phase.as_deref() == Some("Running");
            let address = status.pod_ip.clone().filter(|_| runs)?;
            Some((pod.metadata.name.clone()?, address))
        })
        .collect()
}
