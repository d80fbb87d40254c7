//! A plausible problem and probe for the tests of this crate.

use std::num::NonZeroU32;

use dgdr_perf_model::{Backend, Estimate, OperatorLatency, Provenance, Source};
use dgdr_units::{Bytes, Gpus, Milliseconds, RequestsPerSecond, TokensPerSecond};

use crate::*;

pub(crate) fn count(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

pub(crate) fn ms(value: f64) -> Milliseconds {
    Milliseconds::new(value).unwrap()
}

pub(crate) fn token_sla(ttft: f64, itl: f64) -> Goal {
    Goal::Sla(Sla::TokenLatency {
        ttft: ms(ttft),
        itl: ms(itl),
    })
}

/// Qwen3-32B on one node of eight H200.
pub(crate) fn problem() -> Problem {
    Problem {
        model: ModelFacts {
            attention_heads: count(64),
            kv_heads: count(8),
            layers: count(64),
            weights: Bytes::new(65_500_000_000),
            kind: ModelKind::Dense,
        },
        system: SystemFacts {
            memory: Bytes::new(141 << 30),
            gpus_per_node: count(8),
            gpus_per_domain: count(8),
        },
        backend: Backend::Trtllm,
        workload: Workload::new(4000, 1000).unwrap(),
        goal: token_sla(2000.0, 30.0),
        picking: Picking::BestThroughput,
        serving: Serving::Both,
        budget: Budget {
            total_gpus: Gpus::new(8),
            max_gpus_per_engine: None,
        },
        space: SearchSpace::Guide,
        extensions: Extensions::default(),
        probe: ProbeKind::Simulated,
        corrections: DisaggregatedCorrections::upstream(),
    }
}

pub(crate) fn estimate(value: f64) -> Estimate<Milliseconds> {
    let mut provenance = Provenance::default();
    provenance.add(OperatorLatency {
        ms: value,
        source: Source::Interpolated,
    });
    Estimate {
        value: ms(value),
        provenance,
    }
}

/// A worker whose parallel efficiency falls with its width and whose KV cache ends at `30 × GPUs` requests.
pub(crate) fn answer(query: Query) -> Answer {
    let gpus = f64::from(query.mapping.gpus().get());
    let efficiency = 1.0 / (1.0 + 0.04 * (gpus - 1.0));
    let prefill = 380.0 / (gpus * efficiency) + 10.0;
    let decode = |batch: u32| 20.0 / (gpus * efficiency) + 2.0 + 0.28 * f64::from(batch) / gpus;
    let full = |batch: u32| {
        (f64::from(batch) > 30.0 * gpus).then_some(Failure::KvOutOfMemory {
            needed: Bytes::new(u64::from(batch) << 30),
            budget: Bytes::new(30 << 30),
        })
    };
    match query.point {
        Point::Prefill { batch } => Ok(Measured::Prefill {
            ttft: estimate(prefill * f64::from(batch)),
            kv_transfer: Milliseconds::ZERO,
        }),
        Point::Decode { batch } => full(batch).map_or_else(
            || {
                Ok(Measured::Decode {
                    itl: estimate(decode(batch)),
                })
            },
            Err,
        ),
        Point::Aggregated {
            batch,
            context_tokens,
        } => full(batch).map_or_else(
            || {
                let itl = decode(batch) * 1.25;
                let ttft = prefill * f64::from(context_tokens) / 4000.0 * 1.5;
                let rate = f64::from(batch) * 1000.0 / (ttft + itl * 999.0);
                Ok(Measured::Aggregated {
                    ttft: estimate(ttft),
                    itl: estimate(itl),
                    tokens_per_s: TokensPerSecond::new(rate * 999.0).unwrap(),
                    requests_per_s: RequestsPerSecond::new(rate).unwrap(),
                })
            },
            Err,
        ),
    }
}

/// Walks and picks.
pub(crate) fn decide(problem: &Problem) -> Decision {
    let candidates = candidates(problem);
    pick(problem, &candidates, &measure(problem, answer))
}

/// Walks with a probe.
pub(crate) fn measure(problem: &Problem, probe: impl Fn(Query) -> Answer) -> Measurements {
    let mut walk = Walk::new(
        problem,
        &candidates(problem),
        &WalkPolicy::exhaustive(problem.workload),
    );
    while let Some(query) = walk.next_query() {
        walk.record(probe(query)).unwrap();
    }
    walk.finish()
}
