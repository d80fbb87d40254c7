//! The planner finds what `aiconfigurator cli default` 0.12.0 finds, given the same single-worker numbers.
//!
//! Data and source: `tests/data/README.md`. Each search is replayed: a point that upstream did not evaluate must not
//! be asked, and the best configuration of each mapping must be upstream's. Then the same is asked of our own
//! performance model.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed assumption of a test shall end the test"
)]

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use dgdr_perf_model::{AggregatedQuery, ContextQuery, GenerationQuery};
use dgdr_perf_model::{
    Backend, Engine, Estimate, MemoryFit, ParallelMapping, PerfDatabase, PerfModelError, Precision,
    Provenance, SystemSpec, registry,
};
use dgdr_sweep_planner::{
    Answer, Budget, Decision, DisaggregatedCorrections, Extensions, Failure, Goal, Layout, Measured,
    Measurements, ModelFacts, ModelKind, Picking, Point, ProbeKind, Problem, Query, RankedEntry, Role,
    SearchSpace, Serving, Sla, SystemFacts, Walk, WalkPolicy, Workload, candidates, pick,
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
                        kv_transfer: Milliseconds::ZERO,
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

/// One point, asked of the performance model.
fn simulated(engine: &Engine, point: Point, osl: u32) -> Answer {
    let isl = 4000;
    let answer = match point {
        Point::Prefill { batch } => engine
            .static_context(ContextQuery {
                batch,
                isl,
                prefix: 0,
            })
            .map(|worker| {
                (
                    worker.memory.fit(),
                    Measured::Prefill {
                        ttft: worker.ttft,
                        kv_transfer: Milliseconds::ZERO,
                    },
                )
            }),
        Point::Decode { batch } => engine
            .static_generation(GenerationQuery { batch, isl, osl })
            .map(|worker| (worker.memory.fit(), Measured::Decode { itl: worker.tpot })),
        Point::Aggregated {
            batch,
            context_tokens,
        } => engine
            .aggregated(AggregatedQuery {
                batch,
                isl,
                osl,
                prefix: 0,
                context_tokens,
            })
            .map(|worker| {
                (
                    worker.memory.fit(),
                    Measured::Aggregated {
                        ttft: worker.ttft,
                        itl: worker.tpot,
                        tokens_per_s: worker.tokens_per_s,
                        requests_per_s: worker.requests_per_s,
                    },
                )
            }),
    };
    match answer {
        Ok((MemoryFit::Fits, measured)) => Ok(measured),
        Ok((MemoryFit::OutOfMemory { needed, available }, _)) => {
            Err(Failure::OutOfMemory { needed, available })
        }
        Ok((MemoryFit::KvOutOfMemory { needed, budget }, _)) => {
            Err(Failure::KvOutOfMemory { needed, budget })
        }
        Err(error) => Err(Failure::NotCovered {
            reason: PerfModelError::to_string(&error),
        }),
    }
}

/// What a search asked for.
struct Search {
    case: &'static str,
    model: &'static str,
    system: &'static str,
    backend: Backend,
    weights: u64,
    layers: u32,
    memory: u64,
    gpus: u32,
    osl: u32,
    ttft: f64,
    itl: f64,
    chooses_disaggregated: bool,
}

const QWEN_TRTLLM: Search = Search {
    case: "qwen3-32b-h200-trtllm",
    model: "Qwen/Qwen3-32B",
    system: "h200_sxm",
    backend: Backend::Trtllm,
    weights: 65_500_000_000,
    layers: 64,
    memory: 151_397_597_184,
    gpus: 8,
    osl: 1000,
    ttft: 2000.0,
    itl: 30.0,
    chooses_disaggregated: false,
};

const QWEN_VLLM: Search = Search {
    case: "qwen3-32b-h200-vllm",
    backend: Backend::Vllm,
    chooses_disaggregated: true,
    ..QWEN_TRTLLM
};

const LLAMA_VLLM: Search = Search {
    case: "llama-70b-b200-vllm",
    model: "meta-llama/Meta-Llama-3.1-70B",
    system: "b200_sxm",
    backend: Backend::Vllm,
    weights: 141_000_000_000,
    layers: 80,
    memory: 193_273_528_320,
    gpus: 16,
    osl: 500,
    ttft: 1000.0,
    itl: 20.0,
    chooses_disaggregated: true,
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
                gpus_per_domain: count(8),
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
            space: SearchSpace::Guide,
            extensions: Extensions::default(),
            probe: ProbeKind::Simulated,
            corrections: DisaggregatedCorrections::upstream(),
        }
    }

    fn measure(&self, mut probe: impl FnMut(Query) -> Answer) -> Measurements {
        let problem = self.problem();
        let policy = WalkPolicy::exhaustive(problem.workload);
        let mut walk = Walk::new(&problem, &candidates(&problem), &policy);
        while let Some(query) = walk.next_query() {
            walk.record(probe(query)).unwrap();
        }
        walk.finish()
    }

    /// Answers with upstream's own numbers.
    fn replay(&self) -> Measurements {
        let answers = replayed(self.case);
        self.measure(|query| {
            answers
                .get(&query)
                .unwrap_or_else(|| panic!("{}: upstream never evaluated {query}", self.case))
                .clone()
        })
    }

    /// Answers with the performance model's numbers.
    fn simulate(&self) -> Measurements {
        let database =
            PerfDatabase::embedded(SystemSpec::by_name(self.system).unwrap(), self.backend, None).unwrap();
        let model = registry::find(self.model).unwrap();
        let precision = Precision::infer(model, &database).unwrap();
        let mut engines = BTreeMap::new();
        self.measure(|query| {
            let engine = engines
                .entry(query.mapping)
                .or_insert_with(|| Engine::new(&database, model, precision, query.mapping).unwrap());
            simulated(engine, query.point, self.osl)
        })
    }

    fn decide(&self, measured: &Measurements) -> Decision {
        let problem = self.problem();
        pick(&problem, &candidates(&problem), measured)
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

/// Which way of serving upstream chose, and how its disaggregated rows tie.
fn assert_upstream(search: &Search, measured: &Measurements, batch: &DecodeBatch) {
    let decision = search.decide(measured);
    assert_aggregated(search, &decision);
    assert_disaggregated(search, &decision, batch);
    let chosen = decision
        .outcome
        .configuration()
        .unwrap()
        .layout
        .is_disaggregated();
    assert_eq!(chosen, search.chooses_disaggregated, "{}", search.case);
}

#[test]
fn qwen3_32b_on_trtllm_replayed() {
    assert_upstream(&QWEN_TRTLLM, &QWEN_TRTLLM.replay(), &DecodeBatch::Unique);
}

#[test]
fn qwen3_32b_on_vllm_replayed() {
    assert_upstream(&QWEN_VLLM, &QWEN_VLLM.replay(), &DecodeBatch::Unique);
}

#[test]
fn llama_70b_on_vllm_replayed() {
    assert_upstream(&LLAMA_VLLM, &LLAMA_VLLM.replay(), &DecodeBatch::Tied);
}

#[test]
fn qwen3_32b_on_trtllm_simulated() {
    assert_upstream(&QWEN_TRTLLM, &QWEN_TRTLLM.simulate(), &DecodeBatch::Unique);
}

#[test]
fn qwen3_32b_on_vllm_simulated() {
    assert_upstream(&QWEN_VLLM, &QWEN_VLLM.simulate(), &DecodeBatch::Unique);
}

#[test]
fn llama_70b_on_vllm_simulated() {
    assert_upstream(&LLAMA_VLLM, &LLAMA_VLLM.simulate(), &DecodeBatch::Tied);
}

/// Every aggregated point that upstream could use is asked for, so that no configuration is overlooked.
#[test]
fn the_walk_visits_all_that_upstream_visits() {
    for search in [QWEN_TRTLLM, QWEN_VLLM, LLAMA_VLLM] {
        let measured = search.replay();
        for (query, answer) in replayed(search.case) {
            let deployable =
                query.point.role() == Role::Aggregated || query.mapping.gpus() < Gpus::new(search.gpus);
            if answer.is_ok() && deployable {
                assert_eq!(measured.get(&query), Some(&answer), "{}: {query}", search.case);
            }
        }
    }
}
