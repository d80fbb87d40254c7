//! A full dense sweep with a probe that answers at once: what the planner itself costs.

use std::hint::black_box;
use std::num::NonZeroU32;

use criterion::{Criterion, criterion_group, criterion_main};
use dgdr_perf_model::{Backend, Estimate, Provenance};
use dgdr_sweep_planner::{
    Budget, DisaggregatedCorrections, Extensions, Goal, Measured, Measurements, ModelFacts, ModelKind,
    Picking, Point, ProbeKind, Problem, Query, SearchSpace, Serving, Sla, SystemFacts, Walk, WalkPolicy,
    Workload, candidates, pick,
};
use dgdr_units::{Bytes, Gpus, Milliseconds, RequestsPerSecond, TokensPerSecond};

fn problem(total_gpus: u32) -> Option<Problem> {
    Some(Problem {
        model: ModelFacts {
            attention_heads: NonZeroU32::new(64)?,
            kv_heads: NonZeroU32::new(8)?,
            layers: NonZeroU32::new(64)?,
            weights: Bytes::new(65_500_000_000),
            kind: ModelKind::Dense,
        },
        system: SystemFacts {
            memory: Bytes::new(141 << 30),
            gpus_per_node: NonZeroU32::new(8)?,
            gpus_per_domain: NonZeroU32::new(8)?,
        },
        backend: Backend::Trtllm,
        workload: Workload::new(4000, 1000).ok()?,
        goal: Goal::Sla(Sla::TokenLatency {
            ttft: Milliseconds::new(2000.0).ok()?,
            itl: Milliseconds::new(30.0).ok()?,
        }),
        picking: Picking::BestThroughput,
        serving: Serving::Both,
        budget: Budget {
            total_gpus: Gpus::new(total_gpus),
            max_gpus_per_engine: None,
        },
        space: SearchSpace::Guide,
        extensions: Extensions::default(),
        probe: ProbeKind::Simulated,
        corrections: DisaggregatedCorrections::upstream(),
    })
}

fn estimate(value: f64) -> Estimate<Milliseconds> {
    Estimate {
        value: Milliseconds::new(value).unwrap_or(Milliseconds::ZERO),
        provenance: Provenance::default(),
    }
}

fn answer(query: Query) -> Measured {
    let gpus = f64::from(query.mapping.gpus().get());
    match query.point {
        Point::Prefill { batch } => Measured::Prefill {
            ttft: estimate(380.0 * f64::from(batch) / gpus),
            kv_transfer: Milliseconds::ZERO,
        },
        Point::Decode { batch } => Measured::Decode {
            itl: estimate(20.0 / gpus + 0.1 * f64::from(batch)),
        },
        Point::Aggregated { batch, .. } => Measured::Aggregated {
            ttft: estimate(500.0 / gpus),
            itl: estimate(25.0 / gpus + 0.1 * f64::from(batch)),
            tokens_per_s: TokensPerSecond::new(500.0 * gpus).unwrap_or(TokensPerSecond::ZERO),
            requests_per_s: RequestsPerSecond::new(0.5 * gpus).unwrap_or(RequestsPerSecond::ZERO),
        },
    }
}

fn walked(problem: &Problem) -> Measurements {
    let policy = WalkPolicy::exhaustive(problem.workload);
    let mut walk = Walk::new(problem, &candidates(problem), &policy);
    while let Some(query) = walk.next_query() {
        if walk.record(Ok(answer(query))).is_err() {
            break;
        }
    }
    walk.finish()
}

fn sweep(criterion: &mut Criterion) {
    for total_gpus in [8, 128] {
        let Some(problem) = problem(total_gpus) else {
            return;
        };
        let found = candidates(&problem);
        let measured = walked(&problem);
        criterion.bench_function(&format!("walk {total_gpus} GPUs"), |bencher| {
            bencher.iter(|| walked(black_box(&problem)));
        });
        criterion.bench_function(&format!("pick {total_gpus} GPUs"), |bencher| {
            bencher.iter(|| pick(black_box(&problem), &found, &measured));
        });
    }
}

criterion_group!(benches, sweep);
criterion_main!(benches);
