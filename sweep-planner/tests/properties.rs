//! What must hold for any plausible probe: budgets, monotonicity, independence of order, honesty.

#![expect(
    clippy::unwrap_used,
    reason = "a failed assumption of a test shall end the test"
)]

use std::num::NonZeroU32;

use dgdr_perf_model::{Backend, Estimate, Provenance};
use dgdr_sweep_planner::{
    Answer, Budget, Decision, DisaggregatedCorrections, Extensions, Failure, Goal, Layout, Load, Measured,
    Measurements, ModelFacts, ModelKind, Outcome, Picking, Point, ProbeKind, Problem, Query, SearchSpace,
    Serving, Sla, SystemFacts, Walk, WalkPolicy, Workload, candidates, pick,
};
use dgdr_units::{Bytes, Gpus, Milliseconds, RequestsPerSecond, TokensPerSecond};
use proptest::prelude::*;

fn count(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn ms(value: f64) -> Milliseconds {
    Milliseconds::new(value).unwrap()
}

fn estimate(value: f64) -> Estimate<Milliseconds> {
    Estimate {
        value: ms(value),
        provenance: Provenance::default(),
    }
}

/// A made-up machine: all numbers positive, latencies grow with the batch, parallelism helps less and less.
#[derive(Debug, Clone, Copy)]
struct Machine {
    prefill_ms: f64,
    decode_ms: f64,
    per_request_ms: f64,
    loss: f64,
    kv_requests_per_gpu: u32,
    mixing: f64,
}

impl Machine {
    fn answer(&self, query: Query, workload: Workload) -> Answer {
        let gpus = query.mapping.gpus().get();
        let speed = f64::from(gpus) / (1.0 + self.loss * f64::from(gpus - 1));
        let room = |batch: u32| {
            if batch > self.kv_requests_per_gpu * gpus {
                Err(Failure::KvOutOfMemory {
                    needed: Bytes::new(u64::from(batch)),
                    budget: Bytes::new(u64::from(self.kv_requests_per_gpu * gpus)),
                })
            } else {
                Ok(())
            }
        };
        let prefill = self.prefill_ms / speed;
        let decode = |batch: u32| (self.decode_ms + self.per_request_ms * f64::from(batch)) / speed;
        match query.point {
            Point::Prefill { batch } => Ok(Measured::Prefill {
                ttft: estimate(prefill * f64::from(batch)),
                kv_transfer: Milliseconds::ZERO,
            }),
            Point::Decode { batch } => room(batch).map(|()| Measured::Decode {
                itl: estimate(decode(batch)),
            }),
            Point::Aggregated {
                batch,
                context_tokens,
            } => room(batch).map(|()| {
                let ttft = prefill * f64::from(context_tokens) / f64::from(workload.isl());
                let itl = decode(batch) * self.mixing;
                let steps = f64::from(workload.osl() - 1);
                let rate = f64::from(batch) * 1000.0 / (ttft + itl * steps);
                Measured::Aggregated {
                    ttft: estimate(ttft),
                    itl: estimate(itl),
                    tokens_per_s: TokensPerSecond::new(rate * steps).unwrap(),
                    requests_per_s: RequestsPerSecond::new(rate).unwrap(),
                }
            }),
        }
    }
}

prop_compose! {
    fn machines()(
        prefill_ms in 20.0_f64..4000.0,
        decode_ms in 2.0_f64..80.0,
        per_request_ms in 0.01_f64..1.0,
        loss in 0.0_f64..0.4,
        kv_requests_per_gpu in 1_u32..80,
        mixing in 1.0_f64..2.0,
    ) -> Machine {
        Machine { prefill_ms, decode_ms, per_request_ms, loss, kv_requests_per_gpu, mixing }
    }
}

fn pickings() -> impl Strategy<Value = Picking> {
    prop_oneof![
        Just(Picking::BestThroughput),
        Just(Picking::Autoscale),
        (1_u32..2000).prop_map(|requests| Picking::LoadMatch(Load::Concurrency(count(requests)))),
        (0.1_f64..100.0)
            .prop_map(|rate| Picking::LoadMatch(Load::rate(RequestsPerSecond::new(rate).unwrap()).unwrap())),
    ]
}

prop_compose! {
    fn problems()(
        heads in prop::sample::select(vec![8_u32, 12, 16, 32, 40, 64]),
        weights_gib in 1_u64..300,
        backend in prop::sample::select(Backend::ALL.to_vec()),
        osl in 2_u32..2000,
        ttft in 20.0_f64..4000.0,
        itl in 1.0_f64..120.0,
        serving in prop::sample::select(vec![Serving::Aggregated, Serving::Disaggregated, Serving::Both]),
        total in 1_u32..70,
        corrected in any::<bool>(),
        picking in pickings(),
    ) -> Problem {
        Problem {
            model: ModelFacts {
                attention_heads: count(heads),
                kv_heads: count(8),
                layers: count(32),
                weights: Bytes::new(weights_gib << 30),
                kind: ModelKind::Dense,
            },
            system: SystemFacts { memory: Bytes::new(141 << 30), gpus_per_node: count(8), gpus_per_domain: count(8) },
            backend,
            workload: Workload::new(4000, osl).unwrap(),
            goal: Goal::Sla(Sla::TokenLatency { ttft: ms(ttft), itl: ms(itl) }),
            picking,
            serving,
            budget: Budget { total_gpus: Gpus::new(total), max_gpus_per_engine: None },
            space: SearchSpace::Guide,
            extensions: Extensions::default(),
            probe: ProbeKind::Simulated,
            corrections: if corrected {
                DisaggregatedCorrections::upstream()
            } else {
                DisaggregatedCorrections::none()
            },
        }
    }
}

fn measure(problem: &Problem, machine: Machine) -> Measurements {
    let policy = WalkPolicy::exhaustive(problem.workload);
    let mut walk = Walk::new(problem, &candidates(problem), &policy);
    while let Some(query) = walk.next_query() {
        walk.record(machine.answer(query, problem.workload)).unwrap();
    }
    walk.finish()
}

fn decide(problem: &Problem, machine: Machine) -> Decision {
    pick(problem, &candidates(problem), &measure(problem, machine))
}

/// GPUs, counted from the workers rather than from the planner's own sum.
fn gpus(layout: &Layout, replicas: u32) -> u32 {
    replicas
        * match layout {
            Layout::Aggregated { mapping, .. } => mapping.gpus().get(),
            Layout::Disaggregated { prefill, decode } => {
                prefill.workers * prefill.mapping.gpus().get() + decode.workers * decode.mapping.gpus().get()
            }
        }
}

/// Tokens per second of a pick that meets its SLA.
fn met_tokens(decision: &Decision, problem: &Problem) -> Option<f64> {
    match &decision.outcome {
        Outcome::Met(met) => Some(
            met.performance.tokens_per_s_per_gpu_cluster.get() * f64::from(problem.budget.total_gpus.get()),
        ),
        Outcome::Closest(_) | Outcome::Infeasible { .. } => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_exceeds_the_budget(problem in problems(), machine in machines()) {
        let decision = decide(&problem, machine);
        let total = problem.budget.total_gpus.get();
        let listed = decision.ranking.aggregated.iter().chain(&decision.ranking.disaggregated);
        let all = listed
            .map(|entry| &entry.configuration)
            .chain(decision.ranking.pareto.iter().map(|point| &point.configuration))
            .chain(decision.outcome.configuration());
        for configuration in all {
            prop_assert!(configuration.replicas >= 1);
            let used = gpus(&configuration.layout, configuration.replicas);
            prop_assert!(used <= total, "{used} of {total}: {configuration:?}");
            prop_assert_eq!(configuration.total_gpus(), Gpus::new(used));
        }
    }

    #[test]
    fn more_gpus_never_worsen_the_best_throughput(problem in problems(), machine in machines(), more in 1_u32..70) {
        let small = Problem { picking: Picking::BestThroughput, ..problem };
        let mut large = small.clone();
        large.budget.total_gpus = Gpus::new(small.budget.total_gpus.get() + more);
        if let Some(before) = met_tokens(&decide(&small, machine), &small) {
            let after = met_tokens(&decide(&large, machine), &large);
            // Reported numbers are rounded to three decimals a GPU.
            let slack = 0.001 * f64::from(large.budget.total_gpus.get());
            prop_assert!(after.is_some_and(|after| after >= before - slack), "{before} -> {after:?}");
        }
    }

    #[test]
    fn a_looser_sla_never_worsens_the_best_throughput(
        problem in problems(),
        machine in machines(),
        looser in 1.0_f64..3.0,
    ) {
        let tight = Problem { picking: Picking::BestThroughput, ..problem };
        let mut loose = tight.clone();
        if let Goal::Sla(Sla::TokenLatency { ttft, itl }) = tight.goal {
            loose.goal = Goal::Sla(Sla::TokenLatency { ttft: ms(ttft.get() * looser), itl: ms(itl.get() * looser) });
        }
        if let Some(before) = met_tokens(&decide(&tight, machine), &tight) {
            let after = met_tokens(&decide(&loose, machine), &loose);
            prop_assert!(after.is_some_and(|after| after >= before - 0.001), "{before} -> {after:?}");
        }
    }

    #[test]
    fn order_does_not_matter(problem in problems(), machine in machines()) {
        let mut found = candidates(&problem);
        let measured = measure(&problem, machine);
        let decision = pick(&problem, &found, &measured);
        let mut backwards = Measurements::new();
        let all: Vec<_> = measured.iter().collect();
        for (query, answer) in all.into_iter().rev() {
            backwards.record(*query, answer.clone()).unwrap();
        }
        prop_assert_eq!(&pick(&problem, &found, &backwards), &decision);
        found.kept.reverse();
        prop_assert_eq!(pick(&problem, &found, &measured).outcome, decision.outcome);
    }

    /// `Closest` is said only when nothing that was measured meets the SLA and carries the load, and `Met` never lies.
    #[test]
    fn closest_only_when_nothing_meets(problem in problems(), machine in machines()) {
        let decision = decide(&problem, machine);
        let Goal::Sla(Sla::TokenLatency { ttft, itl }) = problem.goal else { unreachable!() };
        let any_meets = decision
            .ranking
            .aggregated
            .iter()
            .chain(&decision.ranking.disaggregated)
            .any(|entry| entry.meets_sla);
        match &decision.outcome {
            Outcome::Met(met) => {
                prop_assert!(any_meets);
                prop_assert!(met.performance.ttft.get() <= ttft.get() + 0.0005);
                prop_assert!(met.performance.itl.get() <= itl.get() + 0.0005);
            }
            Outcome::Closest(closest) => {
                prop_assert!(!any_meets);
                prop_assert!(closest.binding.excess() > 0.0);
                prop_assert!(!closest.remedies.is_empty());
            }
            Outcome::Infeasible { reasons } => {
                prop_assert!(!any_meets);
                prop_assert!(!reasons.is_empty());
                prop_assert!(decision.ranking.aggregated.is_empty() && decision.ranking.disaggregated.is_empty());
            }
        }
    }

    /// No combination that a plain search over workers and copies finds is better than the pick.
    #[test]
    fn the_pick_is_exact(problem in problems(), machine in machines()) {
        let problem = Problem {
            picking: Picking::BestThroughput,
            corrections: DisaggregatedCorrections::none(),
            ..problem
        };
        let measured = measure(&problem, machine);
        let best = best_by_plain_search(&problem, &measured);
        let picked = met_tokens(&pick(&problem, &candidates(&problem), &measured), &problem);
        match (best, picked) {
            (None, None) => {}
            (Some(best), Some(picked)) => {
                prop_assert!((picked / best - 1.0).abs() < 1e-6, "picked {picked}, best {best}");
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }
}

/// Tokens per second of the best deployment that keeps the SLA, found without any of the planner's shortcuts.
fn best_by_plain_search(problem: &Problem, measured: &Measurements) -> Option<f64> {
    let Goal::Sla(Sla::TokenLatency {
        ttft: max_ttft,
        itl: max_itl,
    }) = problem.goal
    else {
        return None;
    };
    let total = problem.budget.total_gpus.get();
    let osl = f64::from(problem.workload.osl());
    let (mut prefills, mut decodes, mut best) = (Vec::new(), Vec::new(), None::<f64>);
    let mut offer = |tokens: f64| best = Some(best.map_or(tokens, |held| held.max(tokens)));
    for (query, answer) in measured.iter() {
        let gpus = query.mapping.gpus().get();
        match (query.point, answer) {
            (Point::Prefill { batch }, Ok(Measured::Prefill { ttft, .. })) if ttft.value <= max_ttft => {
                prefills.push((gpus, f64::from(batch) * 1000.0 / ttft.value.get()));
            }
            (Point::Decode { batch }, Ok(Measured::Decode { itl })) if itl.value <= max_itl => {
                decodes.push((gpus, f64::from(batch) * 1000.0 / (itl.value.get() * (osl - 1.0))));
            }
            (
                _,
                Ok(Measured::Aggregated {
                    ttft,
                    itl,
                    tokens_per_s,
                    ..
                }),
            ) if ttft.value <= max_ttft && itl.value <= max_itl => {
                offer(f64::from(total / gpus) * tokens_per_s.get());
            }
            _ => {}
        }
    }
    for (prefill_gpus, prefill_rate) in &prefills {
        for (decode_gpus, decode_rate) in &decodes {
            if problem.backend == Backend::Sglang && prefill_gpus != decode_gpus {
                continue;
            }
            for (prefill_workers, decode_workers) in
                (1..=32_u32).flat_map(|p| (1..=32_u32).map(move |d| (p, d)))
            {
                let copy = prefill_workers * prefill_gpus + decode_workers * decode_gpus;
                let allowed = [1, 2, 4].contains(&copy) || (copy % 8 == 0 && copy <= 128);
                if allowed && copy <= total {
                    let rate = (prefill_rate * f64::from(prefill_workers))
                        .min(decode_rate * f64::from(decode_workers));
                    offer(f64::from(total / copy) * rate * osl);
                }
            }
        }
    }
    best
}
