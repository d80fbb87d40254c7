//! How long one prediction takes, warm and cold.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dgdr_perf_model::{
    AggregatedQuery, Backend, ContextQuery, Engine, GenerationQuery, ParallelMapping, PerfDatabase,
    Precision, SystemSpec, registry,
};

const CONTEXT: ContextQuery = ContextQuery {
    batch: 1,
    isl: 4000,
    prefix: 0,
};
const GENERATION: GenerationQuery = GenerationQuery {
    batch: 48,
    isl: 4000,
    osl: 500,
};
const AGGREGATED: AggregatedQuery = AggregatedQuery {
    batch: 24,
    isl: 3000,
    osl: 400,
    prefix: 0,
    context_tokens: 6000,
};

/// A model, and how it is spread.
#[derive(Clone, Copy)]
struct Subject {
    name: &'static str,
    model: &'static str,
    mapping: fn() -> Option<ParallelMapping>,
}

const SUBJECTS: [Subject; 3] = [
    Subject {
        name: "dense",
        model: "Qwen/Qwen3-32B",
        mapping: || Some(ParallelMapping::SINGLE),
    },
    Subject {
        name: "experts",
        model: "Qwen/Qwen3-235B-A22B-FP8",
        mapping: || ParallelMapping::tep(4).ok(),
    },
    Subject {
        name: "deepseek",
        model: "deepseek-ai/DeepSeek-V3",
        mapping: || ParallelMapping::tep(8).ok(),
    },
];

/// From nothing: tables decoded, operators bound.
fn engine(subject: Subject) -> Option<Engine> {
    let model = registry::find(subject.model)?;
    let system = SystemSpec::by_name("h200_sxm")?;
    let database = PerfDatabase::embedded(system, Backend::Trtllm, None).ok()?;
    let precision = Precision::infer(model, &database).ok()?;
    Engine::new(&database, model, precision, (subject.mapping)()?).ok()
}

fn warm(criterion: &mut Criterion) {
    for subject in SUBJECTS {
        let Some(engine) = engine(subject) else { continue };
        let mut group = criterion.benchmark_group(format!("warm_{}", subject.name));
        group.bench_function("static_context", |bencher| {
            bencher.iter(|| engine.static_context(black_box(CONTEXT)));
        });
        group.bench_function("static_generation", |bencher| {
            bencher.iter(|| engine.static_generation(black_box(GENERATION)));
        });
        group.bench_function("aggregated", |bencher| {
            bencher.iter(|| engine.aggregated(black_box(AGGREGATED)));
        });
        group.finish();
    }
}

fn cold(criterion: &mut Criterion) {
    for subject in SUBJECTS {
        criterion.bench_function(&format!("cold_{}", subject.name), |bencher| {
            bencher.iter(|| engine(subject).map(|engine| engine.aggregated(black_box(AGGREGATED))));
        });
    }
}

criterion_group!(benches, warm, cold);
criterion_main!(benches);
