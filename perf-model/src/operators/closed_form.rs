//! Operators that no table exists for, because a formula is good enough.

use dgdr_units::real;

use crate::{OperatorLatency, Source, SystemSpec};

const fn analytic(ms: f64) -> OperatorLatency {
    OperatorLatency {
        ms,
        source: Source::Analytic,
    }
}

/// An elementwise operator that reads and writes `elements_per_token` bfloat16 elements for each token.
pub fn elementwise(system: &SystemSpec, tokens: u64, elements_per_token: u64) -> OperatorLatency {
    analytic(system.memory_ms(real(tokens) * real(elements_per_token) * 2.0))
}

/// An embedding lookup: one bfloat16 row of `hidden` elements per token.
pub fn embedding(system: &SystemSpec, tokens: u64, hidden: u64) -> OperatorLatency {
    elementwise(system, tokens, hidden)
}

/// The hops of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointToPoint {
    /// Tokens handed from stage to stage.
    pub tokens: u64,
    /// bfloat16 elements per token.
    pub hidden: u64,
    /// Pipeline stages.
    pub stages: u32,
}

/// Activations that travel through all stages of a pipeline, between nodes.
pub fn point_to_point(system: &SystemSpec, hops: PointToPoint) -> OperatorLatency {
    let bytes = real(hops.tokens) * real(hops.hidden) * 2.0;
    let hop = bytes / system.inter_node_bandwidth + system.p2p_latency;
    analytic(hop * 1000.0 * f64::from(hops.stages.saturating_sub(1)))
}

/// Keys and values on their way from a prefill to a decode worker: `bytes` of one GPU over its own link between nodes,
/// after the latency of one hop. Workers may share a node, but nothing guarantees it.
pub fn kv_transfer(system: &SystemSpec, bytes: f64) -> OperatorLatency {
    analytic((bytes / system.inter_node_bandwidth + system.p2p_latency) * 1000.0)
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::{PointToPoint, elementwise, kv_transfer, point_to_point};
    use crate::SystemSpec;

    #[test]
    fn elementwise_moves_bytes_at_the_reachable_bandwidth() {
        let h200 = SystemSpec::by_name("h200_sxm").unwrap();
        let bytes = 4000.0 * 10_240.0 * 2.0;
        let expected = (bytes / (4.8e12 * 0.8) + 3e-6) * 1000.0;
        assert_relative_eq!(elementwise(h200, 4000, 10_240).ms, expected, max_relative = 1e-12);
    }

    #[test]
    fn a_cache_travels_over_the_link_between_nodes() {
        let h200 = SystemSpec::by_name("h200_sxm").unwrap();
        // 500 MB at 50 GB/s take 10 ms, the hop 10 microseconds.
        assert_relative_eq!(kv_transfer(h200, 5e8).ms, 10.01, max_relative = 1e-12);
    }

    #[test]
    fn a_single_stage_needs_no_hop() {
        let h200 = SystemSpec::by_name("h200_sxm").unwrap();
        let hops = |stages| PointToPoint {
            tokens: 1000,
            hidden: 5120,
            stages,
        };
        assert!(point_to_point(h200, hops(1)).ms.abs() < f64::EPSILON);
        let hop = (1000.0 * 5120.0 * 2.0 / 50e9 + 10e-6) * 1000.0;
        assert_relative_eq!(point_to_point(h200, hops(3)).ms, 2.0 * hop, max_relative = 1e-12);
    }
}
