use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;

fn alpha(spec: &Value) -> Value {
    json!({"apiVersion": ALPHA_API_VERSION, "kind": KIND, "metadata": {"name": "a"}, "spec": spec})
}

fn beta(spec: &Value) -> Value {
    json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "a"}, "spec": spec})
}

fn to_beta(object: &Value) -> Value {
    convert(object, DgdrVersion::V1beta1).unwrap()
}

fn to_alpha(object: &Value) -> Value {
    convert(object, DgdrVersion::V1alpha1).unwrap()
}

/// All that a v1alpha1 spec may say.
fn full() -> Value {
    json!({
        "model": "m",
        "backend": "vllm",
        "runtimeVersionOverride": "1.2.3",
        "useMocker": true,
        "enableGpuDiscovery": false,
        "autoApply": true,
        "deploymentOverrides": {"name": "n", "namespace": "s", "labels": {"a": "b"}, "workersImage": "w:1"},
        "profilingConfig": {
            "profilerImage": "p:1",
            "outputPVC": "keep",
            "configMapRef": {"name": "c", "key": "k.yaml"},
            "resources": {"limits": {"cpu": "1"}},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "nodeSelector": {"disk": "ssd"},
            "config": {
                "sla": {"ttft": 200.5, "itl": 20, "isl": 3000, "osl": 150, "optimizationType": "latency", "e2e": 1},
                "deployment": {
                    "modelCache": {"pvcName": "v", "modelPathInPvc": "m/p", "pvcMountPath": "/x"},
                    "namespace": "t",
                },
                "planner": {"min_endpoint": 1},
                "sweep": {"use_ai_configurator": true},
            },
        },
    })
}

#[test]
fn what_both_versions_have_is_translated() {
    let converted = to_beta(&alpha(&full()));
    assert_eq!(
        converted["spec"],
        json!({
            "model": "m",
            "backend": "vllm",
            "image": "p:1",
            "runtimeVersionOverride": "1.2.3",
            "autoApply": true,
            "features": {"mocker": {"enabled": true}, "planner": {"min_endpoint": 1}},
            "sla": {"ttft": 200.5, "itl": 20, "optimizationType": "latency"},
            "workload": {"isl": 3000, "osl": 150},
            "modelCache": {"pvcName": "v", "pvcModelPath": "m/p", "pvcMountPath": "/x"},
            "overrides": {"profilingJob": {"template": {"spec": {
                "containers": [{"name": "profiler", "resources": {"limits": {"cpu": "1"}}}],
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
                "nodeSelector": {"disk": "ssd"},
            }}}},
        })
    );
    assert_eq!(to_alpha(&converted), alpha(&full()));
}

/// Defaults differ between the versions, so that they are written out; nothing needs to be preserved then.
#[test]
fn a_request_with_the_defaults_of_its_schema_needs_no_annotation() {
    let spec = json!({
        "model": "m",
        "backend": "auto",
        "useMocker": false,
        "autoApply": false,
        "profilingConfig": {"profilerImage": "p:1", "config": {"sla": {"ttft": 1}}},
    });
    let converted = to_beta(&alpha(&spec));
    assert_eq!(
        converted,
        beta(
            &json!({"model": "m", "backend": "auto", "image": "p:1", "autoApply": false, "sla": {"ttft": 1}})
        )
    );
    assert_eq!(to_alpha(&converted), alpha(&spec));
}

#[test]
fn the_workers_image_counts_where_the_profiler_has_none() {
    let spec =
        json!({"profilingConfig": {"profilerImage": ""}, "deploymentOverrides": {"workersImage": "w:1"}});
    let mut converted = to_beta(&alpha(&spec));
    assert_eq!(converted["spec"]["image"], "w:1");
    converted["spec"]["image"] = json!("x:2");
    let back = to_alpha(&converted);
    assert_eq!(back["spec"]["profilingConfig"]["profilerImage"], "x:2");
    assert_eq!(back["spec"]["deploymentOverrides"]["workersImage"], "w:1");
    converted["spec"].as_object_mut().unwrap().remove("image");
    assert_eq!(to_beta(&to_alpha(&converted))["spec"].get("image"), None);
}

/// A change in v1beta1 wins over what was preserved, and all the rest stays.
#[test]
fn changes_since_win_over_what_was_preserved() {
    let mut stored = to_beta(&alpha(&full()));
    stored["spec"]["sla"]["ttft"] = json!(300);
    stored["spec"]["features"]
        .as_object_mut()
        .unwrap()
        .remove("planner");
    stored["spec"]["hardware"] = json!({"gpuSku": "h200_sxm"});
    let mut expected = full();
    expected["profilingConfig"]["config"]["sla"]["ttft"] = json!(300);
    let config = expected["profilingConfig"]["config"].as_object_mut().unwrap();
    config.remove("planner");
    let back = to_alpha(&stored);
    assert_eq!(back["spec"], expected);
    assert_eq!(to_beta(&back)["spec"], stored["spec"]);
}

/// Sparse annotations hold only what the live object cannot say.
#[test]
fn upstreams_annotations_are_read() {
    let mut stored = beta(&json!({"model": "m", "backend": "vllm", "image": "p:1", "autoApply": true}));
    let sparse = json!({"profilingConfig": {"outputPVC": "keep", "config": {"sweep": {"a": 1}}}});
    stored["metadata"]["annotations"] = json!({"nvidia.com/dgdr-spec": sparse.to_string()});
    let expected = json!({
        "model": "m",
        "backend": "vllm",
        "autoApply": true,
        "profilingConfig": {"profilerImage": "p:1", "outputPVC": "keep", "config": {"sweep": {"a": 1}}},
    });
    assert_eq!(to_alpha(&stored)["spec"], expected);
    stored["metadata"]["annotations"] = json!({
        "nvidia.com/dgdr-output-pvc": "keep",
        "nvidia.com/dgdr-profiling-config": "{\"sweep\":{\"a\":1}}",
        "kept": "by others",
    });
    let converted = to_alpha(&stored);
    assert_eq!(converted["spec"], expected);
    assert_eq!(converted["metadata"]["annotations"]["kept"], "by others");
    let annotations = converted["metadata"]["annotations"].as_object().unwrap();
    assert!(
        !annotations
            .keys()
            .any(|key| key.starts_with("nvidia.com/dgdr-output"))
    );
}

#[track_caller]
fn check_phase(status: Value, phase: &str) {
    let mut object = alpha(&full());
    object["status"] = status;
    let converted = to_beta(&object);
    assert_eq!(converted["status"]["phase"], phase);
    assert_eq!(to_alpha(&converted), object);
}

#[test]
fn states_are_phases() {
    check_phase(json!({"state": ""}), "Pending");
    check_phase(json!({"state": "Pending"}), "Pending");
    check_phase(json!({"state": "Initializing"}), "Pending");
    check_phase(json!({"state": "Profiling"}), "Profiling");
    check_phase(json!({"state": "Deploying", "backend": "vllm"}), "Deploying");
    check_phase(json!({"state": "Failed"}), "Failed");
    check_phase(json!({"state": "Ready"}), "Ready");
    check_phase(json!({"state": "DeploymentDeleted"}), "Ready");
    let deployment = json!({"state": "failed", "created": true, "name": "d"});
    check_phase(json!({"state": "Ready", "deployment": deployment}), "Deployed");
}

#[test]
fn phases_are_states() {
    let mut object = beta(&json!({"model": "m"}));
    object["status"] = json!({
        "phase": "Deployed",
        "dgdName": "d",
        "observedGeneration": 2,
        "deploymentInfo": {"replicas": 1},
        "profilingResults": {"selectedConfig": {"kind": "DynamoGraphDeployment"}, "pareto": []},
    });
    let converted = to_alpha(&object);
    assert_eq!(
        converted["status"],
        json!({
            "state": "Ready",
            "observedGeneration": 2,
            "deployment": {"created": true, "state": "successful", "name": "d"},
            "generatedDeployment": {"kind": "DynamoGraphDeployment"},
        })
    );
    assert_eq!(to_beta(&converted), object);
}

#[test]
fn what_takes_effect_is_found() {
    let effects = |annotations: &Value| {
        let annotations: std::collections::BTreeMap<String, String> =
            serde_json::from_value(annotations.clone()).unwrap();
        runtime_effects(&annotations)
    };
    let expected = RuntimeEffects {
        output_pvc: Some("keep".to_owned()),
        config_map_ref: Some(ConfigMapRef {
            name: "c".to_owned(),
            key: "k.yaml".to_owned(),
        }),
    };
    assert_eq!(
        effects(&to_beta(&alpha(&full()))["metadata"]["annotations"]),
        expected
    );
    let legacy = json!({
        "nvidia.com/dgdr-output-pvc": "keep",
        "nvidia.com/dgdr-config-map-ref": "{\"name\":\"c\",\"key\":\"k.yaml\"}",
    });
    assert_eq!(effects(&legacy), expected);
    let unreadable = json!({"nvidia.com/dgdr-spec": "{", "nvidia.com/dgdr-output-pvc": "late"});
    assert_eq!(effects(&unreadable), RuntimeEffects::default());
    let short = json!({"nvidia.com/dgdr-spec": "{\"profilingConfig\":{\"configMapRef\":{\"name\":\"c\"}}}"});
    assert_eq!(effects(&short).config_map_ref.unwrap().key, "disagg.yaml");
}

#[test]
fn strangers_are_refused() {
    let other = json!({"apiVersion": API_VERSION, "kind": "DynamoGraphDeployment"});
    assert!(matches!(
        convert(&other, DgdrVersion::V1alpha1),
        Err(DgdrError::OtherKind { .. })
    ));
    let newer = json!({"apiVersion": "nvidia.com/v1beta2", "kind": KIND});
    let error = convert(&newer, DgdrVersion::V1alpha1).unwrap_err();
    assert!(error.to_string().contains("nvidia.com/v1beta2"), "{error}");
}

/// A field, often missing, sometimes of a type that it should not have.
fn maybe(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Option<Value>> {
    prop_oneof![3 => Just(None), 6 => value.prop_map(Some), 1 => odd().prop_map(Some)].boxed()
}

fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({})),
        Just(json!([])),
        Just(json!("odd")),
        Just(json!(3.0)),
        Just(json!({"odd": {}}))
    ]
}

fn text() -> impl Strategy<Value = Value> {
    prop_oneof![Just(json!("")), "[a-c]{1,2}".prop_map(Value::from)]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![(1..4).prop_map(Value::from), Just(json!(1.5)), Just(json!(2.0))]
}

fn switch() -> impl Strategy<Value = Value> {
    any::<bool>().prop_map(Value::from)
}

fn object(fields: Vec<(&'static str, BoxedStrategy<Option<Value>>)>) -> BoxedStrategy<Value> {
    let unknown = maybe(text());
    let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().chain([("unknown", unknown)]).unzip();
    values
        .prop_map(move |values| {
            let fields = names.iter().zip(values);
            let some = fields.filter_map(|(name, value)| value.map(|value| ((*name).to_owned(), value)));
            Value::Object(some.collect::<Map<_, _>>())
        })
        .boxed()
}

fn pod() -> BoxedStrategy<Value> {
    let named = |name: Option<&'static str>| {
        let name = name.map(|name| json!(name));
        object(vec![
            ("name", Just(name).boxed()),
            ("resources", maybe(object(vec![("limits", maybe(text()))]))),
        ])
    };
    let container = prop_oneof![
        named(None),
        named(Some("profiler")),
        named(Some("output-copier")),
        named(Some(""))
    ];
    object(vec![
        (
            "containers",
            maybe(prop::collection::vec(container, 0..3).prop_map(Value::from)),
        ),
        (
            "tolerations",
            maybe(prop::collection::vec(text(), 0..2).prop_map(Value::from)),
        ),
        ("nodeSelector", maybe(object(vec![("disk", maybe(text()))]))),
    ])
}

fn beta_spec() -> BoxedStrategy<Value> {
    let job = object(vec![("template", maybe(object(vec![("spec", maybe(pod()))])))]);
    object(vec![
        ("model", maybe(text())),
        ("backend", maybe(text())),
        ("image", maybe(text())),
        ("runtimeVersionOverride", maybe(text())),
        ("autoApply", maybe(switch())),
        ("searchStrategy", maybe(text())),
        ("hardware", maybe(object(vec![("totalGpus", maybe(number()))]))),
        (
            "sla",
            maybe(object(vec![
                ("ttft", maybe(number())),
                ("itl", maybe(number())),
                ("e2eLatency", maybe(number())),
            ])),
        ),
        (
            "workload",
            maybe(object(vec![
                ("isl", maybe(number())),
                ("osl", maybe(number())),
                ("concurrency", maybe(number())),
            ])),
        ),
        (
            "modelCache",
            maybe(object(vec![
                ("pvcName", maybe(text())),
                ("pvcModelPath", maybe(text())),
                ("pvcMountPath", maybe(text())),
            ])),
        ),
        (
            "features",
            maybe(object(vec![
                ("mocker", maybe(object(vec![("enabled", maybe(switch()))]))),
                ("planner", maybe(object(vec![("a", maybe(number()))]))),
            ])),
        ),
        (
            "overrides",
            maybe(object(vec![
                ("profilingJob", maybe(job)),
                ("dgd", maybe(object(vec![]))),
            ])),
        ),
    ])
}

fn alpha_spec() -> BoxedStrategy<Value> {
    let sla = object(vec![
        ("ttft", maybe(number())),
        ("itl", maybe(number())),
        ("isl", maybe(number())),
        ("osl", maybe(number())),
        ("optimizationType", maybe(text())),
    ]);
    let cache = object(vec![
        ("pvcName", maybe(text())),
        ("modelPathInPvc", maybe(text())),
        ("pvcMountPath", maybe(text())),
    ]);
    let config = object(vec![
        ("sla", maybe(sla)),
        ("deployment", maybe(object(vec![("modelCache", maybe(cache))]))),
        ("planner", maybe(object(vec![("a", maybe(number()))]))),
    ]);
    let profiling = object(vec![
        ("profilerImage", maybe(text())),
        ("config", maybe(config)),
        ("outputPVC", maybe(text())),
        ("resources", maybe(object(vec![("limits", maybe(text()))]))),
        (
            "tolerations",
            maybe(prop::collection::vec(text(), 0..2).prop_map(Value::from)),
        ),
        ("nodeSelector", maybe(object(vec![("disk", maybe(text()))]))),
    ]);
    object(vec![
        ("model", maybe(text())),
        ("backend", maybe(text())),
        ("useMocker", maybe(switch())),
        ("autoApply", maybe(switch())),
        ("enableGpuDiscovery", maybe(switch())),
        (
            "deploymentOverrides",
            maybe(object(vec![("workersImage", maybe(text()))])),
        ),
        ("profilingConfig", maybe(profiling)),
    ])
}

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop::sample::select(words).prop_map(Value::from)
}

fn alpha_status() -> BoxedStrategy<Value> {
    let states = one_of(&[
        "",
        "Initializing",
        "Pending",
        "Profiling",
        "Deploying",
        "Ready",
        "DeploymentDeleted",
        "Failed",
    ]);
    let deployment = object(vec![
        ("name", maybe(text())),
        ("state", maybe(one_of(&["initializing", "successful"]))),
        ("created", maybe(switch())),
    ]);
    object(vec![
        ("state", maybe(states)),
        ("backend", maybe(text())),
        ("deployment", maybe(deployment)),
        ("generatedDeployment", maybe(object(vec![]))),
        ("observedGeneration", maybe(number())),
    ])
}

fn beta_status() -> BoxedStrategy<Value> {
    let phases = one_of(&["Pending", "Profiling", "Deploying", "Ready", "Deployed", "Failed"]);
    object(vec![
        ("phase", maybe(phases)),
        ("dgdName", maybe(text())),
        ("profilingPhase", maybe(text())),
        (
            "profilingResults",
            maybe(object(vec![("selectedConfig", maybe(object(vec![])))])),
        ),
        (
            "conditions",
            maybe(prop::collection::vec(text(), 0..2).prop_map(Value::from)),
        ),
    ])
}

fn with_status(mut object: Value, status: Option<Value>) -> Value {
    if let Some(status) = status {
        object["status"] = status;
    }
    object
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn v1alpha1_comes_back(spec in alpha_spec(), status in maybe(alpha_status())) {
        let object = with_status(alpha(&spec), status);
        prop_assert_eq!(to_alpha(&to_beta(&object)), object);
    }

    #[test]
    fn v1beta1_comes_back(spec in beta_spec(), status in maybe(beta_status())) {
        let object = with_status(beta(&spec), status);
        prop_assert_eq!(to_beta(&to_alpha(&object)), object);
    }

    /// An object written in one version and then replaced through the other keeps what either can say.
    #[test]
    fn edits_of_either_version_come_back(first in alpha_spec(), second in beta_spec(), status in maybe(beta_status())) {
        let mut stored = to_beta(&alpha(&first));
        stored["spec"] = second;
        let stored = with_status(stored, status);
        let seen = to_alpha(&stored);
        let back = to_beta(&seen);
        prop_assert_eq!(&back["spec"], &stored["spec"]);
        prop_assert_eq!(back.get("status"), stored.get("status"));
        prop_assert_eq!(to_alpha(&back), seen);
    }
}
