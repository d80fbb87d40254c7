//! One complete way to deploy, in plain numbers for the inner loops.

use dgdr_perf_model::Provenance;

use crate::outcome::Layout;

/// One copy of a layout. Latencies in milliseconds, corrections applied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub(super) layout: Layout,
    /// GPUs of one copy.
    pub(super) gpus: u32,
    pub(super) ttft: f64,
    pub(super) itl: f64,
    /// Requests per second of one copy.
    pub(super) rate: f64,
    /// Generated tokens per second of one copy.
    pub(super) tokens_per_s: f64,
    /// Generated tokens per second and GPU when each role has as many workers as balance the other.
    pub(super) balanced: f64,
    /// Requests in flight in one copy.
    pub(super) concurrency: u32,
    pub(super) ttft_sources: Provenance,
    pub(super) itl_sources: Provenance,
}
