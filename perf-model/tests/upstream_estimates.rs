//! Whole predictions against the reference predictor (see `data/README.md`).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test's helper cannot unwrap fails the test"
)]

use std::collections::BTreeMap;

use dgdr_perf_model::{
    AggregatedQuery, Backend, ContextQuery, Engine, GenerationQuery, MappingWidths, MemoryBreakdown,
    MemoryFit, MoeQuant, ParallelMapping, PerfDatabase, PerfModelError, Precision, PrecisionOverrides,
    Speculation, SystemSpec, registry,
};
use serde::Deserialize;

/// Predictions rest on tables whose values are packed to within 1e-4.
const LATENCY_TOLERANCE: f64 = 2e-4;
/// Memory is arithmetic; bytes are rounded down.
const MEMORY_TOLERANCE: f64 = 1e-6;

#[derive(Debug, Deserialize)]
struct Row {
    model: String,
    system: String,
    backend: Backend,
    version: String,
    mode: String,
    isl: u32,
    osl: u32,
    bs: u32,
    ctx_tokens: Option<u32>,
    prefix: u32,
    tp: u32,
    pp: u32,
    dp: u32,
    moe_tp: Option<u32>,
    moe_ep: Option<u32>,
    nextn: u32,
    nextn_accepted: Option<f64>,
    ttft_ms: f64,
    tpot_ms: f64,
    request_latency_ms: f64,
    seq_s: f64,
    tokens_s_gpu: f64,
    concurrency: f64,
    mem_total_gib: f64,
    mem_weights: f64,
    mem_activations: f64,
    mem_kvcache: f64,
    mem_nccl: f64,
    mem_others: f64,
    oom: String,
    kv_oom: String,
    gemm: String,
    kvcache: String,
    fmha: String,
    moe: MoeQuant,
}

/// Name, expected, predicted and tolerance.
type Comparison = (&'static str, f64, f64, f64);

/// What is compared of a run, apart from its memory, which is.
type Answer = Result<(Vec<Comparison>, MemoryBreakdown), PerfModelError>;

fn latency(name: &'static str, expected: f64, predicted: f64) -> Comparison {
    (name, expected, predicted, LATENCY_TOLERANCE)
}

impl Row {
    fn database(&self) -> PerfDatabase {
        let system = SystemSpec::by_name(&self.system).unwrap();
        PerfDatabase::embedded(system, self.backend, Some(&self.version)).unwrap()
    }

    fn mapping(&self) -> ParallelMapping {
        ParallelMapping::new(MappingWidths {
            tp: self.tp,
            pp: self.pp,
            attention_dp: self.dp,
            moe_tp: self.moe_tp.unwrap_or(1),
            moe_ep: self.moe_ep.unwrap_or(1),
            cp: 1,
        })
        .unwrap()
    }

    fn speculation(&self) -> Speculation {
        match self.nextn_accepted {
            Some(accepted) => Speculation::new(self.nextn, accepted).unwrap(),
            None => Speculation::NONE,
        }
    }

    fn engine(&self, database: &PerfDatabase) -> Result<Engine, PerfModelError> {
        let model = registry::find(&self.model).unwrap();
        // The runs are of an interface that leaves experts as they are stored, whatever engines make of them.
        let stored = PrecisionOverrides {
            moe: Some(self.moe),
            ..PrecisionOverrides::default()
        };
        let precision = Precision::infer_with(model, database, stored)?;
        // A decode step has no prefill attention whose format could be resolved.
        let fmha = if self.mode == "static_gen" {
            self.fmha.as_str()
        } else {
            precision.fmha.name()
        };
        assert_eq!(
            [precision.gemm.name(), precision.kv.name(), fmha],
            [self.gemm.as_str(), &self.kvcache, &self.fmha],
            "{self:?}"
        );
        Engine::drafting(database, model, precision, self.mapping(), self.speculation())
    }

    fn compare(&self, database: &PerfDatabase) -> Result<Vec<Comparison>, PerfModelError> {
        let engine = self.engine(database)?;
        let (mut numbers, memory) = match self.mode.as_str() {
            "static_ctx" => self.compare_context(&engine)?,
            "static_gen" => self.compare_generation(&engine)?,
            "agg" => self.compare_aggregated(&engine)?,
            mode => panic!("unknown mode {mode}"),
        };
        numbers.extend(self.compare_memory(&memory));
        Ok(numbers)
    }

    fn compare_context(&self, engine: &Engine) -> Answer {
        let answer = engine.static_context(ContextQuery {
            batch: self.bs,
            isl: self.isl,
            prefix: self.prefix,
        })?;
        let numbers = self.rates(
            answer.requests_per_s.get(),
            answer.tokens_per_s_per_gpu.get(),
            answer.concurrency,
        );
        let ttft = latency("ttft", self.ttft_ms, answer.ttft.value.get());
        Ok((numbers.into_iter().chain([ttft]).collect(), answer.memory))
    }

    fn compare_generation(&self, engine: &Engine) -> Answer {
        let answer = engine.static_generation(GenerationQuery {
            batch: self.bs,
            isl: self.isl,
            osl: self.osl,
        })?;
        let numbers = self.rates(
            answer.requests_per_s.get(),
            answer.tokens_per_s_per_gpu.get(),
            answer.concurrency,
        );
        let latencies = [
            latency("tpot", self.tpot_ms, answer.tpot.value.get()),
            latency("latency", self.request_latency_ms, answer.request_latency.get()),
        ];
        Ok((numbers.into_iter().chain(latencies).collect(), answer.memory))
    }

    fn compare_aggregated(&self, engine: &Engine) -> Answer {
        let answer = engine.aggregated(AggregatedQuery {
            batch: self.bs,
            isl: self.isl,
            osl: self.osl,
            prefix: self.prefix,
            context_tokens: self.ctx_tokens.unwrap(),
        })?;
        let numbers = self.rates(
            answer.requests_per_s.get(),
            answer.tokens_per_s_per_gpu.get(),
            answer.concurrency,
        );
        let latencies = [
            latency("ttft", self.ttft_ms, answer.ttft.value.get()),
            latency("tpot", self.tpot_ms, answer.tpot.value.get()),
            latency("latency", self.request_latency_ms, answer.request_latency.get()),
        ];
        Ok((numbers.into_iter().chain(latencies).collect(), answer.memory))
    }

    fn rates(&self, requests_per_s: f64, tokens_per_s_per_gpu: f64, concurrency: u32) -> [Comparison; 3] {
        // Of static runs with drafts the reference tells three decimals.
        let rounded = self.nextn > 0 && self.mode.starts_with("static");
        let tolerance = if rounded { 5e-4 / self.seq_s } else { 0.0 };
        [
            (
                "requests/s",
                self.seq_s,
                requests_per_s,
                LATENCY_TOLERANCE + tolerance,
            ),
            latency("tokens/s/GPU", self.tokens_s_gpu, tokens_per_s_per_gpu),
            ("concurrency", self.concurrency, f64::from(concurrency), 0.0),
        ]
    }

    fn compare_memory(&self, memory: &MemoryBreakdown) -> Vec<Comparison> {
        let out_of_memory = matches!(memory.fit(), MemoryFit::OutOfMemory { .. });
        let kv_out_of_memory = matches!(memory.fit(), MemoryFit::KvOutOfMemory { .. });
        assert_eq!(
            (out_of_memory, kv_out_of_memory),
            (self.oom == "True", self.kv_oom == "True"),
            "{self:?}"
        );
        [
            ("memory", self.mem_total_gib, memory.gib()),
            ("weights", self.mem_weights, memory.weights.gib()),
            ("activations", self.mem_activations, memory.activations.gib()),
            ("KV cache", self.mem_kvcache, memory.kv_cache.gib()),
            ("NCCL", self.mem_nccl, memory.nccl.gib()),
            ("others", self.mem_others, memory.others.gib()),
        ]
        .map(|(name, expected, found)| (name, expected, found, MEMORY_TOLERANCE))
        .into()
    }
}

#[test]
fn predictions_agree_with_the_reference() {
    let mut reader = csv::Reader::from_reader(include_str!("data/upstream_estimates.csv").as_bytes());
    let rows: Vec<Row> = reader.deserialize().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows.len(), 246);
    let mut databases = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut worst: (f64, String) = (0.0, String::new());
    for row in &rows {
        let key = (row.system.clone(), row.backend, row.version.clone());
        let database = databases.entry(key).or_insert_with(|| row.database());
        let compared = match row.compare(database) {
            Ok(compared) => compared,
            Err(error) => {
                wrong.push(format!(
                    "{} {} {} {}: {error}",
                    row.model, row.system, row.backend, row.mode
                ));
                continue;
            }
        };
        for (name, expected, found, tolerance) in compared {
            let error = if expected.abs() > 0.0 {
                (found / expected - 1.0).abs()
            } else {
                found.abs()
            };
            let what = format!(
                "{} {} {} {} TP{}: {name} {found} instead of {expected}",
                row.model, row.system, row.backend, row.mode, row.tp
            );
            if error > tolerance {
                wrong.push(what.clone());
            }
            if error > worst.0 {
                worst = (error, what);
            }
        }
    }
    println!("largest relative error {:.2e}: {}", worst.0, worst.1);
    assert!(
        wrong.is_empty(),
        "{} numbers differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
