//! One worker of an engine: what its steps cost, what it holds, and what a workload makes of both.
//!
//! An [`Engine`] binds every operator to its table once; after that a prediction is a few dozen table lookups and
//! allocates nothing. The compositions restate aiconfigurator-core 0.12.0; corrections that its search applies on top
//! (disaggregation factors) belong to the planner.

mod aggregated;
mod borrowed;
mod bound;
pub(crate) mod exchange;
mod footprint;
mod plan;
mod query;
mod schedule;
mod stages;

use crate::backend::Backend;
use crate::efficiency::GapPolicy;
use crate::error::PerfModelError;
use crate::graph::{GraphOperator, GraphQuery};
use crate::mapping::ParallelMapping;
use crate::memory::{MemoryFraction, MemoryFractionQuery, WorkerRole};
use crate::model::{Assumption, ModelSpec};
use crate::operators::{OperatorMiss, StepShape};
use crate::provenance::OperatorLatency;
use crate::quant::Precision;
use crate::system::SystemSpec;
use crate::tables::PerfDatabase;

pub use borrowed::Borrowed;
pub use exchange::ExchangePolicy;
pub use footprint::MemoryQuery;
pub use query::{
    Aggregated, AggregatedOperators, AggregatedQuery, AggregatedSteps, ContextQuery, DecodeStepQuery,
    GenerationQuery, KvCapacity, KvCapacityQuery, OperatorTime, Speculation, StaticContext, StaticGeneration,
};

use plan::Plan;

/// One worker of an engine, ready to be asked.
#[derive(Debug, Clone)]
pub struct Engine {
    system: &'static SystemSpec,
    backend: Backend,
    version: String,
    layers: u32,
    precision: Precision,
    mapping: ParallelMapping,
    speculation: Speculation,
    plan: Plan,
    memory: footprint::MemoryModel,
    borrowed: Vec<Borrowed>,
    assumed: Vec<Assumption>,
}

impl Engine {
    /// Binds a model's operators to the tables of a system and engine.
    ///
    /// # Errors
    /// As [`Engine::drafting`].
    pub fn new(
        database: &PerfDatabase,
        model: &ModelSpec,
        precision: Precision,
        mapping: ParallelMapping,
    ) -> Result<Self, PerfModelError> {
        Self::drafting(database, model, precision, mapping, Speculation::NONE)
    }

    /// The same with multi-token prediction.
    ///
    /// # Errors
    /// As [`OperatorGraph::of`](crate::graph::OperatorGraph::of); [`PerfModelError::WidthNotCovered`] for a width
    /// without a rule of memory, [`PerfModelError::Operator`] for an operator without measured data.
    pub fn drafting(
        database: &PerfDatabase,
        model: &ModelSpec,
        precision: Precision,
        mapping: ParallelMapping,
        speculation: Speculation,
    ) -> Result<Self, PerfModelError> {
        let query = GraphQuery {
            model,
            precision,
            mapping,
            backend: database.backend(),
            system: database.system(),
            drafted: speculation.drafted,
        }
        .with_experts();
        let mapping = query.mapping;
        let graph = exchange::graph(database, query)?;
        let plan = Plan::bind(database, &graph, model.layers)?
            .with_draft_layers(speculation.drafted)
            .without_decode(exchange::without_decode(database, query));
        Ok(Self {
            system: database.system(),
            backend: database.backend(),
            version: database.version().to_owned(),
            layers: model.layers,
            precision,
            mapping,
            speculation,
            plan,
            memory: footprint::MemoryModel::new(query, &graph)?,
            borrowed: borrowed::of_graph(database, &graph),
            assumed: model.assumed.clone(),
        })
    }

    /// The GPU system.
    pub const fn system(&self) -> &'static SystemSpec {
        self.system
    }

    /// The engine.
    pub const fn backend(&self) -> Backend {
        self.backend
    }

    /// Version of the engine whose kernels were measured.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The formats that it runs in.
    pub const fn precision(&self) -> Precision {
        self.precision
    }

    /// What is taken for granted of the model, which a user should be told.
    pub fn assumed(&self) -> &[Assumption] {
        &self.assumed
    }

    /// How the model is spread.
    pub const fn mapping(&self) -> ParallelMapping {
        self.mapping
    }

    /// The share of memory that the engine may use in a role: what ranks a candidate also sets its engine's flag.
    pub fn memory_fraction(&self, role: WorkerRole) -> MemoryFraction {
        MemoryFraction::default_of(MemoryFractionQuery {
            system: self.system,
            backend: self.backend,
            version: &self.version,
            mapping: self.mapping,
            role,
        })
    }

    /// Requests in flight on all attention copies, when each holds `batch`.
    fn all_copies(&self, batch: u32) -> u32 {
        batch.saturating_mul(self.mapping.widths().attention_dp)
    }
}

/// What one operator takes in each of `steps` where the tables reach, outside of any engine.
///
/// # Errors
/// [`OperatorMiss`] when the tables lack the operator.
pub(crate) fn measured_latencies(
    database: &PerfDatabase,
    operator: &GraphOperator,
    steps: &[StepShape],
) -> Result<Vec<(StepShape, OperatorLatency)>, OperatorMiss> {
    let bound = bound::BoundOperator::bind(database, operator)?;
    let latency = |step: &StepShape| Some((*step, bound.latency(database.system(), step).ok()?));
    Ok(steps.iter().filter_map(latency).collect())
}

/// What can be said of a worker without binding it.
#[derive(Debug)]
pub(crate) struct Survey {
    /// Every operator that measured tables lack, prefill first; none without any tables.
    pub(crate) missing: Vec<PerfModelError>,
    /// Bytes that one GPU holds before anything is served: weights, communication buffers, runtime.
    pub(crate) resident: f64,
}

impl Survey {
    /// Surveys a model on a mapping.
    ///
    /// # Errors
    /// As [`Engine::new`], operators apart.
    pub(crate) fn of(
        database: &PerfDatabase,
        model: &ModelSpec,
        precision: Precision,
        mapping: ParallelMapping,
    ) -> Result<Self, PerfModelError> {
        let query = GraphQuery {
            model,
            precision,
            mapping,
            backend: database.backend(),
            system: database.system(),
            drafted: 0,
        }
        .with_experts();
        let graph = database.graph(query)?;
        let resident = footprint::MemoryModel::new(query, &graph)?.resident();
        let missing = if database.is_measured() {
            plan::missing(&database.clone().with_gaps(GapPolicy::Refuse), &graph)
        } else {
            Vec::new()
        };
        Ok(Self { missing, resident })
    }
}

#[cfg(test)]
mod tests;
