//! Parts of a deployment that a request gives, and the version in which the deployment is written.

use std::process::Output;

use serde_json::Value;

use crate::run::{Sandbox, files, request, stderr, stdout};

/// The guide's request with a part of a deployment.
fn with(part: &str) -> String {
    let part = part.trim_end().replace('\n', "\n      ");
    let overrides = format!("  overrides:\n    dgd:\n      {part}\n");
    request("Qwen/Qwen3-32B", "vllm").replace("  autoApply: true\n", &overrides)
}

fn run(text: &str, more: &[&str]) -> (Sandbox, Output) {
    let sandbox = Sandbox::new();
    let config = sandbox.write("dgdr.yaml", text);
    let mut arguments = vec!["profile", "--config", config.to_str().unwrap()];
    arguments.extend(["--output-dir", "out", "--no-plots"]);
    arguments.extend(more);
    let output = sandbox.run(&arguments);
    (sandbox, output)
}

/// The deployment that is written, and what is said beside it.
fn deployed(text: &str, more: &[&str]) -> (Value, String) {
    let (sandbox, output) = run(text, more);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = std::fs::read_to_string(sandbox.path("out/final_config.yaml")).unwrap();
    let mut documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    (documents.pop().unwrap(), stderr(&output))
}

/// A worker of an old release, with what people set there.
const PART: &str = "\
apiVersion: nvidia.com/v1alpha1
kind: DynamoGraphDeployment
metadata: {name: my-dgd}
spec:
  services:
    Frontend: {replicas: 2}
    VllmPrefillWorker:
      envs: [{name: NCCL_DEBUG, value: INFO}]
      extraPodSpec: {mainContainer: {args: [--seed, '1']}}
";

#[test]
fn a_part_reaches_the_deployment_in_either_version() {
    let (beta, told) = deployed(&with(PART), &[]);
    assert_eq!(beta["apiVersion"], "nvidia.com/v1beta1");
    assert_eq!(beta["metadata"]["name"], "my-dgd");
    let components = beta["spec"]["components"].as_array().unwrap();
    assert_eq!(components[0]["replicas"], 2);
    let prefill = components
        .iter()
        .find(|component| component["name"] == "prefill")
        .unwrap();
    let main = &prefill["podTemplate"]["spec"]["containers"][0];
    assert_eq!(main["env"][0]["name"], "NCCL_DEBUG");
    let arguments: Vec<&str> = main["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect();
    assert_eq!(arguments[arguments.len() - 2..], ["--seed", "1"]);
    assert!(arguments.contains(&"--max-num-seqs"));
    assert!(told.contains("taken for `prefill`"), "{told}");

    let (alpha, _) = deployed(&with(PART), &["--dgd-version", "v1alpha1"]);
    assert_eq!(alpha["apiVersion"], "nvidia.com/v1alpha1");
    let service = &alpha["spec"]["services"]["prefill"];
    assert_eq!(service["subComponentType"], "prefill");
    assert_eq!(service["envs"], main["env"]);
    assert_eq!(service["extraPodSpec"]["mainContainer"]["args"], main["args"]);
    assert_eq!(
        service["resources"]["limits"]["gpu"],
        main["resources"]["limits"]["nvidia.com/gpu"]
    );
}

#[test]
fn what_is_wrong_in_any_case_is_found_before_the_sweep() {
    let part = "\
status: {}
spec:
  components: []
  services:
    Frontend: {replica: 1}
    prefill: {replicas: null}
";
    let (sandbox, output) = run(&with(part), &["--dry-run"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "");
    assert!(files(&sandbox.path("out")).is_empty());
    let part = part.replace("status: {}\n", "");
    let (sandbox, output) = run(&with(&part), &[]);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    for word in [
        "services.Frontend.replica: v1alpha1 has no such field: did you mean `replicas`?",
        "services.prefill.replicas: must not be null",
        "spec.components: v1alpha1 has no such field, v1beta1 has",
    ] {
        assert!(told.contains(word), "{word}: {told}");
    }
    let status = std::fs::read_to_string(sandbox.path("out/profiler_status.yaml")).unwrap();
    assert!(
        status.contains("status: failed") && status.contains("phase: Initializing"),
        "{status}"
    );
    assert!(!status.contains("SweepingPrefill"), "{status}");
}

#[test]
fn a_component_of_another_engine_is_found_before_the_sweep() {
    let (_, output) = run(
        &with("spec: {services: {SGLangDecodeWorker: {replicas: 1}}}"),
        &["--dry-run"],
    );
    assert_eq!(output.status.code(), Some(2));
    let told = stderr(&output);
    assert!(
        told.contains("no deployment for vllm has such a component"),
        "{told}"
    );
}

#[test]
fn more_gpus_than_there_are_are_refused_and_nothing_is_deployed() {
    let (sandbox, output) = run(&with("spec: {services: {prefill: {replicas: 100}}}"), &[]);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("more than the 16 of the budget"), "{told}");
    assert_eq!(
        files(&sandbox.path("out")),
        ["profile_sla.log", "profiler_status.yaml"]
    );
}
