//! One way to deploy, and what it reaches.

use std::fmt;

use dgdr_perf_model::{ParallelMapping, Provenance};
use dgdr_units::{Gpus, Milliseconds, RequestsPerSecond, TokensPerSecond};
use serde::{Deserialize, Serialize};

/// One way to deploy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    /// What it reaches.
    #[serde(flatten)]
    pub performance: Performance,
    /// Copies of the layout.
    pub replicas: u32,
    /// GPUs of one copy.
    pub gpus: Gpus,
    /// Workers of one copy.
    #[serde(flatten)]
    pub layout: Layout,
}

impl Configuration {
    /// GPUs of all copies.
    pub fn total_gpus(&self) -> Gpus {
        self.gpus * self.replicas
    }
}

/// What a configuration reaches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Performance {
    /// Generated tokens per second and GPU of the copies.
    pub tokens_per_s_per_gpu: TokensPerSecond,
    /// Generated tokens per second of all copies, divided by all GPUs of the budget.
    pub tokens_per_s_per_gpu_cluster: TokensPerSecond,
    /// Tokens per second that one user sees: the inverse of ITL.
    pub tokens_per_s_per_user: TokensPerSecond,
    /// Time to first token, corrections included.
    #[serde(rename = "ttft_ms")]
    pub ttft: Milliseconds,
    /// Time between tokens, corrections included.
    #[serde(rename = "tpot_ms")]
    pub itl: Milliseconds,
    /// The whole request: `ttft + itl × (osl − 1)`.
    #[serde(rename = "request_latency_ms")]
    pub request_latency: Milliseconds,
    /// Completed requests per second of all copies.
    pub requests_per_s: RequestsPerSecond,
    /// Requests in flight in one copy.
    pub concurrency: u32,
    /// Sources of TTFT.
    pub ttft_sources: Provenance,
    /// Sources of ITL.
    pub itl_sources: Provenance,
}

/// Workers of one copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Layout {
    /// One worker for both roles.
    Aggregated {
        /// Requests in flight per attention data-parallel copy.
        batch_size: u32,
        /// Prompt tokens of a mixed step.
        context_tokens: u32,
        /// The worker.
        mapping: ParallelMapping,
    },
    /// Workers for each role.
    Disaggregated {
        /// Prefill workers.
        prefill: WorkerGroup,
        /// Decode workers.
        decode: WorkerGroup,
    },
}

impl Layout {
    /// Whether prefill and decode have workers of their own.
    pub const fn is_disaggregated(&self) -> bool {
        matches!(self, Self::Disaggregated { .. })
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aggregated {
                batch_size, mapping, ..
            } => write!(f, "{mapping}, batch {batch_size}"),
            Self::Disaggregated { prefill, decode } => {
                write!(f, "{prefill} prefill + {decode} decode")
            }
        }
    }
}

/// Equal workers of one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerGroup {
    /// How many.
    pub workers: u32,
    /// Requests in flight per worker and attention data-parallel copy.
    pub batch_size: u32,
    /// Each of them.
    pub mapping: ParallelMapping,
}

impl fmt::Display for WorkerGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{} (batch {})", self.workers, self.mapping, self.batch_size)
    }
}
