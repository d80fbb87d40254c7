//! Every operator of the reference predictor's runs for dense models (see `data/README.md`).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test's helper cannot unwrap fails the test"
)]

use std::collections::BTreeMap;

use dgdr_perf_model::{
    AggregatedQuery, Backend, ContextQuery, Engine, GenerationQuery, MappingWidths, OperatorTime,
    ParallelMapping, PerfDatabase, Precision, SystemSpec, registry,
};
use serde::Deserialize;

/// Table values are packed to within 1e-4; differences of two of them (static fp8) may double that.
const TOLERANCE: f64 = 1.5e-4;

#[derive(Debug, Deserialize)]
struct Run {
    model: String,
    system: String,
    backend: Backend,
    isl: u32,
    osl: u32,
    batch: u32,
    prefix: u32,
    tp: u32,
    pp: u32,
    dp: u32,
    context_tokens: Option<u32>,
    #[serde(default)]
    schedule: Option<Schedule>,
    operators: BTreeMap<String, BTreeMap<String, f64>>,
}

#[derive(Debug, Deserialize)]
struct Schedule {
    num_mix_steps: f64,
    num_genonly_steps: f64,
    mix_step_latency_ms: f64,
    genonly_step_latency_ms: f64,
    mix_decode_requests: f64,
}

impl Run {
    fn engine(&self) -> Engine {
        let system = SystemSpec::by_name(&self.system).unwrap();
        let database = PerfDatabase::embedded(system, self.backend, None).unwrap();
        let model = registry::find(&self.model).unwrap();
        let precision = Precision::infer(model, &database).unwrap();
        let mapping = ParallelMapping::new(MappingWidths {
            tp: self.tp,
            pp: self.pp,
            attention_dp: self.dp,
            moe_tp: 1,
            moe_ep: 1,
            cp: 1,
        })
        .unwrap();
        Engine::new(&database, model, precision, mapping).unwrap()
    }

    fn aggregated(&self) -> AggregatedQuery {
        AggregatedQuery {
            batch: self.batch,
            isl: self.isl,
            osl: self.osl,
            prefix: self.prefix,
            context_tokens: self.context_tokens.unwrap(),
        }
    }

    fn predicted(&self, engine: &Engine, step: &str) -> Vec<OperatorTime> {
        match step {
            "context" => engine
                .context_operators(ContextQuery {
                    batch: self.batch,
                    isl: self.isl,
                    prefix: self.prefix,
                })
                .unwrap(),
            "generation" => engine
                .generation_operators(GenerationQuery {
                    batch: self.batch,
                    isl: self.isl,
                    osl: self.osl,
                })
                .unwrap(),
            "mixed" => engine.aggregated_operators(self.aggregated()).unwrap().mixed,
            "decode" => engine.aggregated_operators(self.aggregated()).unwrap().decode,
            step => panic!("unknown step {step}"),
        }
    }

    /// Scheduling of an aggregated run: what differs, in words.
    fn schedule_differences(&self, engine: &Engine) -> Vec<String> {
        let Some(schedule) = &self.schedule else {
            return Vec::new();
        };
        let answer = engine.aggregated(self.aggregated()).unwrap();
        [
            ("mixed steps", schedule.num_mix_steps, answer.steps.mixed_count),
            (
                "decode steps",
                schedule.num_genonly_steps,
                answer.steps.decode_count,
            ),
            (
                "mixed step",
                schedule.mix_step_latency_ms,
                answer.steps.mixed.get(),
            ),
            (
                "decode step",
                schedule.genonly_step_latency_ms,
                answer.steps.decode.get(),
            ),
            (
                "decoding requests",
                schedule.mix_decode_requests,
                f64::from(answer.generation_requests),
            ),
        ]
        .into_iter()
        .filter(|(_, expected, found)| (found / expected - 1.0).abs() > TOLERANCE)
        .map(|(name, expected, found)| format!("{name} {found} instead of {expected}"))
        .collect()
    }
}

#[test]
fn every_operator_of_dense_models_agrees_with_the_reference() {
    let runs: Vec<Run> = serde_json::from_str(include_str!("data/upstream_operators.json")).unwrap();
    assert_eq!(runs.len(), 84);
    let (mut compared, mut worst) = (0, 0.0_f64);
    let mut wrong = Vec::new();
    for run in &runs {
        let engine = run.engine();
        let mut differences = run.schedule_differences(&engine);
        for (step, expected) in &run.operators {
            let predicted: BTreeMap<String, f64> = run
                .predicted(&engine, step)
                .into_iter()
                .map(|operator| (operator.name.to_string(), operator.latency.ms))
                .collect();
            assert_eq!(predicted.len(), expected.len(), "{run:?}");
            for (name, expected) in expected {
                let found = predicted[name.trim_end_matches(" (scaled)")];
                let error = if *expected > 0.0 {
                    (found / expected - 1.0).abs()
                } else {
                    found.abs()
                };
                compared += 1;
                worst = worst.max(error);
                if error > TOLERANCE {
                    differences.push(format!("{step} {name} {found} instead of {expected}"));
                }
            }
        }
        let what = format!("{} {} {} TP{}", run.model, run.system, run.backend, run.tp);
        wrong.extend(
            differences
                .into_iter()
                .map(|difference| format!("{what}: {difference}")),
        );
    }
    println!("{compared} operators, largest relative error {worst:.2e}");
    assert!(
        wrong.is_empty(),
        "{} values differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
