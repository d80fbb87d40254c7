//! Picks: every combination of measured workers within upstream's sizes is looked at, so the pick is exact.
//!
//! Upstream keeps only the top few rows of each worker for each of 75 ITL targets, and matches workers for the best
//! throughput of one copy before it looks at how many copies fit. Here all rows take part, and the throughput of the
//! whole budget decides. The sizes of one disaggregated copy (1, 2, 4, 8, 16, 24 … 128 GPUs) and the at most 32 workers
//! a role are upstream's, so that the same configurations are found.

use std::collections::BTreeMap;

use dgdr_perf_model::ParallelMapping;

use crate::measurements::{Measurements, Role};
use crate::outcome::{Chosen, Closest, Decision, Excluded, Outcome, RankedEntry, Ranking, Reason};
use crate::{Candidates, Problem};

mod choice;
mod combine;
mod explain;
mod judge;
mod pareto;
mod rows;

use choice::Choice;
use explain::Floors;
use judge::{Judge, Score};
use pareto::Front;
use rows::Rows;

/// The best choice of each group of mappings, and what all choices together teach.
struct Comparison {
    aggregated: BTreeMap<ParallelMapping, (Score, Choice)>,
    disaggregated: BTreeMap<ParallelMapping, (Score, Choice)>,
    front: Front,
    floors: Floors,
}

/// Decides: what to deploy, and why nothing else.
///
/// The order in which measurements were recorded does not matter.
pub fn pick(problem: &Problem, candidates: &Candidates, measurements: &Measurements) -> Decision {
    let judge = Judge::new(problem);
    let rows = Rows::collect(problem, measurements);
    let comparison = compare(&judge, &rows);
    let aggregated = ranked(&comparison.aggregated);
    let disaggregated = ranked(&comparison.disaggregated);
    // On a tie the aggregated layout wins: it has fewer parts.
    let best = [aggregated.first(), disaggregated.first()]
        .into_iter()
        .flatten()
        .copied()
        .reduce(|best, other| if other.0.beats(&best.0) { other } else { best });
    let outcome = best
        .and_then(|best| conclude(&judge, candidates, &comparison, best))
        .unwrap_or_else(|| Outcome::Infeasible {
            reasons: explain::reasons(problem, candidates, measurements, &rows),
        });
    let ranking = Ranking {
        chosen: outcome.configuration().map(|configuration| {
            if configuration.layout.is_disaggregated() {
                Chosen::Disaggregated
            } else {
                Chosen::Aggregated
            }
        }),
        aggregated: entries(&judge, &aggregated, best.as_ref()),
        disaggregated: entries(&judge, &disaggregated, best.as_ref()),
        pareto: comparison.front.points(&judge),
        rejected: excluded(problem, candidates, measurements, &rows),
    };
    Decision { outcome, ranking }
}

fn compare(judge: &Judge<'_>, rows: &Rows) -> Comparison {
    let mut comparison = Comparison {
        aggregated: BTreeMap::new(),
        disaggregated: BTreeMap::new(),
        front: Front::default(),
        floors: Floors::default(),
    };
    combine::for_each_aggregated(judge, rows, |mapping, choice| {
        comparison.floors.learn(judge, &choice);
        comparison.front.offer(judge, &choice);
        keep_better(&mut comparison.aggregated, mapping, judge, choice);
    });
    combine::for_each_disaggregated(judge, rows, |mapping, choice| {
        comparison.floors.learn(judge, &choice);
        comparison.front.offer(judge, &choice);
        keep_better(&mut comparison.disaggregated, mapping, judge, choice);
    });
    comparison
}

fn keep_better(
    best: &mut BTreeMap<ParallelMapping, (Score, Choice)>,
    group: ParallelMapping,
    judge: &Judge<'_>,
    choice: Choice,
) {
    let score = judge.score(&choice);
    match best.get_mut(&group) {
        Some(held) if score.beats(&held.0) => *held = (score, choice),
        Some(_) => {}
        None => {
            best.insert(group, (score, choice));
        }
    }
}

fn ranked(groups: &BTreeMap<ParallelMapping, (Score, Choice)>) -> Vec<(Score, Choice)> {
    let mut list: Vec<_> = groups.values().copied().collect();
    list.sort_by(|a, b| a.0.order(&b.0));
    list
}

fn conclude(
    judge: &Judge<'_>,
    candidates: &Candidates,
    comparison: &Comparison,
    (_, choice): (Score, Choice),
) -> Option<Outcome> {
    let configuration = judge.configuration(&choice)?;
    let mut gaps = explain::gaps(judge, &choice, &comparison.floors);
    gaps.sort_by(|a, b| b.excess().total_cmp(&a.excess()));
    let mut gaps = gaps.into_iter();
    Some(match gaps.next() {
        None => Outcome::Met(configuration),
        Some(binding) => {
            let also_missed: Vec<_> = gaps.collect();
            let missed: Vec<_> = std::iter::once(binding)
                .chain(also_missed.iter().copied())
                .collect();
            Outcome::Closest(Closest {
                remedies: explain::remedies(judge, candidates, &comparison.floors, &missed),
                pick: configuration,
                binding,
                also_missed,
            })
        }
    })
}

fn entries(
    judge: &Judge<'_>,
    ranked: &[(Score, Choice)],
    best: Option<&(Score, Choice)>,
) -> Vec<RankedEntry> {
    ranked
        .iter()
        .filter_map(|(_, choice)| Some((choice, judge.configuration(choice)?)))
        .zip(1..)
        .map(|((choice, configuration), rank)| RankedEntry {
            rank,
            meets_sla: judge.keeps_everything(choice),
            lost: best
                .filter(|(_, best)| best.layout != choice.layout)
                .map(|(_, best)| explain::lost(judge, choice, best)),
            configuration,
        })
        .collect()
}

/// The roles that a way of serving measures.
fn roles(problem: &Problem) -> impl Iterator<Item = Role> {
    [
        (problem.serving.aggregated(), Role::Aggregated),
        (problem.serving.disaggregated(), Role::Prefill),
        (problem.serving.disaggregated(), Role::Decode),
    ]
    .into_iter()
    .filter_map(|(asked, role)| asked.then_some(role))
}

fn excluded(
    problem: &Problem,
    candidates: &Candidates,
    measurements: &Measurements,
    rows: &Rows,
) -> Vec<Excluded> {
    let never = candidates.rejected.iter().map(|rejected| Excluded {
        mapping: rejected.mapping.to_string(),
        role: None,
        reason: rejected.reason.to_string(),
        remedy: Some(rejected.reason.remedy()),
    });
    let failed = explain::unmeasured(problem, candidates, measurements, rows)
        .into_iter()
        .filter_map(|(mapping, role, failure)| {
            Some(Excluded {
                mapping: mapping.to_string(),
                role: Some(role),
                reason: failure?.to_string(),
                remedy: None,
            })
        });
    never.chain(failed).collect()
}

#[cfg(test)]
mod tests;
