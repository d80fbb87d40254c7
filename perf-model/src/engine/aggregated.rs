//! Prefill and decode in one continuous batch.

use super::Engine;
use super::footprint::{Drafting, MemoryQuery};
use super::plan::{Selection, StepLatency};
use super::query::{Aggregated, AggregatedOperators, AggregatedQuery, AggregatedSteps, DecodeStepQuery};
use super::schedule::{Schedule, capped_tokens_per_s};
use super::stages::{
    at_least_one, estimate, fold, halfway, milliseconds, prefix_within, requests_per_s, tokens_per_s,
    whole_tokens,
};
use crate::backend::Backend;
use crate::error::PerfModelError;
use crate::graph::{OperatorName, Phase};
use crate::memory::{MemoryBreakdown, WorkerRole};
use crate::operators::{ContextTokens, GenerationTokens, StepShape};
use crate::provenance::OperatorLatency;

/// Tokens of the largest step that TensorRT-LLM is built for by default.
const TRTLLM_MAX_NUM_TOKENS: u32 = 8192;

impl AggregatedQuery {
    fn check(self) -> Result<(), PerfModelError> {
        at_least_one("batch", self.batch)?;
        at_least_one("isl", self.isl)?;
        at_least_one("context_tokens", self.context_tokens)?;
        prefix_within(self.prefix, self.isl)?;
        if self.osl < 2 {
            return Err(PerfModelError::Query {
                field: "osl",
                value: self.osl,
                requirement: "must be at least 2, so that a token follows the first",
            });
        }
        Ok(())
    }
}

impl Engine {
    /// An aggregated worker at work on requests of one kind.
    ///
    /// # Errors
    /// [`PerfModelError::Query`] for an empty batch, prompt or step, a prefix that covers the prompt or an answer of
    /// fewer than two tokens; [`PerfModelError::Operator`] for a shape out of reach of the tables.
    pub fn aggregated(&self, q: AggregatedQuery) -> Result<Aggregated, PerfModelError> {
        q.check()?;
        let progress = self.speculation.progress();
        let schedule = Schedule::new(self.backend, q, progress);
        let mut mixed = StepLatency::default();
        self.visit_mixed(q, schedule.generation_requests, |_, latency| {
            mixed.add(latency);
        })?;
        let mut decode = StepLatency::default();
        self.visit_decode(decode_query(q), |_, latency| decode.add(latency))?;

        let ttft_ms = schedule.ttft(self.backend, self.layers, mixed.ms);
        let ttft = StepLatency {
            ms: ttft_ms,
            provenance: mixed.provenance,
        };
        let (mixed_weight, decode_weight) = schedule.tpot_weights(progress);
        let mut tpot = StepLatency::default();
        tpot.merge(&mixed, mixed_weight);
        tpot.merge(&decode, decode_weight);
        let later_tokens = f64::from(q.osl - 1);
        let latency = ttft_ms + tpot.ms * later_tokens;
        let uncapped = schedule.tokens_per_s(q, mixed.ms, decode.ms);
        let widths = self.mapping.widths();
        let copies = f64::from(widths.pp * widths.attention_dp);
        let tokens = capped_tokens_per_s(self.backend, q, uncapped, latency) * copies;
        Ok(Aggregated {
            ttft: estimate(&ttft)?,
            tpot: estimate(&tpot)?,
            request_latency: milliseconds(latency)?,
            tokens_per_s: tokens_per_s(tokens)?,
            tokens_per_s_per_gpu: tokens_per_s(tokens / f64::from(self.mapping.gpus().get()))?,
            requests_per_s: requests_per_s(tokens / later_tokens)?,
            concurrency: self.all_copies(q.batch).saturating_mul(widths.pp),
            context_requests: schedule.context_requests,
            generation_requests: schedule.generation_requests,
            steps: AggregatedSteps {
                mixed: milliseconds(mixed.ms)?,
                decode: milliseconds(decode.ms)?,
                mixed_count: schedule.mixed_count,
                decode_count: schedule.decode_count,
            },
            memory: self.aggregated_memory(q),
        })
    }

    /// What each operator adds to the two kinds of step.
    ///
    /// # Errors
    /// As [`Engine::aggregated`].
    pub fn aggregated_operators(&self, q: AggregatedQuery) -> Result<AggregatedOperators, PerfModelError> {
        q.check()?;
        let schedule = Schedule::new(self.backend, q, self.speculation.progress());
        let mut mixed = Vec::new();
        self.visit_mixed(q, schedule.generation_requests, |name, latency| {
            fold(&mut mixed, name, latency);
        })?;
        let mut decode = Vec::new();
        self.visit_decode(decode_query(q), |name, latency| {
            fold(&mut decode, name, latency);
        })?;
        Ok(AggregatedOperators { mixed, decode })
    }

    /// A step that takes in `context_tokens` of prompts while `decoding` requests each get a token.
    ///
    /// All tokens share the products and reductions as if they were one sequence behind all that is cached; attention is
    /// priced for the prompts and for the decoding requests apart, the former averaged over the chunks of a prompt.
    /// Attention that is one block with its projections (latent attention) counts among the products.
    fn visit_mixed(
        &self,
        q: AggregatedQuery,
        decoding: u32,
        mut sink: impl FnMut(OperatorName, OperatorLatency),
    ) -> Result<(), PerfModelError> {
        let positions = decoding.saturating_mul(self.speculation.width());
        let cached = u64::from(q.prefix) * u64::from(q.context_tokens / q.isl);
        let tokens = (u64::from(q.context_tokens) + u64::from(positions)).saturating_sub(cached);
        let as_one_sequence = StepShape::context(ContextTokens {
            batch: 1,
            new_tokens: tokens,
            prefix: cached,
        });
        let others = Selection::OtherThanAttention;
        self.plan
            .visit(Phase::Context, others, &as_one_sequence, &mut sink)?;
        let prompts = StepShape::context(ContextTokens {
            batch: u64::from(q.context_tokens.div_ceil(q.isl)),
            new_tokens: u64::from(q.isl - q.prefix),
            prefix: u64::from(q.prefix),
        });
        let chunks = f64::from(q.isl.div_ceil(q.context_tokens));
        self.plan
            .visit(Phase::Context, Selection::Attention, &prompts, |name, latency| {
                sink(name, latency.times(1.0 / chunks));
            })?;
        if positions > 0 {
            let step = StepShape::generation(GenerationTokens {
                batch: u64::from(positions),
                sequence: u64::from(halfway(q.isl, q.osl)),
            });
            self.plan
                .visit(Phase::Generation, Selection::Attention, &step, sink)?;
        }
        Ok(())
    }

    /// The larger of the mixed step's and, for a single request, the decode step's footprint.
    fn aggregated_memory(&self, q: AggregatedQuery) -> MemoryBreakdown {
        let of_step = |tokens: u32, drafting: Drafting| {
            let (step_tokens, drafting) = match self.backend {
                Backend::Trtllm => (TRTLLM_MAX_NUM_TOKENS, Drafting::All),
                Backend::Sglang | Backend::Vllm => (tokens, drafting),
            };
            self.memory_with(
                MemoryQuery {
                    role: WorkerRole::Aggregated,
                    batch: q.batch,
                    sequence: q.isl.saturating_add(q.osl),
                    step_tokens,
                },
                drafting,
            )
        };
        if q.batch > 1 {
            let prompts = q.context_tokens.div_ceil(q.isl);
            let decoding = q.batch.saturating_sub(prompts);
            // A step with room for more prompts than there are requests is that much smaller.
            let tokens = whole_tokens(u64::from(q.batch) + u64::from(q.context_tokens) - u64::from(prompts));
            return of_step(tokens, Drafting::Some(f64::from(decoding)));
        }
        let context = of_step(q.context_tokens, Drafting::None);
        let decode = of_step(1, Drafting::All);
        if decode.total() > context.total() {
            decode
        } else {
            context
        }
    }
}

fn decode_query(q: AggregatedQuery) -> DecodeStepQuery {
    DecodeStepQuery {
        batch: q.batch,
        context_length: halfway(q.isl, q.osl),
    }
}
