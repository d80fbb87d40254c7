use dgdr_types::dgd::DgdVersion;
use dgdr_types::names::DgdrName;
use dgdr_types::{RawRequest, ResolvedRequest, resolve};
use serde_json::{Value, json};

use super::{Profiler, UnknownModels, WhyNot};
use crate::collection::key;

fn spec(model: &str) -> Value {
    json!({
        "model": model, "backend": "vllm", "image": "nvcr.io/nvidia/ai-dynamo/dynamo-planner:1.6.1",
        "hardware": {"gpuSku": "h200_sxm", "numGpusPerNode": 8, "totalGpus": 8, "vramMb": 143_771},
        "workload": {"isl": 3000, "osl": 150}, "sla": {"ttft": 500, "itl": 30},
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut spec = spec("Qwen/Qwen3-32B");
    spec[field] = value;
    spec
}

fn resolved(spec: Value) -> ResolvedRequest {
    let whole = Value::Object([("spec".to_owned(), spec)].into_iter().collect());
    resolve(&RawRequest::from_value(whole)).unwrap()
}

fn profile(spec: &Value, name: &str) -> std::collections::BTreeMap<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let profiler = Profiler::new(UnknownModels::UseJob);
    let name = DgdrName::new(name).unwrap();
    runtime.block_on(profiler.profile(&spec.to_string(), &name, "serving", DgdVersion::default()))
}

#[test]
fn what_needs_a_pod_is_left_to_a_job() {
    let profiler = Profiler::new(UnknownModels::UseJob);
    assert_eq!(profiler.can(&resolved(spec("Qwen/Qwen3-32B"))), Ok(()));
    let why = |spec: Value| profiler.can(&resolved(spec)).unwrap_err();
    assert_eq!(why(with("searchStrategy", json!("thorough"))), WhyNot::Thorough);
    let in_volume = with(
        "modelCache",
        json!({"pvcName": "weights", "pvcModelPath": "qwen"}),
    );
    assert_eq!(
        why(in_volume),
        WhyNot::ModelInVolume {
            claim: "weights".to_owned()
        }
    );
    let hub_cache = with("modelCache", json!({"pvcName": "weights"}));
    assert_eq!(
        profiler.can(&resolved(hub_cache)),
        Ok(()),
        "its description is built in"
    );
    let volume = json!({"name": "profiling-output", "persistentVolumeClaim": {"claimName": "results"}});
    let kept = with(
        "overrides",
        json!({"profilingJob": {"template": {"spec": {"containers": [], "volumes": [volume]}}}}),
    );
    assert_eq!(why(kept), WhyNot::KeepsFiles);
    let tolerant = with(
        "overrides",
        json!({"profilingJob": {"template": {"spec": {"containers": [], "tolerations": [{"operator": "Exists"}]}}}}),
    );
    assert_eq!(
        profiler.can(&resolved(tolerant)),
        Ok(()),
        "tolerations reach the deployment without a Job"
    );
    let path = "/opt/models/mine".to_owned();
    assert_eq!(why(spec(&path)), WhyNot::ModelIsPath { model: path });
}

#[test]
fn the_hub_is_asked_only_where_that_is_allowed() {
    let unknown = resolved(spec("nobody/nothing"));
    let refused = Profiler::new(UnknownModels::UseJob).can(&unknown).unwrap_err();
    insta::assert_snapshot!(refused);
    assert_eq!(Profiler::new(UnknownModels::AskHub).can(&unknown), Ok(()));
}

#[test]
fn the_entries_are_those_of_a_collected_job() {
    let entries = profile(&spec("Qwen/Qwen3-32B"), "123");
    let keys: Vec<&str> = entries.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "final_config.yaml",
            "message",
            "phase",
            "profiler_status",
            "profiler_status.yaml"
        ]
    );
    assert_eq!(entries[key::STATUS], "success");
    assert_eq!(entries[key::PHASE], "Done");
    assert_eq!(entries[key::MESSAGE], "Profiler completed successfully");
    let result = &entries["final_config.yaml"];
    let documents: Vec<Value> = serde_saphyr::from_multiple(result).unwrap();
    let deployment = documents.last().unwrap();
    assert_eq!(deployment["kind"], "DynamoGraphDeployment");
    assert_eq!(deployment["metadata"]["name"], "123-dgd");
}

#[test]
fn a_failure_is_told_as_a_job_tells_it() {
    let mut tiny = spec("deepseek-ai/DeepSeek-V3");
    tiny["hardware"]["totalGpus"] = json!(1);
    let entries = profile(&tiny, "sla");
    assert_eq!(entries[key::STATUS], "failed");
    assert_eq!(entries[key::PHASE], "SelectingConfig");
    assert!(
        entries[key::ERROR].contains("no configuration of `deepseek-ai/DeepSeek-V3`"),
        "{entries:?}"
    );
    let wrong = profile(&with("workload", json!({"isl": -1})), "sla");
    assert_eq!(wrong[key::STATUS], "failed");
    assert!(wrong[key::ERROR].contains("spec.workload.isl"), "{wrong:?}");
    let mut open = spec("Qwen/Qwen3-32B");
    open["hardware"] = json!({"gpuSku": "h200_sxm"});
    insta::assert_snapshot!(profile(&open, "sla")[key::ERROR]);
    let path = profile(&spec("/etc"), "sla");
    insta::assert_snapshot!(path[key::ERROR]);
}

#[test]
fn many_requests_share_the_cores() {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let profiler = Profiler::new(UnknownModels::UseJob);
    let name = DgdrName::new("sla").unwrap();
    let config = spec("Qwen/Qwen3-32B").to_string();
    let runs = (0..6).map(|_| {
        let (profiler, name, config) = (profiler.clone(), name.clone(), config.clone());
        runtime.spawn(async move {
            profiler
                .profile(&config, &name, "serving", DgdVersion::default())
                .await
        })
    });
    let results: Vec<_> = runs.collect();
    let results: Vec<String> = results
        .into_iter()
        .map(|run| runtime.block_on(run).unwrap()["final_config.yaml"].clone())
        .collect();
    assert!(
        results.windows(2).all(|pair| pair[0] == pair[1]),
        "the same request gives the same bytes"
    );
}
