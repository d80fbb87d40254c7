//! Bad input ends with the right exit code, a message that says what, where and what to do, and no partial file.

use crate::run::{Sandbox, files, request, stderr};

/// Runs a request text and checks exit code, words of the message, and what is left behind.
#[track_caller]
fn check(text: &str, code: i32, words: &[&str]) {
    check_with(&[], text, code, words);
}

/// The same with further arguments.
#[track_caller]
fn check_with(arguments: &[&str], text: &str, code: i32, words: &[&str]) {
    let sandbox = Sandbox::new();
    let config = sandbox.write("dgdr.yaml", text);
    let own = [
        "profile",
        "--config",
        config.to_str().unwrap(),
        "--output-dir",
        "out",
    ];
    let output = sandbox.run(&[&own, arguments].concat());
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{told}");
    for word in words {
        assert!(told.contains(word), "{word:?} is missing in: {told}");
    }
    // A Job's other containers read these two; no result is there, and nothing half-written.
    assert_eq!(
        files(&sandbox.path("out")),
        ["profile_sla.log", "profiler_status.yaml"],
        "{told}"
    );
    let status = std::fs::read_to_string(sandbox.path("out/profiler_status.yaml")).unwrap();
    assert!(status.contains("status: failed"), "{status}");
}

fn changed(from: &str, to: &str) -> String {
    let text = request("Qwen/Qwen3-32B", "vllm");
    assert!(text.contains(from), "{from}");
    text.replace(from, to)
}

#[test]
fn a_missing_file_is_named() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["profile", "--config", "nowhere.yaml", "--output-dir", "out"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("nowhere.yaml"), "{}", stderr(&output));
    assert!(files(&sandbox.path("out")).is_empty());
}

#[test]
fn no_request_says_how_to_give_one() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["profile"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--config"), "{}", stderr(&output));
}

#[test]
fn broken_yaml_names_the_line() {
    check("spec:\n  model: \"x\n  backend: vllm\n", 2, &["line 2"]);
}

#[test]
fn several_faults_are_told_at_once() {
    let text = changed("ttft: 200.0", "ttft: -200.0").replace("gpuSku: h200_sxm", "gpuSku: tpu_v5");
    check(
        &text,
        2,
        &["spec.sla.ttft", "-200", "spec.hardware.gpuSku", "tpu_v5"],
    );
}

#[test]
fn contradictions_are_refused() {
    check(
        &changed("ttft: 200.0", "ttft: 200.0\n    e2eLatency: 900"),
        2,
        &["spec.sla", "e2eLatency"],
    );
    check(
        &changed("osl: 150", "osl: 150\n    concurrency: 4\n    requestRate: 2"),
        2,
        &["concurrency", "requestRate"],
    );
}

#[test]
fn numbers_that_are_none_are_refused() {
    check(&changed("itl: 20.0", "itl: .nan"), 2, &["itl"]);
    check(&changed("isl: 3000", "isl: -5"), 2, &["spec.workload.isl", "-5"]);
}

#[test]
fn an_unknown_field_gets_a_suggestion() {
    check(&changed("gpuSku:", "gpuSKU:"), 2, &["gpuSKU", "gpuSku"]);
}

#[test]
fn an_unknown_model_offline_says_what_to_do() {
    check(
        &changed("Qwen/Qwen3-32B", "acme/unheard-of"),
        2,
        &["acme/unheard-of", "HF_HUB_OFFLINE", "--model-config"],
    );
}

#[test]
fn a_model_that_fits_no_engine_is_infeasible() {
    let text = changed("Qwen/Qwen3-32B", "meta-llama/Meta-Llama-3.1-405B").replace("h200_sxm", "h100_sxm");
    check(&text, 3, &["weights take", "GiB"]);
}

#[test]
fn an_engine_limit_that_is_too_tight_is_infeasible_with_its_remedy() {
    let text = changed("Qwen/Qwen3-32B", "meta-llama/Meta-Llama-3.1-405B")
        .replace("totalGpus: 16", "totalGpus: 16\n    maxNumGpusPerEngine: 2");
    check(&text, 3, &["maxNumGpusPerEngine"]);
}

#[test]
fn what_this_version_cannot_do_is_refused_not_dropped() {
    check(
        &changed("autoApply: true", "searchStrategy: thorough"),
        2,
        &["spec.searchStrategy", "rapid"],
    );
}

#[test]
fn an_unwritable_output_directory_is_named() {
    let sandbox = Sandbox::new();
    let config = sandbox.write("dgdr.yaml", &request("Qwen/Qwen3-32B", "vllm"));
    let blocked = sandbox.write("blocked", "a file");
    let out = blocked.join("out");
    let output = sandbox.run(&[
        "profile",
        "--config",
        config.to_str().unwrap(),
        "--output-dir",
        out.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    assert!(stderr(&output).contains("blocked/out"), "{}", stderr(&output));
}

#[test]
fn curves_that_no_config_map_holds_are_refused() {
    check_with(
        &["--decode-interpolation-granularity", "200"],
        &request("Qwen/Qwen3-32B", "vllm"),
        6,
        &[
            "a ConfigMap holds at most 1048576",
            "--decode-interpolation-granularity",
        ],
    );
}
