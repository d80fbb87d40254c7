//! GPU systems: what one GPU can do and how GPUs are joined.

use dgdr_units::Bytes;

use crate::quant::ComputeRate;

mod catalogue;

/// A GPU in its node: constants that rooflines, communication and memory rest on.
///
/// Values restate the system descriptions of aiconfigurator-core 0.12.0 (Apache-2.0) where it has one, and
/// datasheets elsewhere: [`SystemSpec::source`] says which.
#[derive(Debug, Clone, PartialEq)]
pub struct SystemSpec {
    /// Name, for example `h200_sxm`.
    pub name: &'static str,
    /// Where the constants come from.
    pub source: &'static str,
    /// Memory bandwidth, bytes per second.
    pub memory_bandwidth: f64,
    /// Share of the memory bandwidth that elementwise kernels reach.
    pub memory_bandwidth_share: f64,
    /// Fixed cost of one memory-bound kernel, seconds.
    pub memory_latency: f64,
    /// Memory of one GPU.
    pub memory_capacity: Bytes,
    /// bfloat16 tensor-core rate, FLOP/s; that of float16 on GPUs older than the format.
    pub bfloat16_flops: f64,
    /// int8 tensor-core rate, OP/s; none before Turing.
    pub int8_flops: Option<f64>,
    /// fp8 tensor-core rate, FLOP/s; none before Ada and Hopper.
    pub fp8_flops: Option<f64>,
    /// fp4 tensor-core rate, FLOP/s; none before Blackwell.
    pub fp4_flops: Option<f64>,
    /// Board power, watts.
    pub power: Option<f64>,
    /// CUDA compute capability times ten (90 for Hopper); none for other makers' GPUs.
    pub sm_version: Option<u32>,
    /// GPUs in one node.
    pub gpus_per_node: u32,
    /// GPUs in one rack-scale NVLink domain, where there is one.
    pub gpus_per_rack: Option<u32>,
    /// Bandwidth per GPU and direction within a node, bytes per second.
    pub intra_node_bandwidth: f64,
    /// Bandwidth per GPU and direction between nodes, bytes per second.
    pub inter_node_bandwidth: f64,
    /// Bandwidth per GPU and direction between racks, bytes per second.
    pub inter_rack_bandwidth: Option<f64>,
    /// Fixed cost of one point-to-point hop, seconds.
    pub p2p_latency: f64,
    /// Memory that NCCL takes, by number of ranks, ascending.
    pub nccl_memory: &'static [(u32, Bytes)],
    /// Memory that runtime and driver take.
    pub other_memory: Bytes,
}

impl SystemSpec {
    /// The systems known, by ascending name.
    pub fn all() -> &'static [Self] {
        &catalogue::SYSTEMS
    }

    /// The system of this name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|system| system.name == name)
    }

    /// Memory that NCCL takes among `ranks`: that of the largest described number of ranks not above `ranks`.
    pub fn nccl_memory_of(&self, ranks: u32) -> Bytes {
        self.nccl_memory
            .iter()
            .rev()
            .find(|(described, _)| *described <= ranks)
            .map_or(Bytes::new(0), |(_, bytes)| *bytes)
    }

    /// Whether the GPU computes in a format at all.
    pub const fn has_rate(&self, rate: ComputeRate) -> bool {
        match rate {
            ComputeRate::Bfloat16 => true,
            ComputeRate::Int8 => self.int8_flops.is_some(),
            ComputeRate::Fp8 => self.fp8_flops.is_some(),
            ComputeRate::Fp4 => self.fp4_flops.is_some(),
        }
    }

    /// Tensor-core rate in FLOP/s; a format that the GPU lacks runs at the bfloat16 rate.
    pub fn flops(&self, rate: ComputeRate) -> f64 {
        match rate {
            ComputeRate::Bfloat16 => self.bfloat16_flops,
            ComputeRate::Int8 => self.int8_flops.unwrap_or(self.bfloat16_flops),
            ComputeRate::Fp8 => self.fp8_flops.unwrap_or(self.bfloat16_flops),
            ComputeRate::Fp4 => self.fp4_flops.unwrap_or(self.bfloat16_flops),
        }
    }

    /// Bandwidth per GPU between `gpus` ranks, bytes per second.
    pub fn p2p_bandwidth(&self, gpus: u32) -> f64 {
        if gpus <= self.gpus_per_node {
            return self.intra_node_bandwidth;
        }
        match (self.gpus_per_rack, self.inter_rack_bandwidth) {
            (Some(rack), Some(inter_rack)) if gpus > rack => inter_rack,
            _ => self.inter_node_bandwidth,
        }
    }

    /// Milliseconds that an elementwise kernel takes to move `bytes`.
    pub fn memory_ms(&self, bytes: f64) -> f64 {
        (bytes / (self.memory_bandwidth * self.memory_bandwidth_share) + self.memory_latency) * 1000.0
    }
}

#[cfg(test)]
mod tests;
