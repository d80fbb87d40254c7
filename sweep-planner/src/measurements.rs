//! What was asked, what was answered, and everything that was answered so far.

use std::collections::BTreeMap;
use std::fmt;

use dgdr_perf_model::{Estimate, ParallelMapping};
use dgdr_units::{Bytes, Milliseconds, RequestsPerSecond, TokensPerSecond};
use serde::{Deserialize, Serialize};

use crate::PlannerError;

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Prefill and decode.
    Aggregated,
    /// Prefill alone.
    Prefill,
    /// Decode alone.
    Decode,
}

impl Role {
    /// Whether a worker of this role can be spread so: a prompt that is split over ranks helps no decode worker.
    pub const fn takes(self, mapping: ParallelMapping) -> bool {
        !matches!(self, Self::Decode) || mapping.widths().cp == 1
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aggregated => "aggregated",
            Self::Prefill => "prefill",
            Self::Decode => "decode",
        })
    }
}

/// One operating point of a worker. Batches are per attention data-parallel copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// Prefill and decode mixed.
    Aggregated {
        /// Requests in flight.
        batch: u32,
        /// Prompt tokens that one mixed step may process.
        context_tokens: u32,
    },
    /// Prefill alone.
    Prefill {
        /// Prompts processed together.
        batch: u32,
    },
    /// Decode alone.
    Decode {
        /// Requests in flight.
        batch: u32,
    },
}

impl Point {
    /// The role of a worker that runs this point.
    pub const fn role(self) -> Role {
        match self {
            Self::Aggregated { .. } => Role::Aggregated,
            Self::Prefill { .. } => Role::Prefill,
            Self::Decode { .. } => Role::Decode,
        }
    }
}

/// A question to a probe: this worker at this point, for the problem's workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Query {
    /// The worker.
    pub mapping: ParallelMapping,
    /// Where it runs.
    pub point: Point,
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mapping = self.mapping;
        match self.point {
            Point::Aggregated {
                batch,
                context_tokens,
            } => write!(
                f,
                "aggregated {mapping}, batch {batch}, {context_tokens} context tokens"
            ),
            Point::Prefill { batch } => write!(f, "prefill {mapping}, batch {batch}"),
            Point::Decode { batch } => write!(f, "decode {mapping}, batch {batch}"),
        }
    }
}

/// What a probe found, before any correction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// Of [`Point::Aggregated`].
    Aggregated {
        /// Time to first token.
        ttft: Estimate<Milliseconds>,
        /// Time between tokens.
        itl: Estimate<Milliseconds>,
        /// Generated tokens of the whole worker, all data-parallel copies together.
        tokens_per_s: TokensPerSecond,
        /// Completed requests of the whole worker.
        requests_per_s: RequestsPerSecond,
    },
    /// Of [`Point::Prefill`]: time to first token of the batch.
    Prefill {
        /// Time to first token.
        ttft: Estimate<Milliseconds>,
        /// Time until the decode worker has the keys and values; zero where it is left out. No prompt waits for
        /// another's, so queueing does not stretch it.
        kv_transfer: Milliseconds,
    },
    /// Of [`Point::Decode`]: time between tokens, averaged over the generated tokens.
    Decode {
        /// Time between tokens.
        itl: Estimate<Milliseconds>,
    },
}

impl Measured {
    /// The role that it answers for.
    pub const fn role(&self) -> Role {
        match self {
            Self::Aggregated { .. } => Role::Aggregated,
            Self::Prefill { .. } => Role::Prefill,
            Self::Decode { .. } => Role::Decode,
        }
    }
}

/// Why there is no number: data like any other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Failure {
    /// More memory is needed than the GPU has.
    OutOfMemory {
        /// Needed on each GPU.
        needed: Bytes,
        /// Memory of a GPU.
        available: Bytes,
    },
    /// More KV cache is needed than its budget.
    KvOutOfMemory {
        /// KV cache needed on each GPU.
        needed: Bytes,
        /// KV cache that is left on each GPU.
        budget: Bytes,
    },
    /// Not asked, because a wider mapping already ran out of memory.
    WiderRanOut {
        /// The wider mapping.
        wider: ParallelMapping,
    },
    /// The simulator has no data for this point; others of the same worker may be covered.
    NotCovered {
        /// What is missing.
        reason: String,
    },
    /// The simulator has no data for any point of this worker.
    NothingCovered {
        /// What is missing.
        reason: String,
    },
    /// The worker cannot run at all.
    WorkerFailed {
        /// What went wrong.
        reason: String,
    },
    /// This point failed, others may work.
    PointFailed {
        /// What went wrong.
        reason: String,
    },
}

impl Failure {
    /// Whether memory was the reason.
    pub const fn is_memory(&self) -> bool {
        matches!(
            self,
            Self::OutOfMemory { .. } | Self::KvOutOfMemory { .. } | Self::WiderRanOut { .. }
        )
    }

    /// Whether no other point of the same worker and role can work.
    pub const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::WiderRanOut { .. } | Self::NothingCovered { .. } | Self::WorkerFailed { .. }
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory { needed, available } => write!(
                f,
                "does not fit by {:.1} GiB: {:.1} GiB needed per GPU, {:.1} GiB available",
                needed.gib() - available.gib(),
                needed.gib(),
                available.gib()
            ),
            Self::KvOutOfMemory { needed, budget } => write!(
                f,
                "KV cache does not fit by {:.1} GiB: {:.1} GiB needed per GPU, {:.1} GiB left for it",
                needed.gib() - budget.gib(),
                needed.gib(),
                budget.gib()
            ),
            Self::WiderRanOut { wider } => write!(f, "out of memory already on {wider}"),
            Self::NotCovered { reason } | Self::NothingCovered { reason } => {
                write!(f, "no performance data: {reason}")
            }
            Self::WorkerFailed { reason } => write!(f, "the worker failed: {reason}"),
            Self::PointFailed { reason } => write!(f, "the measurement failed: {reason}"),
        }
    }
}

/// An answer of a probe.
pub type Answer = Result<Measured, Failure>;

/// Everything that was answered, in an order of its own: the order of asking does not matter.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measurements {
    answers: BTreeMap<Query, Answer>,
}

impl Measurements {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self {
            answers: BTreeMap::new(),
        }
    }

    /// Keeps an answer; a later answer to the same query replaces the earlier one.
    ///
    /// # Errors
    /// [`PlannerError::WrongAnswer`] when the answer is of another kind than the query.
    pub fn record(&mut self, query: Query, answer: Answer) -> Result<(), PlannerError> {
        if let Ok(measured) = &answer
            && measured.role() != query.point.role()
        {
            return Err(PlannerError::WrongAnswer {
                query: query.to_string(),
            });
        }
        self.answers.insert(query, answer);
        Ok(())
    }

    /// Keeps a failure, which fits any query.
    pub(crate) fn record_failure(&mut self, query: Query, failure: Failure) {
        self.answers.insert(query, Err(failure));
    }

    /// Takes over all answers of another set.
    pub fn merge(&mut self, other: Self) {
        self.answers.extend(other.answers);
    }

    /// The answer to a query, if it was asked.
    pub fn get(&self, query: &Query) -> Option<&Answer> {
        self.answers.get(query)
    }

    /// All answers, ordered by mapping, then by point.
    pub fn iter(&self) -> impl Iterator<Item = (&Query, &Answer)> {
        self.answers.iter()
    }

    /// Number of answers.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether nothing was answered.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }
}
