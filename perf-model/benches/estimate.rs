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

/// From nothing: tables decoded, operators bound.
fn engine() -> Option<Engine> {
    let model = registry::find("Qwen/Qwen3-32B")?;
    let system = SystemSpec::by_name("h200_sxm")?;
    let database = PerfDatabase::embedded(system, Backend::Trtllm, None).ok()?;
    let precision = Precision::infer(model, &database).ok()?;
    Engine::new(&database, model, precision, ParallelMapping::SINGLE).ok()
}

fn warm(criterion: &mut Criterion) {
    let Some(engine) = engine() else { return };
    let mut group = criterion.benchmark_group("warm");
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

fn cold(criterion: &mut Criterion) {
    criterion.bench_function("cold", |bencher| {
        bencher.iter(|| engine().map(|engine| engine.aggregated(black_box(AGGREGATED))));
    });
}

criterion_group!(benches, warm, cold);
criterion_main!(benches);
