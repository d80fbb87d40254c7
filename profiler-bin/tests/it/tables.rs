//! `--systems-dir` and `--gaps`: measurements other than the built-in ones, and none at all.

use std::path::PathBuf;

use serde_json::Value;

use crate::run::{Sandbox, stderr, stdout};

fn point<'a>(system: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![
        "estimate",
        "--model",
        "Qwen/Qwen3-32B",
        "--system",
        system,
        "--backend",
        "trtllm",
        "--mode",
        "agg",
        "--isl",
        "3000",
        "--osl",
        "400",
        "--batch-size",
        "24",
        "--ctx-tokens",
        "6000",
        "--tp",
        "2",
        "--output",
        "json",
    ];
    arguments.extend(more);
    arguments
}

fn answer(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let output = sandbox.run(arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

#[test]
fn packed_files_of_a_folder_answer_as_the_built_in_ones() {
    let sandbox = Sandbox::new();
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../perf-model/data/tables");
    for name in ["h200_sxm-trtllm.dgdrperf", "h200_sxm-nccl.dgdrperf"] {
        std::fs::copy(data.join(name), sandbox.path(name)).unwrap();
    }
    let built_in = answer(&sandbox, &point("h200_sxm", &[]));
    let own = answer(&sandbox, &point("h200_sxm", &["--systems-dir", "."]));
    assert_eq!(built_in, own);
    std::fs::write(sandbox.path("h200_sxm-trtllm.dgdrperf"), b"not tables").unwrap();
    let output = sandbox.run(&point("h200_sxm", &["--systems-dir", "."]));
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("h200_sxm-trtllm.dgdrperf"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_gpu_without_measurements_is_answered_by_roofline_and_says_so() {
    let sandbox = Sandbox::new();
    let estimate = answer(&sandbox, &point("l40s", &["--gaps", "roofline"]));
    let share = estimate["provenance"]["ttft"]["roofline"].as_f64().unwrap();
    assert!(share > 0.5, "{estimate}");
    let output = sandbox.run(&point("l40s", &["--gaps", "refuse"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("l40s"), "{}", stderr(&output));
}

#[cfg(feature = "parquet")]
#[test]
fn a_folder_of_parquet_files_is_read_in_place() {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let core = std::fs::read_dir(target.join("peer/venv/lib"))
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|python| python.path().join("site-packages/aiconfigurator_core"))
        .find(|core| core.join("systems").is_dir());
    let Some(core) = core else {
        eprintln!(
            "skipped: a_folder_of_parquet_files_is_read_in_place: no aiconfigurator-core beside the build"
        );
        return;
    };
    let sandbox = Sandbox::new();
    let folder = core.to_string_lossy().into_owned();
    let estimate = answer(&sandbox, &point("b300_sxm", &["--systems-dir", &folder]));
    // aiconfigurator 0.12.0, cli_estimate(mode="agg") of the same question on b300_sxm.
    for (key, upstream) in [
        ("ttft_ms", 417.106_093),
        ("tpot_ms", 13.587_998),
        ("tokens_per_s_per_gpu", 810.813_926),
        ("memory_gib", 45.118_896),
    ] {
        let ours = estimate[key].as_f64().unwrap();
        assert!(
            (ours / upstream - 1.0).abs() < 2e-4,
            "{key}: {ours} against {upstream}"
        );
    }
    let versions = sandbox.run(&point(
        "b300_sxm",
        &["--systems-dir", &folder, "--backend-version", "0.1"],
    ));
    assert_eq!(versions.status.code(), Some(2));
    assert!(
        stderr(&versions).contains("next (1.3.0rc23)"),
        "{}",
        stderr(&versions)
    );
}

#[test]
fn the_way_of_the_kv_cache_counts_when_asked_for() {
    let sandbox = Sandbox::new();
    let ttft = |more: &[&str]| {
        let mut arguments = point("h200_sxm", more);
        arguments[8] = "disagg";
        arguments.retain(|argument| !["--ctx-tokens", "6000"].contains(argument));
        answer(&sandbox, &arguments)["ttft_ms"].as_f64().unwrap()
    };
    let more = ttft(&["--kv-transfer", "counted"]) - ttft(&[]);
    // 3,000 tokens of 128 KiB on each of two GPUs, over 50 GB/s each, and one hop of 10 microseconds.
    let expected = 3000.0 * 131_072.0 / 50e9 * 1000.0 + 0.01;
    assert!((more / expected - 1.0).abs() < 1e-6, "{more} against {expected}");
}
