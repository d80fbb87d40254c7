use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;

/// All that a service may say that v1beta1 says otherwise.
fn service() -> Value {
    json!({
        "apiVersion": "nvidia.com/v1alpha1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": "a", "labels": {"b": "c"}},
        "spec": {
            "backendFramework": "vllm",
            "envs": [{"name": "A", "value": "b"}],
            "pvcs": [{"name": "cache", "create": false}],
            "restart": {"id": "1"},
            "services": {
                "Planner": {"componentType": "planner"},
                "decode": {
                    "componentType": "worker",
                    "subComponentType": "decode",
                    "replicas": 2,
                    "multinode": {"nodeCount": 2},
                    "envFromSecret": "token",
                    "envs": [{"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                    "resources": {
                        "limits": {"gpu": "8", "cpu": "4", "memory": "1Gi", "custom": {"rdma/ib": "8"}},
                        "requests": {"gpu": "8"},
                        "claims": [{"name": "d"}],
                    },
                    "sharedMemory": {"size": "80Gi"},
                    "scalingAdapter": {"enabled": true},
                    "livenessProbe": {"httpGet": {"path": "/live", "port": 9090}},
                    "readinessProbe": {"httpGet": {"path": "/health", "port": 9090}},
                    "volumeMounts": [{"name": "cache", "mountPoint": "/cache", "useAsCompilationCache": true}],
                    "modelRef": {"name": "m"},
                    "gpuMemoryService": {"enabled": true, "mode": "interPod"},
                    "frontendSidecar": {"image": "i", "args": ["-m"], "envs": [{"name": "E", "value": "f"}],
                                        "envFromSecret": "token"},
                    "extraPodMetadata": {"labels": {"g": "h"}, "annotations": {"i": "j"}},
                    "extraPodSpec": {
                        "nodeSelector": {"disk": "ssd"},
                        "unknownToUs": [{"k": null}],
                        "containers": [{"name": "beside", "image": "b"}],
                        "mainContainer": {
                            "image": "i",
                            "command": ["python3"],
                            "args": ["-m", "dynamo.vllm"],
                            "startupProbe": {"httpGet": {"path": "/live", "port": 9090}},
                            "ports": [{"containerPort": 1}],
                            "unknownToUs": {"l": 1.5},
                        },
                    },
                },
            },
        },
    })
}

#[test]
fn a_service_comes_back_as_it_was() {
    let alpha = service();
    let beta = convert(&alpha, DgdVersion::V1beta1).unwrap();
    assert!(beta.notices.is_empty());
    insta::assert_json_snapshot!("to_v1beta1", beta.document);
    let back = convert(&beta.document, DgdVersion::V1alpha1).unwrap();
    assert_eq!(back.document, alpha);
}

/// What v1beta1 says of a service, or why it cannot.
fn said(service: &Value) -> Result<Value, String> {
    let alpha = json!({"spec": {"services": {"a": service}}});
    convert(&alpha, DgdVersion::V1beta1)
        .map(|beta| beta.document["spec"]["components"][0].clone())
        .map_err(|error| error.to_string())
}

#[test]
fn other_ways_to_say_the_same_are_understood() {
    for (service, component) in [
        (json!({}), json!({"name": "a"})),
        (
            json!({"componentType": "planner", "subComponentType": "planner"}),
            json!({"name": "a", "type": "planner"}),
        ),
        (
            json!({"sharedMemory": {"disabled": true}}),
            json!({"name": "a", "sharedMemorySize": "0"}),
        ),
        (
            json!({"scalingAdapter": {"enabled": false}, "failover": {"enabled": false}}),
            json!({"name": "a"}),
        ),
        (
            json!({"volumeMounts": [{"name": "w", "mountPoint": "/w"}]}),
            json!({"name": "a", "podTemplate": {"spec": {
                "containers": [{"name": "main", "volumeMounts": [{"name": "w", "mountPath": "/w"}]}],
                "volumes": [{"name": "w", "persistentVolumeClaim": {"claimName": "w"}}],
            }}}),
        ),
        (
            json!({
                "envs": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}],
                "envFromSecret": "s",
                "resources": {"limits": {"gpu": "1", "gpuType": "amd.com/gpu", "cpu": "1"}},
                "extraPodSpec": {"mainContainer": {
                    "name": "worker",
                    "env": [{"name": "B", "value": "2"}],
                    "envFrom": [{"secretRef": {"name": "s", "optional": true}}],
                    "resources": {"limits": {"cpu": "2"}},
                }},
            }),
            json!({"name": "a", "podTemplate": {"spec": {"containers": [{
                "name": "main",
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                "envFrom": [{"secretRef": {"name": "s", "optional": true}}],
                "resources": {"limits": {"amd.com/gpu": "1", "cpu": "2"}},
            }]}}}),
        ),
    ] {
        assert_eq!(said(&service), Ok(component), "{service}");
    }
}

#[test]
fn what_has_no_effect_is_left_out_and_said() {
    let alpha = json!({"spec": {"services": {"a": {
        "dynamoNamespace": "n", "serviceName": "s", "autoscaling": {"enabled": true},
    }}}});
    let beta = convert(&alpha, DgdVersion::V1beta1).unwrap();
    assert_eq!(beta.document["spec"]["components"], json!([{"name": "a"}]));
    assert_eq!(beta.notices.len(), 3, "{:?}", beta.notices);
}

#[test]
fn what_the_other_version_cannot_say_is_refused() {
    let mut told = Vec::new();
    for service in [
        json!({"ingress": {"enabled": true}}),
        json!({"labels": {"a": "b"}}),
        json!({"componentType": "worker", "subComponentType": "encode"}),
        json!({"sharedMemory": {"size": "1Gi", "medium": "x"}}),
        json!({"volumeMounts": [{"name": "a", "useAsCompilationCache": true},
                                {"name": "b", "useAsCompilationCache": true}]}),
        json!({"volumeMounts": [{"name": "a", "mountPoint": "/w"}],
               "extraPodSpec": {"mainContainer": {"volumeMounts": [{"name": "b", "mountPath": "/w"}]}}}),
        json!({"extraPodSpec": {"containers": [{"name": "main"}]}}),
        json!({"envs": {}}),
        json!("text"),
    ] {
        told.push(said(&service).unwrap_err());
    }
    for beta in [
        json!({"spec": {"components": [{"type": "worker"}]}}),
        json!({"spec": {"components": [{"name": "a"}, {"name": "a"}]}}),
        json!({"spec": {"components": [{"name": "a", "dynamoSidecar": {}}]}}),
        json!({"spec": {"components": [{"name": "a", "frontendSidecar": "beside"}]}}),
        json!({"spec": {"components": [{"name": "a", "experimental": {"grove": {}}}]}}),
        json!({"spec": {"components": [{"name": "a", "podTemplate": {"metadata": {"name": "x"}}}]}}),
        json!({"spec": {"components": [{"name": "a", "scalingAdapter": {"enabled": false}}]}}),
        json!({"status": {}}),
    ] {
        let mut beta = beta;
        beta["apiVersion"] = "nvidia.com/v1beta1".into();
        told.push(convert(&beta, DgdVersion::V1alpha1).unwrap_err().to_string());
    }
    insta::assert_snapshot!("refused", told.join("\n"));
}

#[test]
fn versions_are_told_apart() {
    assert_eq!(DgdVersion::of(&json!({})), Ok(DgdVersion::V1alpha1));
    for version in DgdVersion::ALL {
        let document = json!({"apiVersion": version.api_version(), "kind": "DynamoGraphDeployment"});
        assert_eq!(DgdVersion::of(&document), Ok(version));
        assert_eq!(version.name().parse(), Ok(version));
        assert_eq!(version.api_version().parse(), Ok(version));
    }
    assert!("v1beta2".parse::<DgdVersion>().is_err());
    assert!(DgdVersion::of(&json!({"kind": "Pod"})).is_err());
}

/// Objects whose fields each have one of several values, or none.
fn objects(fields: Vec<(&'static str, Vec<Value>)>) -> impl Strategy<Value = Map<String, Value>> {
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(name, values)| {
            prop::option::of(prop::sample::select(values))
                .prop_map(move |value| Some((name.to_owned(), value?)))
        })
        .collect();
    fields.prop_map(|fields| fields.into_iter().flatten().collect())
}

fn container() -> impl Strategy<Value = Map<String, Value>> {
    let secret = json!({"secretRef": {"name": "s"}});
    let optional = json!({"secretRef": {"name": "s", "optional": true}});
    objects(vec![
        ("image", vec![json!("i")]),
        ("args", vec![json!([]), json!(["-m", "x"])]),
        ("env", vec![json!([{"name": "A", "value": "main"}])]),
        (
            "envFrom",
            vec![json!([secret]), json!([optional]), json!([secret, optional])],
        ),
        (
            "resources",
            vec![
                json!({"limits": {"nvidia.com/gpu": "1"}}),
                json!({"requests": {"cpu": "1"}}),
            ],
        ),
        (
            "volumeMounts",
            vec![json!([{"name": "v", "mountPath": "/v", "readOnly": true}])],
        ),
        ("startupProbe", vec![json!({"exec": {}})]),
        ("readinessProbe", vec![json!({"exec": {"command": ["main"]}})]),
    ])
}

/// A service as users may write it.
fn any_service() -> impl Strategy<Value = Value> {
    let service = objects(vec![
        ("componentType", vec![json!("worker"), json!("frontend")]),
        (
            "subComponentType",
            vec![json!("prefill"), json!("decode"), json!("")],
        ),
        (
            "envs",
            vec![json!([{"name": "A", "value": "b"}, {"name": "B", "value": "b"}])],
        ),
        ("envFromSecret", vec![json!("s"), json!("t")]),
        (
            "resources",
            vec![
                json!({"limits": {"gpu": "2", "custom": {"rdma/ib": "1"}}}),
                json!({}),
            ],
        ),
        (
            "sharedMemory",
            vec![json!({"size": "1Gi"}), json!({"disabled": true}), json!({})],
        ),
        (
            "scalingAdapter",
            vec![json!({"enabled": true}), json!({}), json!({"enabled": false})],
        ),
        ("livenessProbe", vec![json!({"exec": {}})]),
        ("readinessProbe", vec![json!({"exec": {}})]),
        (
            "volumeMounts",
            vec![
                json!([{"name": "v", "mountPoint": "/v"}]),
                json!([{"name": "w", "mountPoint": "/w"}, {"name": "c", "useAsCompilationCache": true}]),
            ],
        ),
        ("extraPodMetadata", vec![json!({"labels": {"a": "b"}}), json!({})]),
        (
            "frontendSidecar",
            vec![json!({"image": "i", "envFromSecret": "s"})],
        ),
    ]);
    let pod = objects(vec![("volumes", vec![json!([{"name": "v", "emptyDir": {}}])])]);
    (service, pod, prop::option::of(container())).prop_map(|(mut service, mut pod, main)| {
        if let Some(main) = main {
            pod.insert("mainContainer".to_owned(), Value::Object(main));
        }
        service.insert("extraPodSpec".to_owned(), Value::Object(pod));
        Value::Object(service)
    })
}

proptest! {
    #[test]
    fn what_converts_comes_back(services in prop::collection::btree_map("[a-z]{1,4}", any_service(), 0..4)) {
        let alpha = json!({"kind": "DynamoGraphDeployment", "spec": {"services": services}});
        if let Ok(beta) = convert(&alpha, DgdVersion::V1beta1) {
            let back = convert(&beta.document, DgdVersion::V1alpha1).unwrap();
            let again = convert(&back.document, DgdVersion::V1beta1).unwrap();
            prop_assert_eq!(&again.document, &beta.document);
            prop_assert_eq!(convert(&again.document, DgdVersion::V1alpha1).unwrap().document, back.document);
        }
    }
}
