//! One full dense sweep with the real performance model: candidates, every point, the pick.
//!
//! Budget: about 1,000 points of a few microseconds each, so a few milliseconds in all.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::num::NonZeroU32;

use criterion::{Criterion, criterion_group, criterion_main};
use dgdr_perf_model::Backend;
use dgdr_profiler::hardware::{Hardware, HardwareWish};
use dgdr_profiler::kernel_tables::KernelTables;
use dgdr_profiler::model_source::{ModelQuery, find_model};
use dgdr_profiler::pipeline::comparison::{EngineTables, simulate};
use dgdr_profiler::pipeline::question::Question;
use dgdr_profiler::probe::KvTransfer;
use dgdr_profiler::progress::Progress;
use dgdr_sweep_planner::{Goal, Picking, SearchSpace, Serving, Sla, Workload};
use dgdr_units::Milliseconds;

fn question() -> Question {
    let wish = HardwareWish {
        system: Some("h200_sxm"),
        total_gpus: NonZeroU32::new(16),
        ..HardwareWish::default()
    };
    Question {
        transfer: KvTransfer::LeftOut,
        model: find_model(&ModelQuery::named("Qwen/Qwen3-32B")).unwrap().spec,
        hardware: Hardware::resolve(wish, None).unwrap(),
        backends: vec![Backend::Trtllm],
        workload: Workload::new(4000, 1000).unwrap(),
        goal: Goal::Sla(Sla::TokenLatency {
            ttft: Milliseconds::new(2000.0).unwrap(),
            itl: Milliseconds::new(30.0).unwrap(),
        }),
        picking: Picking::BestThroughput,
        serving: Serving::Both,
        max_gpus_per_engine: None,
        space: SearchSpace::Guide,
    }
}

fn dense_sweep(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let question = question();
    let tables = KernelTables::default();
    let engine_tables = EngineTables {
        source: &tables,
        version: None,
        threads: std::thread::available_parallelism().unwrap_or(std::num::NonZeroUsize::MIN),
    };
    criterion.bench_function("dense_sweep_qwen3_32b_h200_trtllm", |bencher| {
        bencher.iter(|| {
            runtime
                .block_on(simulate(&question, engine_tables, &Progress::hidden()))
                .unwrap()
        });
    });
}

criterion_group!(benches, dense_sweep);
criterion_main!(benches);
