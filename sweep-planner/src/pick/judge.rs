//! What makes one choice better than another.

use std::cmp::Ordering;

use dgdr_units::{Gpus, Milliseconds, RequestsPerSecond, TokensPerSecond, floor_count};

use super::choice::Choice;
use crate::outcome::{Configuration, Performance};
use crate::{Goal, Latencies, Load, Picking, Problem};

/// A choice's merit; smaller is better, term by term.
#[derive(Debug, Clone, Copy)]
pub(super) struct Score {
    /// By what share the SLA is missed, all bounds added; 0 when it is kept.
    excess: f64,
    objective: [f64; 6],
}

impl Score {
    pub(super) fn order(&self, other: &Self) -> Ordering {
        self.excess.total_cmp(&other.excess).then_with(|| {
            self.objective
                .iter()
                .zip(&other.objective)
                .map(|(mine, theirs)| mine.total_cmp(theirs))
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal)
        })
    }

    pub(super) fn beats(&self, other: &Self) -> bool {
        self.order(other).is_lt()
    }
}

/// The problem's idea of good.
pub(super) struct Judge<'a> {
    pub(super) problem: &'a Problem,
    total: u32,
}

impl<'a> Judge<'a> {
    pub(super) const fn new(problem: &'a Problem) -> Self {
        Self {
            problem,
            total: problem.budget.total_gpus.get(),
        }
    }

    /// All GPUs of the budget.
    pub(super) const fn total(&self) -> u32 {
        self.total
    }

    /// Bounds are "at most": equality keeps them. (Upstream's decode filter wants strictly less.)
    pub(super) fn excess(&self, choice: &Choice) -> f64 {
        self.problem.goal.excess(Latencies {
            ttft: choice.ttft,
            itl: choice.itl,
            request: self.request_latency(choice),
        })
    }

    /// `TTFT + ITL × (OSL − 1)`.
    pub(super) fn request_latency(&self, choice: &Choice) -> f64 {
        choice
            .itl
            .mul_add(f64::from(self.problem.workload.osl() - 1), choice.ttft)
    }

    /// Copies that the budget holds.
    pub(super) fn copies_that_fit(&self, choice: &Choice) -> u32 {
        self.total / choice.gpus.max(1)
    }

    /// Copies that carry the load, whatever the budget; none when no load was given or a copy carries nothing.
    pub(super) fn copies_for_load(&self, choice: &Choice) -> Option<u32> {
        let copies = match self.problem.picking {
            Picking::LoadMatch(Load::Concurrency(requests)) => {
                f64::from(requests.get()) / f64::from(choice.concurrency)
            }
            Picking::LoadMatch(Load::RequestRate(rate)) => rate.get() / choice.rate,
            Picking::BestThroughput | Picking::Autoscale => return None,
        };
        copies.is_finite().then(|| {
            u32::try_from(floor_count(copies.ceil()))
                .unwrap_or(u32::MAX)
                .max(1)
        })
    }

    /// Copies that are deployed.
    pub(super) fn copies(&self, choice: &Choice) -> u32 {
        match self.problem.picking {
            Picking::BestThroughput => self.copies_that_fit(choice),
            Picking::Autoscale => 1,
            Picking::LoadMatch(_) => self
                .copies_for_load(choice)
                .unwrap_or(u32::MAX)
                .min(self.copies_that_fit(choice)),
        }
    }

    /// Share of the load that the deployed copies carry; 1 without a load.
    pub(super) fn served(&self, choice: &Choice) -> f64 {
        let copies = f64::from(self.copies(choice));
        let share = match self.problem.picking {
            Picking::LoadMatch(Load::Concurrency(requests)) => {
                copies * f64::from(choice.concurrency) / f64::from(requests.get())
            }
            Picking::LoadMatch(Load::RequestRate(rate)) => copies * choice.rate / rate.get(),
            Picking::BestThroughput | Picking::Autoscale => 1.0,
        };
        share.min(1.0)
    }

    /// Whether the SLA is kept and the load is carried.
    pub(super) fn keeps_everything(&self, choice: &Choice) -> bool {
        self.excess(choice) <= 0.0
            && self
                .copies_for_load(choice)
                .is_none_or(|copies| copies <= self.copies_that_fit(choice))
    }

    /// Generated tokens per second of all deployed copies.
    pub(super) fn cluster_tokens(&self, choice: &Choice) -> f64 {
        f64::from(self.copies(choice)) * choice.tokens_per_s
    }

    pub(super) fn score(&self, choice: &Choice) -> Score {
        let gpus = f64::from(choice.gpus);
        let all_gpus = gpus * f64::from(self.copies(choice));
        // Equal up to rounding is equal: three copies of one layout and one layout three times as large must tie.
        let tokens = -even(self.cluster_tokens(choice));
        let latency_first = if self.problem.goal == Goal::Latency {
            choice.itl
        } else {
            0.0
        };
        // Of equals, the one with more capacity in reserve.
        let balanced = -even(choice.balanced);
        let objective = match self.problem.picking {
            Picking::BestThroughput => [latency_first, tokens, choice.itl, gpus, balanced, choice.ttft],
            Picking::Autoscale => [latency_first, balanced, choice.itl, gpus, tokens, choice.ttft],
            Picking::LoadMatch(_) => [
                -even(self.served(choice)),
                latency_first,
                all_gpus,
                -even(choice.tokens_per_s / gpus),
                choice.itl,
                balanced,
            ],
        };
        Score {
            excess: even(self.excess(choice)),
            objective,
        }
    }

    /// The choice with as many copies as the problem asks for, in units; none when a number left its unit's range.
    pub(super) fn configuration(&self, choice: &Choice) -> Option<Configuration> {
        self.configured(choice, self.copies(choice))
    }

    /// The choice with `copies`.
    pub(super) fn configured(&self, choice: &Choice, copies: u32) -> Option<Configuration> {
        let round = |value: f64| self.problem.corrections.round(value);
        let per_gpu = round(choice.tokens_per_s / f64::from(choice.gpus));
        let share = f64::from(copies) * f64::from(choice.gpus) / f64::from(self.total);
        let ms = |value: f64| Milliseconds::new(round(value)).ok();
        let tokens = |value: f64| TokensPerSecond::new(round(value)).ok();
        Some(Configuration {
            performance: Performance {
                tokens_per_s_per_gpu: tokens(per_gpu)?,
                tokens_per_s_per_gpu_cluster: tokens(per_gpu * share)?,
                tokens_per_s_per_user: tokens(1000.0 / choice.itl)?,
                ttft: ms(choice.ttft)?,
                itl: ms(choice.itl)?,
                request_latency: ms(self.request_latency(choice))?,
                requests_per_s: RequestsPerSecond::new(round(choice.rate * f64::from(copies))).ok()?,
                concurrency: choice.concurrency,
                ttft_sources: choice.ttft_sources,
                itl_sources: choice.itl_sources,
            },
            replicas: copies,
            gpus: Gpus::new(choice.gpus),
            layout: choice.layout,
        })
    }
}

/// A number without the noise of its last bits.
pub(super) fn even(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
