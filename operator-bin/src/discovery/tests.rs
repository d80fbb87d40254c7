use dgdr_types::GpuSku;
use dgdr_types::spec::HardwareSpec;
use dgdr_units::Gpus;
use k8s_openapi::api::core::v1::{Node, Pod, Toleration};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ClusterView, DEFAULT_GPU_CAP, DiscoveryError, Inventory, Unusable};

fn node(name: &str, product: &str, count: u32) -> Value {
    json!({
        "metadata": {"name": name, "labels": {
            "nvidia.com/gpu.product": product,
            "nvidia.com/gpu.count": count.to_string(),
            "nvidia.com/gpu.memory": "143771",
        }},
        "spec": {},
        "status": {
            "allocatable": {"nvidia.com/gpu": count.to_string(), "cpu": "64"},
            "conditions": [{"type": "Ready", "status": "True"}],
        }
    })
}

fn pod(node: &str, gpus: u32, phase: &str) -> Value {
    json!({
        "spec": {"nodeName": node, "containers": [{"name": "main",
            "resources": {"limits": {"nvidia.com/gpu": gpus.to_string()}}}]},
        "status": {"phase": phase}
    })
}

fn inventory(nodes: &[Value], pods: &[Value], tolerations: &[Value]) -> Inventory {
    let nodes: Vec<Node> = nodes
        .iter()
        .map(|value| serde_json::from_value(value.clone()).unwrap())
        .collect();
    let pods: Vec<Pod> = pods
        .iter()
        .map(|value| serde_json::from_value(value.clone()).unwrap())
        .collect();
    let tolerations: Vec<Toleration> = tolerations
        .iter()
        .map(|value| serde_json::from_value(value.clone()).unwrap())
        .collect();
    Inventory::of(ClusterView {
        nodes: &nodes,
        pods: &pods,
        tolerations: &tolerations,
    })
}

#[test]
fn only_what_nobody_asked_for_is_offered() {
    let found = inventory(
        &[node("a", "NVIDIA-H200", 8), node("b", "NVIDIA-H200", 8)],
        &[
            pod("a", 3, "Running"),
            pod("a", 5, "Succeeded"),
            pod("elsewhere", 8, "Running"),
        ],
        &[],
    );
    let pool = found.choose(None).unwrap();
    assert_eq!(
        (pool.gpus, pool.free, pool.nodes),
        (Gpus::new(16), Gpus::new(13), 2)
    );
    let filled = pool.fill(&HardwareSpec::default(), DEFAULT_GPU_CAP).unwrap();
    assert_eq!(filled.gpu_sku.as_deref(), Some("h200_sxm"));
    assert_eq!((filled.total_gpus, filled.num_gpus_per_node), (Some(13), Some(8)));
    assert_eq!(filled.vram_mb, Some(143_771.0));
    assert_eq!(filled.rdma, Some(false));
}

#[test]
fn what_the_user_set_stays() {
    let found = inventory(&[node("a", "NVIDIA-H200", 8)], &[], &[]);
    let wish = HardwareSpec {
        total_gpus: Some(64),
        vram_mb: Some(100_000.0),
        ..HardwareSpec::default()
    };
    let filled = found.choose(None).unwrap().fill(&wish, DEFAULT_GPU_CAP).unwrap();
    assert_eq!((filled.total_gpus, filled.vram_mb), (Some(64), Some(100_000.0)));
}

#[test]
fn a_request_does_not_take_a_whole_cluster_unasked() {
    let nodes: Vec<Value> = (0..9)
        .map(|index| node(&format!("n{index}"), "NVIDIA-B200", 8))
        .collect();
    let found = inventory(&nodes, &[], &[]);
    let filled = found
        .choose(None)
        .unwrap()
        .fill(&HardwareSpec::default(), DEFAULT_GPU_CAP)
        .unwrap();
    assert_eq!(filled.total_gpus, Some(32));
}

#[test]
fn the_request_selects_its_pool() {
    let nodes = [
        node("a", "NVIDIA-H100-80GB-HBM3", 8),
        node("b", "NVIDIA-GB200", 4),
        node("c", "NVIDIA-H100-80GB-HBM3", 8),
    ];
    let found = inventory(&nodes, &[], &[]);
    assert_eq!(found.choose(None).unwrap().sku, Some(GpuSku::H100Sxm));
    assert_eq!(
        found.choose(Some(GpuSku::Gb200Sxm)).unwrap().sku,
        Some(GpuSku::Gb200)
    );
    insta::assert_snapshot!(found.choose(Some(GpuSku::B200Sxm)).unwrap_err());
}

#[test]
fn cordons_taints_and_broken_nodes_are_respected() {
    let mut cordoned = node("a", "NVIDIA-H200", 8);
    cordoned["spec"]["unschedulable"] = json!(true);
    let mut broken = node("b", "NVIDIA-H200", 8);
    broken["status"]["conditions"][0]["status"] = json!("Unknown");
    let mut tainted = node("c", "NVIDIA-H200", 8);
    tainted["spec"]["taints"] = json!([
        {"key": "spot", "effect": "PreferNoSchedule"},
        {"key": "team", "value": "search", "effect": "NoSchedule"},
    ]);
    let nodes = [cordoned, broken, tainted];
    let found = inventory(&nodes, &[], &[]);
    let pool = found.choose(None).unwrap();
    assert_eq!(pool.free, Gpus::new(0));
    assert_eq!(pool.unusable[0].1, Unusable::Cordoned);
    insta::assert_snapshot!(pool.fill(&HardwareSpec::default(), DEFAULT_GPU_CAP).unwrap_err());
    for (toleration, free) in [
        (
            json!({"key": "team", "operator": "Equal", "value": "search", "effect": "NoSchedule"}),
            8,
        ),
        (json!({"key": "team", "operator": "Exists"}), 8),
        (json!({"operator": "Exists"}), 8),
        (json!({"key": "team", "value": "other"}), 0),
        (
            json!({"key": "team", "operator": "Exists", "effect": "NoExecute"}),
            0,
        ),
    ] {
        let found = inventory(&nodes, &[], std::slice::from_ref(&toleration));
        assert_eq!(found.choose(None).unwrap().free, Gpus::new(free), "{toleration}");
    }
}

#[test]
fn what_is_missing_is_said() {
    assert_eq!(
        inventory(&[], &[], &[]).choose(None),
        Err(DiscoveryError::NoNodes)
    );
    let plain = json!({"metadata": {"name": "cpu", "labels": {}}});
    insta::assert_snapshot!(inventory(&[plain], &[], &[]).choose(None).unwrap_err());
    let found = inventory(&[node("a", "NVIDIA-X1", 8)], &[], &[]);
    let pool = found.choose(None).unwrap();
    insta::assert_snapshot!(pool.fill(&HardwareSpec::default(), DEFAULT_GPU_CAP).unwrap_err());
    let named = HardwareSpec {
        gpu_sku: Some("h200_sxm".to_owned()),
        ..HardwareSpec::default()
    };
    assert!(pool.fill(&named, DEFAULT_GPU_CAP).is_ok());
}

proptest! {
    /// The order of nodes and pods does not matter, and no more is offered than there is.
    #[test]
    fn the_inventory_is_a_set(
        counts in prop::collection::vec((0_usize..3, 1_u32..9, 0_u32..12), 1..8),
    ) {
        const PRODUCTS: [&str; 3] = ["NVIDIA-H200", "NVIDIA-B200", "NVIDIA-H100-80GB-HBM3"];
        let name = |index: usize| format!("n{index}");
        let mut nodes: Vec<Value> = counts.iter().enumerate()
            .map(|(index, (product, count, _))| node(&name(index), PRODUCTS[*product], *count))
            .collect();
        let mut pods: Vec<Value> = counts.iter().enumerate()
            .map(|(index, (_, _, asked))| pod(&name(index), *asked, "Running"))
            .collect();
        let found = inventory(&nodes, &pods, &[]);
        let free: u32 = counts.iter().map(|(_, count, asked)| count.saturating_sub(*asked)).sum();
        prop_assert_eq!(found.pools.iter().map(|pool| pool.free.get()).sum::<u32>(), free);
        nodes.reverse();
        pods.reverse();
        let again = inventory(&nodes, &pods, &[]);
        prop_assert_eq!(found.pools.iter().map(|pool| (pool.sku, pool.free)).collect::<Vec<_>>(),
            again.pools.iter().map(|pool| (pool.sku, pool.free)).collect::<Vec<_>>());
    }
}
