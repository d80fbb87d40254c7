use dgdr_perf_model::memory::FractionBasis;
use dgdr_perf_model::{Backend, KvQuant, MemoryFraction, ParallelMapping};
use dgdr_types::PlannerSettings;
use dgdr_units::{Fraction, Gpus, Milliseconds};
use serde_json::{Value, json};

use super::{LatencyTargets, PlannerConfig, PlannerInput, planner_settings};
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

#[test]
fn stated_latencies_are_kept_unless_another_aim_is_given() {
    let target = |wishes: Value| {
        let filled = config(wishes, &pair());
        (
            filled.settings["optimization_target"].clone(),
            filled.warnings.len(),
        )
    };
    assert_eq!(target(json!({})), (json!("sla"), 1));
    assert_eq!(
        target(json!({"optimization_target": "latency"})),
        (json!("latency"), 1)
    );
    let none = |wishes: Value| {
        let Value::Object(wishes) = wishes else {
            panic!("wishes are an object")
        };
        planner_settings(PlannerInput {
            wishes: &PlannerSettings(wishes),
            served_name: "m",
            backend: Backend::Vllm,
            layout: &pair(),
            budget: Gpus::new(8),
            targets: None,
        })
    };
    assert!(!none(json!({})).settings.contains_key("optimization_target"));
    assert_eq!(none(json!({})).warnings, Vec::<String>::new());
    for wishes in [json!({"ttft": 100}), json!({"enable_throughput_scaling": true})] {
        assert_eq!(none(wishes).settings["optimization_target"], "sla");
    }
    // Aiming at latencies needs one kind of scaling, and a slow loop that is slower than the fast one.
    for wishes in [
        json!({"ttft": 100, "enable_throughput_scaling": false}),
        json!({"ttft": 100, "enable_load_scaling": true, "load_adjustment_interval": 200}),
    ] {
        assert!(!none(wishes).settings.contains_key("optimization_target"));
    }
}

#[test]
fn minima_of_roles_that_are_not_deployed_are_left_out() {
    let single = config(
        json!({"prefill_min_endpoint": 2, "decode_min_endpoint": null, "min_endpoint": 3}),
        &PlanLayout::Aggregated { worker: worker(8) },
    );
    assert!(!single.settings.contains_key("prefill_min_endpoint"));
    assert!(!single.settings.contains_key("decode_min_endpoint"));
    assert_eq!(single.settings["min_endpoint"], 3);
    let named = |warning: &&String| warning.starts_with("spec.features.planner.prefill_min_endpoint: ");
    assert_eq!(
        single.warnings.iter().filter(named).count(),
        1,
        "{:?}",
        single.warnings
    );
}
