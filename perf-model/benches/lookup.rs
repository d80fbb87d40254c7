//! Speed of single lookups: warm, with handle construction, and with decompression.
#![expect(clippy::unwrap_used, reason = "what a bench cannot unwrap ends it")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dgdr_perf_model::operators::{
    ContextAttentionShape, ContextTokens, GemmShape, GenerationAttentionShape, GenerationTokens,
};
use dgdr_perf_model::{Backend, FmhaQuant, GemmQuant, KvQuant, PerfDatabase, SystemSpec};

/// A measured site, and one between sites.
const KNOWN: GemmShape = GemmShape {
    n: 5120,
    k: 5120,
    quant: GemmQuant::Bfloat16,
    low_precision_input: false,
    roofline_when_far: false,
};
const BETWEEN: GemmShape = GemmShape { n: 6400, ..KNOWN };

const CONTEXT: ContextAttentionShape = ContextAttentionShape {
    heads: 32,
    kv_heads: 4,
    head_dim: 128,
    window: 0,
    kv: KvQuant::Bfloat16,
    fmha: FmhaQuant::Bfloat16,
    qk_norm: true,
};

const GENERATION: GenerationAttentionShape = GenerationAttentionShape {
    heads: 32,
    kv_heads: 4,
    head_dim: 128,
    window: 0,
    kv: KvQuant::Bfloat16,
};

fn database() -> PerfDatabase {
    PerfDatabase::embedded(SystemSpec::by_name("h200_sxm").unwrap(), Backend::Trtllm, None).unwrap()
}

fn warm(criterion: &mut Criterion) {
    let database = database();
    let mut group = criterion.benchmark_group("warm");
    let known = database.gemm(KNOWN).unwrap();
    let between = database.gemm(BETWEEN).unwrap();
    let context = database.context_attention(CONTEXT).unwrap();
    let generation = database.generation_attention(GENERATION).unwrap();
    let tokens = |new_tokens| ContextTokens {
        batch: 3,
        new_tokens,
        prefix: 0,
    };
    let step = |sequence| GenerationTokens { batch: 48, sequence };
    group.bench_function("gemm_known_site", |bench| {
        bench.iter(|| known.latency(black_box(300)));
    });
    group.bench_function("gemm_between_sites", |bench| {
        bench.iter(|| between.latency(black_box(300)));
    });
    group.bench_function("context_attention", |bench| {
        bench.iter(|| context.latency(black_box(tokens(3000))));
    });
    group.bench_function("context_attention_beyond", |bench| {
        bench.iter(|| context.latency(black_box(tokens(100_000))));
    });
    group.bench_function("generation_attention", |bench| {
        bench.iter(|| generation.latency(black_box(step(4033))));
    });
    group.bench_function("generation_attention_beyond", |bench| {
        bench.iter(|| generation.latency(black_box(step(200_000))));
    });
    group.finish();
}

fn handles(criterion: &mut Criterion) {
    let database = database();
    let mut group = criterion.benchmark_group("handle");
    group.bench_function("gemm_known_site", |bench| {
        bench.iter(|| database.gemm(black_box(KNOWN)));
    });
    group.bench_function("gemm_between_sites", |bench| {
        bench.iter(|| database.gemm(black_box(BETWEEN)));
    });
    group.bench_function("context_attention", |bench| {
        bench.iter(|| database.context_attention(black_box(CONTEXT)));
    });
    group.bench_function("generation_attention", |bench| {
        bench.iter(|| database.generation_attention(black_box(GENERATION)));
    });
    group.finish();
}

fn cold(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cold");
    group.bench_function("open", |bench| bench.iter(database));
    group.bench_function("gemm", |bench| bench.iter(|| database().gemm(black_box(KNOWN))));
    group.bench_function("context_attention", |bench| {
        bench.iter(|| database().context_attention(black_box(CONTEXT)));
    });
    group.bench_function("generation_attention", |bench| {
        bench.iter(|| database().generation_attention(black_box(GENERATION)));
    });
    group.bench_function("dense_model", |bench| {
        bench.iter(|| {
            let database = database();
            let gemm = database
                .gemm(GemmShape {
                    quant: GemmQuant::Fp8Block,
                    ..KNOWN
                })
                .unwrap();
            let head = database.gemm(KNOWN).unwrap();
            let context = database.context_attention(CONTEXT).unwrap();
            let generation = database.generation_attention(GENERATION).unwrap();
            (gemm, head, context, generation, database.all_reduce(8).unwrap())
        });
    });
    group.finish();
}

criterion_group!(benches, warm, handles, cold);
criterion_main!(benches);
