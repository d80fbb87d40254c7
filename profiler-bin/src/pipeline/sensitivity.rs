//! What would be picked if a target, the GPUs or the load were a quarter less or more.
//!
//! The planner runs again on the answers that the sweep already gave; the probe is asked only about mappings that more
//! GPUs bring into reach.

use std::num::NonZeroU32;

use dgdr_sweep_planner::{
    Candidates, Configuration, Goal, Load, Measurements, Outcome, Picking, Problem, Sla, candidates, pick,
};
use dgdr_units::{Gpus, Milliseconds, RequestsPerSecond, floor_count};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::comparison::Comparison;
use super::question::{ProbeTraits, Question};
use super::study::Study;
use crate::error::ProfilerError;
use crate::probe::{Probe, Sweep};
use crate::progress::Progress;
use crate::report::label;

/// How far each quantity is taken, as a share of itself.
const STEPS: [f64; 2] = [-0.25, 0.25];

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// The target of the time to first token, milliseconds.
    TtftMs,
    /// The target of the time between tokens, milliseconds.
    ItlMs,
    /// The target of the whole request, milliseconds.
    RequestLatencyMs,
    /// The GPUs of the budget.
    TotalGpus,
    /// The load in requests in flight.
    Concurrency,
    /// The load in requests per second.
    RequestsPerS,
}

/// How a changed problem ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Everything is kept.
    Met,
    /// Something is missed.
    Closest,
    /// Nothing can be deployed.
    Infeasible,
}

/// One changed quantity, and what would be picked then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sensitivity {
    /// What is changed.
    pub quantity: Quantity,
    /// What the request says.
    pub from: f64,
    /// What is tried instead.
    pub to: f64,
    /// How the changed problem ends.
    pub outcome: Ending,
    /// What would be picked, in words; none when nothing could be.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pick: Option<String>,
    /// Whether that is another layout than the one that was picked.
    pub differs: bool,
    /// Generated tokens per second and GPU of its copies.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tokens_per_s_per_gpu: Option<f64>,
    /// Generated tokens per second of the whole deployment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tokens_per_s: Option<f64>,
    /// GPUs that it would take.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gpus: Option<u32>,
}

/// A question with one quantity changed.
struct Change {
    quantity: Quantity,
    from: f64,
    to: f64,
    question: Question,
}

/// The changed questions of the engine that won, answered.
///
/// # Errors
/// [`ProfilerError::Planner`] when the probe answers another question than was asked.
pub async fn sensitivity(
    question: &Question,
    comparison: &mut Comparison,
) -> Result<Vec<Sensitivity>, ProfilerError> {
    let chosen = comparison.chosen;
    let (study, probe) = (&comparison.studies[chosen], &mut comparison.probes[chosen]);
    varied(question, study, probe).await
}

async fn varied(
    question: &Question,
    study: &Study,
    probe: &mut impl Probe,
) -> Result<Vec<Sensitivity>, ProfilerError> {
    let mut asked = Vec::new();
    for change in changes(question) {
        let problem = change.question.problem(&ProbeTraits {
            backend: study.backend,
            precision: study.precision,
            kind: study.problem.probe,
            corrections: study.problem.corrections,
            exchanged_experts: study.problem.extensions.exchanged_experts.clone(),
        })?;
        let candidates = candidates(&problem);
        let fresh = unknown(study, &problem, &candidates);
        let more = if fresh.kept.is_empty() {
            None
        } else {
            let sweep = Sweep {
                problem: &problem,
                candidates: &fresh,
                progress: &Progress::hidden(),
            };
            Some(probe.sweep(sweep).await?)
        };
        asked.push((change, problem, candidates, more));
    }
    Ok(asked
        .into_par_iter()
        .map(|(change, problem, candidates, more)| {
            let outcome = match more {
                None => pick(&problem, &candidates, &study.measurements),
                Some(more) => pick(&problem, &candidates, &joined(&study.measurements, more)),
            }
            .outcome;
            answer(&change, &outcome, study.decision.outcome.configuration())
        })
        .collect())
}

fn joined(known: &Measurements, more: Measurements) -> Measurements {
    let mut all = known.clone();
    all.merge(more);
    all
}

/// The mappings of a changed problem that the sweep could not ask about: those that are new, and those that took the
/// whole budget, so that nobody asked how they do in one role.
fn unknown(study: &Study, changed: &Problem, candidates: &Candidates) -> Candidates {
    let budget = study.problem.budget.total_gpus;
    let grows = changed.budget.total_gpus > budget;
    Candidates {
        kept: candidates
            .kept
            .iter()
            .copied()
            .filter(|mapping| !study.candidates.kept.contains(mapping) || (grows && mapping.gpus() >= budget))
            .collect(),
        rejected: Vec::new(),
    }
}

fn answer(change: &Change, outcome: &Outcome, picked: Option<&Configuration>) -> Sensitivity {
    let pick = outcome.configuration();
    let rate = |pick: &Configuration| pick.performance.tokens_per_s_per_gpu.get();
    Sensitivity {
        quantity: change.quantity,
        from: change.from,
        to: change.to,
        outcome: match outcome {
            Outcome::Met(_) => Ending::Met,
            Outcome::Closest(_) => Ending::Closest,
            Outcome::Infeasible { .. } => Ending::Infeasible,
        },
        pick: pick.map(label),
        differs: pick.map(|pick| pick.layout) != picked.map(|picked| picked.layout),
        tokens_per_s_per_gpu: pick.map(rate),
        tokens_per_s: pick
            .map(|pick| (rate(pick) * f64::from(pick.total_gpus().get()) * 1000.0).round() / 1000.0),
        gpus: pick.map(|pick| pick.total_gpus().get()),
    }
}

/// Every quantity that the question has, less and more.
fn changes(question: &Question) -> Vec<Change> {
    let mut list = Vec::new();
    for share in STEPS {
        list.extend(changed_targets(question, 1.0 + share));
        list.extend(changed_gpus(question, 1.0 + share));
        list.extend(changed_load(question, 1.0 + share));
    }
    // The same quantity side by side, in the order of the enum.
    list.sort_by_key(|change| change.quantity);
    list
}

fn changed_targets(question: &Question, factor: f64) -> Vec<Change> {
    let change = |quantity, from: Milliseconds, with: &dyn Fn(Milliseconds) -> Sla| {
        let to = Milliseconds::new(from.get() * factor).ok()?;
        Some(Change {
            quantity,
            from: from.get(),
            to: to.get(),
            question: Question {
                goal: Goal::Sla(with(to)),
                ..question.clone()
            },
        })
    };
    let list = match question.goal {
        Goal::Sla(Sla::TokenLatency { ttft, itl }) => vec![
            change(Quantity::TtftMs, ttft, &|ttft| Sla::TokenLatency { ttft, itl }),
            change(Quantity::ItlMs, itl, &|itl| Sla::TokenLatency { ttft, itl }),
        ],
        Goal::Sla(Sla::RequestLatency(latency)) => {
            vec![change(Quantity::RequestLatencyMs, latency, &Sla::RequestLatency)]
        }
        Goal::Throughput | Goal::Latency => Vec::new(),
    };
    list.into_iter().flatten().collect()
}

/// A whole number of GPUs, at least one further.
fn changed_gpus(question: &Question, factor: f64) -> Option<Change> {
    let from = question.hardware.total_gpus;
    let to = Gpus::new(stepped(from.get(), factor));
    let mut hardware = question.hardware.clone();
    hardware.total_gpus = to;
    (to >= Gpus::new(1) && to != from).then(|| Change {
        quantity: Quantity::TotalGpus,
        from: f64::from(from.get()),
        to: f64::from(to.get()),
        question: Question {
            hardware,
            ..question.clone()
        },
    })
}

fn changed_load(question: &Question, factor: f64) -> Option<Change> {
    let Picking::LoadMatch(load) = question.picking else {
        return None;
    };
    let (quantity, from, to, load) = match load {
        Load::Concurrency(requests) => {
            let to = NonZeroU32::new(stepped(requests.get(), factor)).filter(|to| *to != requests)?;
            (
                Quantity::Concurrency,
                f64::from(requests.get()),
                f64::from(to.get()),
                Load::Concurrency(to),
            )
        }
        Load::RequestRate(rate) => {
            let to = RequestsPerSecond::new(rate.get() * factor).ok()?;
            (Quantity::RequestsPerS, rate.get(), to.get(), Load::rate(to).ok()?)
        }
    };
    Some(Change {
        quantity,
        from,
        to,
        question: Question {
            picking: Picking::LoadMatch(load),
            ..question.clone()
        },
    })
}

/// A whole number a share away, rounded away from where it starts.
fn stepped(from: u32, factor: f64) -> u32 {
    let to = f64::from(from) * factor;
    let whole = if factor > 1.0 { to.ceil() } else { to.floor() };
    u32::try_from(floor_count(whole)).unwrap_or(u32::MAX)
}
