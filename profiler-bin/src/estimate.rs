//! One prediction, or many: what `estimate` answers, as a library.

mod engine;
mod lines;
mod modes;
mod point;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use dgdr_perf_model::{
    Backend, Borrowed, Engine, ExchangePolicy, ModelSpec, ParallelMapping, PerfDatabase, Precision,
    Provenance,
};
use serde::Serialize;

use crate::error::ProfilerError;
use crate::kernel_tables::KernelTables;
use crate::model_source::{ModelQuery, find_model};
use crate::parallel;

use engine::{LazyEngine, Plan};
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

/// What names a model: a name, and a file where its configuration is.
type ModelKey = (String, Option<PathBuf>);

/// What names tables: system, engine, version.
type TablesKey = (&'static str, Backend, Option<String>);

/// Everything that makes two questions share an engine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct EngineKey {
    model: ModelKey,
    tables: TablesKey,
    precision: Precision,
    mapping: ParallelMapping,
    speculation: (u32, u64),
    exchange: ExchangePolicy,
}

/// A question whose engine is known.
#[derive(Debug)]
struct Found {
    point: CheckedPoint,
    engine: Arc<LazyEngine>,
}

impl Found {
    fn answer(&self) -> Result<Prediction, ProfilerError> {
        modes::predict(self.engine.get()?, &self.point)
    }
}

/// Answers questions, on several threads where there are many; models, tables and engines are found once and kept.
#[derive(Debug)]
pub struct Estimator {
    models: BTreeMap<ModelKey, Arc<ModelSpec>>,
    databases: BTreeMap<TablesKey, PerfDatabase>,
    engines: BTreeMap<EngineKey, Arc<LazyEngine>>,
    tables: KernelTables,
    threads: NonZeroUsize,
}

impl Estimator {
    /// Nothing known yet but where kernels were measured.
    pub fn new(tables: KernelTables) -> Self {
        Self {
            models: BTreeMap::new(),
            databases: BTreeMap::new(),
            engines: BTreeMap::new(),
            tables,
            threads: parallel::available(),
        }
    }

    /// The same with a number of threads, which the answers do not depend on.
    #[must_use]
    pub fn with_threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// The answer to one question.
    ///
    /// # Errors
    /// [`ProfilerError`] for a question that makes no sense, an unknown model, system or version, or a prediction
    /// without data.
    pub fn answer(&mut self, point: &EstimatePoint) -> Result<Prediction, ProfilerError> {
        self.find(point)?.answer()
    }

    /// The engine that answers a question, for whoever asks it about other batches than the question's.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub fn engine(&mut self, point: &EstimatePoint) -> Result<Engine, ProfilerError> {
        Ok(self.find(point)?.engine.get()?.clone())
    }

    /// Understands a question and finds its engine.
    fn find(&mut self, point: &EstimatePoint) -> Result<Found, ProfilerError> {
        let point = point.check(&self.tables)?;
        let model_key = (point.model.clone(), point.model_config.clone());
        let model = match self.models.entry(model_key.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let query = ModelQuery::named(&point.model).with_config(point.model_config.as_deref());
                new.insert(Arc::new(find_model(&query)?.spec))
            }
        };
        let tables_key = (point.system.name, point.backend, point.backend_version.clone());
        let database = match self.databases.entry(tables_key.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let version = point.backend_version.as_deref();
                new.insert(self.tables.database(point.system, point.backend, version)?)
            }
        };
        let key = EngineKey {
            model: model_key,
            tables: tables_key,
            precision: Precision::infer_with(model, database, point.precision)?,
            mapping: point.mapping,
            speculation: (
                point.speculation.drafted(),
                point.speculation.accepted().to_bits(),
            ),
            exchange: exchange(point.kind),
        };
        let engine = match self.engines.entry(key) {
            Entry::Occupied(known) => Arc::clone(known.get()),
            Entry::Vacant(new) => {
                let key = new.key();
                let engine = LazyEngine::new(Plan {
                    database: database.clone().with_exchange(key.exchange),
                    model: Arc::clone(model),
                    precision: key.precision,
                    mapping: key.mapping,
                    speculation: point.speculation,
                });
                Arc::clone(new.insert(Arc::new(engine)))
            }
        };
        Ok(Found { point, engine })
    }
}

/// The reference's single estimates let experts of aggregated workers exchange tokens by collectives only.
const fn exchange(kind: Kind) -> ExchangePolicy {
    match kind {
        Kind::Aggregated { .. } => ExchangePolicy::Collectives,
        Kind::StaticContext | Kind::StaticGeneration { .. } | Kind::Disaggregated { .. } => {
            ExchangePolicy::AcrossNodes
        }
    }
}
