//! The configuration that would be deployed if the pick were not there.

use std::cmp::Ordering;

use dgdr_perf_model::Backend;
use dgdr_sweep_planner::{
    Configuration, Latencies, Lost, Outcome, Performance, Picking, Problem, RankedEntry,
};
use serde::Serialize;

use super::comparison::Comparison;
use super::study::Study;

/// The second best of everything that was compared: another mapping, another way of serving, or another engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunnerUp {
    /// Its engine.
    pub backend: &'static str,
    /// Whether it keeps everything that was asked for.
    pub meets_sla: bool,
    /// Why it lost, in words.
    pub lost: String,
    /// What it is and reaches.
    #[serde(flatten)]
    pub configuration: Configuration,
}

/// One that could be second.
#[derive(Clone, Copy)]
struct Contender<'a> {
    backend: Backend,
    entry: &'a RankedEntry,
}

/// The runner-up of a comparison; none when the pick is all there is, or nothing was picked.
pub fn runner_up(comparison: &Comparison) -> Option<RunnerUp> {
    let winner = comparison.winner();
    let pick = winner.decision.outcome.configuration()?;
    let problem = &winner.problem;
    let best = comparison
        .studies
        .iter()
        .flat_map(contenders)
        .filter(|contender| contender.backend != winner.backend || contender.entry.lost.is_some())
        .min_by(|one, other| order(one, other, problem))?;
    Some(RunnerUp {
        backend: best.backend.name(),
        meets_sla: best.entry.meets_sla,
        lost: match &best.entry.lost {
            Some(lost) if best.backend == winner.backend => lost.to_string(),
            _ => behind(&best.entry.configuration, pick, problem).to_string(),
        },
        configuration: best.entry.configuration.clone(),
    })
}

/// The best of each way of serving and mapping of one engine.
fn contenders(study: &Study) -> impl Iterator<Item = Contender<'_>> {
    let ranking = &study.decision.ranking;
    ranking
        .aggregated
        .iter()
        .chain(&ranking.disaggregated)
        .map(|entry| Contender {
            backend: study.backend,
            entry,
        })
}

/// What keeps everything comes first; among equals the problem's own idea of good, then the smaller miss.
fn order(one: &Contender<'_>, other: &Contender<'_>, problem: &Problem) -> Ordering {
    let (mine, theirs) = (&one.entry.configuration, &other.entry.configuration);
    other.entry.meets_sla.cmp(&one.entry.meets_sla).then_with(|| {
        let (excess, other_excess) = (
            excess(problem, &mine.performance),
            excess(problem, &theirs.performance),
        );
        excess
            .total_cmp(&other_excess)
            .then_with(|| better(mine, theirs, problem))
    })
}

/// The order that the planner uses between engines.
fn better(mine: &Configuration, theirs: &Configuration, problem: &Problem) -> Ordering {
    let [mine, theirs] = [mine, theirs].map(|configuration| Outcome::Met(configuration.clone()));
    if mine.beats(&theirs, problem) {
        Ordering::Less
    } else if theirs.beats(&mine, problem) {
        Ordering::Greater
    } else {
        Ordering::Equal
    }
}

/// By what share the SLA is missed, all bounds added; 0 when it is kept.
fn excess(problem: &Problem, reached: &Performance) -> f64 {
    problem.goal.excess(Latencies {
        ttft: reached.ttft.get(),
        itl: reached.itl.get(),
        request: reached.request_latency.get(),
    })
}

/// Why a configuration of another engine lost to the pick, in the planner's own words.
fn behind(loser: &Configuration, pick: &Configuration, problem: &Problem) -> Lost {
    let missed = excess(problem, &loser.performance);
    let kept = excess(problem, &pick.performance);
    if missed > kept {
        return Lost::FurtherOff {
            excess: missed,
            best: kept,
        };
    }
    let (ours, best) = (&loser.performance, &pick.performance);
    if matches!(problem.picking, Picking::LoadMatch(_)) && loser.total_gpus() > pick.total_gpus() {
        return Lost::MoreGpus {
            gpus: loser.total_gpus(),
            best: pick.total_gpus(),
        };
    }
    let per_gpu = |performance: &Performance| match problem.picking {
        Picking::BestThroughput => performance.tokens_per_s_per_gpu_cluster.get(),
        Picking::LoadMatch(_) | Picking::Autoscale => performance.tokens_per_s_per_gpu.get(),
    };
    Lost::Slower {
        tokens_per_s_per_gpu: per_gpu(ours),
        best: per_gpu(best),
        for_each_user: ours.tokens_per_s_per_user.get(),
        best_for_each_user: best.tokens_per_s_per_user.get(),
    }
}
