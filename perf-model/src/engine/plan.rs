//! The operators of one worker, bound to their tables once, so that a step is priced by lookups alone.

use super::bound::BoundOperator;
use crate::error::PerfModelError;
use crate::graph::{GraphOperator, Operator, OperatorGraph, OperatorName, Phase, Repeats};
use crate::operators::{OperatorMiss, StepShape};
use crate::provenance::{OperatorLatency, Provenance};
use crate::system::SystemSpec;
use crate::tables::PerfDatabase;

/// The operators of one worker.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    system: &'static SystemSpec,
    layers: f64,
    /// Factor on a decode step's layers for the draft layers.
    draft_factor: f64,
    context: Vec<BoundOperator>,
    generation: Vec<BoundOperator>,
    /// Why it has no decode steps, where it has none.
    without_decode: Option<PerfModelError>,
}

/// Which operators of a step are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selection {
    /// All.
    All,
    /// Attention proper.
    Attention,
    /// All but attention proper.
    OtherThanAttention,
    /// Those that cost more as sequences grow.
    GrowingWithSequence,
    /// Those that do not.
    Steady,
}

impl Selection {
    fn has(self, operator: &BoundOperator) -> bool {
        match self {
            Self::All => true,
            Self::Attention => operator.operator == Operator::ATTENTION,
            Self::OtherThanAttention => operator.operator != Operator::ATTENTION,
            Self::GrowingWithSequence => operator.grows_with_sequence(),
            Self::Steady => !operator.grows_with_sequence(),
        }
    }
}

/// The latency of a step with its origin.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct StepLatency {
    pub(super) ms: f64,
    pub(super) provenance: Provenance,
}

impl StepLatency {
    pub(super) fn add(&mut self, latency: OperatorLatency) {
        self.ms += latency.ms;
        self.provenance.add(latency);
    }

    /// Adds all of another step, `weight` times.
    pub(super) fn merge(&mut self, other: &Self, weight: f64) {
        self.ms += other.ms * weight;
        self.provenance.merge(&other.provenance, weight);
    }
}

/// A missing operator in the phase where it is missed.
fn missed(phase: Phase, operator: Operator) -> impl FnOnce(OperatorMiss) -> PerfModelError {
    move |source| PerfModelError::Operator {
        operator: OperatorName { phase, operator },
        source,
    }
}

/// Every operator of a graph that has no data, prefill first.
pub(super) fn missing(database: &PerfDatabase, graph: &OperatorGraph) -> Vec<PerfModelError> {
    [Phase::Context, Phase::Generation]
        .into_iter()
        .flat_map(|phase| {
            graph.phase(phase).iter().filter_map(move |operator| {
                BoundOperator::bind(database, operator)
                    .err()
                    .map(missed(phase, operator.operator))
            })
        })
        .collect()
}

impl Plan {
    /// Binds every operator to its table.
    pub(super) fn bind(
        database: &PerfDatabase,
        graph: &OperatorGraph,
        layers: u32,
    ) -> Result<Self, PerfModelError> {
        let bind = |phase: Phase| {
            let bound = |operator: &GraphOperator| {
                BoundOperator::bind(database, operator).map_err(missed(phase, operator.operator))
            };
            graph
                .phase(phase)
                .iter()
                .map(bound)
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            system: database.system(),
            layers: f64::from(layers),
            draft_factor: 1.0,
            context: bind(Phase::Context)?,
            generation: bind(Phase::Generation)?,
            without_decode: None,
        })
    }

    /// The same operators of a worker that may have no decode steps.
    pub(super) fn without_decode(mut self, reason: Option<PerfModelError>) -> Self {
        self.without_decode = reason;
        self
    }

    /// The same operators with `drafted` draft layers in each decode step.
    pub(super) fn with_draft_layers(mut self, drafted: u32) -> Self {
        self.draft_factor = (f64::from(drafted) + self.layers) / self.layers;
        self
    }

    fn repeats(&self, phase: Phase, repeats: Repeats) -> f64 {
        if phase == Phase::Generation && repeats.with_drafts {
            repeats.times * self.draft_factor
        } else {
            repeats.times
        }
    }

    /// Gives `sink` the selected operators of a step of `phase`, in its order.
    pub(super) fn visit(
        &self,
        phase: Phase,
        selection: Selection,
        step: &StepShape,
        mut sink: impl FnMut(OperatorName, OperatorLatency),
    ) -> Result<(), PerfModelError> {
        let operators = match phase {
            Phase::Context => &self.context,
            Phase::Generation => match &self.without_decode {
                Some(reason) => return Err(reason.clone()),
                None => &self.generation,
            },
        };
        for bound in operators.iter().filter(|bound| selection.has(bound)) {
            let latency = bound
                .latency(self.system, step)
                .map_err(missed(phase, bound.operator))?
                .times(self.repeats(phase, bound.repeats));
            let name = OperatorName {
                phase,
                operator: bound.operator,
            };
            sink(name, latency);
        }
        Ok(())
    }
}
