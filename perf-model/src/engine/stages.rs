//! Prefill alone and decode alone.

use dgdr_units::{Milliseconds, RequestsPerSecond, TokensPerSecond};

use super::Engine;
use super::footprint::{Drafting, MemoryQuery};
use super::plan::{Selection, StepLatency};
use super::query::{
    ContextQuery, DecodeStepQuery, GenerationQuery, OperatorTime, StaticContext, StaticGeneration,
};
use crate::error::PerfModelError;
use crate::graph::{OperatorName, Phase};
use crate::memory::WorkerRole;
use crate::operators::{ContextTokens, GenerationTokens, StepShape};
use crate::provenance::{Estimate, OperatorLatency};

/// A decode run is priced at every so many tokens; the steps between cost the same.
const DECODE_STRIDE: u32 = 32;

/// Wraps a finite, non-negative number; what is not becomes an error, never a silent zero.
pub(super) fn milliseconds(ms: f64) -> Result<Milliseconds, PerfModelError> {
    Milliseconds::new(ms).map_err(PerfModelError::Number)
}

pub(super) fn requests_per_s(rate: f64) -> Result<RequestsPerSecond, PerfModelError> {
    RequestsPerSecond::new(rate).map_err(PerfModelError::Number)
}

pub(super) fn tokens_per_s(rate: f64) -> Result<TokensPerSecond, PerfModelError> {
    TokensPerSecond::new(rate).map_err(PerfModelError::Number)
}

pub(super) fn estimate(step: &StepLatency) -> Result<Estimate<Milliseconds>, PerfModelError> {
    Ok(Estimate {
        value: milliseconds(step.ms)?,
        provenance: step.provenance,
    })
}

pub(super) fn at_least_one(field: &'static str, value: u32) -> Result<(), PerfModelError> {
    if value == 0 {
        return Err(PerfModelError::Query {
            field,
            value,
            requirement: "must be at least 1",
        });
    }
    Ok(())
}

pub(super) fn prefix_within(prefix: u32, isl: u32) -> Result<(), PerfModelError> {
    if prefix >= isl {
        return Err(PerfModelError::Query {
            field: "prefix",
            value: prefix,
            requirement: "must be smaller than `isl`",
        });
    }
    Ok(())
}

impl ContextQuery {
    fn check(self) -> Result<(), PerfModelError> {
        at_least_one("batch", self.batch)?;
        at_least_one("isl", self.isl)?;
        prefix_within(self.prefix, self.isl)
    }

    fn new_tokens(self) -> u32 {
        self.isl - self.prefix
    }
}

impl Engine {
    /// A prefill worker at work on batches of one kind.
    ///
    /// # Errors
    /// [`PerfModelError::Query`] for an empty batch or prompt, or a prefix that covers the prompt;
    /// [`PerfModelError::Operator`] for a shape out of reach of the tables.
    pub fn static_context(&self, q: ContextQuery) -> Result<StaticContext, PerfModelError> {
        q.check()?;
        let mut step = StepLatency::default();
        self.visit_context(q, |_, latency| step.add(latency))?;
        let widths = self.mapping.widths();
        let concurrency = self.all_copies(q.batch);
        let requests = f64::from(concurrency) / step.ms * 1000.0 * f64::from(widths.pp);
        Ok(StaticContext {
            ttft: estimate(&step)?,
            requests_per_s: requests_per_s(requests)?,
            tokens_per_s_per_gpu: tokens_per_s(requests / f64::from(self.mapping.gpus().get()))?,
            concurrency,
            memory: self.memory_with(
                MemoryQuery {
                    role: WorkerRole::Disaggregated,
                    batch: q.batch,
                    sequence: q.isl.saturating_add(1),
                    step_tokens: q.batch.saturating_mul(q.new_tokens()),
                },
                Drafting::None,
            ),
        })
    }

    /// A decode worker at work on batches of one kind.
    ///
    /// # Errors
    /// [`PerfModelError::Query`] for an empty batch or prompt, or an answer of fewer than two tokens;
    /// [`PerfModelError::Operator`] for a shape out of reach of the tables.
    pub fn static_generation(&self, q: GenerationQuery) -> Result<StaticGeneration, PerfModelError> {
        q.check()?;
        let mut run = StepLatency::default();
        self.visit_generation(q, |_, latency| run.add(latency))?;
        let steps = f64::from(q.osl - 1);
        let progress = self.speculation.progress();
        let mut step = StepLatency::default();
        step.merge(&run, 1.0 / steps / progress);
        let widths = self.mapping.widths();
        let concurrency = self.all_copies(q.batch);
        let latency = step.ms * steps;
        let requests = f64::from(concurrency) / latency * 1000.0 * f64::from(widths.pp);
        Ok(StaticGeneration {
            tpot: estimate(&step)?,
            request_latency: milliseconds(latency)?,
            requests_per_s: requests_per_s(requests)?,
            tokens_per_s_per_gpu: tokens_per_s(requests * steps / f64::from(self.mapping.gpus().get()))?,
            concurrency,
            memory: self.memory_with(
                MemoryQuery {
                    role: WorkerRole::Disaggregated,
                    batch: q.batch,
                    sequence: q.isl.saturating_add(q.osl),
                    step_tokens: q.batch,
                },
                Drafting::All,
            ),
        })
    }

    /// The time between tokens with a number of requests in flight, each with a context of one length: a point of the
    /// decode surface.
    ///
    /// # Errors
    /// [`PerfModelError::Query`] for an empty batch or context; [`PerfModelError::Operator`] for a shape out of reach
    /// of the tables.
    pub fn decode_step(&self, q: DecodeStepQuery) -> Result<Estimate<Milliseconds>, PerfModelError> {
        at_least_one("batch", q.batch)?;
        at_least_one("context_length", q.context_length)?;
        let mut whole = StepLatency::default();
        self.visit_decode(q, |_, latency| whole.add(latency))?;
        let mut step = StepLatency::default();
        step.merge(&whole, 1.0 / self.speculation.progress());
        estimate(&step)
    }

    /// What each operator adds to a prefill step.
    ///
    /// # Errors
    /// As [`Engine::static_context`].
    pub fn context_operators(&self, q: ContextQuery) -> Result<Vec<OperatorTime>, PerfModelError> {
        q.check()?;
        let mut operators = Vec::new();
        self.visit_context(q, |name, latency| fold(&mut operators, name, latency))?;
        Ok(operators)
    }

    /// What each operator adds to a decode run, from second to last token.
    ///
    /// # Errors
    /// As [`Engine::static_generation`].
    pub fn generation_operators(&self, q: GenerationQuery) -> Result<Vec<OperatorTime>, PerfModelError> {
        q.check()?;
        let mut operators = Vec::new();
        self.visit_generation(q, |name, latency| fold(&mut operators, name, latency))?;
        Ok(operators)
    }

    fn visit_context(
        &self,
        q: ContextQuery,
        sink: impl FnMut(OperatorName, OperatorLatency),
    ) -> Result<(), PerfModelError> {
        let step = StepShape::context(ContextTokens {
            batch: u64::from(q.batch),
            new_tokens: u64::from(q.new_tokens()),
            prefix: u64::from(q.prefix),
        });
        self.plan.visit(Phase::Context, Selection::All, &step, sink)
    }

    /// One decode step.
    pub(super) fn visit_decode(
        &self,
        q: DecodeStepQuery,
        sink: impl FnMut(OperatorName, OperatorLatency),
    ) -> Result<(), PerfModelError> {
        let step = StepShape::generation(GenerationTokens {
            batch: u64::from(q.batch.saturating_mul(self.speculation.width())),
            sequence: u64::from(q.context_length),
        });
        self.plan.visit(Phase::Generation, Selection::All, &step, sink)
    }

    /// All steps of a decode run. Few operators depend on the length of the context, so the rest is priced once.
    fn visit_generation(
        &self,
        q: GenerationQuery,
        mut sink: impl FnMut(OperatorName, OperatorLatency),
    ) -> Result<(), PerfModelError> {
        let positions = u64::from(q.batch.saturating_mul(self.speculation.width()));
        let steps = q.osl - 1;
        let step_at = |done: u32| {
            StepShape::generation(GenerationTokens {
                batch: positions,
                sequence: u64::from(q.isl) + u64::from(done) + 1,
            })
        };
        self.plan.visit(
            Phase::Generation,
            Selection::Steady,
            &step_at(0),
            |name, latency| {
                sink(name, latency.times(f64::from(steps)));
            },
        )?;
        let mut done = 0;
        while done < steps {
            let alike = f64::from(DECODE_STRIDE.min(steps - done));
            let selection = Selection::GrowingWithSequence;
            self.plan
                .visit(Phase::Generation, selection, &step_at(done), |name, latency| {
                    sink(name, latency.times(alike));
                })?;
            done += DECODE_STRIDE;
        }
        Ok(())
    }
}

/// Adds an operator's latency to the one of its name.
pub(super) fn fold(operators: &mut Vec<OperatorTime>, name: OperatorName, latency: OperatorLatency) {
    match operators.iter_mut().find(|known| known.name == name) {
        Some(known) => {
            known.latency.ms += latency.ms;
            known.latency.source = known.latency.source.worse(latency.source);
        }
        None => operators.push(OperatorTime { name, latency }),
    }
}

impl GenerationQuery {
    fn check(self) -> Result<(), PerfModelError> {
        at_least_one("batch", self.batch)?;
        at_least_one("isl", self.isl)?;
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

/// Tokens of a step as a count that memory is asked with.
pub(super) fn whole_tokens(tokens: u64) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

/// The context length at which an aggregated decode step is priced: half of the answer is there.
pub(super) fn halfway(isl: u32, osl: u32) -> u32 {
    whole_tokens(u64::from(isl) + u64::from(osl / 2) + 1)
}
