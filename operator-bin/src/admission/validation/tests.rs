use serde_json::json;

use super::*;

const POLICY: Policy = Policy {
    default_image: None,
    discovers_gpus: true,
};

fn request(spec: &Value) -> Value {
    json!({"apiVersion": "nvidia.com/v1beta1", "kind": "DynamoGraphDeploymentRequest", "metadata": {"name": "a"}, "spec": spec})
}

fn texts(violations: &[Violation]) -> Vec<String> {
    violations.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refused(spec: &Value) -> Vec<String> {
    texts(&validate_create(&request(spec), &POLICY).violations)
}

#[test]
fn upstreams_rules_come_first_in_its_words() {
    let spec = json!({
        "model": "m",
        "searchStrategy": "thorough",
        "backend": "auto",
        "image": "x:latest",
        "sla": {"ttft": -1, "itl": 1},
        "workload": {"concurrency": 1, "requestRate": 2},
        "unknownField": 1,
    });
    let policy = Policy {
        discovers_gpus: false,
        ..POLICY
    };
    let verdict = validate_create(&request(&spec), &policy);
    assert_eq!(
        texts(&verdict.violations),
        [
            "spec.hardware: Required value: GPU hardware configuration is required when GPU discovery is disabled",
            "spec.searchStrategy: Invalid value: \"thorough\": is incompatible with spec.backend \"auto\"; set \
             spec.backend to a specific backend (sglang, trtllm, or vllm)",
            "spec.runtimeVersionOverride: Required value: is required when spec.image has no parseable \
             semantic-version tag",
            "spec.sla.ttft: Invalid value: -1: must be above 0; write a positive number",
            "spec.unknownField: Forbidden: unknown field; remove it, or use one of model, backend, image, \
             runtimeVersionOverride, aicBackendVersion, modelCache, hardware, workload, sla, overrides, features, \
             searchStrategy, autoApply",
            "spec.workload: Forbidden: only one of concurrency and requestRate may be given; remove \
             spec.workload.concurrency or spec.workload.requestRate",
        ]
    );
}

#[test]
fn gpus_may_be_stated_where_they_are_not_discovered() {
    let policy = Policy {
        discovers_gpus: false,
        ..POLICY
    };
    for hardware in [
        json!({"gpuSku": "h200_sxm"}),
        json!({"vramMb": 80000}),
        json!({"numGpusPerNode": 8}),
    ] {
        let spec = json!({"model": "m", "hardware": hardware});
        assert_eq!(
            texts(&validate_create(&request(&spec), &policy).violations),
            [""; 0]
        );
    }
}

#[test]
fn tags_are_versions_or_a_version_is_asked_for() {
    for image in [
        "x:1.2.3",
        "x:v1.2",
        "x:1.2.3-rc1",
        "r:5000/x:1.2.3@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    ] {
        assert_eq!(
            refused(&json!({"model": "m", "image": image})),
            [""; 0],
            "{image}"
        );
    }
    for image in ["x", "x:latest", "r:5000/x", "x:main-1.2.3"] {
        let refused = refused(&json!({"model": "m", "image": image}));
        assert!(
            refused[0].starts_with("spec.runtimeVersionOverride: Required"),
            "{image} {refused:?}"
        );
        let stated = json!({"model": "m", "image": image, "runtimeVersionOverride": "1.2.3"});
        assert_eq!(validate_create(&request(&stated), &POLICY).violations, []);
    }
    assert_eq!(
        refused(&json!({})),
        ["spec.model: Required value: name the model, for example \"Qwen/Qwen3-32B\""]
    );
}

#[test]
fn only_new_faults_of_a_change_count() {
    let old = request(&json!({"model": "m", "image": "x:latest", "autoApply": false, "sla": {"ttft": -1}}));
    let change = |field: &str, value: Value| {
        let mut new = old.clone();
        new["spec"][field] = value;
        texts(&validate_update(&old, &new, &POLICY).violations)
    };
    assert_eq!(change("aicBackendVersion", json!("1.0.0")), [""; 0]);
    assert_eq!(change("sla", json!({"ttft": -1, "itl": 5})), [""; 0]);
    assert_eq!(change("sla", json!({"ttft": -2})).len(), 1);
    // The version is looked at again whenever it matters anew.
    assert_eq!(change("image", json!("y:latest")).len(), 1);
    assert_eq!(change("autoApply", json!(true)).len(), 1);
    assert_eq!(change("image", json!("y:1.2.3")), [""; 0]);
    let mut labelled = old.clone();
    labelled["metadata"]["labels"] = json!({"a": "b"});
    assert_eq!(validate_update(&old, &labelled, &POLICY), Verdict::default());
}

#[test]
fn a_late_change_is_forbidden_in_upstreams_words() {
    let mut old = request(&json!({"model": "m"}));
    old["status"] = json!({"phase": "Deploying"});
    let mut new = old.clone();
    new["spec"]["model"] = json!("n");
    assert_eq!(
        texts(&validate_update(&old, &new, &POLICY).violations),
        [
            "spec: Forbidden: updates are forbidden while the resource is in phase \"Deploying\"; delete and recreate \
             the resource to change its spec"
        ]
    );
}

#[test]
fn doubtful_overrides_warn() {
    let spec = json!({
        "model": "m",
        "overrides": {
            "dgd": {"spec": {
                "services": {"TRTLLMDecodeWorker": {}, "worker": {}},
                "components": [{"name": "VllmWorker"}, {"name": "SglangDecodeWorker"}],
            }},
            "profilingJob": {"template": {"spec": {"hostNetwork": true}}},
        },
    });
    let mut verdict = validate_create(&request(&spec), &POLICY);
    assert_eq!(verdict.violations, []);
    verdict
        .warnings
        .retain(|warning| warning.starts_with("spec.overrides"));
    assert_eq!(
        verdict.warnings,
        [
            "spec.overrides.profilingJob.template.spec.hostNetwork: cannot be overridden, so that it has no effect",
            "spec.overrides.dgd.spec.components[name=SglangDecodeWorker]: override target \"SglangDecodeWorker\" is \
             deprecated; use worker (aggregate) or decode (disaggregated). Legacy-name translation will be removed in a \
             future release",
            "spec.overrides.dgd.spec.components[name=VllmWorker]: override target \"VllmWorker\" is deprecated; use \
             worker. Legacy-name translation will be removed in a future release",
            "spec.overrides.dgd.spec.services.TRTLLMDecodeWorker: override target \"TRTLLMDecodeWorker\" is deprecated; \
             use decode. Legacy-name translation will be removed in a future release",
        ]
    );
}

#[test]
fn requests_of_a_newer_version_are_left_alone() {
    let enveloped = request(&json!({"v1beta2": {"modelRef": {}}}));
    let policy = Policy {
        discovers_gpus: false,
        ..POLICY
    };
    assert_eq!(validate_create(&enveloped, &policy), Verdict::default());
    assert_eq!(
        validate_update(&request(&json!({"model": "m"})), &enveloped, &policy),
        Verdict::default()
    );
}
