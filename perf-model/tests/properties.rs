//! What holds for every question, not only for the ones that a reference was asked.
#![expect(
    clippy::unwrap_used,
    reason = "what a test's helper cannot unwrap fails the test"
)]

use std::sync::LazyLock;

use dgdr_perf_model::{
    AggregatedQuery, Backend, ContextQuery, DecodeStepQuery, Engine, MemoryFit, MemoryQuery, ParallelMapping,
    PerfDatabase, Precision, SourceKind, SystemSpec, WorkerRole, registry,
};
use proptest::prelude::*;

/// One engine per backend and width, bound once.
static ENGINES: LazyLock<Vec<Engine>> = LazyLock::new(|| {
    let model = registry::find("Qwen/Qwen3-32B").unwrap();
    let system = SystemSpec::by_name("h200_sxm").unwrap();
    let mut engines = Vec::new();
    for backend in Backend::ALL {
        let database = PerfDatabase::embedded(system, backend, None).unwrap();
        let precision = Precision::infer(model, &database).unwrap();
        for tp in [1, 2, 4, 8] {
            let mapping = ParallelMapping::tp(tp).unwrap();
            engines.push(Engine::new(&database, model, precision, mapping).unwrap());
        }
    }
    engines
});

fn any_engine() -> impl Strategy<Value = &'static Engine> {
    (0..ENGINES.len()).prop_map(|index| &ENGINES[index])
}

proptest! {
    /// Measured kernels dip where a tile fits better, and below some hundred tokens only weights are moved; beyond, a
    /// prompt of twice the tokens never costs less.
    #[test]
    fn twice_the_prompt_takes_longer(engine in any_engine(), isl in 512_u32..8000) {
        let ttft = |isl| {
            let q = ContextQuery { batch: 1, isl, prefix: 0 };
            engine.static_context(q).unwrap().ttft.value
        };
        prop_assert!(ttft(2 * isl) > ttft(isl));
    }

    /// A cached prefix saves work.
    #[test]
    fn a_cached_half_saves_time(engine in any_engine(), isl in 512_u32..8000) {
        let ttft = |prefix| {
            let q = ContextQuery { batch: 1, isl, prefix };
            engine.static_context(q).unwrap().ttft.value
        };
        prop_assert!(ttft(isl / 2) < ttft(0));
    }

    /// More requests never need less memory, and what does not fit does not fit with more.
    #[test]
    fn memory_grows_with_the_batch(
        engine in any_engine(),
        batch in 1_u32..512,
        more in 1_u32..512,
        sequence in 1_u32..32_768,
    ) {
        let memory = |batch| engine.memory(MemoryQuery {
            role: WorkerRole::Aggregated,
            batch,
            sequence,
            step_tokens: 8192,
        });
        let (small, large) = (memory(batch), memory(batch + more));
        prop_assert!(large.total() > small.total());
        prop_assert!(small.fit() == MemoryFit::Fits || large.fit() != MemoryFit::Fits);
    }

    /// Every prediction is a positive number whose sources account for all of it.
    #[test]
    fn shares_account_for_the_whole(
        engine in any_engine(),
        batch in 1_u32..256,
        context_length in 1_u32..65_536,
    ) {
        let estimate = engine.decode_step(DecodeStepQuery { batch, context_length }).unwrap();
        let shares: f64 = SourceKind::ALL.iter().map(|kind| estimate.provenance.share(*kind)).sum();
        prop_assert!(estimate.value.get() > 0.0);
        prop_assert!((shares - 1.0).abs() < 1e-9);
    }

    /// Latency per token and throughput describe the same requests: never more tokens than the latency allows.
    #[test]
    fn aggregated_throughput_is_bounded_by_its_steps(
        engine in any_engine(),
        batch in 2_u32..128,
        isl in 128_u32..6000,
        osl in 2_u32..2000,
    ) {
        let q = AggregatedQuery { batch, isl, osl, prefix: 0, context_tokens: 8192.max(isl) };
        let answer = engine.aggregated(q).unwrap();
        let fastest = 1000.0 / answer.steps.decode.get().min(answer.steps.mixed.get());
        let bound = fastest * f64::from(batch) * f64::from(osl);
        prop_assert!(answer.tokens_per_s.get() <= bound);
        prop_assert!(answer.request_latency >= answer.ttft.value);
    }
}
