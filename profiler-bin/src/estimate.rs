//! One prediction, or many: what `estimate` answers, as a library.

mod point;

use std::collections::BTreeMap;

use dgdr_perf_model::{
    AggregatedQuery, Backend, Borrowed, ContextQuery, Engine, Estimate, ExchangePolicy, GenerationQuery,
    MemoryBreakdown, MemoryFit, ModelSpec, ParallelMapping, PerfDatabase, Precision, Provenance,
};
use dgdr_sweep_planner::DisaggregatedCorrections;
use dgdr_units::{Milliseconds, real};
use serde::Serialize;

use crate::error::ProfilerError;
use crate::kernel_tables::KernelTables;
use crate::model_source::{ModelQuery, find_model};
use crate::probe::KvTransfer;

pub use point::{CheckedPoint, EstimateMode, EstimatePoint, Kind, backend};

/// What `estimate` answers. Latencies that a mode does not have are zero.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// Time to first token.
    pub ttft_ms: f64,
    /// Time per output token after the first.
    pub tpot_ms: f64,
    /// From arrival to last token.
    pub request_latency_ms: f64,
    /// Output tokens per second and GPU (prompts per second and GPU where nothing is generated).
    pub tokens_per_s_per_gpu: f64,
    /// Memory of one GPU at its fullest.
    pub memory_gib: f64,
    /// Whether that fits.
    pub fits: bool,
    /// Why it does not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_problem: Option<String>,
    /// Sources of the latencies.
    pub provenance: Sources,
    /// Tables that were measured, in whole or in part, on other engines or versions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub borrowed: Vec<Borrowed>,
    /// What is taken for granted of the model, a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assumptions: Vec<String>,
    /// Version of the engine whose kernels were measured.
    pub backend_version: String,
    /// Formats that the engine runs in.
    pub precision: Precision,
}

/// Sources of the two latencies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sources {
    /// Of the time to first token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft: Option<Provenance>,
    /// Of the time per output token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpot: Option<Provenance>,
}

/// Everything that makes two questions share an engine.
type EngineKey = (
    String,
    &'static str,
    Backend,
    Precision,
    ParallelMapping,
    (u32, u64),
    ExchangePolicy,
);

/// Answers questions one after the other; models, tables and engines are found once and kept.
#[derive(Debug, Default)]
pub struct Estimator {
    models: BTreeMap<(String, Option<std::path::PathBuf>), ModelSpec>,
    databases: BTreeMap<(&'static str, Backend, Option<String>), PerfDatabase>,
    engines: BTreeMap<EngineKey, Engine>,
    tables: KernelTables,
}

impl Estimator {
    /// Nothing known yet but where kernels were measured.
    pub fn new(tables: KernelTables) -> Self {
        Self {
            tables,
            ..Self::default()
        }
    }

    /// The answer to one question.
    ///
    /// # Errors
    /// [`ProfilerError`] for a question that makes no sense, an unknown model, system or version, or a prediction
    /// without data.
    pub fn answer(&mut self, point: &EstimatePoint) -> Result<Prediction, ProfilerError> {
        let checked = point.check(&self.tables)?;
        let engine = self.engine(&checked)?;
        let parts = match checked.kind {
            Kind::StaticContext => static_context(&engine, &checked)?,
            Kind::StaticGeneration { osl } => static_generation(&engine, &checked, osl)?,
            Kind::Aggregated { osl, context_tokens } => {
                let run = engine.aggregated(AggregatedQuery {
                    batch: checked.batch,
                    isl: checked.isl,
                    osl,
                    prefix: checked.prefix,
                    context_tokens,
                })?;
                Parts {
                    ttft: Some(run.ttft),
                    tpot: Some(run.tpot),
                    later_tokens: f64::from(osl - 1),
                    tokens_per_s_per_gpu: run.tokens_per_s_per_gpu.get(),
                    memory: run.memory,
                }
            }
            Kind::Disaggregated { osl } => disaggregated(&engine, &checked, osl)?,
        };
        Ok(parts.prediction(&engine))
    }

    fn engine(&mut self, point: &CheckedPoint) -> Result<Engine, ProfilerError> {
        let model_key = (point.model.clone(), point.model_config.clone());
        let model = if let Some(model) = self.models.get(&model_key) {
            model.clone()
        } else {
            let query = ModelQuery::named(&point.model).with_config(point.model_config.as_deref());
            let model = find_model(&query)?.spec;
            self.models.insert(model_key, model.clone());
            model
        };
        let database_key = (point.system.name, point.backend, point.backend_version.clone());
        let database = match self.databases.entry(database_key) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => new.insert(self.tables.database(
                point.system,
                point.backend,
                point.backend_version.as_deref(),
            )?),
        };
        let precision = Precision::infer_with(&model, database, point.precision)?;
        // The reference's single estimates let experts of aggregated workers exchange tokens by collectives only.
        let exchange = match point.kind {
            Kind::Aggregated { .. } => ExchangePolicy::Collectives,
            Kind::StaticContext | Kind::StaticGeneration { .. } | Kind::Disaggregated { .. } => {
                ExchangePolicy::AcrossNodes
            }
        };
        let key = (
            model.name.clone(),
            point.system.name,
            point.backend,
            precision,
            point.mapping,
            (
                point.speculation.drafted(),
                point.speculation.accepted().to_bits(),
            ),
            exchange,
        );
        if let Some(engine) = self.engines.get(&key) {
            return Ok(engine.clone());
        }
        let database = &database.clone().with_exchange(exchange);
        let engine = Engine::drafting(database, &model, precision, point.mapping, point.speculation)?;
        self.engines.insert(key, engine.clone());
        Ok(engine)
    }
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
