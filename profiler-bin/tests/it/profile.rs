//! The main job, on the guide's own request and on each engine.

use std::path::Path;

use serde_json::Value;

use crate::run::{Sandbox, files, request, stderr, stdout};

/// Every file of a finished run.
const FILES: [&str; 19] = [
    "cost_sla.png",
    "decode_performance.png",
    "decode_raw_data.json",
    "final_config.yaml",
    "pareto.csv",
    "pareto.png",
    "prefill_performance.png",
    "prefill_raw_data.json",
    "profile.json",
    "profile_sla.log",
    "profiler_status.yaml",
    "report.html",
    "selected_decode_interpolation/decode_itl_interplation.png",
    "selected_decode_interpolation/decode_itl_interpolation.png",
    "selected_decode_interpolation/decode_throughput_interpolation.png",
    "selected_decode_interpolation/raw_data.npz",
    "selected_prefill_interpolation/prefill_throughput_interpolation.png",
    "selected_prefill_interpolation/prefill_ttft_interpolation.png",
    "selected_prefill_interpolation/raw_data.npz",
];

fn read_yaml(path: &Path) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn gpus(deployment: &Value) -> u64 {
    let components = deployment["spec"]["components"].as_array().unwrap();
    components
        .iter()
        .map(|component| {
            let limits = &component["podTemplate"]["spec"]["containers"][0]["resources"]["limits"];
            let per_pod: u64 = limits["nvidia.com/gpu"]
                .as_str()
                .map_or(0, |text| text.parse().unwrap());
            let nodes = component["multinode"]["nodeCount"].as_u64().unwrap_or(1);
            per_pod * nodes * component["replicas"].as_u64().unwrap_or(1)
        })
        .sum()
}

#[test]
fn every_engine_and_model_gives_every_file() {
    for model in [
        "Qwen/Qwen3-32B",
        "Qwen/Qwen3-30B-A3B",
        "meta-llama/Meta-Llama-3.1-70B",
        "deepseek-ai/DeepSeek-V3",
    ] {
        for backend in ["vllm", "sglang", "trtllm", "auto"] {
            let sandbox = Sandbox::new();
            let config = sandbox.write("dgdr.yaml", &request(model, backend));
            let output = sandbox.run(&[
                "profile",
                "--config",
                config.to_str().unwrap(),
                "--output-dir",
                "out",
            ]);
            let context = format!("{model} {backend}: {}", stderr(&output));
            assert_eq!(output.status.code(), Some(0), "{context}");
            let out = sandbox.path("out");
            assert_eq!(files(&out), FILES, "{context}");
            assert_eq!(
                read_yaml(&out.join("profiler_status.yaml"))["status"],
                "success",
                "{context}"
            );
            let deployment = read_yaml(&out.join("final_config.yaml"));
            assert_eq!(deployment["metadata"]["name"], "my-model-profiling-dgd");
            let used = gpus(&deployment);
            assert!((1..=16).contains(&used), "{used} GPUs; {context}");
            throughput_counts_every_attention_copy(&out, &context);
        }
    }
}

/// The planner's own formula: `isl / ttft · attention_dp / gpus`, where a DEP worker has as many copies as GPUs.
fn throughput_counts_every_attention_copy(out: &Path, context: &str) {
    let curve: Value =
        serde_json::from_slice(&std::fs::read(out.join("prefill_raw_data.json")).unwrap()).unwrap();
    let mapping = curve["provenance"]["mapping"].as_str().unwrap();
    let gpus: f64 = mapping.trim_start_matches(char::is_alphabetic).parse().unwrap();
    let copies = if mapping.starts_with("DEP") { gpus } else { 1.0 };
    let numbers = |name: &str| -> Vec<f64> {
        let list = curve[name].as_array().unwrap();
        list.iter().map(|number| number.as_f64().unwrap()).collect()
    };
    let (isl, ttft) = (numbers("prefill_isl"), numbers("prefill_ttft"));
    for (index, found) in numbers("prefill_thpt_per_gpu").into_iter().enumerate() {
        let expected = isl[index] / ttft[index] * 1000.0 * copies / gpus;
        assert!(
            (found / expected - 1.0).abs() < 1e-9,
            "{mapping}: {found} for {expected}; {context}"
        );
    }
}

#[test]
fn the_guides_request_works_unchanged_and_says_what_it_assumed() {
    let sandbox = Sandbox::new();
    let guide = "apiVersion: nvidia.com/v1beta1\nkind: DynamoGraphDeploymentRequest\nmetadata:\n  name: my-model-profiling\n\
        spec:\n  model: \"Qwen/Qwen3-0.6B\"\n  backend: vllm\n  image: \"nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.9.0\"\n\n\
        \x20 workload:\n    isl: 3000\n    osl: 150\n\n  sla:\n    ttft: 200.0\n    itl: 20.0\n\n  autoApply: true\n";
    let config = sandbox.write("dgdr.yaml", guide);
    // Upstream's Job calls its profiler without a subcommand.
    let output = sandbox.run(&["--config", config.to_str().unwrap(), "--output-dir", "out"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("ASSUMED"), "{}", stderr(&output));
    let record: Value =
        serde_json::from_slice(&std::fs::read(sandbox.path("out/profile.json")).unwrap()).unwrap();
    assert_eq!(record["hardware"]["filled"][0]["field"], "spec.hardware.gpuSku");
    assert_eq!(record["hardware"]["filled"][0]["origin"], "assumed");
    // 16 heads leave four on each of four GPUs: the guide's own head constraint, with the largest TP.
    let rejected = record["backends"][0]["candidates"]["rejected"].to_string();
    assert!(rejected.contains("\"max_tp\":4"), "{rejected}");
}

#[test]
fn the_same_request_gives_the_same_bytes() {
    let sandbox = Sandbox::new();
    let config = sandbox.write("dgdr.yaml", &request("Qwen/Qwen3-8B", "auto"));
    for out in ["one", "two"] {
        let output = sandbox.run(&[
            "profile",
            "--config",
            config.to_str().unwrap(),
            "--output-dir",
            out,
        ]);
        assert_eq!(output.status.code(), Some(0));
    }
    // These tell of time.
    let timed = [
        "profile.json",
        "profile_sla.log",
        "profiler_status.yaml",
        "report.html",
    ];
    for name in files(&sandbox.path("one"))
        .iter()
        .filter(|name| !timed.contains(&name.as_str()))
    {
        let read = |out: &str| std::fs::read(sandbox.path(out).join(name)).unwrap();
        assert_eq!(read("one"), read("two"), "{name}");
    }
    let record = |out: &str| {
        let mut value: Value =
            serde_json::from_slice(&std::fs::read(sandbox.path(out).join("profile.json")).unwrap()).unwrap();
        value.as_object_mut().unwrap().remove("timings");
        value
    };
    assert_eq!(record("one"), record("two"));
    let page = |out: &str| {
        let text = std::fs::read_to_string(sandbox.path(out).join("report.html")).unwrap();
        let (before, rest) = text.split_once("<table id=\"timings\">").unwrap();
        let (_, after) = rest.split_once("</table>").unwrap();
        format!("{before}{after}")
    };
    assert_eq!(page("one"), page("two"));
}

#[test]
fn inline_json_standard_input_and_changes_are_understood() {
    let sandbox = Sandbox::new();
    let spec = r#"{"model": "Qwen/Qwen3-8B", "backend": "trtllm"}"#;
    let output = sandbox.run(&[
        "profile",
        "--config",
        spec,
        "--set",
        "spec.hardware.gpuSku=h100_sxm",
        "--set",
        "spec.hardware.totalGpus=4",
        "--no-plots",
        "--output-dir",
        "out",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        !files(&sandbox.path("out"))
            .iter()
            .any(|name| Path::new(name).extension().is_some_and(|suffix| suffix == "png"))
    );
    let record: Value =
        serde_json::from_slice(&std::fs::read(sandbox.path("out/profile.json")).unwrap()).unwrap();
    assert_eq!(record["hardware"]["system"], "h100_sxm");
    assert_eq!(record["hardware"]["total_gpus"], 4);
}

#[test]
fn an_unmet_sla_is_said_and_a_strict_run_fails() {
    let sandbox = Sandbox::new();
    let config = sandbox.write("dgdr.yaml", &request("meta-llama/Meta-Llama-3.1-70B", "trtllm"));
    let hopeless = ["--set", "spec.sla.ttft=1", "--set", "spec.sla.itl=1"];
    let mut arguments = vec!["profile", "--config", config.to_str().unwrap(), "--no-plots"];
    arguments.extend(hopeless);
    let closest = sandbox.run(&[&arguments[..], &["--output-dir", "closest"]].concat());
    assert_eq!(closest.status.code(), Some(0), "{}", stderr(&closest));
    let told = stderr(&closest);
    assert!(told.contains("NOT met") && told.contains("relax sla."), "{told}");

    let strict = sandbox.run(&[&arguments[..], &["--strict-sla", "--output-dir", "strict"]].concat());
    assert_eq!(strict.status.code(), Some(4), "{}", stderr(&strict));
    assert_eq!(
        files(&sandbox.path("strict")),
        ["profile_sla.log", "profiler_status.yaml"]
    );
    assert_eq!(
        read_yaml(&sandbox.path("strict/profiler_status.yaml"))["status"],
        "failed"
    );
}

#[test]
fn a_finished_run_can_be_asked() {
    let sandbox = Sandbox::new();
    let config = sandbox.write("dgdr.yaml", &request("Qwen/Qwen3-32B", "vllm"));
    let output = sandbox.run(&[
        "profile",
        "--config",
        config.to_str().unwrap(),
        "--no-plots",
        "--output-dir",
        "out",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let prefill = sandbox.run(&["query", "out", "prefill", "--isl", "3000", "--output", "json"]);
    let reply: Value = serde_json::from_str(&stdout(&prefill)).unwrap();
    assert!(reply["ttft_ms"].as_f64().unwrap() > 0.0);
    let load = sandbox.run(&[
        "query",
        "out",
        "decode",
        "--max-itl",
        "20",
        "--context-length",
        "3075",
        "--output",
        "json",
    ]);
    let reply: Value = serde_json::from_str(&stdout(&load)).unwrap();
    assert!(reply["in_flight"].as_u64().unwrap() > 0, "{}", stderr(&load));
    let best = sandbox.run(&[
        "query", "out", "best", "--isl", "3000", "--osl", "150", "--ttft", "2000", "--itl", "30", "--output",
        "json",
    ]);
    assert_eq!(best.status.code(), Some(0), "{}", stderr(&best));
    let best: Value = serde_json::from_slice(&best.stdout).unwrap();
    let number = |name: &str| best[name].as_f64().unwrap();
    assert!(number("itl_ms") <= 30.0 && number("ttft_ms") <= 2000.0, "{best}");
    let work =
        3000.0 / number("prefill_tokens_per_s_per_gpu") + 150.0 / number("decode_tokens_per_s_per_gpu");
    assert!(
        (number("tokens_per_s_per_gpu") * work / 150.0 - 1.0).abs() < 1e-9,
        "{best}"
    );
    assert!(number("expected_error") < 0.2, "{best}");
    let hopeless = sandbox.run(&[
        "query", "out", "best", "--isl", "3000", "--osl", "150", "--ttft", "1", "--itl", "30",
    ]);
    assert!(
        stderr(&hopeless).contains("on an idle engine"),
        "{}",
        stderr(&hopeless)
    );
    let longest = sandbox.run(&["query", "out", "prefill", "--max-ttft", "500", "--output", "json"]);
    let longest: Value = serde_json::from_slice(&longest.stdout).unwrap();
    assert!(longest["isl"].as_u64().unwrap() > 3000, "{longest}");

    let outside = sandbox.run(&["query", "out", "prefill", "--isl", "4000000"]);
    assert_eq!(outside.status.code(), Some(2), "{}", stderr(&outside));
}
