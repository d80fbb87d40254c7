//! What an engine answers in each mode.

use dgdr_perf_model::{
    AggregatedQuery, ContextQuery, Engine, Estimate, GenerationQuery, MemoryBreakdown, MemoryFit,
};
use dgdr_sweep_planner::DisaggregatedCorrections;
use dgdr_units::{Milliseconds, real};

use super::{CheckedPoint, Kind, Prediction, Sources};
use crate::error::ProfilerError;
use crate::probe::KvTransfer;

/// The answer of an engine to a question.
pub(super) fn predict(engine: &Engine, point: &CheckedPoint) -> Result<Prediction, ProfilerError> {
    let parts = match point.kind {
        Kind::StaticContext => static_context(engine, point)?,
        Kind::StaticGeneration { osl } => static_generation(engine, point, osl)?,
        Kind::Aggregated { osl, context_tokens } => aggregated(engine, point, (osl, context_tokens))?,
        Kind::Disaggregated { osl } => disaggregated(engine, point, osl)?,
    };
    Ok(parts.prediction(engine))
}

/// What all modes answer with.
#[derive(Debug)]
struct Parts {
    ttft: Option<Estimate<Milliseconds>>,
    tpot: Option<Estimate<Milliseconds>>,
    later_tokens: f64,
    tokens_per_s_per_gpu: f64,
    memory: MemoryBreakdown,
}

impl Parts {
    fn prediction(self, engine: &Engine) -> Prediction {
        let ttft_ms = self.ttft.map_or(0.0, |estimate| estimate.value.get());
        let tpot_ms = self.tpot.map_or(0.0, |estimate| estimate.value.get());
        let memory_problem = match self.memory.fit() {
            MemoryFit::Fits => None,
            MemoryFit::OutOfMemory { needed, available } => Some(format!(
                "{:.1} GiB needed of {:.1} GiB",
                needed.gib(),
                available.gib()
            )),
            MemoryFit::KvOutOfMemory { needed, budget } => Some(format!(
                "the KV cache needs {:.1} GiB of {:.1} GiB left for it",
                needed.gib(),
                budget.gib()
            )),
        };
        Prediction {
            ttft_ms,
            tpot_ms,
            request_latency_ms: ttft_ms + tpot_ms * self.later_tokens,
            tokens_per_s_per_gpu: self.tokens_per_s_per_gpu,
            memory_gib: self.memory.gib(),
            fits: memory_problem.is_none(),
            memory_problem,
            provenance: Sources {
                ttft: self.ttft.map(|estimate| estimate.provenance),
                tpot: self.tpot.map(|estimate| estimate.provenance),
            },
            borrowed: engine.borrowed().to_vec(),
            assumptions: engine.assumed().iter().map(ToString::to_string).collect(),
            backend_version: engine.version().to_owned(),
            precision: engine.precision(),
        }
    }
}

fn static_context(engine: &Engine, point: &CheckedPoint) -> Result<Parts, ProfilerError> {
    let query = ContextQuery {
        batch: point.batch,
        isl: point.isl,
        prefix: point.prefix,
    };
    let run = engine.static_context(query)?;
    Ok(Parts {
        ttft: Some(run.ttft),
        tpot: None,
        later_tokens: 0.0,
        tokens_per_s_per_gpu: run.tokens_per_s_per_gpu.get(),
        memory: run.memory,
    })
}

fn static_generation(engine: &Engine, point: &CheckedPoint, osl: u32) -> Result<Parts, ProfilerError> {
    let run = engine.static_generation(GenerationQuery {
        batch: point.batch,
        isl: point.isl,
        osl,
    })?;
    Ok(Parts {
        ttft: None,
        tpot: Some(run.tpot),
        later_tokens: f64::from(osl - 1),
        tokens_per_s_per_gpu: run.tokens_per_s_per_gpu.get(),
        memory: run.memory,
    })
}

fn aggregated(
    engine: &Engine,
    point: &CheckedPoint,
    (osl, context_tokens): (u32, u32),
) -> Result<Parts, ProfilerError> {
    let run = engine.aggregated(AggregatedQuery {
        batch: point.batch,
        isl: point.isl,
        osl,
        prefix: point.prefix,
        context_tokens,
    })?;
    Ok(Parts {
        ttft: Some(run.ttft),
        tpot: Some(run.tpot),
        later_tokens: f64::from(osl - 1),
        tokens_per_s_per_gpu: run.tokens_per_s_per_gpu.get(),
        memory: run.memory,
    })
}

/// One prefill worker (batch 1) and one decode worker of the same mapping, with the corrections of the closed forms.
fn disaggregated(engine: &Engine, point: &CheckedPoint, osl: u32) -> Result<Parts, ProfilerError> {
    let factors = DisaggregatedCorrections::upstream();
    let query = ContextQuery {
        batch: 1,
        isl: point.isl,
        prefix: point.prefix,
    };
    let prefill = engine.static_context(query)?;
    let decode = engine.static_generation(GenerationQuery {
        batch: point.batch,
        isl: point.isl,
        osl,
    })?;
    let mut ttft = scaled(prefill.ttft, factors.prefill_latency * factors.ttft_queue)?;
    if point.transfer == KvTransfer::Counted {
        ttft = together(ttft, engine.kv_transfer(point.isl)?)?;
    }
    let prefill_rate = prefill.requests_per_s.get() / factors.prefill_latency * factors.prefill_efficiency;
    let decode_rate = decode.requests_per_s.get() / factors.decode_latency * factors.decode_efficiency;
    let gpus = real(u64::from(engine.mapping().gpus().get())) * 2.0;
    let later_tokens = f64::from(osl - 1);
    let larger = if prefill.memory.total() > decode.memory.total() {
        prefill.memory
    } else {
        decode.memory
    };
    Ok(Parts {
        ttft: Some(ttft),
        tpot: Some(scaled(decode.tpot, factors.decode_latency)?),
        later_tokens,
        tokens_per_s_per_gpu: prefill_rate.min(decode_rate) * f64::from(osl) / gpus,
        memory: larger,
    })
}

/// One after the other.
fn together(
    first: Estimate<Milliseconds>,
    second: Estimate<Milliseconds>,
) -> Result<Estimate<Milliseconds>, ProfilerError> {
    let mut provenance = first.provenance;
    provenance.merge(&second.provenance, 1.0);
    Ok(Estimate {
        value: Milliseconds::new(first.value.get() + second.value.get())?,
        provenance,
    })
}

fn scaled(estimate: Estimate<Milliseconds>, factor: f64) -> Result<Estimate<Milliseconds>, ProfilerError> {
    Ok(Estimate {
        value: Milliseconds::new(estimate.value.get() * factor)?,
        provenance: estimate.provenance,
    })
}
