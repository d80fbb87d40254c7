//! What every engine offers, as it is drawn.

use dgdr_sweep_planner::{Configuration, Goal, Layout, ParetoPoint, Sla};

use super::comparison::Comparison;
use super::price::{GpuPrice, cost};
use super::question::Question;
use super::runner_up::RunnerUp;
use crate::plots::{Front, FrontPick, FrontPoint, Fronts, Subject};

/// What fronts are drawn from.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrontInput<'a> {
    /// The question.
    pub(super) question: &'a Question,
    /// All engines that were compared.
    pub(super) comparison: &'a Comparison,
    /// What came second.
    pub(super) runner_up: Option<&'a RunnerUp>,
    /// Dollars for a GPU hour.
    pub(super) price: Option<GpuPrice>,
}

impl FrontInput<'_> {
    /// The fronts of all engines.
    pub(super) fn fronts(&self) -> Fronts {
        let studies = &self.comparison.studies;
        let engines: Vec<&str> = studies.iter().map(|study| study.backend.name()).collect();
        let winner = self.comparison.winner();
        let outcome = &winner.decision.outcome;
        let met = matches!(outcome, dgdr_sweep_planner::Outcome::Met(_));
        Fronts {
            subject: Subject {
                model: self.question.model.name.clone(),
                backend: engines.join(", "),
                system: self.question.hardware.system.name.to_owned(),
            },
            isl: u64::from(self.question.workload.isl()),
            osl: u64::from(self.question.workload.osl()),
            fronts: studies
                .iter()
                .map(|study| Front {
                    backend: study.backend.name().to_owned(),
                    points: study
                        .decision
                        .ranking
                        .pareto
                        .iter()
                        .map(
                            |ParetoPoint {
                                 configuration,
                                 meets_sla,
                             }| self.point(configuration, *meets_sla),
                        )
                        .collect(),
                })
                .collect(),
            sla: match self.question.goal {
                Goal::Sla(Sla::TokenLatency { ttft, itl }) => Some(format!("TTFT ≤ {ttft}, ITL ≤ {itl}")),
                Goal::Sla(Sla::RequestLatency(latency)) => Some(format!("request latency ≤ {latency}")),
                Goal::Throughput | Goal::Latency => None,
            },
            least_user_speed: match self.question.goal {
                Goal::Sla(Sla::TokenLatency { itl, .. }) => Some(1000.0 / itl.get()),
                Goal::Sla(Sla::RequestLatency(_)) | Goal::Throughput | Goal::Latency => None,
            },
            cost_label: cost_label(self.price),
            cost_unit: cost_unit(self.price),
            pick: outcome
                .configuration()
                .and_then(|pick| self.named(winner.backend.name(), pick, met)),
            runner_up: self
                .runner_up
                .and_then(|second| self.named(second.backend, &second.configuration, second.meets_sla)),
        }
    }

    fn named(&self, backend: &str, configuration: &Configuration, meets_sla: bool) -> Option<FrontPick> {
        let front = self
            .comparison
            .studies
            .iter()
            .position(|study| study.backend.name() == backend)?;
        Some(FrontPick {
            front,
            point: self.point(configuration, meets_sla),
            words: brief(&configuration.layout),
        })
    }

    /// A configuration with as many copies as the budget holds, however many a pick takes.
    fn point(&self, configuration: &Configuration, meets_sla: bool) -> FrontPoint {
        let total = self.question.hardware.total_gpus.get();
        let copy = configuration.gpus.get().max(1);
        let used = f64::from(total / copy * copy) / f64::from(total.max(1));
        FrontPoint {
            user_speed: configuration.performance.tokens_per_s_per_user.get(),
            throughput: configuration.performance.tokens_per_s_per_gpu.get() * used,
            cost: cost(configuration, self.price),
            meets_sla,
        }
    }
}

/// Quantity and unit of a cost.
fn cost_label(price: Option<GpuPrice>) -> String {
    match price {
        Some(price) => format!(
            "dollars per 1,000 requests at full load (${:.2} per GPU hour)",
            price.dollars()
        ),
        None => "GPU hours per 1,000 requests at full load".to_owned(),
    }
}

/// The unit of a cost.
const fn cost_unit(price: Option<GpuPrice>) -> &'static str {
    match price {
        Some(_) => "dollars",
        None => "GPU hours",
    }
}

/// A layout in few words.
fn brief(layout: &Layout) -> String {
    match layout {
        Layout::Aggregated {
            batch_size, mapping, ..
        } => format!("{mapping}, batch {batch_size}"),
        Layout::Disaggregated { prefill, decode } => format!(
            "prefill {}×{} + decode {}×{}, batch {}",
            prefill.workers, prefill.mapping, decode.workers, decode.mapping, decode.batch_size
        ),
    }
}
