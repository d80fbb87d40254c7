//! The planner finds what `aiconfigurator cli default` 0.12.0 finds, given the same single-worker numbers.
//!
//! Data and source: `tests/data/README.md`. Each search is replayed: a point that upstream did not evaluate must not
//! be asked, and the best configuration of each mapping must be upstream's.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed assumption of a test shall end the test"
)]

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use dgdr_perf_model::{Backend, Estimate, ParallelMapping, Provenance};
use dgdr_sweep_planner::{
    Answer, Budget, Decision, DisaggregatedCorrections, Failure, Goal, Layout, Measured, Measurements,
    ModelFacts, ModelKind, Picking, Point, ProbeKind, Problem, Query, RankedEntry, Role, Serving, Sla,
    SystemFacts, Walk, WalkPolicy, Workload, candidates, pick,
};
use dgdr_units::{Bytes, Gpus, Milliseconds, RequestsPerSecond, TokensPerSecond};

const POINTS: &str = include_str!("data/upstream_points.csv");
const SEARCHES: &str = include_str!("data/upstream_searches.csv");

/// Relative difference that nine digits and upstream's three decimals may leave.
const TOLERANCE: f64 = 1e-3;

type Record = BTreeMap<String, String>;

fn records(text: &str, case: &str) -> Vec<Record> {
    csv::Reader::from_reader(text.as_bytes())
        .deserialize::<Record>()
        .map(Result::unwrap)
        .filter(|record| record["case"] == case)
        .collect()
}

fn number(record: &Record, column: &str) -> f64 {
    record[column]
        .parse()
        .unwrap_or_else(|_| panic!("{column}: {record:?}"))
}

fn whole(record: &Record, column: &str) -> u32 {
    record[column]
        .parse()
        .unwrap_or_else(|_| panic!("{column}: {record:?}"))
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

fn replayed(case: &str) -> BTreeMap<Query, Answer> {
    records(POINTS, case)
        .iter()
        .map(|record| {
            let batch = whole(record, "batch");
            let (point, measured): (_, Box<dyn Fn() -> Measured>) = match record["role"].as_str() {
                "prefill" => (
                    Point::Prefill { batch },
                    Box::new(|| Measured::Prefill {
                        ttft: estimate(number(record, "ttft_ms")),
                    }),
                ),
                "decode" => (
                    Point::Decode { batch },
                    Box::new(|| Measured::Decode {
                        itl: estimate(number(record, "tpot_ms")),
                    }),
                ),
                _ => (
                    Point::Aggregated {
                        batch,
                        context_tokens: whole(record, "context_tokens"),
                    },
                    Box::new(|| Measured::Aggregated {
                        ttft: estimate(number(record, "ttft_ms")),
                        itl: estimate(number(record, "tpot_ms")),
                        tokens_per_s: TokensPerSecond::new(number(record, "tokens_per_s")).unwrap(),
                        requests_per_s: RequestsPerSecond::new(number(record, "requests_per_s")).unwrap(),
                    }),
                ),
            };
            let full = || Failure::OutOfMemory {
                needed: Bytes::new(2),
                available: Bytes::new(1),
            };
            let answer = if record["memory"] == "fits" {
                Ok(measured())
            } else {
                Err(full())
            };
            let mapping = ParallelMapping::tp(whole(record, "tp")).unwrap();
            (Query { mapping, point }, answer)
        })
        .collect()
}

/// What a search asked for.
struct Search {
    case: &'static str,
    backend: Backend,
    weights: u64,
    layers: u32,
    memory: u64,
    gpus: u32,
    osl: u32,
    ttft: f64,
    itl: f64,
}

const QWEN_TRTLLM: Search = Search {
    case: "qwen3-32b-h200-trtllm",
    backend: Backend::Trtllm,
    weights: 65_500_000_000,
    layers: 64,
    memory: 151_397_597_184,
    gpus: 8,
    osl: 1000,
    ttft: 2000.0,
    itl: 30.0,
};

const QWEN_VLLM: Search = Search {
    case: "qwen3-32b-h200-vllm",
    backend: Backend::Vllm,
    ..QWEN_TRTLLM
};

const LLAMA_VLLM: Search = Search {
    case: "llama-70b-b200-vllm",
    backend: Backend::Vllm,
    weights: 141_000_000_000,
    layers: 80,
    memory: 193_273_528_320,
    gpus: 16,
    osl: 500,
    ttft: 1000.0,
    itl: 20.0,
};

impl Search {
    fn problem(&self) -> Problem {
        let count = |number| NonZeroU32::new(number).unwrap();
        Problem {
            model: ModelFacts {
                attention_heads: count(64),
                kv_heads: count(8),
                layers: count(self.layers),
                weights: Bytes::new(self.weights),
                kind: ModelKind::Dense,
            },
            system: SystemFacts {
                memory: Bytes::new(self.memory),
                gpus_per_node: count(8),
            },
            backend: self.backend,
            workload: Workload::new(4000, self.osl).unwrap(),
            goal: Goal::Sla(Sla::TokenLatency {
                ttft: ms(self.ttft),
                itl: ms(self.itl),
            }),
            picking: Picking::BestThroughput,
            serving: Serving::Both,
            budget: Budget {
                total_gpus: Gpus::new(self.gpus),
                max_gpus_per_engine: None,
            },
            probe: ProbeKind::Simulated,
            corrections: DisaggregatedCorrections::upstream(),
        }
    }

    fn measure(&self) -> Measurements {
        let problem = self.problem();
        let answers = replayed(self.case);
        let mut walk = Walk::new(
            &problem,
            &candidates(&problem),
            &WalkPolicy::exhaustive(problem.workload),
        );
        while let Some(query) = walk.next_query() {
            let answer = answers
                .get(&query)
                .unwrap_or_else(|| panic!("{}: upstream never evaluated {query}", self.case));
            walk.record(answer.clone()).unwrap();
        }
        walk.finish()
    }

    fn decide(&self) -> Decision {
        let problem = self.problem();
        pick(&problem, &candidates(&problem), &self.measure())
    }

    fn golden(&self, experiment: &str) -> Vec<Record> {
        records(SEARCHES, self.case)
            .into_iter()
            .filter(|record| record["exp"] == experiment)
            .collect()
    }
}

fn assert_near(what: &str, ours: f64, record: &Record, column: &str) {
    let theirs = number(record, column);
    assert!(
        (ours / theirs - 1.0).abs() < TOLERANCE,
        "{what} {column}: {ours} vs upstream's {theirs}"
    );
}

fn assert_same_throughput(what: &str, entry: &RankedEntry, record: &Record) {
    let performance = &entry.configuration.performance;
    assert_eq!(entry.rank, whole(record, "rank"), "{what}");
    assert!(entry.meets_sla, "{what}");
    assert_eq!(
        entry.configuration.gpus.get(),
        whole(record, "num_total_gpus"),
        "{what}"
    );
    assert_near(
        what,
        performance.tokens_per_s_per_gpu.get(),
        record,
        "tokens_per_s_per_gpu",
    );
    assert_near(
        what,
        performance.tokens_per_s_per_gpu_cluster.get(),
        record,
        "tokens_per_s_per_gpu_cluster",
    );
    assert_near(what, performance.ttft.get(), record, "ttft");
}

fn assert_same_latency(what: &str, entry: &RankedEntry, record: &Record) {
    let performance = &entry.configuration.performance;
    assert_near(what, performance.itl.get(), record, "tpot");
    assert_near(what, performance.request_latency.get(), record, "request_latency");
    assert_eq!(performance.concurrency, whole(record, "concurrency"), "{what}");
}

fn assert_aggregated(search: &Search, decision: &Decision) {
    let golden = search.golden("agg");
    let met = decision
        .ranking
        .aggregated
        .iter()
        .filter(|entry| entry.meets_sla)
        .count();
    assert_eq!(met, golden.len(), "{}: mappings that meet the SLA", search.case);
    for (entry, record) in decision.ranking.aggregated.iter().zip(&golden) {
        let what = format!("{} agg {}", search.case, entry.rank);
        assert_same_throughput(&what, entry, record);
        assert_same_latency(&what, entry, record);
        let Layout::Aggregated {
            batch_size,
            context_tokens,
            mapping,
        } = entry.configuration.layout
        else {
            panic!("{what}: {:?}", entry.configuration.layout);
        };
        assert_eq!(mapping.widths().tp, whole(record, "tp"), "{what}");
        assert_eq!(batch_size, whole(record, "bs"), "{what}");
        assert_eq!(context_tokens, whole(record, "ctx_tokens"), "{what}");
    }
}

/// Whether the batch of decode workers must be upstream's.
#[derive(PartialEq, Eq)]
enum DecodeBatch {
    /// Decode limits the throughput, so only one batch is best.
    Unique,
    /// Prefill limits it: any batch from some size on ties, and upstream's choice is the accident of an unstable sort.
    /// Ours is the smallest of them, which has the lowest ITL.
    Tied,
}

fn assert_disaggregated(search: &Search, decision: &Decision, batch: &DecodeBatch) {
    let golden = search.golden("disagg");
    assert!(decision.ranking.disaggregated.len() >= golden.len());
    for (entry, record) in decision.ranking.disaggregated.iter().zip(&golden) {
        let what = format!("{} disagg {}", search.case, entry.rank);
        let Layout::Disaggregated { prefill, decode } = entry.configuration.layout else {
            panic!("{what}: {:?}", entry.configuration.layout);
        };
        let ours = [
            prefill.workers,
            prefill.batch_size,
            prefill.mapping.widths().tp,
            decode.workers,
            decode.mapping.widths().tp,
        ];
        let theirs = ["p_workers", "p_bs", "p_tp", "d_workers", "d_tp"].map(|column| whole(record, column));
        assert_eq!(ours, theirs, "{what}");
        assert_same_throughput(&what, entry, record);
        match batch {
            DecodeBatch::Unique => {
                assert_eq!(decode.batch_size, whole(record, "d_bs"), "{what}");
                assert_same_latency(&what, entry, record);
            }
            DecodeBatch::Tied => {
                assert!(decode.batch_size < whole(record, "d_bs"), "{what}");
                assert!(
                    entry.configuration.performance.itl.get() < number(record, "tpot"),
                    "{what}"
                );
            }
        }
    }
}

#[test]
fn qwen3_32b_on_trtllm() {
    let decision = QWEN_TRTLLM.decide();
    assert_aggregated(&QWEN_TRTLLM, &decision);
    assert_disaggregated(&QWEN_TRTLLM, &decision, &DecodeBatch::Unique);
    assert!(
        !decision
            .outcome
            .configuration()
            .unwrap()
            .layout
            .is_disaggregated()
    );
}

#[test]
fn qwen3_32b_on_vllm() {
    let decision = QWEN_VLLM.decide();
    assert_aggregated(&QWEN_VLLM, &decision);
    assert_disaggregated(&QWEN_VLLM, &decision, &DecodeBatch::Unique);
    assert!(
        decision
            .outcome
            .configuration()
            .unwrap()
            .layout
            .is_disaggregated()
    );
}

#[test]
fn llama_70b_on_vllm() {
    let decision = LLAMA_VLLM.decide();
    assert_aggregated(&LLAMA_VLLM, &decision);
    assert_disaggregated(&LLAMA_VLLM, &decision, &DecodeBatch::Tied);
    assert!(
        decision
            .outcome
            .configuration()
            .unwrap()
            .layout
            .is_disaggregated()
    );
}

/// Every aggregated point that upstream could use is asked for, so that no configuration is overlooked.
#[test]
fn the_walk_visits_all_that_upstream_visits() {
    for search in [QWEN_TRTLLM, QWEN_VLLM, LLAMA_VLLM] {
        let measured = search.measure();
        for (query, answer) in replayed(search.case) {
            let deployable =
                query.point.role() == Role::Aggregated || query.mapping.gpus() < Gpus::new(search.gpus);
            if answer.is_ok() && deployable {
                assert_eq!(measured.get(&query), Some(&answer), "{}: {query}", search.case);
            }
        }
    }
}
