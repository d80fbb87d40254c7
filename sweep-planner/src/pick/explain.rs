//! Why: gaps, remedies, reasons.

use dgdr_perf_model::ParallelMapping;
use dgdr_units::{Fraction, Gpus, Milliseconds};

use super::choice::Choice;
use super::combine::smallest_copy;
use super::judge::Judge;
use super::rows::Rows;
use super::{Measurements, Reason, Role, roles};
use crate::measurements::Failure;
use crate::outcome::{Gap, Lost, Remedy};
use crate::{Candidates, Goal, Picking, Problem, Rejection, Sla};

/// The least of each bound that any choice reaches.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Floors {
    /// TTFT of those that keep the ITL bound.
    ttft: Option<f64>,
    /// ITL of those that keep the TTFT bound.
    itl: Option<f64>,
    /// Excess, then GPUs for the load.
    load: Option<(f64, u32)>,
}

impl Floors {
    pub(super) fn learn(&mut self, judge: &Judge<'_>, choice: &Choice) {
        if let Some(Sla::TokenLatency { ttft, itl }) = judge.problem.goal.sla() {
            if choice.itl <= itl.get() {
                self.ttft = Some(self.ttft.map_or(choice.ttft, |held| held.min(choice.ttft)));
            }
            if choice.ttft <= ttft.get() {
                self.itl = Some(self.itl.map_or(choice.itl, |held| held.min(choice.itl)));
            }
        }
        if let Some(copies) = judge.copies_for_load(choice) {
            let offer = (judge.excess(choice), copies.saturating_mul(choice.gpus));
            let better = self
                .load
                .is_none_or(|held| offer.0.total_cmp(&held.0).then(offer.1.cmp(&held.1)).is_lt());
            if better {
                self.load = Some(offer);
            }
        }
    }
}

/// Bounds that a choice misses.
pub(super) fn gaps(judge: &Judge<'_>, choice: &Choice, floors: &Floors) -> Vec<Gap> {
    let mut gaps = sla_gaps(judge, choice);
    let available = judge.problem.budget.total_gpus;
    if let Some(copies) = judge.copies_for_load(choice)
        && copies > judge.copies_that_fit(choice)
        && let Ok(served) = Fraction::new(judge.served(choice))
    {
        let own = copies.saturating_mul(choice.gpus);
        let needed = floors.load.map_or(own, |(_, gpus)| gpus.min(own));
        gaps.push(Gap::GpuBudget {
            needed: Gpus::new(needed),
            available,
            served,
        });
    }
    gaps
}

fn sla_gaps(judge: &Judge<'_>, choice: &Choice) -> Vec<Gap> {
    let missed = |achieved: f64, target: Milliseconds| {
        (achieved > target.get())
            .then(|| Milliseconds::new(achieved).ok())
            .flatten()
    };
    match judge.problem.goal.sla() {
        None => Vec::new(),
        Some(Sla::TokenLatency { ttft, itl }) => {
            let ttft_gap = missed(choice.ttft, ttft).map(|achieved| Gap::Ttft {
                target: ttft,
                achieved,
            });
            let itl_gap = missed(choice.itl, itl).map(|achieved| Gap::Itl {
                target: itl,
                achieved,
            });
            ttft_gap.into_iter().chain(itl_gap).collect()
        }
        Some(Sla::RequestLatency(target)) => missed(judge.request_latency(choice), target)
            .map(|achieved| Gap::RequestLatency { target, achieved })
            .into_iter()
            .collect(),
    }
}

/// What would help against `missed`.
pub(super) fn remedies(
    judge: &Judge<'_>,
    candidates: &Candidates,
    floors: &Floors,
    missed: &[Gap],
) -> Vec<Remedy> {
    let mut list = relaxations(judge.problem, floors, missed);
    let misses_latency = missed.iter().any(|gap| !matches!(gap, Gap::GpuBudget { .. }));
    if misses_latency {
        list.extend(wider(candidates));
    }
    for gap in missed {
        if let Gap::GpuBudget { needed, served, .. } = *gap {
            list.push(Remedy::AddGpus { total: needed });
            list.push(Remedy::ReduceLoad { to: served });
        }
    }
    list.push(Remedy::TryBackend {
        tried: judge.problem.backend,
    });
    list.push(Remedy::UseSmallerModel);
    list
}

/// The bounds that could be kept instead: one of them alone where that is enough, else all that are missed.
fn relaxations(problem: &Problem, floors: &Floors, missed: &[Gap]) -> Vec<Remedy> {
    let alone: Vec<Remedy> = if matches!(problem.goal.sla(), Some(Sla::TokenLatency { .. }))
        && missed
            .iter()
            .any(|gap| matches!(gap, Gap::Ttft { .. } | Gap::Itl { .. }))
    {
        let itl = floors
            .itl
            .and_then(|floor| Milliseconds::new(floor).ok())
            .map(|at_least| Remedy::RelaxItl { at_least });
        let ttft = floors
            .ttft
            .and_then(|floor| Milliseconds::new(floor).ok())
            .map(|at_least| Remedy::RelaxTtft { at_least });
        itl.into_iter().chain(ttft).collect()
    } else {
        Vec::new()
    };
    if !alone.is_empty() {
        return alone;
    }
    missed
        .iter()
        .filter_map(|gap| match *gap {
            Gap::Ttft { achieved, .. } => Some(Remedy::RelaxTtft { at_least: achieved }),
            Gap::Itl { achieved, .. } => Some(Remedy::RelaxItl { at_least: achieved }),
            Gap::RequestLatency { achieved, .. } => Some(Remedy::RelaxRequestLatency { at_least: achieved }),
            Gap::GpuBudget { .. } => None,
        })
        .collect()
}

/// The narrowest mapping that only a limit of the request kept from being tried.
fn wider(candidates: &Candidates) -> Option<Remedy> {
    candidates
        .rejected
        .iter()
        .filter(|rejected| {
            matches!(
                rejected.reason,
                Rejection::WiderThanEngineLimit { .. }
                    | Rejection::OverBudget { .. }
                    | Rejection::TooFewHeadsPerGpu { .. }
            )
        })
        .min_by_key(|rejected| rejected.mapping.gpus())
        .map(|rejected| Remedy::TryWider {
            mapping: rejected.mapping,
            // The remedy against too few heads narrows the search; here the wish is to widen it.
            how: if matches!(rejected.reason, Rejection::TooFewHeadsPerGpu { .. }) {
                "use searchStrategy: thorough, which measures real engines".to_owned()
            } else {
                rejected.reason.remedy()
            },
        })
}

/// Why `choice` was not picked but `best` was.
pub(super) fn lost(judge: &Judge<'_>, choice: &Choice, best: &Choice) -> Lost {
    let (mine, theirs) = (judge.excess(choice), judge.excess(best));
    if mine > theirs {
        let largest = sla_gaps(judge, choice)
            .into_iter()
            .max_by(|a, b| a.excess().total_cmp(&b.excess()));
        return match largest {
            Some(gap) if theirs <= 0.0 => Lost::Missed(gap),
            _ => Lost::FurtherOff {
                excess: mine,
                best: theirs,
            },
        };
    }
    by_load(judge, choice, best)
        .or_else(|| by_latency(judge, choice, best))
        .unwrap_or_else(|| by_tokens(judge, choice, best))
}

fn by_load(judge: &Judge<'_>, choice: &Choice, best: &Choice) -> Option<Lost> {
    if !matches!(judge.problem.picking, Picking::LoadMatch(_)) {
        return None;
    }
    let (served, best_served) = (judge.served(choice), judge.served(best));
    if served < best_served {
        return Some(Lost::LessLoad {
            served: Fraction::new(served).ok()?,
            best: Fraction::new(best_served).ok()?,
        });
    }
    let gpus = judge.copies(choice).saturating_mul(choice.gpus);
    let best_gpus = judge.copies(best).saturating_mul(best.gpus);
    (gpus > best_gpus).then(|| Lost::MoreGpus {
        gpus: Gpus::new(gpus),
        best: Gpus::new(best_gpus),
    })
}

fn by_latency(judge: &Judge<'_>, choice: &Choice, best: &Choice) -> Option<Lost> {
    (judge.problem.goal == Goal::Latency && choice.itl > best.itl)
        .then(|| {
            Some(Lost::Laggier {
                itl: Milliseconds::new(choice.itl).ok()?,
                best: Milliseconds::new(best.itl).ok()?,
            })
        })
        .flatten()
}

fn by_tokens(judge: &Judge<'_>, choice: &Choice, best: &Choice) -> Lost {
    let per_gpu = |choice: &Choice| match judge.problem.picking {
        Picking::BestThroughput => judge.cluster_tokens(choice) / f64::from(judge.total()),
        Picking::LoadMatch(_) => choice.tokens_per_s / f64::from(choice.gpus),
        Picking::Autoscale => choice.balanced,
    };
    let (mine, theirs) = (per_gpu(choice), per_gpu(best));
    // Closer than a tenth of a percent is a tie to any reader.
    if mine >= theirs * 0.999 {
        Lost::Tied
    } else if judge.problem.picking == Picking::Autoscale {
        Lost::LessEfficient {
            tokens_per_s_per_gpu: mine,
            best: theirs,
        }
    } else {
        Lost::Slower {
            tokens_per_s_per_gpu: mine,
            best: theirs,
            for_each_user: 1000.0 / choice.itl,
            best_for_each_user: 1000.0 / best.itl,
        }
    }
}

/// Workers without a single number, with their first failure.
pub(super) fn unmeasured(
    problem: &Problem,
    candidates: &Candidates,
    measurements: &Measurements,
    rows: &Rows,
) -> Vec<(ParallelMapping, Role, Option<Failure>)> {
    let measured = |mapping: ParallelMapping, role: Role| match role {
        Role::Aggregated => rows.aggregated.iter().any(|row| row.mapping == mapping),
        Role::Prefill => rows.prefill.iter().any(|row| row.mapping == mapping),
        Role::Decode => rows.decode.iter().any(|row| row.mapping == mapping),
    };
    let mut list = Vec::new();
    for &mapping in &candidates.kept {
        for role in roles(problem) {
            if role.takes(mapping) && !measured(mapping, role) {
                let failure = measurements
                    .iter()
                    .filter(|(query, _)| query.mapping == mapping && query.point.role() == role)
                    .find_map(|(_, answer)| answer.as_ref().err().cloned());
                list.push((mapping, role, failure));
            }
        }
    }
    list
}

/// Why there is no choice at all.
pub(super) fn reasons(
    problem: &Problem,
    candidates: &Candidates,
    measurements: &Measurements,
    rows: &Rows,
) -> Vec<Reason> {
    let available = problem.budget.total_gpus;
    let narrowest = candidates.kept.iter().map(|mapping| mapping.gpus()).min();
    let two_workers = narrowest
        .filter(|_| !problem.serving.aggregated())
        .map(|gpus| gpus * 2);
    let smallest = smallest_copy(problem, rows).map(Gpus::new).max(two_workers);
    let too_small = smallest
        .filter(|needed| *needed > available)
        .map(|needed| Reason::NothingFits { needed, available });
    let rejected = candidates.rejected.iter().copied().map(Reason::Rejected);
    let failed = unmeasured(problem, candidates, measurements, rows)
        .into_iter()
        .filter(|(_, _, failure)| failure.is_some() || too_small.is_none())
        .map(|(mapping, role, failure)| Reason::Unmeasured {
            mapping,
            role,
            failure,
        });
    too_small
        .clone()
        .into_iter()
        .chain(failed)
        .chain(rejected)
        .collect()
}
