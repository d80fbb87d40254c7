use std::collections::BTreeMap;
use std::time::Duration;

use dgdr_types::dgd::DgdVersion;
use dgdr_types::names::DgdrName;
use dgdr_types::spec::Open;
use dgdr_types::v1alpha1::{ConfigMapRef, RuntimeEffects};
use dgdr_types::{ImageReference, ModelCache};
use k8s_openapi::api::core::v1::PodSpec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::owner::Owner;

use super::{JobError, JobInput, ProfilerProgram, RenderedJob, profiling_job};

fn open(value: Value) -> Open {
    let Value::Object(open) = value else {
        panic!("an object is needed")
    };
    open
}

fn cache() -> ModelCache {
    ModelCache {
        pvc_name: "model-cache".to_owned(),
        pvc_model_path: Some("hub/qwen".to_owned()),
        pvc_mount_path: "/opt/model-cache".to_owned(),
    }
}

#[expect(clippy::unwrap_in_result, reason = "the names of the fixture are valid")]
fn rendered(overrides: Option<Value>, cache: Option<&ModelCache>) -> Result<RenderedJob, JobError> {
    let dgdr = DgdrName::new("my-model").unwrap();
    let image: ImageReference = "nvcr.io/nvidia/ai-dynamo/dynamo-planner:1.6.1".parse().unwrap();
    let own: ImageReference = "registry.example/dgdr-operator:0.1.0".parse().unwrap();
    let overrides = overrides.map(open);
    profiling_job(&JobInput {
        owner: Owner {
            dgdr: &dgdr,
            namespace: "serving",
            uid: "0b9a1c9e-5a0f-4f5e-9d3e-0d8a4c1f2b3a",
            generation: Some(1),
        },
        config: r#"{"model":"Qwen/Qwen3-0.6B"}"#,
        program: ProfilerProgram::Native,
        dgd_version: DgdVersion::default(),
        image: &image,
        collector_image: &own,
        model_cache: cache,
        environment: &BTreeMap::from([(
            "PROMETHEUS_ENDPOINT".to_owned(),
            "http://prometheus:9090".to_owned(),
        )]),
        deadline: Duration::from_hours(24),
        overrides: overrides.as_ref(),
        effects: &RuntimeEffects::default(),
    })
}

fn pod(job: &RenderedJob) -> PodSpec {
    job.job.spec.clone().unwrap().template.spec.unwrap()
}

fn yaml(job: &RenderedJob) -> String {
    serde_saphyr::to_string(&serde_json::to_value(&job.job).unwrap()).unwrap()
}

#[test]
fn a_job_without_overrides() {
    insta::assert_snapshot!(yaml(&rendered(None, Some(&cache())).unwrap()));
}

#[test]
fn the_guides_volume_is_accepted_as_written() {
    let job = rendered(
        Some(json!({"template": {"spec": {"volumes": [
            {"name": "profiling-output", "persistentVolumeClaim": {"claimName": "dynamo-pvc"}}
        ]}}})),
        None,
    )
    .unwrap();
    assert_eq!(job.ignored, Vec::<String>::new());
    let volumes = pod(&job).volumes.unwrap();
    assert_eq!(volumes.len(), 1);
    let claim = volumes[0].persistent_volume_claim.as_ref().unwrap();
    assert_eq!(claim.claim_name, "dynamo-pvc");
    assert_eq!(volumes[0].empty_dir, None);
}

#[test]
fn all_that_may_be_overridden_is_merged() {
    let overrides = json!({
        "backoffLimit": 2, "activeDeadlineSeconds": 3600, "ttlSecondsAfterFinished": 60, "suspend": true,
        "template": {
            "metadata": {"labels": {"team": "search", "app": "mine"}, "annotations": {"note": "x"}},
            "spec": {
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
                "nodeSelector": {"pool": "cpu"},
                "priorityClassName": "low",
                "serviceAccountName": "own",
                "automountServiceAccountToken": true,
                "imagePullSecrets": [{"name": "nvcr-imagepullsecret"}, {"name": "mirror"}],
                "securityContext": {"runAsUser": 2000},
                "initContainers": [{"name": "warm", "image": "busybox"}],
                "containers": [
                    {"name": "profiler", "image": "registry.example/profiler:1",
                     "resources": {"limits": {"memory": "2Gi"}},
                     "env": [{"name": "DGDR_NAME", "value": "other"}, {"name": "HF_ENDPOINT", "value": "https://mirror"}],
                     "envFrom": [{"secretRef": {"name": "more"}}]},
                    {"name": "output-copier", "image": "registry.example/collector:1", "env": [{"name": "X", "value": "y"}]}
                ]
            }
        }
    });
    let job = rendered(Some(overrides), None).unwrap();
    assert_eq!(
        job.ignored,
        ["spec.overrides.profilingJob.template.spec.containers[1].env: cannot be overridden"]
    );
    insta::assert_snapshot!(yaml(&job));
}

#[test]
fn what_has_no_effect_is_named() {
    let overrides = json!({
        "podFailurePolicy": {},
        "template": {
            "metadata": {"name": "x"},
            "spec": {
                "hostNetwork": true,
                "containers": [{"image": "registry.example/profiler:1", "command": ["sh"]}, {"name": "sidecar"}]
            }
        }
    });
    let job = rendered(Some(overrides), None).unwrap();
    insta::assert_snapshot!(job.ignored.join("\n"));
    let pod = pod(&job);
    assert_eq!(pod.host_network, None);
    assert_eq!(pod.containers.len(), 2);
    assert_eq!(
        pod.containers[0].image.as_deref(),
        Some("registry.example/profiler:1")
    );
    assert_eq!(pod.containers[0].command.as_ref().unwrap()[0], "dgdr-profiler");
}

#[test]
fn without_a_token_for_the_pod_the_collector_has_its_own() {
    let job = rendered(
        Some(json!({"template": {"spec": {"automountServiceAccountToken": false}}})),
        None,
    )
    .unwrap();
    let pod = pod(&job);
    let mounts = |container: usize| -> Vec<&str> {
        let mounts = pod.containers[container].volume_mounts.as_ref().unwrap();
        mounts.iter().map(|mount| mount.name.as_str()).collect()
    };
    assert_eq!(mounts(0), ["profiling-output"]);
    assert_eq!(mounts(1), ["profiling-output", "output-copier-kube-api-access"]);
    let volume = pod.volumes.as_ref().unwrap().last().unwrap();
    assert_eq!(
        volume.projected.as_ref().unwrap().sources.as_ref().unwrap().len(),
        3
    );
}

#[test]
fn wrong_types_are_refused() {
    let error = rendered(Some(json!({"template": {"spec": {"tolerations": "all"}}})), None).unwrap_err();
    insta::assert_snapshot!(error);
}

#[test]
fn upstreams_profiler_is_called_as_upstream_calls_it() {
    assert_eq!(
        ProfilerProgram::Upstream.command(),
        ["python", "-m", "dynamo.profiler"]
    );
}

proptest! {
    /// Overrides never take away what the Job needs to pass its results on.
    #[test]
    fn the_contract_survives_any_override(
        name in prop::sample::select(vec!["", "profiler", "output-copier", "other"]),
        volume in prop::sample::select(vec!["profiling-output", "scratch"]),
        user in prop::option::of(1_i64..5000),
    ) {
        let overrides = json!({"template": {"spec": {
            "securityContext": {"runAsUser": user},
            "volumes": [{"name": volume, "emptyDir": {}}],
            "containers": [{"name": name, "image": "registry.example/x:1", "args": ["--bad"]}],
        }}});
        let pod = pod(&rendered(Some(overrides), None).unwrap());
        let names: Vec<&str> = pod.containers.iter().map(|container| container.name.as_str()).collect();
        prop_assert_eq!(names, ["profiler", "output-copier"]);
        for container in &pod.containers {
            prop_assert!(container.volume_mounts.as_ref().unwrap().iter().any(|mount| mount.name == "profiling-output"));
            prop_assert!(!container.args.as_ref().unwrap().contains(&"--bad".to_owned()));
        }
        prop_assert!(pod.volumes.unwrap().iter().any(|volume| volume.name == "profiling-output"));
        let context = pod.security_context.unwrap();
        prop_assert_eq!(context.run_as_non_root, Some(true));
        prop_assert_eq!(context.run_as_user, Some(user.unwrap_or(1000)));
    }
}

#[test]
fn a_cluster_of_the_old_version_is_written_for() {
    let dgdr = DgdrName::new("my-model").unwrap();
    let image: ImageReference = "dgdr-profiler:1".parse().unwrap();
    let args = |program, dgd_version| {
        let job = profiling_job(&JobInput {
            owner: Owner {
                dgdr: &dgdr,
                namespace: "serving",
                uid: "u",
                generation: None,
            },
            config: "{}",
            program,
            dgd_version,
            image: &image,
            collector_image: &image,
            model_cache: None,
            environment: &BTreeMap::new(),
            deadline: Duration::from_hours(24),
            overrides: None,
            effects: &RuntimeEffects::default(),
        });
        pod(&job.unwrap()).containers[0]
            .args
            .clone()
            .unwrap()
            .split_off(4)
    };
    let old = args(ProfilerProgram::Native, DgdVersion::V1alpha1);
    assert_eq!(old, ["--dgd-version", "v1alpha1"]);
    assert!(args(ProfilerProgram::Native, DgdVersion::V1beta1).is_empty());
    assert!(args(ProfilerProgram::Upstream, DgdVersion::V1alpha1).is_empty());
}

#[test]
fn what_v1alpha1_asks_for_takes_effect() {
    let dgdr = DgdrName::new("my-model").unwrap();
    let image: ImageReference = "dgdr-profiler:1".parse().unwrap();
    let effects = RuntimeEffects {
        output_pvc: Some("keep".to_owned()),
        config_map_ref: Some(ConfigMapRef {
            name: "base".to_owned(),
            key: "mine.yaml".to_owned(),
        }),
    };
    let job = profiling_job(&JobInput {
        owner: Owner {
            dgdr: &dgdr,
            namespace: "serving",
            uid: "u",
            generation: None,
        },
        config: "{}",
        program: ProfilerProgram::Upstream,
        dgd_version: DgdVersion::default(),
        image: &image,
        collector_image: &image,
        model_cache: None,
        environment: &BTreeMap::new(),
        deadline: Duration::from_hours(24),
        overrides: None,
        effects: &effects,
    });
    let pod = serde_json::to_value(pod(&job.unwrap())).unwrap();
    assert_eq!(
        pod["volumes"],
        json!([
            {"name": "profiling-output", "persistentVolumeClaim": {"claimName": "keep"}},
            {"name": "profiling-config", "configMap": {
                "name": "base", "items": [{"key": "mine.yaml", "path": "disagg.yaml"}],
            }},
        ])
    );
    let mounts = |container: usize| pod["containers"][container]["volumeMounts"].clone();
    assert_eq!(
        mounts(0),
        json!([
            {"name": "profiling-output", "mountPath": "/data"},
            {"name": "profiling-config", "mountPath": "/config", "readOnly": true},
        ])
    );
    assert_eq!(mounts(1).as_array().unwrap().len(), 1);
}
