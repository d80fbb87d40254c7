//! Searches that upstream ran, run by us.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use dgdr_perf_model::graph::{GraphQuery, OperatorGraph, splits_prompts};
use dgdr_perf_model::{
    AggregatedQuery, Backend, ContextQuery, Engine, ExchangePolicy, GenerationQuery, MemoryFit, ModelSpec,
    MoeQuant, ParallelMapping, PerfDatabase, PerfModelError, Precision, SystemSpec, registry,
};
use dgdr_sweep_planner::{
    Answer, AttentionKind, Budget, Decision, DisaggregatedCorrections, ExpertFacts, Extensions, Failure,
    Goal, Measured, Measurements, ModelFacts, ModelKind, Picking, Point, ProbeKind, Problem, Query,
    SearchSpace, Serving, Sla, SystemFacts, Walk, WalkPolicy, Workload, candidates, pick,
};
use dgdr_units::{Bytes, Gpus, Milliseconds, floor_count};

use super::golden::{Record, SEARCHES, ms, records, replayed};

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
pub(crate) struct Search {
    pub(crate) case: &'static str,
    model: &'static str,
    system: &'static str,
    backend: Backend,
    pub(crate) gpus: u32,
    pub(crate) osl: u32,
    ttft: f64,
    itl: f64,
    pub(crate) chooses_disaggregated: bool,
}

const QWEN: Search = Search {
    case: "",
    model: "Qwen/Qwen3-32B",
    system: "h200_sxm",
    backend: Backend::Trtllm,
    gpus: 8,
    osl: 1000,
    ttft: 2000.0,
    itl: 30.0,
    chooses_disaggregated: false,
};

pub(crate) const QWEN_TRTLLM: Search = Search {
    case: "qwen3-32b-h200-trtllm",
    ..QWEN
};

pub(crate) const QWEN_VLLM: Search = Search {
    case: "qwen3-32b-h200-vllm",
    backend: Backend::Vllm,
    chooses_disaggregated: true,
    ..QWEN
};

pub(crate) const QWEN_SGLANG: Search = Search {
    case: "qwen3-32b-h200-sglang",
    backend: Backend::Sglang,
    ..QWEN
};

pub(crate) const LLAMA_VLLM: Search = Search {
    case: "llama-70b-b200-vllm",
    model: "meta-llama/Meta-Llama-3.1-70B",
    system: "b200_sxm",
    backend: Backend::Vllm,
    gpus: 16,
    osl: 500,
    ttft: 1000.0,
    itl: 20.0,
    chooses_disaggregated: true,
};

pub(crate) const SMALL_MIXTURE: Search = Search {
    case: "qwen3-30b-h200-sglang",
    model: "Qwen/Qwen3-30B-A3B",
    backend: Backend::Sglang,
    ..QWEN
};

pub(crate) const LARGE_MIXTURE: Search = Search {
    case: "qwen3-235b-h200-trtllm",
    model: "Qwen/Qwen3-235B-A22B-FP8",
    gpus: 16,
    chooses_disaggregated: true,
    ..QWEN
};

pub(crate) const DEEPSEEK_TRTLLM: Search = Search {
    case: "deepseek-v3-b200-trtllm",
    model: "deepseek-ai/DeepSeek-V3",
    system: "b200_sxm",
    gpus: 16,
    ..QWEN
};

pub(crate) const DEEPSEEK_SGLANG: Search = Search {
    case: "deepseek-v3-h200-sglang",
    model: "deepseek-ai/DeepSeek-V3",
    backend: Backend::Sglang,
    gpus: 32,
    ttft: 3000.0,
    itl: 40.0,
    ..QWEN
};

fn count(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn kind(model: &ModelSpec, precision: Precision) -> ModelKind {
    model.experts.map_or(ModelKind::Dense, |experts| {
        ModelKind::MixtureOfExperts(ExpertFacts {
            experts: count(experts.count),
            intermediate: count(experts.intermediate),
            block: count(if precision.moe == MoeQuant::Fp8Block {
                128
            } else {
                1
            }),
            attention: if model.latent_attention.is_some() {
                AttentionKind::Latent
            } else {
                AttentionKind::Grouped
            },
        })
    })
}

impl Search {
    fn database(&self) -> PerfDatabase {
        PerfDatabase::embedded(SystemSpec::by_name(self.system).unwrap(), self.backend, None)
            .unwrap()
            .with_exchange(ExchangePolicy::WhereMeasured)
    }

    pub(crate) fn problem(&self) -> Problem {
        let model = registry::find(self.model).unwrap();
        let database = self.database();
        let precision = Precision::infer(model, &database).unwrap();
        let system = database.system();
        let query = GraphQuery {
            model,
            precision,
            mapping: ParallelMapping::SINGLE,
            backend: self.backend,
            system,
            drafted: 0,
        };
        let weights = OperatorGraph::of(query).unwrap().weight_bytes();
        Problem {
            model: ModelFacts {
                attention_heads: count(model.heads),
                kv_heads: count(model.kv_heads),
                layers: count(model.layers),
                weights: Bytes::new(floor_count(weights)),
                kind: kind(model, precision),
            },
            system: SystemFacts {
                memory: system.memory_capacity,
                gpus_per_node: count(system.gpus_per_node),
                gpus_per_domain: count(system.gpus_per_node),
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
            space: SearchSpace::Wide,
            extensions: Extensions {
                context_parallel: if splits_prompts(model.family, self.backend) {
                    vec![2, 4, 8]
                } else {
                    Vec::new()
                },
                pipeline_stages: Vec::new(),
                exchanged_experts: database.exchanged_widths(model, precision, 64),
            },
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
    pub(crate) fn replay(&self) -> Measurements {
        let answers = replayed(self.case);
        self.measure(|query| {
            answers
                .get(&query)
                .unwrap_or_else(|| panic!("{}: upstream never evaluated {query}", self.case))
                .clone()
        })
    }

    /// Answers with the performance model's numbers.
    pub(crate) fn simulate(&self) -> Measurements {
        let database = self.database();
        let model = registry::find(self.model).unwrap();
        let precision = Precision::infer(model, &database).unwrap();
        let mut engines = BTreeMap::new();
        self.measure(|query| {
            let engine = engines
                .entry(query.mapping)
                .or_insert_with(|| Engine::new(&database, model, precision, query.mapping));
            match engine {
                Ok(engine) => simulated(engine, query.point, self.osl),
                Err(error) => Err(Failure::NotCovered {
                    reason: error.to_string(),
                }),
            }
        })
    }

    pub(crate) fn decide(&self, measured: &Measurements) -> Decision {
        let problem = self.problem();
        pick(&problem, &candidates(&problem), measured)
    }

    pub(crate) fn golden(&self, experiment: &str) -> Vec<Record> {
        records(SEARCHES, self.case)
            .into_iter()
            .filter(|record| record["exp"] == experiment)
            .collect()
    }
}
