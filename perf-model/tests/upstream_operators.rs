//! Every operator of the reference predictor's runs (see `data/README.md`).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test's helper cannot unwrap fails the test"
)]

use std::collections::BTreeMap;

use dgdr_perf_model::{
    AggregatedQuery, Backend, ContextQuery, Engine, GenerationQuery, MappingWidths, OperatorTime,
    ParallelMapping, PerfDatabase, PerfModelError, Precision, PrecisionOverrides, Speculation, SystemSpec,
    registry,
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
    moe_tp: Option<u32>,
    moe_ep: Option<u32>,
    nextn: u32,
    nextn_accepted: Option<f64>,
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
    fn database(&self) -> PerfDatabase {
        let system = SystemSpec::by_name(&self.system).unwrap();
        PerfDatabase::embedded(system, self.backend, None).unwrap()
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
            moe: model.quantization.moe,
            ..PrecisionOverrides::default()
        };
        let precision = Precision::infer_with(model, database, stored)?;
        Engine::drafting(database, model, precision, self.mapping(), self.speculation())
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
fn every_operator_agrees_with_the_reference() {
    let runs: Vec<Run> = serde_json::from_str(include_str!("data/upstream_operators.json")).unwrap();
    assert_eq!(runs.len(), 246);
    let (mut compared, mut worst) = (0, 0.0_f64);
    let mut wrong = Vec::new();
    let mut databases = BTreeMap::new();
    for run in &runs {
        let key = (run.system.clone(), run.backend);
        let database = databases.entry(key).or_insert_with(|| run.database());
        let engine = match run.engine(database) {
            Ok(engine) => engine,
            Err(error) => {
                wrong.push(format!("{} {} {}: {error}", run.model, run.system, run.backend));
                continue;
            }
        };
        let mut differences = run.schedule_differences(&engine);
        for (step, expected) in &run.operators {
            // Operators of one name are told together.
            let mut predicted: BTreeMap<String, f64> = BTreeMap::new();
            for operator in run.predicted(&engine, step) {
                *predicted.entry(operator.name.to_string()).or_default() += operator.latency.ms;
            }
            let told = |name: &str| predicted.get(name.trim_end_matches(" (scaled)")).copied();
            let known = expected.keys().filter(|name| told(name).is_some()).count();
            assert_eq!(predicted.len(), known, "{run:?}");
            for (name, expected) in expected {
                // A block of attention is no attention, of which the reference tells even where there is none.
                let found = told(name).unwrap_or(0.0);
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
