use dgdr_perf_model::memory::FractionBasis;
use dgdr_perf_model::{Backend, KvQuant, MemoryFraction, ParallelMapping};
use dgdr_types::PlannerSettings;
use dgdr_units::{Fraction, Gpus, Milliseconds};
use serde_json::{Value, json};

use super::{KNOWN, LatencyTargets, PlannerConfig, PlannerInput, RENAMED, planner_settings};
use crate::plan::{PlanLayout, TokenExchange, WorkerPlan};

fn worker(width: u32) -> WorkerPlan {
    WorkerPlan {
        mapping: ParallelMapping::tp(width).unwrap(),
        replicas: 1,
        max_batch_size: 512,
        max_num_tokens: 4_596,
        max_sequence_length: 40_960,
        memory_fraction: MemoryFraction {
            value: Fraction::new(0.9).unwrap(),
            basis: FractionBasis::Total,
        },
        kv_tokens: 400_000,
        kv: KvQuant::Bfloat16,
        exchange: TokenExchange::Collectives,
    }
}

fn config(wishes: Value, layout: &PlanLayout) -> PlannerConfig {
    let Value::Object(wishes) = wishes else {
        panic!("wishes are an object")
    };
    planner_settings(PlannerInput {
        wishes: &PlannerSettings(wishes),
        served_name: "Qwen/Qwen3-32B",
        backend: Backend::Sglang,
        layout,
        budget: Gpus::new(32),
        targets: Some(LatencyTargets {
            ttft: Milliseconds::new(600.0).unwrap(),
            itl: Milliseconds::new(25.0).unwrap(),
        }),
    })
}

fn pair() -> PlanLayout {
    PlanLayout::Disaggregated {
        prefill: worker(2),
        decode: worker(4),
    }
}

#[test]
fn names_are_sorted_and_every_newer_name_is_known() {
    assert!(KNOWN.is_sorted());
    for (older, newer) in RENAMED {
        assert!(KNOWN.binary_search(&older).is_err(), "{older}");
        assert!(KNOWN.binary_search(&newer).is_ok(), "{newer}");
    }
}

#[test]
fn the_pick_fills_what_nobody_wished() {
    let filled = config(json!({"optimization_target": "sla"}), &pair());
    assert_eq!(filled.warnings, Vec::<String>::new());
    assert_eq!(
        json!(filled.settings),
        json!({
            "backend": "sglang",
            "decode_engine_num_gpu": 4,
            "itl_ms": 25.0,
            "max_gpu_budget": 32,
            "mode": "disagg",
            "model_name": "Qwen/Qwen3-32B",
            "optimization_target": "sla",
            "prefill_engine_num_gpu": 2,
            "profile_results_dir": "/workspace/profiling_results",
            "ttft_ms": 600.0,
        })
    );
    let single = config(json!({}), &PlanLayout::Aggregated { worker: worker(8) });
    assert_eq!(single.settings["mode"], "agg");
    assert_eq!(single.settings["decode_engine_num_gpu"], 8);
    assert!(!single.settings.contains_key("prefill_engine_num_gpu"));
}

#[test]
fn the_guides_settings_reach_a_planner_of_today() {
    let guide = json!({
        "planner_min_endpoint": 2,
        "planner_adjustment_interval": 60,
        "planner_load_predictor": "linear",
    });
    let translated = config(guide, &pair());
    assert_eq!(translated.settings["min_endpoint"], 2);
    assert_eq!(translated.settings["throughput_adjustment_interval_seconds"], 60);
    assert_eq!(translated.settings["load_predictor"], "arima");
    insta::assert_snapshot!(translated.warnings.join("\n"));
}

#[test]
fn wishes_win_over_the_request_but_not_over_the_pick() {
    let wishes = json!({"ttft": 100, "max_gpu_budget": 16, "mode": "prefill", "decode_engine_num_gpu": 1});
    let kept = config(wishes, &pair());
    assert_eq!(kept.settings["ttft_ms"], 100);
    assert_eq!(kept.settings["itl_ms"], 25.0);
    assert_eq!(kept.settings["max_gpu_budget"], 16);
    assert_eq!(kept.settings["mode"], "prefill");
    assert_eq!(kept.settings["decode_engine_num_gpu"], 4);
    assert!(
        kept.warnings
            .iter()
            .any(|warning| warning.contains("decode_engine_num_gpu: 1 is not what is deployed, so 4 is used")),
        "{:?}",
        kept.warnings
    );
    let moved = config(
        json!({"mode": "disagg", "optimization_target": "sla"}),
        &PlanLayout::Aggregated { worker: worker(8) },
    );
    assert_eq!(moved.settings["mode"], "agg");
    assert_eq!(
        moved.warnings,
        ["spec.features.planner.mode: \"disagg\" does not fit the workers of the pick, so \"agg\" is used"]
    );
}

#[test]
fn settings_that_would_be_lost_or_stop_the_planner_are_named() {
    let doubtful = config(
        json!({"min_endpoints": 2, "aic_perf_model": {}, "planner_min_endpoint": 2, "min_endpoint": 3}),
        &pair(),
    );
    assert_eq!(doubtful.settings["min_endpoint"], 3);
    assert!(!doubtful.settings.contains_key("aic_perf_model"));
    insta::assert_snapshot!(doubtful.warnings.join("\n"));
}
