//! As a Job's container: no home, no variables but those of the Job, the spec alone as argument.

use assert_cmd::Command;
use serde_json::{Value, json};

use crate::run::{Sandbox, stderr};

fn spec(model: &str) -> String {
    json!({
        "model": model, "backend": "vllm", "image": "nvcr.io/nvidia/ai-dynamo/dynamo-planner:1.6.1",
        "hardware": {"gpuSku": "h200_sxm", "numGpusPerNode": 8, "totalGpus": 8},
    })
    .to_string()
}

fn profile(sandbox: &Sandbox, model: &str) -> std::process::Output {
    Command::cargo_bin("dgdr-profiler")
        .unwrap()
        .current_dir("/")
        .env_clear()
        .envs([
            ("DGDR_NAME", "1e3"),
            ("DGDR_NAMESPACE", "serving"),
            ("DGDR_UID", "0-1-2"),
        ])
        // Nobody listens there.
        .env("HF_ENDPOINT", "http://127.0.0.1:9")
        .env("TMPDIR", sandbox.path("missing"))
        .args(["profile", "--no-plots", "--config", &spec(model), "--output-dir"])
        .arg(sandbox.path("out"))
        .output()
        .unwrap()
}

#[test]
fn what_is_made_carries_the_name_of_its_request() {
    let sandbox = Sandbox::new();
    let output = profile(&sandbox, "Qwen/Qwen3-32B");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = std::fs::read_to_string(sandbox.path("out").join("final_config.yaml")).unwrap();
    let deployment: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(deployment["metadata"]["name"], "1e3-dgd");
}

#[test]
fn a_hub_that_is_away_is_a_failure_in_the_status_file() {
    let sandbox = Sandbox::new();
    let output = profile(&sandbox, "nobody/nothing");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let text = std::fs::read_to_string(sandbox.path("out").join("profiler_status.yaml")).unwrap();
    let status: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(status["status"], "failed");
    assert!(
        status["error"].as_str().unwrap().contains("http://127.0.0.1:9"),
        "{text}"
    );
}
