//! What is refused, and how it is said.

use super::*;

/// What is said of a part; nothing when it is merged.
fn refused(plan: &DeploymentPlan, text: &str) -> String {
    merged(plan, text, DgdVersion::V1beta1)
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default()
}

/// A part of the serving container of the decode worker, in v1beta1.
fn main(fields: &str) -> String {
    beta(&format!(
        "components: [{{name: decode, podTemplate: {{spec: {{containers: [{{name: main, {fields}}}]}}}}}}]"
    ))
}

fn beta(spec: &str) -> String {
    format!("{{apiVersion: nvidia.com/v1beta1, kind: DynamoGraphDeployment, spec: {{{spec}}}}}")
}

fn alpha(spec: &str) -> String {
    format!("{{spec: {{{spec}}}}}")
}

/// What is said of each part; all are refused.
fn all_refused(cases: &[(&str, String)]) -> String {
    let plan = plan(Backend::Vllm, disaggregated());
    let told: Vec<String> = cases
        .iter()
        .map(|(name, text)| {
            let told = refused(&plan, text);
            assert!(!told.is_empty(), "{name}");
            format!("{name}:\n{told}\n")
        })
        .collect();
    told.join("\n")
}

#[test]
fn every_fault_is_told_with_its_path_and_what_to_do() {
    let cases = [
        ("kind", "{kind: Deployment}".to_owned()),
        ("version", "{apiVersion: nvidia.com/v1}".to_owned()),
        (
            "status and nulls",
            "{status: {}, metadata: {labels: {a: null}}, spec: {services: {decode: {envs: [{name: A, value: null}]}}}}"
                .to_owned(),
        ),
        ("components under v1alpha1", alpha("components: []")),
        ("services under v1beta1", beta("services: {}")),
        (
            "fields of the other version",
            beta("envs: [], components: [{name: decode, extraPodSpec: {}, envs: []}]"),
        ),
        ("misspelt", alpha("services: {decode: {replica: 1}}")),
        ("without spec", "{services: {decode: {replicas: 1}}, metadata: name}".to_owned()),
        (
            "numbers where texts belong",
            main("env: [{name: A, value: 1}], args: [--max-num-seqs, 64], labels: {a: true}"),
        ),
        ("nameless", beta("components: [{replicas: 1}]")),
        ("unknown component", alpha("services: {Router: {replicas: 1}}")),
        (
            "twice",
            alpha("services: {decode: {replicas: 1}, VllmDecodeWorker: {replicas: 1}}"),
        ),
        ("kinds of values", beta("components: [{name: decode, multinode: 2, replicas: '2', podTemplate: []}]")),
        ("kind of value", beta("components: [{name: decode, podTemplate: {spec: {containers: {}}}}]")),
        (
            "keyless",
            main("env: [{value: a}]"),
        ),
        ("engine's GPUs", main("resources: {limits: {nvidia.com/gpu: 2}}")),
        ("engine's nodes", alpha("services: {decode: {multinode: {nodeCount: 2}}}")),
        ("no number", main("resources: {limits: {nvidia.com/gpu: some}}")),
        ("budget", alpha("services: {decode: {replicas: 3}, prefill: {replicas: 1}}")),
        (
            "no planner",
            beta("components: [{name: decode, podTemplate: {spec: {volumes: [{name: a, configMap: {name: planner-profile-data}}]}}}]"),
        ),
        (
            "no counterpart",
            alpha("services: {Frontend: {ingress: {enabled: true}}}"),
        ),
        (
            "claims to make",
            alpha("pvcs: [{name: weights, create: true, size: 1Ti}]"),
        ),
    ];
    insta::assert_snapshot!("errors", all_refused(&cases));
}

#[test]
fn command_lines_that_start_something_else_are_refused() {
    let cases = [
        ("directive", main("$patch: delete")),
        ("starts nothing", main("args: [--max-num-seqs, '64']")),
        (
            "model",
            alpha("services: {decode: {extraPodSpec: {mainContainer: {args: [--model, other/model]}}}}"),
        ),
        (
            "model in a script",
            main("command: [sh, -c], args: ['python3 -m dynamo.sglang --model-path /other']"),
        ),
        ("no model", main("args: [-m, dynamo.vllm, --max-num-seqs, '64']")),
        (
            "line for a shell",
            alpha(
                "services: {decode: {extraPodSpec: {mainContainer: {args: ['python3 -m dynamo.vllm --model m | tee log']}}}}",
            ),
        ),
        (
            "module of an old release",
            main("command: [/bin/sh, -c], args: [python3, -m, dynamo.sglang.decode_worker]"),
        ),
        ("backend", beta("backendFramework: sglang")),
        ("module", main("args: [-m, dynamo.sglang]")),
        (
            "image",
            main("image: 'nvcr.io/nvidia/ai-dynamo/sglang-runtime:1.0'"),
        ),
    ];
    insta::assert_snapshot!("command_lines", all_refused(&cases));
}

#[test]
fn names_are_checked_before_an_engine_is_picked() {
    let check = |name: &str, backends: &[Backend]| {
        let text = format!("{{spec: {{services: {{{name}: {{}}}}}}}}");
        let checked = DgdOverride::parse(&part(&text)).unwrap().check_names(backends);
        checked.map_err(|problems| problems.to_string())
    };
    for name in [
        "Frontend",
        "planner",
        "worker",
        "prefill",
        "SGLangDecodeWorker",
        "TRTLLMWorker",
    ] {
        assert_eq!(check(name, &Backend::ALL), Ok(()), "{name}");
    }
    for name in ["worker", "prefill", "VllmWorker"] {
        assert_eq!(check(name, &[Backend::Vllm]), Ok(()), "{name}");
    }
    assert_eq!(
        check("SGLangDecodeWorker", &[Backend::Vllm]).unwrap_err(),
        "spec.overrides.dgd.spec.services.SGLangDecodeWorker: no deployment for vllm has such a component: use one of \
         Frontend, Planner, worker, decode, prefill"
    );
    assert!(check("Router", &Backend::ALL).is_err());
}

#[test]
fn fields_that_no_pod_has_are_said() {
    let text = "{apiVersion: nvidia.com/v1beta1, spec: {components: [{name: worker, podTemplate: {spec: {
        nodeSelectors: {a: b}, containers: [{name: main, envs: []}]}}}]}}";
    let finished = merged(&plan(Backend::Vllm, aggregated()), text, DgdVersion::V1beta1).unwrap();
    assert_eq!(
        finished.warnings,
        [
            "spec.overrides.dgd.spec.components[worker].podTemplate.spec.containers[main].envs: pods have no such field, \
             and the cluster may drop it, did you mean `env`?",
            "spec.overrides.dgd.spec.components[worker].podTemplate.spec.nodeSelectors: pods have no such field, and the \
             cluster may drop it, did you mean `nodeSelector`?",
        ]
    );
}

#[test]
fn what_only_v1alpha1_says_stays_where_it_is_wanted() {
    let text =
        "{spec: {pvcs: [{name: weights, create: true}], services: {Frontend: {ingress: {enabled: true}}}}}";
    let finished = merged(&plan(Backend::Vllm, aggregated()), text, DgdVersion::V1alpha1).unwrap();
    assert_eq!(
        finished.deployment["spec"]["services"]["Frontend"]["ingress"],
        json!({"enabled": true})
    );
    assert_eq!(finished.deployment["spec"]["pvcs"][0]["create"], true);
}

#[test]
fn what_old_clusters_drop_is_said() {
    let text = "{spec: {labels: {a: b}, services: {worker: {topologyConstraint: {packDomain: rack}}}}}";
    let finished = merged(&plan(Backend::Vllm, aggregated()), text, DgdVersion::V1alpha1).unwrap();
    assert_eq!(
        finished.warnings,
        [
            "spec.labels: a cluster that serves v1alpha1 only drops it without a word",
            "spec.services.worker.topologyConstraint: a cluster that serves v1alpha1 only drops it without a word",
        ]
    );
}
