//! What an engine can be asked, and what it answers.

use dgdr_units::{Milliseconds, RequestsPerSecond, Tokens, TokensPerSecond};
use serde::Serialize;

use crate::error::PerfModelError;
use crate::graph::OperatorName;
use crate::memory::{MemoryBreakdown, WorkerRole};
use crate::provenance::{Estimate, OperatorLatency};

/// One prefill batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextQuery {
    /// Requests in the batch, per attention copy.
    pub batch: u32,
    /// Tokens of one prompt.
    pub isl: u32,
    /// Leading tokens of the prompt whose keys and values are cached already.
    pub prefix: u32,
}

/// One decode batch from first to last token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GenerationQuery {
    /// Requests in flight, per attention copy.
    pub batch: u32,
    /// Tokens of one prompt.
    pub isl: u32,
    /// Tokens of one answer.
    pub osl: u32,
}

/// One decode step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DecodeStepQuery {
    /// Requests in flight, per attention copy.
    pub batch: u32,
    /// Tokens in each request's context, the new one included.
    pub context_length: u32,
}

/// Prefill and decode in one continuous batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AggregatedQuery {
    /// Requests in flight, per attention copy.
    pub batch: u32,
    /// Tokens of one prompt.
    pub isl: u32,
    /// Tokens of one answer.
    pub osl: u32,
    /// Leading tokens of the prompt whose keys and values are cached already.
    pub prefix: u32,
    /// Prompt tokens that one mixed step takes in.
    pub context_tokens: u32,
}

/// How large the KV cache can grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KvCapacityQuery {
    /// Tokens of the largest step that the engine is built for.
    pub max_num_tokens: u32,
    /// What the worker does: engines grant an aggregated worker another share of memory.
    pub role: WorkerRole,
}

/// Multi-token prediction: drafts cost work, accepted drafts save steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speculation {
    pub(crate) drafted: u32,
    pub(crate) accepted: f64,
}

impl Speculation {
    /// One token a step.
    pub const NONE: Self = Self {
        drafted: 0,
        accepted: 0.0,
    };

    /// Tokens proposed a step.
    pub const fn drafted(self) -> u32 {
        self.drafted
    }

    /// Of which this many are kept on average.
    pub const fn accepted(self) -> f64 {
        self.accepted
    }

    /// `drafted` tokens proposed a step, of which `accepted` are kept on average.
    ///
    /// # Errors
    /// [`PerfModelError::Speculation`] unless `accepted` lies between 0 and `drafted`.
    pub fn new(drafted: u32, accepted: f64) -> Result<Self, PerfModelError> {
        if (0.0..=f64::from(drafted)).contains(&accepted) {
            Ok(Self { drafted, accepted })
        } else {
            Err(PerfModelError::Speculation { drafted, accepted })
        }
    }

    /// Positions that one request occupies in a decode step.
    pub(crate) const fn width(self) -> u32 {
        self.drafted + 1
    }

    /// Tokens that a decode step yields per request.
    pub(crate) fn progress(self) -> f64 {
        1.0 + self.accepted
    }
}

/// A prefill worker at work.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StaticContext {
    /// Time to first token: the duration of the prefill step.
    pub ttft: Estimate<Milliseconds>,
    /// Prompts that one worker takes in.
    pub requests_per_s: RequestsPerSecond,
    /// First tokens per second and GPU.
    pub tokens_per_s_per_gpu: TokensPerSecond,
    /// Requests in flight, all attention copies together.
    pub concurrency: u32,
    /// Memory of one GPU.
    pub memory: MemoryBreakdown,
}

/// A decode worker at work.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StaticGeneration {
    /// Time per output token after the first.
    pub tpot: Estimate<Milliseconds>,
    /// From first to last token.
    pub request_latency: Milliseconds,
    /// Answers that one worker finishes.
    pub requests_per_s: RequestsPerSecond,
    /// Output tokens per second and GPU.
    pub tokens_per_s_per_gpu: TokensPerSecond,
    /// Requests in flight, all attention copies together.
    pub concurrency: u32,
    /// Memory of one GPU.
    pub memory: MemoryBreakdown,
}

/// An aggregated worker at work.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Aggregated {
    /// Time to first token, waiting for earlier prompts included.
    pub ttft: Estimate<Milliseconds>,
    /// Time per output token after the first.
    pub tpot: Estimate<Milliseconds>,
    /// From arrival to last token.
    pub request_latency: Milliseconds,
    /// Output tokens of one worker.
    pub tokens_per_s: TokensPerSecond,
    /// Output tokens per second and GPU.
    pub tokens_per_s_per_gpu: TokensPerSecond,
    /// Requests that one worker finishes.
    pub requests_per_s: RequestsPerSecond,
    /// Requests in flight, all copies and pipeline stages together.
    pub concurrency: u32,
    /// Requests whose prompt a mixed step works on.
    pub context_requests: u32,
    /// Requests that decode in a mixed step.
    pub generation_requests: u32,
    /// The two kinds of step and how many of each a batch takes.
    pub steps: AggregatedSteps,
    /// Memory of one GPU.
    pub memory: MemoryBreakdown,
}

/// Steps of an aggregated worker until a batch is done.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AggregatedSteps {
    /// Duration of a step that takes in prompts and decodes.
    pub mixed: Milliseconds,
    /// Duration of a step that only decodes.
    pub decode: Milliseconds,
    /// Mixed steps.
    pub mixed_count: f64,
    /// Decode steps.
    pub decode_count: f64,
}

/// What each operator of an aggregated worker's two steps costs.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregatedOperators {
    /// The step that takes in prompts and decodes.
    pub mixed: Vec<OperatorTime>,
    /// The step that only decodes.
    pub decode: Vec<OperatorTime>,
}

/// What one operator adds to a step, all its repetitions together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OperatorTime {
    /// Which operator.
    pub name: OperatorName,
    /// Its latency.
    pub latency: OperatorLatency,
}

/// A worker's room for keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct KvCapacity {
    /// Tokens that fit on one attention copy.
    pub tokens: Tokens,
    /// The memory model behind it, without a KV cache.
    pub memory: MemoryBreakdown,
}
