//! Features of a request, from its text to `final_config.yaml`.

use std::process::Output;

use serde_json::Value;

use crate::run::{Sandbox, files, request, stderr};

/// The guide's request with further fields of its spec.
fn with(fields: &str) -> String {
    request("Qwen/Qwen3-32B", "vllm").replace("  autoApply: true\n", fields)
}

fn run(text: &str) -> (Sandbox, Output) {
    let sandbox = Sandbox::new();
    let config = sandbox.write("dgdr.yaml", text);
    let config = config.to_str().unwrap();
    let output = sandbox.run(&["profile", "--config", config, "--output-dir", "out", "--no-plots"]);
    (sandbox, output)
}

/// All documents of the deployment.
fn deployed(text: &str) -> Vec<Value> {
    let (sandbox, output) = run(text);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = std::fs::read_to_string(sandbox.path("out/final_config.yaml")).unwrap();
    serde_saphyr::from_multiple(&text).unwrap()
}

/// Why there is no deployment: the cluster learns of it from the status file, and nothing else is written.
fn refused(text: &str) -> String {
    let (sandbox, output) = run(text);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert_eq!(
        files(&sandbox.path("out")),
        ["profile_sla.log", "profiler_status.yaml"]
    );
    stderr(&output)
}

fn component<'a>(documents: &'a [Value], name: &str) -> &'a Value {
    let components = documents.last().unwrap()["spec"]["components"]
        .as_array()
        .unwrap();
    components
        .iter()
        .find(|component| component["name"] == name)
        .unwrap()
}

#[test]
fn simulated_engines_get_the_curves_of_the_run() {
    let documents = deployed(&with(
        "  features: {mocker: {enabled: true}, kvRouter: {enabled: true}}\n",
    ));
    assert_eq!(documents.len(), 2);
    assert_eq!(
        documents[0]["metadata"]["name"],
        "planner-profile-data-my-model-profiling"
    );
    assert!(documents[0]["binaryData"]["mocker.npz"].is_string());
    let frontend = &component(&documents, "Frontend")["podTemplate"]["spec"]["containers"][0];
    assert_eq!(frontend["env"][0]["value"], "kv");
    // The image of the request holds vLLM; its sibling holds the simulator.
    assert_eq!(frontend["image"], "nvcr.io/nvidia/ai-dynamo/dynamo-planner:0.9.0");
    assert!(!documents[1].to_string().contains("nvidia.com/gpu"));
}

#[test]
fn simulated_engines_without_a_sweep_are_refused_and_nothing_is_deployed() {
    let text =
        with("  features:\n    mocker: {enabled: true}\n    planner: {pre_deployment_sweeping_mode: none}\n");
    let reason = refused(&text);
    assert!(
        reason.contains("spec.features.planner.pre_deployment_sweeping_mode"),
        "{reason}"
    );
}

#[test]
fn the_guides_planner_and_volume_reach_the_deployment() {
    let documents = deployed(&with(
        "  modelCache: {pvcName: model-cache, pvcModelPath: hub/qwen, pvcMountPath: /opt/model-cache}\n\
         \x20 overrides: {profilingJob: {template: {spec: {imagePullSecrets: [{name: nvcr-imagepullsecret}]}}}}\n\
         \x20 features:\n    planner:\n      planner_min_endpoint: 2\n      planner_adjustment_interval: 60\n\
         \x20     planner_load_predictor: linear\n",
    ));
    let settings = documents[0]["data"]["planner_config.json"].as_str().unwrap();
    let settings: Value = serde_json::from_str(settings).unwrap();
    assert_eq!(settings["min_endpoint"], 2);
    assert_eq!(settings["throughput_adjustment_interval_seconds"], 60);
    assert_eq!(settings["load_predictor"], "arima");
    assert_eq!(settings["optimization_target"], "sla");
    for name in ["Frontend", "prefill", "decode"] {
        let pod = &component(&documents, name)["podTemplate"]["spec"];
        assert_eq!(pod["imagePullSecrets"][0]["name"], "nvcr-imagepullsecret");
        assert_eq!(
            pod["volumes"][0]["persistentVolumeClaim"]["claimName"],
            "model-cache"
        );
        let args = pod["containers"][0]["args"].to_string();
        assert!(args.contains("\"/opt/model-cache/hub/qwen\""), "{name}: {args}");
        assert!(args.contains("\"Qwen/Qwen3-32B\""), "{name}: {args}");
    }
    assert_eq!(
        component(&documents, "Planner")["podTemplate"]["spec"]["imagePullSecrets"][0]["name"],
        "nvcr-imagepullsecret"
    );
}

#[test]
fn a_model_outside_its_volume_is_refused_with_both_paths_and_nothing_is_deployed() {
    let text = with("  modelCache: {pvcName: model-cache}\n").replace("Qwen/Qwen3-32B", "/data/qwen");
    let reason = refused(&text);
    assert!(
        reason.contains("/data/qwen") && reason.contains("/opt/model-cache"),
        "{reason}"
    );
}

#[test]
fn a_target_for_a_whole_request_reaches_the_planner() {
    let text = with("  features: {planner: {}}\n")
        .replace("    ttft: 200.0\n    itl: 20.0\n", "    e2eLatency: 4000\n");
    let documents = deployed(&text);
    let settings = documents[0]["data"]["planner_config.json"].as_str().unwrap();
    let settings: Value = serde_json::from_str(settings).unwrap();
    assert_eq!(settings["optimization_target"], "sla");
    let of = |name: &str| settings[name].as_f64().unwrap();
    let whole = 149.0_f64.mul_add(of("itl_ms"), of("ttft_ms"));
    assert!((whole - 4000.0).abs() < 1e-6, "{whole}");
}

#[test]
fn code_of_a_checkpoint_is_named_and_never_trusted_silently() {
    let sandbox = Sandbox::new();
    let model = r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096,
        "intermediate_size": 14336, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 32,
        "vocab_size": 128256, "max_position_embeddings": 8192, "torch_dtype": "bfloat16",
        "auto_map": {"AutoModelForCausalLM": "modeling.Custom"}}"#;
    let model = sandbox.write("config.json", model);
    let run = |trust: &str| {
        let text = with(&format!("  overrides: {{trustRemoteCode: {trust}}}\n"));
        let config = sandbox.write("dgdr.yaml", &text);
        let output = sandbox.run(&[
            "profile",
            "--config",
            config.to_str().unwrap(),
            "--model-config",
            model.to_str().unwrap(),
            "--output-dir",
            "out",
            "--no-plots",
        ]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let flag = std::fs::read_to_string(sandbox.path("out/final_config.yaml"))
            .unwrap()
            .contains("--trust-remote-code");
        (flag, stderr(&output).contains("auto_map"))
    };
    assert_eq!(run("false"), (false, true));
    assert_eq!(run("true"), (true, false));
}
