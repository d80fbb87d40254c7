//! Efficiencies from measured tables.

use std::collections::{BTreeMap, BTreeSet};

use super::curve::Curve;
use super::generation::Generation;
use super::learned::{Efficiencies, EfficiencyCurve};
use super::speed_of_light::{Bound, SpeedOfLight, Subject};
use crate::backend::Backend;
use crate::engine;
use crate::graph::{GraphOperator, GraphQuery, MoeShape, OperatorGraph, Phase, Work};
use crate::mapping::ParallelMapping;
use crate::operators::{ContextTokens, GemmShape, GenerationTokens, StepShape};
use crate::provenance::Source;
use crate::quant::{GemmQuant, MoeQuant, Precision};
use crate::registry;
use crate::tables::PerfDatabase;

/// GPUs of the workers whose operators are looked at.
const WIDTHS: [u32; 5] = [1, 2, 4, 8, 16];
/// Requests of a prefill step.
const PROMPTS: [u64; 2] = [1, 4];
/// Tokens of one prompt.
const PROMPT_TOKENS: [u64; 7] = [16, 64, 256, 1024, 4096, 16_384, 65_536];
/// Requests of a decode step.
const IN_FLIGHT: [u64; 7] = [1, 4, 16, 32, 64, 128, 512];
/// Tokens of a request that decodes.
const CONTEXT_TOKENS: [u64; 4] = [512, 2048, 8192, 32_768];

/// What a curve is of; what is left out stands for all of its kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Topic {
    generation: Option<Generation>,
    backend: Option<Backend>,
    kind: Option<&'static str>,
    format: Option<String>,
    bound: Bound,
}

/// Collects what measured operators take, and what they could take at least.
#[derive(Debug, Default)]
pub struct Lesson {
    observations: BTreeMap<Topic, Vec<(f64, f64)>>,
}

impl Lesson {
    /// Nothing observed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Observes the operators of every known model, over the usual mappings and steps, where these tables have them.
    pub fn observe(&mut self, database: &PerfDatabase) {
        let steps = [Phase::Context, Phase::Generation].map(steps);
        let mut seen = BTreeSet::new();
        for graph in graphs(database) {
            for (phase, steps) in [Phase::Context, Phase::Generation].into_iter().zip(&steps) {
                for operator in graph.phase(phase).iter().flat_map(leaves) {
                    for operator in in_all_formats(operator) {
                        let identity = format!("{phase:?} {:?} {:?}", operator.tokens, operator.work);
                        if seen.insert(identity) {
                            self.observe_operator(database, &operator, steps);
                        }
                    }
                }
            }
        }
    }

    fn observe_operator(&mut self, database: &PerfDatabase, operator: &GraphOperator, steps: &[StepShape]) {
        let Some(subject) = Subject::of(&operator.work) else {
            return;
        };
        let light = SpeedOfLight::new(database.system());
        let Ok(latencies) = engine::measured_latencies(database, operator, steps) else {
            return;
        };
        for (step, latency) in latencies {
            let limits = light.limits(&operator.work, operator.tokens.count(&step), &step);
            let bound = Bound::ALL
                .into_iter()
                .zip(limits)
                .max_by(|a, b| a.1.total_cmp(&b.1))
                .filter(|(_, limit)| *limit > 0.0 && limit.is_finite());
            let is_measured = matches!(latency.source, Source::Measured | Source::Interpolated);
            if let Some((bound, limit)) = bound
                && is_measured
                && latency.ms > 0.0
            {
                for topic in topics(database, &subject, bound) {
                    self.observations
                        .entry(topic)
                        .or_default()
                        .push((limit, latency.ms));
                }
            }
        }
    }

    /// The curves through all observations.
    pub fn learn(&self) -> Efficiencies {
        let curves = self.observations.iter().filter_map(|(topic, observations)| {
            Some(EfficiencyCurve {
                generation: topic.generation,
                backend: topic.backend,
                kind: topic.kind.map(str::to_owned),
                format: topic.format.clone(),
                bound: topic.bound,
                curve: Curve::through(observations)?,
            })
        });
        Efficiencies {
            curves: curves.collect(),
        }
    }
}

/// Everything that an observation teaches about, from the closest to the most general.
fn topics(database: &PerfDatabase, subject: &Subject, bound: Bound) -> [Topic; 6] {
    let generation = Some(Generation::of(database.system()));
    let backend = Some(database.backend());
    let (kind, format) = (Some(subject.kind), Some(subject.format.clone()));
    [
        (generation, backend, kind, format),
        (generation, backend, kind, None),
        (generation, None, kind, None),
        (None, None, kind, None),
        (generation, None, None, None),
        (None, None, None, None),
    ]
    .map(|(generation, backend, kind, format)| Topic {
        generation,
        backend,
        kind,
        format,
        bound,
    })
}

/// The graphs of all known models on all mappings that they allow.
pub(super) fn graphs(database: &PerfDatabase) -> impl Iterator<Item = OperatorGraph> {
    let mappings = WIDTHS.into_iter().flat_map(|width| {
        [
            ParallelMapping::tp(width),
            ParallelMapping::tep(width),
            ParallelMapping::dep(width),
        ]
        .into_iter()
        .flatten()
    });
    let mappings: Vec<ParallelMapping> = mappings.collect();
    registry::models().iter().flat_map(move |model| {
        let precision = Precision::infer(model, database).ok();
        mappings.clone().into_iter().filter_map(move |mapping| {
            OperatorGraph::of(GraphQuery {
                model,
                precision: precision?,
                mapping,
                backend: database.backend(),
                system: database.system(),
                drafted: 0,
            })
            .ok()
        })
    })
}

/// An operator, or those that it is made of.
pub(super) fn leaves(operator: &GraphOperator) -> Vec<&GraphOperator> {
    let parts = operator.work.parts();
    if parts.is_empty() {
        vec![operator]
    } else {
        parts.into_iter().flat_map(leaves).collect()
    }
}

/// Products and experts in every format: the next model may come in another one.
fn in_all_formats(operator: &GraphOperator) -> Vec<GraphOperator> {
    let works: Vec<Work> = if let Work::Gemm(shape) = operator.work {
        GemmQuant::ALL
            .into_iter()
            .map(|quant| Work::Gemm(GemmShape { quant, ..shape }))
            .collect()
    } else if let Work::Moe(shape) = operator.work {
        MoeQuant::ALL
            .into_iter()
            .map(|quant| Work::Moe(MoeShape { quant, ..shape }))
            .collect()
    } else {
        return vec![operator.clone()];
    };
    works
        .into_iter()
        .map(|work| GraphOperator {
            work,
            ..operator.clone()
        })
        .collect()
}

fn steps(phase: Phase) -> Vec<StepShape> {
    match phase {
        Phase::Context => PROMPTS
            .into_iter()
            .flat_map(|batch| {
                PROMPT_TOKENS.into_iter().map(move |new_tokens| {
                    StepShape::context(ContextTokens {
                        batch,
                        new_tokens,
                        prefix: 0,
                    })
                })
            })
            .collect(),
        Phase::Generation => IN_FLIGHT
            .into_iter()
            .flat_map(|batch| {
                CONTEXT_TOKENS
                    .into_iter()
                    .map(move |sequence| StepShape::generation(GenerationTokens { batch, sequence }))
            })
            .collect(),
    }
}
