//! Our answers.

use std::collections::BTreeMap;

use anyhow::Context as _;
use dgdr_perf_model::{
    AggregatedQuery, Backend, ContextQuery, Engine, ExchangePolicy, GenerationQuery, MappingWidths,
    MemoryBreakdown, MemoryFit, OperatorTime, ParallelMapping, PerfDatabase, PerfModelError, Precision,
    PrecisionOverrides, Speculation, SystemSpec, registry,
};

use super::question::{Answer, Fit, Mode, Platform, Question, Reply};

/// The tables of all measured systems and engines.
#[derive(Debug)]
pub(crate) struct Ours {
    databases: BTreeMap<(&'static str, Backend), PerfDatabase>,
}

impl Ours {
    /// Reads the embedded tables.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let mut databases = BTreeMap::new();
        for name in PerfDatabase::measured_systems() {
            let system = SystemSpec::by_name(name).with_context(|| format!("no system {name}"))?;
            for backend in Backend::ALL {
                databases.insert((name, backend), PerfDatabase::embedded(system, backend, None)?);
            }
        }
        Ok(Self { databases })
    }

    /// The measured system and engine of these names.
    pub(crate) fn platform(&self, system: &str, backend: &str) -> Option<Platform> {
        self.platforms()
            .into_iter()
            .find(|platform| platform.system == system && platform.backend.name() == backend)
    }

    /// What was measured.
    pub(crate) fn platforms(&self) -> Vec<Platform> {
        self.databases
            .iter()
            .map(|((system, backend), database)| Platform {
                system,
                backend: *backend,
                version: database.version().to_owned(),
            })
            .collect()
    }

    /// Our answer, in the formats that the checkpoint runs in unless `overrides` says otherwise.
    pub(crate) fn answer(&self, question: &Question, overrides: PrecisionOverrides) -> Reply {
        let database = self
            .databases
            .get(&(question.platform.system, question.platform.backend))
            .ok_or_else(|| format!("no tables for {}", question.platform.system))?
            .clone()
            .with_exchange(exchange(question.mode));
        let model = registry::find(&question.model).ok_or("the model is not in the registry")?;
        let precision = Precision::infer_with(model, &database, overrides).map_err(text)?;
        let widths = if model.is_mixture_of_experts() {
            question.mapping
        } else {
            MappingWidths {
                moe_tp: 1,
                moe_ep: 1,
                ..question.mapping
            }
        };
        let mapping = ParallelMapping::new(widths).map_err(text)?;
        let load = question.load;
        let speculation = if load.nextn == 0 {
            Speculation::NONE
        } else {
            Speculation::new(load.nextn, load.nextn_accepted).map_err(text)?
        };
        let engine = Engine::drafting(&database, model, precision, mapping, speculation).map_err(text)?;
        let run = predict(&engine, question).map_err(text)?;
        Ok(Answer {
            ttft_ms: run.ttft_ms,
            tpot_ms: run.tpot_ms,
            memory_gib: Some(run.memory.gib()),
            fit: match run.memory.fit() {
                MemoryFit::Fits => Fit::Fits,
                MemoryFit::OutOfMemory { .. } => Fit::OutOfMemory,
                MemoryFit::KvOutOfMemory { .. } => Fit::KvOutOfMemory,
            },
            formats: format!(
                "{}/{}/{}/{}",
                precision.gemm.name(),
                precision.kv.name(),
                precision.fmha.name(),
                precision.moe.name()
            ),
            operators: run.operators,
        })
    }
}

/// How upstream's `cli_estimate` lets experts exchange tokens.
const fn exchange(mode: Mode) -> ExchangePolicy {
    match mode {
        Mode::StaticCtx | Mode::StaticGen => ExchangePolicy::AcrossNodes,
        Mode::Agg => ExchangePolicy::Collectives,
    }
}

/// What a mode predicts.
struct Prediction {
    ttft_ms: Option<f64>,
    tpot_ms: Option<f64>,
    memory: MemoryBreakdown,
    operators: BTreeMap<String, f64>,
}

fn predict(engine: &Engine, question: &Question) -> Result<Prediction, PerfModelError> {
    let load = question.load;
    match question.mode {
        Mode::StaticCtx => {
            let query = ContextQuery {
                batch: load.batch,
                isl: load.isl,
                prefix: load.prefix,
            };
            let run = engine.static_context(query)?;
            Ok(Prediction {
                ttft_ms: Some(run.ttft.value.get()),
                tpot_ms: None,
                memory: run.memory,
                operators: named([("", engine.context_operators(query)?)]),
            })
        }
        Mode::StaticGen => {
            let query = GenerationQuery {
                batch: load.batch,
                isl: load.isl,
                osl: load.osl,
            };
            let run = engine.static_generation(query)?;
            Ok(Prediction {
                ttft_ms: None,
                tpot_ms: Some(run.tpot.value.get()),
                memory: run.memory,
                operators: named([("", engine.generation_operators(query)?)]),
            })
        }
        Mode::Agg => {
            let query = AggregatedQuery {
                batch: load.batch,
                isl: load.isl,
                osl: load.osl,
                prefix: load.prefix,
                context_tokens: load.context_tokens,
            };
            let run = engine.aggregated(query)?;
            let steps = engine.aggregated_operators(query)?;
            Ok(Prediction {
                ttft_ms: Some(run.ttft.value.get()),
                tpot_ms: Some(run.tpot.value.get()),
                memory: run.memory,
                operators: named([("mixed ", steps.mixed), ("decode ", steps.decode)]),
            })
        }
    }
}

/// Milliseconds by operator; what runs more than once in a layer is added up, as upstream does.
fn named<const N: usize>(steps: [(&str, Vec<OperatorTime>); N]) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for (step, operators) in steps {
        for time in operators {
            *sums.entry(format!("{step}{}", time.name)).or_insert(0.0) += time.latency.ms;
        }
    }
    sums
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
fn text(error: impl ToString) -> String {
    error.to_string()
}
