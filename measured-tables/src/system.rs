//! GPU systems as a folder of measurements describes them.

use std::collections::BTreeMap;

use dgdr_perf_model::SystemSpec;
use dgdr_units::Bytes;
use serde::Deserialize;

/// `<system>.yaml`.
#[derive(Debug, Deserialize)]
pub(crate) struct SystemFile {
    gpu: Gpu,
    node: Node,
    misc: Misc,
}

#[derive(Debug, Deserialize)]
struct Gpu {
    mem_bw: f64,
    mem_bw_empirical_scaling_factor: f64,
    mem_empirical_constant_latency: f64,
    mem_capacity: u64,
    bfloat16_tc_flops: f64,
    #[serde(default)]
    int8_tc_flops: Option<f64>,
    #[serde(default)]
    fp8_tc_flops: Option<f64>,
    #[serde(default)]
    fp4_tc_flops: Option<f64>,
    #[serde(default)]
    power: Option<f64>,
    #[serde(default)]
    sm_version: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct Node {
    #[serde(rename = "num_gpus_per_node")]
    gpus: u32,
    #[serde(default, rename = "num_gpus_per_rack")]
    rack_gpus: Option<u32>,
    inter_node_bw: f64,
    intra_node_bw: f64,
    #[serde(default)]
    inter_rack_bw: Option<f64>,
    p2p_latency: f64,
}

#[derive(Debug, Deserialize)]
struct Misc {
    nccl_mem: BTreeMap<u32, u64>,
    other_mem: u64,
    nccl_version: String,
}

impl SystemFile {
    /// The NCCL version whose collectives were measured.
    pub(crate) fn nccl_version(&self) -> &str {
        &self.misc.nccl_version
    }

    /// The system. It lives as long as the process, as the built-in ones do: a run reads few.
    pub(crate) fn leak(self, name: &str) -> &'static SystemSpec {
        let text = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
        let nccl_memory: Vec<(u32, Bytes)> = self
            .misc
            .nccl_mem
            .into_iter()
            .map(|(ranks, bytes)| (ranks, Bytes::new(bytes)))
            .collect();
        Box::leak(Box::new(SystemSpec {
            name: text(name),
            source: "the folder of measurements",
            memory_bandwidth: self.gpu.mem_bw,
            memory_bandwidth_share: self.gpu.mem_bw_empirical_scaling_factor,
            memory_latency: self.gpu.mem_empirical_constant_latency,
            memory_capacity: Bytes::new(self.gpu.mem_capacity),
            bfloat16_flops: self.gpu.bfloat16_tc_flops,
            int8_flops: self.gpu.int8_tc_flops,
            fp8_flops: self.gpu.fp8_tc_flops,
            fp4_flops: self.gpu.fp4_tc_flops,
            power: self.gpu.power,
            sm_version: self.gpu.sm_version,
            gpus_per_node: self.node.gpus,
            gpus_per_rack: self.node.rack_gpus,
            intra_node_bandwidth: self.node.intra_node_bw,
            inter_node_bandwidth: self.node.inter_node_bw,
            inter_rack_bandwidth: self.node.inter_rack_bw,
            p2p_latency: self.node.p2p_latency,
            nccl_memory: Box::leak(nccl_memory.into_boxed_slice()),
            other_memory: Bytes::new(self.misc.other_mem),
        }))
    }
}
