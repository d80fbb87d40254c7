use dgdr_units::real;

use super::{
    AggregatedQuery, ContextQuery, DecodeStepQuery, Engine, GenerationQuery, KvCapacityQuery, MemoryQuery,
    Speculation,
};
use crate::backend::Backend;
use crate::error::PerfModelError;
use crate::mapping::{MappingWidths, ParallelMapping};
use crate::memory::WorkerRole;
use crate::model::ModelSpec;
use crate::precision::PrecisionOverrides;
use crate::provenance::SourceKind;
use crate::quant::{FmhaQuant, GemmQuant, Precision};
use crate::registry;
use crate::system::SystemSpec;
use crate::tables::PerfDatabase;

fn database(system: &str, backend: Backend) -> PerfDatabase {
    PerfDatabase::embedded(SystemSpec::by_name(system).unwrap(), backend, None).unwrap()
}

fn qwen() -> &'static ModelSpec {
    registry::find("Qwen/Qwen3-32B").unwrap()
}

fn build(model: &ModelSpec, mapping: ParallelMapping) -> Result<Engine, PerfModelError> {
    let database = database("h200_sxm", Backend::Trtllm);
    let precision = Precision::infer(model, &database)?;
    Engine::new(&database, model, precision, mapping)
}

fn engine(tp: u32) -> Engine {
    build(qwen(), ParallelMapping::tp(tp).unwrap()).unwrap()
}

fn drafting(speculation: Speculation) -> Engine {
    let database = database("h200_sxm", Backend::Trtllm);
    let precision = Precision::infer(qwen(), &database).unwrap();
    let mapping = ParallelMapping::tp(2).unwrap();
    Engine::drafting(&database, qwen(), precision, mapping, speculation).unwrap()
}

const AGGREGATED: AggregatedQuery = AggregatedQuery {
    batch: 24,
    isl: 3000,
    osl: 400,
    prefix: 0,
    context_tokens: 6000,
};

#[test]
fn operators_add_up_to_the_step() {
    let engine = engine(2);
    let q = ContextQuery {
        batch: 3,
        isl: 2500,
        prefix: 200,
    };
    let sum: f64 = engine
        .context_operators(q)
        .unwrap()
        .iter()
        .map(|operator| operator.latency.ms)
        .sum();
    let ttft = engine.static_context(q).unwrap().ttft.value.get();
    assert!((sum / ttft - 1.0).abs() < 1e-12);
    let run = GenerationQuery {
        batch: 7,
        isl: 900,
        osl: 100,
    };
    let sum: f64 = engine
        .generation_operators(run)
        .unwrap()
        .iter()
        .map(|operator| operator.latency.ms)
        .sum();
    let tpot = engine.static_generation(run).unwrap().tpot.value.get();
    assert!((sum / 99.0 / tpot - 1.0).abs() < 1e-12);
}

#[test]
fn shares_of_a_prediction_add_up_to_one() {
    let aggregated = engine(2).aggregated(AGGREGATED).unwrap();
    for provenance in [aggregated.ttft.provenance, aggregated.tpot.provenance] {
        let sum: f64 = SourceKind::ALL.iter().map(|kind| provenance.share(*kind)).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{provenance:?}");
        assert!(provenance.share(SourceKind::Roofline) < f64::EPSILON);
    }
}

#[test]
fn the_same_question_has_the_same_answer() {
    let first = engine(4).aggregated(AGGREGATED).unwrap();
    assert_eq!(first, engine(4).aggregated(AGGREGATED).unwrap());
}

#[test]
fn a_decode_run_of_one_stride_is_the_step_at_its_start() {
    let engine = engine(2);
    let run = engine
        .static_generation(GenerationQuery {
            batch: 16,
            isl: 4000,
            osl: 33,
        })
        .unwrap();
    let step = engine
        .decode_step(DecodeStepQuery {
            batch: 16,
            context_length: 4001,
        })
        .unwrap();
    assert!((run.tpot.value.get() / step.value.get() - 1.0).abs() < 1e-12);
}

#[test]
fn drafts_cost_work_and_save_steps_when_they_are_accepted() {
    let q = GenerationQuery {
        batch: 16,
        isl: 1000,
        osl: 200,
    };
    let tpot = |speculation| {
        let engine = drafting(speculation);
        engine.static_generation(q).unwrap().tpot.value.get()
    };
    let plain = tpot(Speculation::NONE);
    let refused = tpot(Speculation::new(1, 0.0).unwrap());
    let accepted = tpot(Speculation::new(1, 1.0).unwrap());
    assert!(refused > plain);
    assert!((accepted - refused / 2.0).abs() < 1e-9);
    assert!(matches!(
        Speculation::new(1, 1.5),
        Err(PerfModelError::Speculation { drafted: 1, .. })
    ));
    assert!(Speculation::new(1, f64::NAN).is_err());
}

#[test]
fn pipeline_stages_multiply_throughput_and_add_hops() {
    let widths = MappingWidths {
        tp: 2,
        pp: 2,
        attention_dp: 1,
        moe_tp: 1,
        moe_ep: 1,
        cp: 1,
    };
    let staged = build(qwen(), ParallelMapping::new(widths).unwrap()).unwrap();
    let flat = engine(2);
    let q = ContextQuery {
        batch: 1,
        isl: 4000,
        prefix: 0,
    };
    let (staged, flat) = (staged.static_context(q).unwrap(), flat.static_context(q).unwrap());
    assert!(staged.ttft.value > flat.ttft.value);
    assert!(staged.requests_per_s.get() > 1.9 * flat.requests_per_s.get());
    assert!(staged.memory.weights < flat.memory.weights);
}

#[test]
fn the_cache_holds_what_its_bytes_allow() {
    let engine = engine(2);
    let capacity = engine
        .kv_capacity(KvCapacityQuery {
            max_num_tokens: 8192,
            role: crate::memory::WorkerRole::Disaggregated,
        })
        .unwrap();
    let free = capacity
        .memory
        .capacity
        .saturating_sub(capacity.memory.without_kv());
    let per_token = qwen().kv_bytes_per_token(2, engine.precision().kv);
    let expected = 0.9 * real(free.get()) / per_token;
    assert!((real(capacity.tokens.get()) - expected).abs() < 1.0);
    let huge = registry::find("meta-llama/Meta-Llama-3.1-405B").unwrap();
    let crammed = build(huge, ParallelMapping::tp(2).unwrap()).unwrap();
    assert!(matches!(
        crammed.kv_capacity(KvCapacityQuery {
            max_num_tokens: 8192,
            role: crate::memory::WorkerRole::Disaggregated
        }),
        Err(PerfModelError::NoKvRoom { .. })
    ));
}

#[test]
fn memory_of_a_role_states_the_share_that_its_flag_gets() {
    let engine = engine(2);
    for role in [WorkerRole::Aggregated, WorkerRole::Disaggregated] {
        let memory = engine.memory(MemoryQuery {
            role,
            batch: 8,
            sequence: 4000,
            step_tokens: 8192,
        });
        assert_eq!(memory.fraction, engine.memory_fraction(role));
    }
}

#[test]
fn mappings_that_cannot_be_are_refused_by_name() {
    let three = build(qwen(), ParallelMapping::tp(3).unwrap()).unwrap_err();
    assert_eq!(
        three.to_string(),
        "model `Qwen/Qwen3-32B`: 64 attention heads cannot be split over TP3; choose a tensor parallelism that \
         divides 64"
    );
    let experts = build(qwen(), ParallelMapping::tep(2).unwrap()).unwrap_err();
    assert!(matches!(experts, PerfModelError::NoExperts { .. }), "{experts}");
    let mixture = registry::find("Qwen/Qwen3-30B-A3B").unwrap();
    let dealt = build(mixture, ParallelMapping::dep(256).unwrap()).unwrap_err();
    assert!(dealt.to_string().contains("128 experts"), "{dealt}");
}

#[test]
fn questions_without_sense_are_refused_by_field() {
    let engine = engine(2);
    let field = |result: Result<(), PerfModelError>| match result {
        Err(PerfModelError::Query { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let context = |batch, isl, prefix| {
        field(
            engine
                .static_context(ContextQuery { batch, isl, prefix })
                .map(drop),
        )
    };
    assert_eq!(context(0, 10, 0), "batch");
    assert_eq!(context(1, 0, 0), "isl");
    assert_eq!(context(1, 10, 10), "prefix");
    let run = GenerationQuery {
        batch: 1,
        isl: 10,
        osl: 1,
    };
    assert_eq!(field(engine.static_generation(run).map(drop)), "osl");
    let mixed = AggregatedQuery {
        context_tokens: 0,
        ..AGGREGATED
    };
    assert_eq!(field(engine.aggregated(mixed).map(drop)), "context_tokens");
}

#[test]
fn formats_follow_checkpoint_engine_and_gpu() {
    let fp8 = registry::find("Qwen/Qwen3-32B-FP8").unwrap();
    let infer = |backend| Precision::infer(fp8, &database("h200_sxm", backend)).unwrap();
    assert_eq!(infer(Backend::Trtllm).fmha, FmhaQuant::Fp8);
    assert_eq!(infer(Backend::Vllm).fmha, FmhaQuant::Bfloat16);
    let nvfp4 = PrecisionOverrides {
        gemm: Some(GemmQuant::Nvfp4),
        ..PrecisionOverrides::default()
    };
    let gemm = |system| {
        let database = database(system, Backend::Trtllm);
        Precision::infer_with(qwen(), &database, nvfp4).unwrap().gemm
    };
    assert_eq!(gemm("b200_sxm"), GemmQuant::Nvfp4);
    assert_eq!(gemm("h200_sxm"), GemmQuant::Nvfp4Wo);
    let mut unknown = qwen().clone();
    unknown.quantization.gemm = None;
    "awq".clone_into(&mut unknown.quantization.algorithm);
    let error = Precision::infer(&unknown, &database("h200_sxm", Backend::Trtllm)).unwrap_err();
    assert!(error.to_string().contains("awq"), "{error}");
}

#[test]
fn what_was_measured_elsewhere_is_named() {
    // The experts' table of this engine was completed from an earlier version.
    let system = SystemSpec::by_name("h200_sxm").unwrap();
    let database = PerfDatabase::embedded(system, Backend::Trtllm, None).unwrap();
    let model = registry::find("Qwen/Qwen3-30B-A3B").unwrap();
    let precision = Precision::infer(model, &database).unwrap();
    let engine = Engine::new(&database, model, precision, ParallelMapping::tep(4).unwrap()).unwrap();
    let [moe] = engine.borrowed() else {
        panic!("{:?}", engine.borrowed());
    };
    assert_eq!(moe.table, "moe");
    assert_eq!(moe.from, ["trtllm 1.3.0rc10"]);
    let names: Vec<String> = moe.operators.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["context_moe", "generation_moe"]);
}

#[test]
fn a_worker_that_only_prefills_needs_no_exchange_of_decoded_tokens() {
    use super::ExchangePolicy;
    let database = database("b200_sxm", Backend::Trtllm).with_exchange(ExchangePolicy::AcrossNodes);
    let model = registry::find("zai-org/GLM-5-FP8").unwrap();
    let precision = Precision::infer(model, &database).unwrap();
    let mapping = ParallelMapping::new(MappingWidths {
        tp: 8,
        attention_dp: 4,
        moe_ep: 32,
        ..MappingWidths::ONE
    })
    .unwrap();
    let engine = Engine::new(&database, model, precision, mapping).unwrap();
    let prefill = ContextQuery {
        batch: 2,
        isl: 1000,
        prefix: 0,
    };
    assert!(engine.static_context(prefill).unwrap().ttft.value.get() > 0.0);
    let decode = GenerationQuery {
        batch: 2,
        isl: 1000,
        osl: 10,
    };
    let refused = engine.static_generation(decode).unwrap_err();
    assert!(
        matches!(refused, PerfModelError::ExchangeNotMeasured { moe_ep: 32, .. }),
        "{refused}"
    );
}

#[test]
fn drafts_of_a_model_of_their_own_are_priced_and_cached() {
    let database = database("b200_sxm", Backend::Sglang);
    let model = registry::find("moonshotai/Kimi-K3").unwrap();
    let precision = Precision::infer(model, &database).unwrap();
    let mapping = ParallelMapping::tep(8).unwrap();
    let engine = |speculation| Engine::drafting(&database, model, precision, mapping, speculation).unwrap();
    let q = MemoryQuery {
        role: WorkerRole::Aggregated,
        batch: 1,
        sequence: 10_000,
        step_tokens: 100,
    };
    let cache = |engine: &Engine| engine.memory(q).kv_cache.get();
    let (plain, drafting) = (
        engine(Speculation::NONE),
        engine(Speculation::new(2, 1.0).unwrap()),
    );
    // Five layers of two key and value heads of 64 elements on this rank, in 16 bits.
    assert_eq!(cache(&drafting) - cache(&plain), 10_000 * 5 * 2 * 2 * 64 * 2);
}
