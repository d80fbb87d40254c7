use std::collections::BTreeSet;

use approx::assert_relative_eq;
use proptest::prelude::*;

use super::curve::Curve;
use super::{Bound, Efficiencies, GapPolicy, Generation, Lesson, RooflineCost, SpeedOfLight, Subject};
use crate::graph::{GraphOperator, GraphQuery, OperatorGraph, Phase, Work};
use crate::operators::{GemmShape, GenerationTokens, StepShape};
use crate::provenance::SourceKind;
use crate::quant::GemmQuant;
use crate::{
    Backend, ContextQuery, DecodeStepQuery, Engine, ParallelMapping, PerfDatabase, Precision, SystemSpec,
    registry,
};

fn system(name: &str) -> &'static SystemSpec {
    SystemSpec::by_name(name).unwrap()
}

fn engine(database: &PerfDatabase, model: &str, tp: u32) -> Engine {
    let model = registry::find(model).unwrap();
    let precision = Precision::infer(model, database).unwrap();
    Engine::new(database, model, precision, ParallelMapping::tp(tp).unwrap()).unwrap()
}

#[test]
fn other_makers_gpus_are_likened_by_their_rate() {
    for (name, generation) in [
        ("v100_sxm", Generation::Ampere),
        ("a30", Generation::Ampere),
        ("l4", Generation::Hopper),
        ("h200_sxm", Generation::Hopper),
        ("gb10", Generation::Blackwell),
        ("vr_nvl72", Generation::Blackwell),
        ("mi200", Generation::Ampere),
        ("mi300", Generation::Hopper),
        ("b60", Generation::Ampere),
    ] {
        assert_eq!(Generation::of(system(name)), generation, "{name}");
    }
}

#[test]
fn a_curve_has_a_launch_at_its_foot_and_an_efficiency_at_its_top() {
    // A launch of 1/64 ms, then half of the speed of light.
    let truth = |limit: f64| (2.0 * limit).max(1.0 / 64.0);
    let observations: Vec<(f64, f64)> = (-14_i32..4)
        .flat_map(|octave| std::iter::repeat_n(f64::from(octave).exp2(), 4))
        .map(|limit| (limit, truth(limit)))
        .collect();
    let curve = Curve::through(&observations).unwrap();
    for octave in [-20_i32, -14, -10, -7, -6, 0, 3, 10] {
        let limit = f64::from(octave).exp2();
        assert_relative_eq!(curve.latency(limit), truth(limit), max_relative = 1e-3);
    }
    assert_relative_eq!(curve.latency(0.0), 0.0);
    assert_eq!(
        Curve::through(&observations[..3]),
        None,
        "too few to say anything"
    );
}

#[test]
fn one_slow_octave_does_not_slow_all_larger_work() {
    let slow = std::iter::repeat_n((1.0 / 16.0, 4.0), 4);
    let usual = (-3_i32..6)
        .flat_map(|octave| std::iter::repeat_n((f64::from(octave).exp2(), f64::from(octave).exp2()), 400));
    let observations: Vec<(f64, f64)> = slow.chain(usual).collect();
    let curve = Curve::through(&observations).unwrap();
    assert_relative_eq!(curve.latency(1.0), 1.0, max_relative = 0.05);
}

proptest! {
    #[test]
    fn more_work_never_takes_less_time(
        observed in proptest::collection::vec((1e-4_f64..1e3, 1e-4_f64..1e3), 20..200),
        limit in 1e-6_f64..1e4,
        factor in 1.0_f64..8.0,
    ) {
        if let Some(curve) = Curve::through(&observed) {
            let (less, more) = (curve.latency(limit), curve.latency(limit * factor));
            prop_assert!(more >= less * (1.0 - 2e-3), "{less} {more} {curve:?}");
        }
    }
}

#[test]
fn what_bounds_a_product_follows_from_its_rows() {
    let light = SpeedOfLight::new(system("h200_sxm"));
    let work = Work::Gemm(GemmShape {
        n: 8192,
        k: 8192,
        quant: GemmQuant::Bfloat16,
        low_precision_input: false,
        roofline_when_far: false,
    });
    let step = StepShape::generation(GenerationTokens {
        batch: 1,
        sequence: 1,
    });
    let limits = |m| light.limits(&work, m, &step);
    let [arithmetic, memory, link] = limits(4096);
    assert!(arithmetic > memory && link.abs() < f64::EPSILON);
    let [arithmetic, memory, _] = limits(1);
    assert_relative_eq!(memory, 2.0 * 8192.0 * 8194.0 / 4.8e12 * 1e3, max_relative = 1e-9);
    assert!(arithmetic < memory / 100.0);
}

#[test]
fn measured_predictions_are_met_within_a_fifth() {
    // The curves are medians over all models of a generation, so one model's operators deviate; a step's sum less so.
    let mut worst = 0.0_f64;
    for (name, model) in [
        ("h200_sxm", "Qwen/Qwen3-32B"),
        ("a100_sxm", "Qwen/Qwen3-8B"),
        ("b200_sxm", "Qwen/Qwen3-32B"),
    ] {
        let measured = PerfDatabase::embedded(system(name), Backend::Trtllm, None).unwrap();
        let roofline = PerfDatabase::roofline(system(name), Backend::Trtllm);
        let engines = [&measured, &roofline].map(|database| engine(database, model, 4));
        for isl in [512, 4000, 16_000] {
            let query = ContextQuery {
                batch: 1,
                isl,
                prefix: 0,
            };
            let [known, guessed] = engines
                .each_ref()
                .map(|engine| engine.static_context(query).unwrap().ttft);
            worst = worst.max((guessed.value.get() / known.value.get() - 1.0).abs());
            assert!(guessed.provenance.share(SourceKind::Roofline) > 0.9);
        }
        for batch in [1, 16, 128] {
            let query = DecodeStepQuery {
                batch,
                context_length: 4000,
            };
            let [known, guessed] = engines
                .each_ref()
                .map(|engine| engine.decode_step(query).unwrap().value.get());
            worst = worst.max((guessed / known - 1.0).abs());
        }
    }
    assert!(worst < 0.2, "{worst}");
}

#[test]
fn every_gpu_is_answered_and_a_better_one_is_faster() {
    let ttft = |name: &str| {
        let database = PerfDatabase::roofline(system(name), Backend::Vllm);
        let query = ContextQuery {
            batch: 1,
            isl: 4000,
            prefix: 0,
        };
        engine(&database, "Qwen/Qwen3-8B", 1)
            .static_context(query)
            .unwrap()
            .ttft
            .value
            .get()
    };
    for system in SystemSpec::all() {
        assert!(
            (10.0..2000.0).contains(&ttft(system.name)),
            "{}: {}",
            system.name,
            ttft(system.name)
        );
    }
    for pair in [
        ["t4", "v100_sxm"],
        ["a30", "a100_sxm"],
        ["l4", "l40s"],
        ["mi200", "mi300"],
        ["b200_sxm", "vr_nvl72"],
    ] {
        let [worse, better] = pair.map(ttft);
        assert!(better < worse, "{pair:?}");
    }
}

#[test]
fn only_gaps_are_filled_and_only_when_asked() {
    // Nobody measured block-scaled fp8 on an A100.
    let database = PerfDatabase::embedded(system("a100_sxm"), Backend::Trtllm, None).unwrap();
    let model = registry::find("Qwen/Qwen3-32B-FP8").unwrap();
    let precision = Precision::infer(model, &database).unwrap();
    let mapping = ParallelMapping::tp(4).unwrap();
    assert!(Engine::new(&database, model, precision, mapping).is_err());
    let filled = database.with_gaps(GapPolicy::Roofline);
    let engine = Engine::new(&filled, model, precision, mapping).unwrap();
    let query = ContextQuery {
        batch: 1,
        isl: 2000,
        prefix: 0,
    };
    let provenance = engine.static_context(query).unwrap().ttft.provenance;
    let share = provenance.share(SourceKind::Roofline);
    assert!((0.3..0.95).contains(&share), "{share}");
    assert_eq!(provenance.worst(), SourceKind::Roofline);
}

#[test]
fn a_gap_grows_with_the_sequence_where_its_work_does() {
    let model = registry::find("Qwen/Qwen3-8B").unwrap();
    let database = PerfDatabase::roofline(system("l4"), Backend::Vllm);
    let graph = OperatorGraph::of(GraphQuery {
        model,
        precision: Precision::infer(model, &database).unwrap(),
        mapping: ParallelMapping::tp(2).unwrap(),
        backend: Backend::Vllm,
        system: database.system(),
        drafted: 0,
    })
    .unwrap();
    for phase in [Phase::Context, Phase::Generation] {
        for operator in graph.phase(phase) {
            let Some(cost) = RooflineCost::new(database.system(), Backend::Vllm, operator) else {
                assert_eq!(Subject::of(&operator.work), None);
                continue;
            };
            let is_attention = matches!(
                operator.work,
                Work::ContextAttention(_) | Work::GenerationAttention(_)
            );
            assert_eq!(cost.grows_with_sequence(), is_attention, "{operator:?}");
        }
    }
}

#[test]
fn a_lesson_learns_what_it_observed() {
    let database = PerfDatabase::embedded(system("a100_sxm"), Backend::Vllm, None).unwrap();
    let graph = |operator: &GraphOperator| Subject::of(&operator.work);
    let mut lesson = Lesson::new();
    lesson.observe(&database);
    let learned = lesson.learn();
    let model = registry::find("Qwen/Qwen3-8B").unwrap();
    let query = GraphQuery {
        model,
        precision: Precision::infer(model, &database).unwrap(),
        mapping: ParallelMapping::tp(1).unwrap(),
        backend: Backend::Vllm,
        system: database.system(),
        drafted: 0,
    };
    let graph_of = OperatorGraph::of(query).unwrap();
    let gemm = graph_of
        .context
        .iter()
        .filter_map(graph)
        .find(|subject| subject.kind == "gemm")
        .unwrap();
    let known = learned
        .curve((database.system(), Backend::Vllm), &gemm, Bound::Arithmetic)
        .unwrap();
    assert_eq!(known.format.as_deref(), Some("bfloat16"));
    assert_eq!(known.generation, Some(Generation::Ampere));
    // Half a second of products runs near the datasheet's rate.
    let ms = known.curve.latency(500.0);
    assert!((520.0..700.0).contains(&ms), "{ms}");
    // Another engine on a newer GPU knows of products in general only.
    let borrowed = learned
        .curve((system("b200_sxm"), Backend::Trtllm), &gemm, Bound::Arithmetic)
        .unwrap();
    assert_eq!(
        (borrowed.kind.as_deref(), borrowed.generation),
        (Some("gemm"), None)
    );
}

#[test]
fn the_embedded_curves_cover_every_generation() {
    let learned = Efficiencies::embedded();
    for generation in Generation::ALL {
        for bound in Bound::ALL {
            assert!(
                learned
                    .curves()
                    .iter()
                    .any(|curve| curve.generation == Some(generation)
                        && curve.bound == bound
                        && curve.kind.is_none()),
                "{generation} {bound:?}"
            );
        }
    }
}

#[test]
fn a_subject_is_named_as_the_table_that_measures_it() {
    let mut tables = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    for name in ["h200_sxm", "b200_sxm"] {
        for backend in Backend::ALL {
            let database = PerfDatabase::embedded(system(name), backend, None).unwrap();
            tables.extend(database.tables().map(str::to_owned));
            for graph in super::learn::graphs(&database) {
                for operator in graph
                    .context
                    .iter()
                    .chain(&graph.generation)
                    .flat_map(super::learn::leaves)
                {
                    kinds.extend(Subject::of(&operator.work).map(|subject| subject.kind));
                }
            }
        }
    }
    assert!(kinds.len() > 10, "{kinds:?}");
    let unknown: Vec<_> = kinds.iter().filter(|kind| !tables.contains(**kind)).collect();
    assert!(unknown.is_empty(), "{unknown:?} are none of {tables:?}");
}
