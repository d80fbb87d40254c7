//! What becomes of a deployment.

use dgdr_types::dgd::{ComponentGpus, component_gpus};

use super::*;
use crate::tests::readers::{has_python, read_by_python};

/// The guide's own part, with what people put into it.
pub(super) const GUIDE: &str = "
apiVersion: nvidia.com/v1alpha1
kind: DynamoGraphDeployment
metadata:
  name: my-dgd
  namespace: team-a
  labels: {team: a, dgdr.nvidia.com/name: other}
  annotations: {note: ours, nvidia.com/dgd-spec: '{}'}
spec:
  envs:
  - {name: LOG_LEVEL, value: debug}
  services:
    Frontend:
      dynamoNamespace: my-dgd
      componentType: frontend
      replicas: 2
      extraPodSpec:
        mainContainer:
          image: registry.example/vllm-runtime:1.6.1
    VllmDecodeWorker:
      componentType: worker
      subComponentType: decode
      envFromSecret: my-secret
      envs:
      - {name: NCCL_DEBUG, value: INFO}
      sharedMemory: {size: 16Gi}
      volumeMounts:
      - {name: weights, mountPoint: /weights}
      livenessProbe: {httpGet: {path: /live, port: 9090}}
      extraPodSpec:
        nodeSelector: {disk: ssd}
        tolerations:
        - {key: gpu, operator: Exists}
        mainContainer:
          command: [python3, -m, dynamo.vllm]
          args: [--model, Qwen/Qwen3-32B, --disaggregation-mode, decode, --enforce-eager, --max-num-seqs, '64']
  pvcs:
  - {name: weights, create: false}
";

#[test]
fn the_guides_part_is_merged_in_either_version() {
    let plan = planned(plan(Backend::Vllm, disaggregated()));
    for version in DgdVersion::ALL {
        let finished = merged(&plan, GUIDE, version).unwrap();
        insta::assert_snapshot!(format!("guide_{version}"), shown(&finished));
    }
}

/// As upstream documents it for v1beta1.
pub(super) const BETA: &str = "
apiVersion: nvidia.com/v1beta1
kind: DynamoGraphDeployment
spec:
  components:
  - name: decode
    replicas: 1
    podTemplate:
      metadata: {labels: {tier: gold}}
      spec:
        priorityClassName: high
        containers:
        - name: main
          $patch: {args: append}
          args: [--enable-prefix-caching, --disaggregation-mode, decode]
          env:
          - {name: DYN_BENCHMARK_MODE, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
          resources: {limits: {rdma/ib: 4}}
        - name: sidecar
          image: busybox
        volumes:
        - {name: scratch, emptyDir: {}}
  - name: planner
    podTemplate:
      spec:
        volumes:
        - {name: curves, configMap: {name: planner-profile-data-1f0a}}
        - {name: planner-config, configMap: {name: planner-config}}
        containers:
        - name: main
          args: [-m, dynamo.planner, --config, /elsewhere.json]
          volumeMounts:
          - {name: curves, mountPath: /curves}
";

#[test]
fn parts_of_v1beta1_replace_arguments_unless_they_say_append() {
    let plan = planned(plan(Backend::Vllm, disaggregated()));
    for version in DgdVersion::ALL {
        let finished = merged(&plan, BETA, version).unwrap();
        insta::assert_snapshot!(format!("beta_{version}"), shown(&finished));
    }
}

#[test]
fn python_reads_what_was_merged() {
    let plan = planned(plan(Backend::Vllm, disaggregated()));
    let mut expected = Vec::new();
    let mut text = Vec::new();
    for version in DgdVersion::ALL {
        for part in [GUIDE, BETA] {
            let finished = merged(&plan, part, version).unwrap();
            text.push(finished.to_yaml().unwrap());
            let config_maps = finished
                .config_maps
                .iter()
                .map(|map| serde_json::to_value(map).unwrap());
            expected.extend(config_maps.chain([finished.deployment.clone()]));
        }
    }
    if has_python("python_reads_what_was_merged") {
        assert_eq!(read_by_python(text), expected);
    }
}

#[test]
fn a_part_says_the_same_in_both_versions() {
    let beta = "
        apiVersion: nvidia.com/v1beta1
        kind: DynamoGraphDeployment
        spec:
          env: [{name: A, value: b}]
          components:
          - name: worker
            replicas: 3
            sharedMemorySize: 1Gi
            podTemplate:
              metadata: {annotations: {a: b}}
              spec:
                nodeSelector: {disk: ssd}
                containers:
                - name: main
                  $patch: {args: append}
                  args: [--seed, '1']
                  env: [{name: C, value: d}]
                  workingDir: /tmp
                  livenessProbe: {exec: {command: ['true']}}
                  resources: {limits: {cpu: '8'}, requests: {memory: 1Gi}}";
    let alpha = "
        spec:
          envs: [{name: A, value: b}]
          services:
            worker:
              replicas: 3
              sharedMemory: {size: 1Gi}
              extraPodMetadata: {annotations: {a: b}}
              envs: [{name: C, value: d}]
              livenessProbe: {exec: {command: ['true']}}
              resources: {limits: {cpu: '8'}, requests: {memory: 1Gi}}
              extraPodSpec:
                nodeSelector: {disk: ssd}
                mainContainer:
                  args: [--seed, '1']
                  workingDir: /tmp";
    let plan = plan(Backend::Vllm, aggregated());
    for version in DgdVersion::ALL {
        let (from_beta, from_alpha) = (
            merged(&plan, beta, version).unwrap(),
            merged(&plan, alpha, version).unwrap(),
        );
        assert_eq!(from_beta.deployment, from_alpha.deployment);
    }
}

#[test]
fn an_empty_part_changes_nothing() {
    for plan in every_shape() {
        let document = document(&plan);
        for text in [
            "{}",
            "{apiVersion: nvidia.com/v1beta1, kind: DynamoGraphDeployment, spec: {components: []}}",
        ] {
            let part = DgdOverride::parse(&part(text)).unwrap();
            for version in DgdVersion::ALL {
                let applied = part.apply(target(&document, version, plan.backend)).unwrap();
                assert_eq!(applied.document, convert(&document, version).unwrap().document);
                assert_eq!(applied.warnings, [""; 0]);
            }
        }
    }
}

fn target(deployment: &Value, version: DgdVersion, backend: Backend) -> OverrideTarget<'_> {
    OverrideTarget {
        deployment,
        config_maps: &[],
        backend,
        budget: Gpus::new(8),
        version,
    }
}

#[test]
fn merging_twice_is_merging_once() {
    let plan = planned(plan(Backend::Vllm, disaggregated()));
    let manifests = render(&plan).unwrap();
    let document = document(&plan);
    for text in [GUIDE, BETA] {
        let part = DgdOverride::parse(&part(text)).unwrap();
        let with = |deployment| OverrideTarget {
            config_maps: &manifests.config_maps,
            ..target(deployment, DgdVersion::V1beta1, Backend::Vllm)
        };
        let once = part.apply(with(&document)).unwrap().document;
        let twice = part.apply(with(&once)).unwrap().document;
        assert_eq!(once, twice);
    }
}

#[test]
fn names_of_old_releases_mean_the_components_of_today() {
    let mean = |plan: &DeploymentPlan, name: &str| {
        let text = format!("{{spec: {{services: {{{name}: {{sharedMemory: {{size: 3Gi}}}}}}}}}}");
        let finished = merged(plan, &text, DgdVersion::V1beta1).ok()?;
        assert_eq!(finished.warnings.len(), 1, "{:?}", finished.warnings);
        let components = finished.deployment["spec"]["components"]
            .as_array()
            .unwrap()
            .clone();
        let changed = components
            .iter()
            .find(|component| component["sharedMemorySize"] == "3Gi")?;
        Some(changed["name"].as_str()?.to_owned())
    };
    for (backend, layout, name, component) in [
        (Backend::Vllm, disaggregated(), "VllmDecodeWorker", Some("decode")),
        (
            Backend::Vllm,
            disaggregated(),
            "VllmPrefillWorker",
            Some("prefill"),
        ),
        (Backend::Vllm, aggregated(), "VllmDecodeWorker", Some("worker")),
        (Backend::Vllm, aggregated(), "VLLMDecodeWorker", Some("worker")),
        (Backend::Vllm, aggregated(), "VllmWorker", Some("worker")),
        (Backend::Vllm, disaggregated(), "VllmWorker", None),
        (Backend::Vllm, disaggregated(), "SGLangDecodeWorker", None),
        (
            Backend::Sglang,
            disaggregated(),
            "SGLangDecodeWorker",
            Some("decode"),
        ),
        (
            Backend::Sglang,
            disaggregated(),
            "SGLangPrefillWorker",
            Some("prefill"),
        ),
        (
            Backend::Sglang,
            aggregated(),
            "SGLangDecodeWorker",
            Some("decode"),
        ),
        (
            Backend::Trtllm,
            disaggregated(),
            "TRTLLMDecodeWorker",
            Some("decode"),
        ),
        (
            Backend::Trtllm,
            disaggregated(),
            "TRTLLMPrefillWorker",
            Some("prefill"),
        ),
        (
            Backend::Trtllm,
            aggregated(),
            "trtllmworker",
            Some("TRTLLMWorker"),
        ),
    ] {
        let found = mean(&plan(backend, layout), name);
        assert_eq!(found.as_deref(), component, "{backend} {name}");
    }
    let planned = planned(plan(Backend::Vllm, aggregated()));
    assert_eq!(mean(&planned, "VllmWorker").as_deref(), Some("worker"));
}

#[test]
fn what_the_prediction_rests_on_is_said() {
    let finished = merged(
        &plan(Backend::Vllm, aggregated()),
        "
        spec:
          services:
            worker:
              replicas: 1
              resources: {limits: {gpu: '4'}}
              extraPodSpec:
                mainContainer:
                  args: [--tensor-parallel-size=4, --gpu_memory_utilization, '0.5', --enforce-eager]
                  envFrom: [{secretRef: {name: other}}]",
        DgdVersion::V1beta1,
    )
    .unwrap();
    insta::assert_snapshot!("predicted", finished.warnings.join("\n"));
}

#[test]
fn another_program_takes_the_place_of_the_generated_command_line() {
    let finished = merged(
        &plan(Backend::Vllm, aggregated()),
        "
        spec:
          services:
            worker:
              extraPodSpec:
                mainContainer:
                  command: [/bin/sh, -c]
                  args: ['python3 -m dynamo.vllm --model \"Qwen/Qwen3-32B\" 2>&1 | tee /tmp/log']",
        DgdVersion::V1beta1,
    )
    .unwrap();
    let main = &finished.deployment["spec"]["components"][1]["podTemplate"]["spec"]["containers"][0];
    assert_eq!(main["command"], json!(["/bin/sh", "-c"]));
    assert_eq!(main["args"].as_array().unwrap().len(), 1);
    assert!(
        finished.warnings[0].contains("starts another program"),
        "{:?}",
        finished.warnings
    );
}

/// Settings of a component that every part may hold, in both versions alike.
fn settings() -> impl Strategy<Value = Value> {
    let env = prop::collection::btree_map("[A-Z]{1,3}", "[a-z]{0,3}", 1..4);
    let labels = prop::collection::btree_map("[a-z]{1,3}", "[a-z]{1,3}", 1..3);
    (env, labels, 1_u64..3, prop::option::of("[a-z]{1,5}")).prop_map(|(env, labels, replicas, folder)| {
        let env: Vec<Value> = env
            .into_iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        let mut main = json!({"name": "main", "env": env});
        if let Some(folder) = folder {
            main["workingDir"] = format!("/{folder}").into();
        }
        json!({
            "name": "worker",
            "replicas": replicas,
            "podTemplate": {"metadata": {"labels": labels}, "spec": {"containers": [main]}},
        })
    })
}

/// Any value, of the words that deployments are made of.
fn anything() -> impl Strategy<Value = Value> {
    let words = [
        "spec",
        "services",
        "components",
        "worker",
        "Frontend",
        "name",
        "main",
        "containers",
        "env",
        "value",
        "args",
        "command",
        "-m",
        "dynamo.vllm",
        "$patch",
        "resources",
        "limits",
        "gpu",
        "nvidia.com/gpu",
        "replicas",
        "multinode",
        "nodeCount",
        "podTemplate",
        "extraPodSpec",
        "mainContainer",
        "volumes",
        "volumeMounts",
        "mountPath",
        "metadata",
        "labels",
        "configMap",
        "planner-config",
    ];
    let word = prop::sample::select(words.to_vec());
    let leaf = prop_oneof![
        word.clone().prop_map(Value::from),
        (0_u64..9).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(word.clone(), inner, 0..4).prop_map(|fields| {
                let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
                Value::Object(fields.collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_part_is_merged_or_refused(component in anything(), spec in anything(), is_beta in any::<bool>()) {
        let document = document(&plan(Backend::Vllm, aggregated()));
        let version = if is_beta { DgdVersion::V1beta1 } else { DgdVersion::V1alpha1 };
        let mut named = component.clone();
        if let Value::Object(fields) = &mut named {
            fields.insert("name".to_owned(), "worker".into());
        }
        let components = if is_beta { json!([named]) } else { json!({"worker": component}) };
        for spec in [spec, json!({version.components_field(): components})] {
            let part = json!({"apiVersion": version.api_version(), "spec": spec});
            let Ok(part) = DgdOverride::parse(part.as_object().unwrap()) else {
                continue;
            };
            for wanted in DgdVersion::ALL {
                if let Ok(merged) = part.apply(target(&document, wanted, Backend::Vllm)) {
                    prop_assert_eq!(DgdVersion::of(&merged.document), Ok(wanted));
                    let asked: u64 = component_gpus(&merged.document).unwrap().iter().map(ComponentGpus::total).sum();
                    prop_assert!(asked <= 8);
                }
            }
        }
    }

    #[test]
    fn converted_parts_give_the_same_as_native_ones(component in settings()) {
        let beta = json!({
            "apiVersion": "nvidia.com/v1beta1", "kind": "DynamoGraphDeployment", "spec": {"components": [component]},
        });
        let alpha = convert(&beta, DgdVersion::V1alpha1).unwrap().document;
        let document = document(&plan(Backend::Vllm, aggregated()));
        let apply = |part: &Value, deployment: &Value| {
            let part = DgdOverride::parse(part.as_object().unwrap()).unwrap();
            part.apply(target(deployment, DgdVersion::V1beta1, Backend::Vllm)).unwrap().document
        };
        let once = apply(&beta, &document);
        prop_assert_eq!(&once, &apply(&alpha, &document));
        prop_assert_eq!(&once, &apply(&beta, &once));
    }
}
