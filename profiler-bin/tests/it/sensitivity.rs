//! What would be picked if the request asked for a little less or more.

use serde_json::Value;

use crate::run::{Sandbox, request, stderr};

/// The record of a run of a request with these fields changed.
fn record(config: &str, changes: &[&str]) -> Value {
    let sandbox = Sandbox::new();
    let config = sandbox.write("dgdr.yaml", config);
    let mut arguments = vec!["profile", "--config", config.to_str().unwrap(), "--no-plots"];
    for change in changes {
        arguments.extend(["--set", change]);
    }
    let output = sandbox.run(&[&arguments[..], &["--output-dir", "out"]].concat());
    assert_eq!(output.status.code(), Some(0), "{changes:?}: {}", stderr(&output));
    serde_json::from_slice(&std::fs::read(sandbox.path("out/profile.json")).unwrap()).unwrap()
}

fn outcome(record: &Value) -> (&str, &Value) {
    let chosen = record["backends"]
        .as_array()
        .unwrap()
        .iter()
        .find(|backend| backend["backend"] == record["chosen_backend"])
        .unwrap();
    let (name, pick) = chosen["decision"]["outcome"]
        .as_object()
        .unwrap()
        .iter()
        .next()
        .unwrap();
    (name, if name == "closest" { &pick["pick"] } else { pick })
}

fn quantities(record: &Value) -> Vec<String> {
    record["sensitivity"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            format!(
                "{} {} to {}",
                change["quantity"].as_str().unwrap(),
                change["from"],
                change["to"]
            )
        })
        .collect()
}

#[test]
fn a_changed_request_is_answered_as_a_run_of_its_own_would() {
    for (model, backend) in [("Qwen/Qwen3-32B", "trtllm"), ("Qwen/Qwen3-30B-A3B", "sglang")] {
        let config = request(model, backend);
        let known = record(&config, &[]);
        for change in known["sensitivity"].as_array().unwrap() {
            let to = change["to"].as_f64().unwrap();
            let field = match change["quantity"].as_str().unwrap() {
                "ttft_ms" => format!("spec.sla.ttft={to}"),
                "itl_ms" => format!("spec.sla.itl={to}"),
                "total_gpus" => format!("spec.hardware.totalGpus={to}"),
                other => unreachable!("{other} is not what this request asks for"),
            };
            let own = record(&config, &[&field]);
            let (name, pick) = outcome(&own);
            assert_eq!(change["outcome"], name, "{model}, {field}");
            assert_eq!(
                change["tokens_per_s_per_gpu"], pick["tokens_per_s_per_gpu"],
                "{model}, {field}"
            );
            let gpus = pick["gpus"].as_u64().unwrap() * pick["replicas"].as_u64().unwrap();
            assert_eq!(change["gpus"], gpus, "{model}, {field}");
        }
    }
}

#[test]
fn what_is_varied_is_what_the_request_asks_for() {
    let plain = request("Qwen/Qwen3-32B", "trtllm");
    assert_eq!(
        quantities(&record(&plain, &[])),
        [
            "ttft_ms 200.0 to 150.0",
            "ttft_ms 200.0 to 250.0",
            "itl_ms 20.0 to 15.0",
            "itl_ms 20.0 to 25.0",
            "total_gpus 16.0 to 12.0",
            "total_gpus 16.0 to 20.0",
        ]
    );
    let whole = plain.replace("    ttft: 200.0\n    itl: 20.0\n", "    e2eLatency: 8000.0\n");
    let load = ["spec.workload.concurrency=30", "spec.hardware.totalGpus=1"];
    assert_eq!(
        quantities(&record(&whole, &load)),
        [
            "request_latency_ms 8000.0 to 6000.0",
            "request_latency_ms 8000.0 to 10000.0",
            "total_gpus 1.0 to 2.0",
            "concurrency 30.0 to 22.0",
            "concurrency 30.0 to 38.0",
        ]
    );
}

#[test]
fn the_runner_up_is_the_best_of_all_others() {
    let known = record(&request("Qwen/Qwen3-32B", "auto"), &[]);
    let second = &known["runner_up"];
    let (_, pick) = outcome(&known);
    let cluster = |entry: &Value| entry["tokens_per_s_per_gpu_cluster"].as_f64().unwrap();
    assert_eq!(second["meets_sla"], true);
    assert!(cluster(second) <= cluster(pick));
    for backend in known["backends"].as_array().unwrap() {
        let ranking = &backend["decision"]["ranking"];
        for entry in ["agg", "disagg"]
            .iter()
            .flat_map(|mode| ranking[mode].as_array().unwrap())
        {
            let is_pick = backend["backend"] == known["chosen_backend"] && entry["lost"].is_null();
            if entry["meets_sla"] == true && !is_pick {
                assert!(cluster(entry) <= cluster(second), "{entry}");
            }
        }
    }
}
