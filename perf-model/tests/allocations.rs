//! An engine that is bound answers without asking for memory: this binary counts what it asks for.
#![expect(
    clippy::unwrap_used,
    reason = "what a test's helper cannot unwrap fails the test"
)]

use std::hint::black_box;

use allocation_counter::measure;
use dgdr_perf_model::{
    AggregatedQuery, Backend, ContextQuery, Engine, ExchangePolicy, GenerationQuery, ParallelMapping,
    PerfDatabase, PerfModelError, Precision, SystemSpec, registry,
};

fn engine(model: &str, backend: Backend, mapping: ParallelMapping) -> Result<Engine, PerfModelError> {
    let model = registry::find(model).unwrap();
    let system = SystemSpec::by_name("h200_sxm").unwrap();
    let database = PerfDatabase::available(system, backend, None)
        .map_err(PerfModelError::from)?
        .with_exchange(ExchangePolicy::WhereMeasured);
    let precision = Precision::infer(model, &database)?;
    Engine::new(&database, model, precision, mapping)
}

/// Queries of all kinds, on points of the tables, between them and beyond them.
fn ask(engine: &Engine) {
    for (batch, isl) in [(1, 1024), (3, 3000), (40, 7777), (700, 150_000)] {
        let context = ContextQuery {
            batch: batch.min(16),
            isl,
            prefix: isl / 3,
        };
        black_box(engine.static_context(context)).unwrap();
        let generation = GenerationQuery { batch, isl, osl: 300 };
        black_box(engine.static_generation(generation)).unwrap();
        let aggregated = AggregatedQuery {
            batch,
            isl,
            osl: 300,
            prefix: 0,
            context_tokens: 2 * isl,
        };
        black_box(engine.aggregated(aggregated)).unwrap();
    }
}

fn allocations(work: impl FnOnce()) -> u64 {
    measure(work).count_total
}

#[test]
fn a_bound_engine_answers_without_allocating() {
    let tep = |gpus| ParallelMapping::tep(gpus).unwrap();
    let dep = |gpus| ParallelMapping::dep(gpus).unwrap();
    let mut engines = 0;
    for (model, mapping) in [
        ("Qwen/Qwen3-32B", ParallelMapping::SINGLE),
        ("Qwen/Qwen3-235B-A22B-FP8", tep(4)),
        ("Qwen/Qwen3-235B-A22B-FP8", dep(8)),
        ("deepseek-ai/DeepSeek-V3", tep(8)),
        ("deepseek-ai/DeepSeek-V3", dep(16)),
        ("openai/gpt-oss-120b", tep(2)),
        ("deepseek-ai/DeepSeek-V3.2", tep(8)),
        ("deepseek-ai/DeepSeek-V4-Flash", tep(8)),
        ("Qwen/Qwen3.5-35B-A3B", tep(2)),
        ("nvidia/Nemotron-H-56B-Base-8K", ParallelMapping::tp(4).unwrap()),
        ("moonshotai/Kimi-K2-Instruct", tep(16)),
        ("zai-org/GLM-5-FP8", tep(8)),
    ] {
        for backend in [Backend::Trtllm, Backend::Vllm, Backend::Sglang] {
            let mut bound = None;
            assert_ne!(allocations(|| bound = Some(engine(model, backend, mapping))), 0);
            let Some(Ok(engine)) = bound else { continue };
            engines += 1;
            assert_eq!(
                allocations(|| ask(&engine)),
                0,
                "{model} on {backend:?}, {mapping:?}"
            );
        }
    }
    assert!(engines >= 20, "{engines} engines");
}
