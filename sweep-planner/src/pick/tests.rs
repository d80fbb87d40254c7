use dgdr_perf_model::Backend;
use dgdr_units::{Bytes, Gpus, RequestsPerSecond};

use super::pick;
use crate::fixture::{answer, count, decide, measure, ms, problem, token_sla};
use crate::{
    Closest, Decision, Failure, Gap, Goal, Layout, Load, Lost, Measurements, Outcome, Picking, Point, Reason,
    Remedy, Serving, Sla, Workload, candidates,
};

fn closest(decision: Decision) -> Closest {
    match decision.outcome {
        Outcome::Closest(closest) => closest,
        other @ (Outcome::Met(_) | Outcome::Infeasible { .. }) => panic!("{other:?}"),
    }
}

#[test]
fn the_best_of_a_node_is_found_and_the_losers_know_why() {
    let decision = decide(&problem());
    insta::assert_json_snapshot!(summary(&decision));
}

/// The parts of a decision that fit on a page.
fn summary(decision: &Decision) -> Vec<String> {
    let lists = [
        ("agg", &decision.ranking.aggregated),
        ("disagg", &decision.ranking.disaggregated),
    ];
    let mut lines = vec![format!("chosen {:?}", decision.ranking.chosen)];
    for (name, list) in lists {
        for entry in list {
            let configuration = &entry.configuration;
            let performance = &configuration.performance;
            lines.push(format!(
                "{name} {}: {}× {} = {}, {:.1} of the budget, TTFT {:.1}, ITL {:.1}{}",
                entry.rank,
                configuration.replicas,
                configuration.layout,
                configuration.total_gpus(),
                performance.tokens_per_s_per_gpu_cluster,
                performance.ttft,
                performance.itl,
                entry.lost.map_or_else(String::new, |lost| format!(" — {lost}"))
            ));
        }
    }
    for excluded in &decision.ranking.rejected {
        lines.push(format!(
            "{} {:?}: {}",
            excluded.mapping, excluded.role, excluded.reason
        ));
    }
    lines
}

#[test]
fn an_unreachable_itl_is_named_with_its_remedy() {
    let mut problem = problem();
    problem.goal = token_sla(2000.0, 3.0);
    problem.budget.max_gpus_per_engine = Some(Gpus::new(4));
    let closest = closest(decide(&problem));
    let Gap::Itl { target, achieved } = closest.binding else {
        panic!("{:?}", closest.binding);
    };
    assert_eq!(target, ms(3.0));
    assert_eq!(closest.pick.performance.itl, achieved);
    assert!(closest.also_missed.is_empty());
    insta::assert_json_snapshot!(
        closest
            .remedies
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    );
    // The relaxed bound is enough: asked for it, the planner meets it.
    problem.goal = token_sla(2000.0, achieved.get());
    assert!(matches!(decide(&problem).outcome, Outcome::Met(_)));
}

#[test]
fn two_missed_bounds_are_both_named() {
    let mut problem = problem();
    problem.goal = token_sla(10.0, 1.0);
    let closest = closest(decide(&problem));
    assert_eq!(closest.also_missed.len(), 1);
    assert!(closest.binding.excess() >= closest.also_missed[0].excess());
    let relaxed = closest
        .remedies
        .iter()
        .filter(|remedy| matches!(remedy, Remedy::RelaxItl { .. } | Remedy::RelaxTtft { .. }))
        .count();
    assert_eq!(relaxed, 2);
}

#[test]
fn a_request_latency_bound_is_a_bound_on_the_sum() {
    let mut problem = problem();
    problem.goal = Goal::Sla(Sla::RequestLatency(ms(9_000.0)));
    let Outcome::Met(met) = decide(&problem).outcome else {
        panic!("9 s is reachable");
    };
    assert!(met.performance.request_latency <= ms(9_000.0));
    problem.goal = Goal::Sla(Sla::RequestLatency(ms(1_000.0)));
    let closest = closest(decide(&problem));
    assert!(matches!(closest.binding, Gap::RequestLatency { .. }));
    assert!(matches!(closest.remedies[0], Remedy::RelaxRequestLatency { .. }));
}

#[test]
fn a_load_takes_the_fewest_gpus() {
    let mut problem = problem();
    problem.budget.total_gpus = Gpus::new(64);
    let rate = 3.0;
    problem.picking = Picking::LoadMatch(Load::rate(RequestsPerSecond::new(rate).unwrap()).unwrap());
    let decision = decide(&problem);
    let Outcome::Met(met) = &decision.outcome else {
        panic!("{:?}", decision.outcome);
    };
    assert!(met.performance.requests_per_s.get() >= rate);
    let all = decision
        .ranking
        .aggregated
        .iter()
        .chain(&decision.ranking.disaggregated)
        .filter(|entry| entry.meets_sla);
    for entry in all {
        assert!(met.total_gpus() <= entry.configuration.total_gpus());
    }
}

#[test]
fn a_load_beyond_the_budget_is_served_in_part_and_says_what_it_takes() {
    let mut problem = problem();
    problem.picking = Picking::LoadMatch(Load::Concurrency(count(1000)));
    let closest = closest(decide(&problem));
    let Gap::GpuBudget {
        needed,
        available,
        served,
    } = closest.binding
    else {
        panic!("{:?}", closest.binding);
    };
    assert_eq!(available, Gpus::new(8));
    assert!(served.get() < 1.0);
    assert!(closest.remedies.contains(&Remedy::AddGpus { total: needed }));
    problem.budget.total_gpus = needed;
    assert!(
        matches!(decide(&problem).outcome, Outcome::Met(_)),
        "{needed} are enough"
    );
}

#[test]
fn autoscale_deploys_one_worker_a_role() {
    let mut problem = problem();
    problem.picking = Picking::Autoscale;
    problem.serving = Serving::Disaggregated;
    let Outcome::Met(met) = decide(&problem).outcome else {
        panic!("feasible");
    };
    let Layout::Disaggregated { prefill, decode } = met.layout else {
        panic!("{:?}", met.layout);
    };
    assert_eq!((met.replicas, prefill.workers, decode.workers), (1, 1, 1));
}

#[test]
fn latency_first_takes_the_lowest_itl() {
    let mut problem = problem();
    problem.goal = Goal::Latency;
    let decision = decide(&problem);
    let best = decision.outcome.configuration().unwrap().performance.itl;
    for entry in decision
        .ranking
        .aggregated
        .iter()
        .chain(&decision.ranking.disaggregated)
    {
        assert!(best <= entry.configuration.performance.itl);
    }
    assert!(
        decision
            .ranking
            .aggregated
            .iter()
            .any(|entry| matches!(entry.lost, Some(Lost::Laggier { .. })))
    );
}

#[test]
fn the_front_falls_monotonically() {
    let front = decide(&problem()).ranking.pareto;
    assert!(front.len() > 5);
    for pair in front.windows(2) {
        let (fast, slow) = (
            &pair[0].configuration.performance,
            &pair[1].configuration.performance,
        );
        assert!(fast.tokens_per_s_per_user > slow.tokens_per_s_per_user);
        assert!(fast.tokens_per_s_per_gpu_cluster <= slow.tokens_per_s_per_gpu_cluster);
    }
    assert!(front.iter().any(|point| point.meets_sla));
}

#[test]
fn sglang_pairs_only_equal_widths() {
    let mut problem = problem();
    problem.backend = Backend::Sglang;
    problem.serving = Serving::Disaggregated;
    let ranking = decide(&problem).ranking;
    assert!(!ranking.disaggregated.is_empty());
    for entry in ranking.disaggregated {
        let Layout::Disaggregated { prefill, decode } = entry.configuration.layout else {
            panic!("{:?}", entry.configuration.layout);
        };
        assert_eq!(prefill.mapping, decode.mapping);
    }
}

#[test]
fn nothing_left_is_infeasible_with_every_reason() {
    let mut problem = problem();
    problem.model.weights = Bytes::new(problem.system.memory.get() * 20);
    let found = candidates(&problem);
    let Outcome::Infeasible { reasons } = pick(&problem, &found, &Measurements::new()).outcome else {
        panic!("a model of 20 GPUs cannot run on one node");
    };
    assert_eq!(reasons.len(), found.rejected.len());
    assert!(
        reasons[0].to_string().contains("TP1: does not fit by"),
        "{}",
        reasons[0]
    );
}

#[test]
fn failures_everywhere_are_infeasible_with_the_first_failure() {
    let mut problem = problem();
    problem.serving = Serving::Disaggregated;
    let measured = measure(&problem, |query| match query.point {
        Point::Decode { .. } => Err(Failure::NotCovered {
            reason: "no attention table for head size 80".to_owned(),
        }),
        Point::Prefill { .. } | Point::Aggregated { .. } => answer(query),
    });
    let Outcome::Infeasible { reasons } = pick(&problem, &candidates(&problem), &measured).outcome else {
        panic!("no decode worker has a number");
    };
    assert!(
        reasons.iter().any(|reason| reason.to_string()
            == "TP1 decode: no performance data: no attention table for head size 80")
    );
}

#[test]
fn two_roles_need_two_workers() {
    let mut problem = problem();
    problem.serving = Serving::Disaggregated;
    problem.budget.total_gpus = Gpus::new(1);
    let Outcome::Infeasible { reasons } = decide(&problem).outcome else {
        panic!("one GPU cannot hold two workers");
    };
    assert_eq!(
        reasons[0],
        Reason::NothingFits {
            needed: Gpus::new(2),
            available: Gpus::new(1)
        }
    );
}

#[test]
fn entries_have_the_names_that_readers_of_the_sweep_expect() {
    let decision = decide(&problem());
    let json = serde_json::to_value(&decision.ranking).unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let common = [
        "rank",
        "tokens_per_s_per_gpu",
        "tokens_per_s_per_gpu_cluster",
        "tokens_per_s_per_user",
        "ttft_ms",
        "tpot_ms",
        "request_latency_ms",
        "concurrency",
        "replicas",
        "gpus",
    ];
    let has = |value: &serde_json::Value, names: &[&str]| {
        for name in names {
            assert!(keys(value).contains(&(*name).to_owned()), "{name} in {value}");
        }
    };
    has(&json, &["chosen", "agg", "disagg", "pareto", "rejected"]);
    assert_eq!(json["chosen"], "agg");
    has(&json["agg"][0], &common);
    has(&json["agg"][0], &["batch_size", "context_tokens", "mapping"]);
    has(&json["disagg"][0], &common);
    has(
        &json["disagg"][0]["prefill"],
        &["workers", "batch_size", "mapping"],
    );
    has(
        &json["disagg"][0]["decode"]["mapping"],
        &["tp", "pp", "attention_dp", "moe_tp", "moe_ep"],
    );
    assert!(json["agg"][0].get("lost").is_none(), "the pick did not lose");
    assert!(
        json["agg"][1]["lost"]
            .as_str()
            .unwrap()
            .starts_with("dominated by the pick: ")
    );
}

#[test]
fn a_very_long_answer_is_slow_but_not_nothing() {
    let mut problem = problem();
    problem.workload = Workload::new(4000, 1_000_000).unwrap();
    problem.serving = Serving::Disaggregated;
    // One request takes hours: rates far below upstream's three decimals.
    assert!(matches!(decide(&problem).outcome, Outcome::Met(_)));
    let found = candidates(&problem);
    let only_single = measure(&problem, |query| match query.point {
        Point::Decode { batch } if batch > 1 => Err(Failure::PointFailed {
            reason: "not tried".to_owned(),
        }),
        Point::Prefill { .. } | Point::Decode { .. } | Point::Aggregated { .. } => answer(query),
    });
    assert!(matches!(
        pick(&problem, &found, &only_single).outcome,
        Outcome::Met(_)
    ));
}

#[test]
fn engines_are_compared_by_what_was_asked_for() {
    let problem = problem();
    let met = decide(&problem).outcome;
    let slower = {
        let mut smaller = problem.clone();
        smaller.serving = Serving::Disaggregated;
        decide(&smaller).outcome
    };
    assert!(met.beats(&slower, &problem));
    assert!(!slower.beats(&met, &problem));
    assert!(!met.beats(&met, &problem));
    let missed = |itl: f64| {
        let mut strict = problem.clone();
        strict.goal = token_sla(2000.0, itl);
        decide(&strict).outcome
    };
    assert!(met.beats(&missed(3.0), &problem));
    assert!(!missed(3.0).beats(&met, &problem));
    assert!(missed(3.0).beats(&missed(1.0), &problem));
    let nothing = Outcome::Infeasible { reasons: Vec::new() };
    assert!(missed(3.0).beats(&nothing, &problem));
    assert!(!nothing.beats(&nothing, &problem));
}
