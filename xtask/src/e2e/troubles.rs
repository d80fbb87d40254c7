//! What keeps a pod from running is said where the user looks, within seconds.

use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ApiResource, DynamicObject, ObjectMeta, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use super::bench::Bench;
use super::finding::Findings;
use super::operator::Starter;
use super::requests::{At, condition, phase};

const NAMESPACE: &str = "troubles";
/// How long it may take until a trouble is told: the kubelet needs a look at the pod as well.
const SECONDS: Duration = Duration::from_secs(20);
const MOST: Duration = Duration::from_secs(90);

const fn at(name: &str) -> At<'_> {
    At {
        namespace: NAMESPACE,
        name,
    }
}

fn spec(overrides: &Value) -> Value {
    json!({
        "model": "Qwen/Qwen3-0.6B",
        "backend": "vllm",
        "image": "nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.9.0",
        "workload": { "isl": 3000, "osl": 150 },
        "sla": { "ttft": 200.0, "itl": 20.0 },
        "overrides": overrides,
    })
}

/// Overrides of the profiler's pod.
fn pod(spec: &Value) -> Value {
    json!({ "profilingJob": { "template": { "spec": spec } } })
}

/// Runs them all.
pub(super) async fn check(bench: &Bench, findings: &mut Findings) -> anyhow::Result<()> {
    let operator = Starter::new(bench, NAMESPACE).start().await?;
    bench.namespace(NAMESPACE).await?;
    findings
        .step(
            "the profiler's image is missed, with the guide's remedy",
            image(bench),
        )
        .await?;
    findings
        .step("the profiler finds no node", unschedulable(bench))
        .await?;
    findings
        .step("a secret is missed, made, and profiling goes on", secret(bench))
        .await?;
    findings
        .step("the profiler takes too much memory", memory(bench))
        .await?;
    findings
        .step("a deployment's pods miss their image", deployment_image(bench))
        .await?;
    findings
        .step("a deployment of that name is somebody else's", foreign(bench))
        .await?;
    operator.end_well(findings).await
}

/// Waits until a condition's message has all these words.
async fn told(bench: &Bench, name: &str, (kind, words): (&str, &[&str])) -> anyhow::Result<String> {
    let has_all = |object: &DynamicObject| {
        let message = condition(object, kind)["message"].as_str().unwrap_or_default();
        words.iter().all(|word| message.contains(word))
    };
    let found = bench.wait_until(at(name), SECONDS, has_all).await?;
    let message = condition(&found, kind)["message"].as_str().unwrap_or_default();
    Ok(message.chars().take(160).collect())
}

async fn image(bench: &Bench) -> anyhow::Result<String> {
    let container = json!({ "containers": [{ "name": "profiler", "image": "nowhere.example/profiler:1" }] });
    bench.ask(at("image"), &spec(&pod(&container))).await?;
    let words = [
        "nowhere.example/profiler:1",
        "kubectl create secret docker-registry nvcr-imagepullsecret",
    ];
    told(bench, "image", ("Profiling", &words)).await
}

async fn unschedulable(bench: &Bench) -> anyhow::Result<String> {
    bench
        .ask(
            at("nowhere"),
            &spec(&pod(&json!({ "nodeSelector": { "disk": "golden" } }))),
        )
        .await?;
    told(
        bench,
        "nowhere",
        ("Profiling", &["Unschedulable", "nodeSelector"]),
    )
    .await
}

async fn secret(bench: &Bench) -> anyhow::Result<String> {
    let from = json!([{ "secretRef": { "name": "proxy-settings" } }]);
    let container = json!({ "containers": [{ "name": "profiler", "envFrom": from }] });
    bench.ask(at("secret"), &spec(&pod(&container))).await?;
    let said = told(
        bench,
        "secret",
        ("Profiling", &["CreateContainerConfigError", "proxy-settings"]),
    )
    .await?;
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some("proxy-settings".to_owned()),
            ..ObjectMeta::default()
        },
        ..Secret::default()
    };
    let secrets: Api<Secret> = Api::namespaced(bench.client.clone(), NAMESPACE);
    secrets.create(&PostParams::default(), &secret).await?;
    bench.wait_for(at("secret"), "Deployed", MOST).await?;
    Ok(said)
}

async fn memory(bench: &Bench) -> anyhow::Result<String> {
    let template = json!({ "metadata": { "annotations": { "test.dgdr/oom": "profiler" } }, "spec": { "containers": [] } });
    bench
        .ask(
            at("memory"),
            &spec(&json!({ "profilingJob": { "template": template } })),
        )
        .await?;
    let said = told(bench, "memory", ("Succeeded", &["OOMKilled", "resources"])).await?;
    let found = bench.requests(NAMESPACE).get("memory").await?;
    ensure!(phase(&found) == "Failed", "it is {}", phase(&found));
    Ok(said)
}

async fn deployment_image(bench: &Bench) -> anyhow::Result<String> {
    let dgd = json!({ "dgd": {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": { "annotations": {
            "test.dgdr/state": "pending",
            "test.dgdr/pod-image": "nowhere.example/worker:1",
        } },
    } });
    bench.ask(at("pods"), &spec(&dgd)).await?;
    bench.wait_for(at("pods"), "Deploying", MOST).await?;
    let said = told(
        bench,
        "pods",
        (
            "DeploymentReady",
            &["nowhere.example/worker:1", "pods-dgd-worker"],
        ),
    )
    .await?;
    let reasons = bench.event_reasons(at("pods")).await?;
    ensure!(
        reasons.iter().any(|(reason, _)| reason == "ImagePullFailed"),
        "told is {reasons:?}"
    );
    Ok(said)
}

async fn foreign(bench: &Bench) -> anyhow::Result<String> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(
        "nvidia.com",
        "v1beta1",
        "DynamoGraphDeployment",
    ));
    let graphs: Api<DynamicObject> = Api::namespaced_with(bench.client.clone(), NAMESPACE, &kind);
    let theirs: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": {
            "name": "foreign-dgd",
            "labels": { "dgdr.nvidia.com/name": "other", "dgdr.nvidia.com/namespace": NAMESPACE },
        },
        "spec": { "components": [{ "name": "worker", "type": "worker", "replicas": 1,
            "podTemplate": { "spec": { "containers": [{ "name": "main", "image": "x" }] } } }] },
    }))?;
    graphs.create(&PostParams::default(), &theirs).await?;
    bench.ask(at("foreign"), &spec(&json!({}))).await?;
    let failed = |object: &DynamicObject| phase(object) == "Failed";
    let found = bench.wait_until(at("foreign"), MOST, failed).await?;
    let said = condition(&found, "DeploymentReady");
    ensure!(
        said["reason"] == "DeploymentRejected",
        "the reason is {}",
        said["reason"]
    );
    let still = graphs.get("foreign-dgd").await?;
    let owner = still
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get("dgdr.nvidia.com/name"));
    ensure!(owner.map(String::as_str) == Some("other"), "it was taken over");
    Ok(said["message"].as_str().unwrap_or_default().to_owned())
}
