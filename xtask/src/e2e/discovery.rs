//! GPUs are found where they are, and waited for where they are taken.

use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::{Value, json};

use super::bench::Bench;
use super::finding::Findings;
use super::operator::Starter;
use super::requests::{At, condition};

const NAMESPACE: &str = "discovery";
const MOST: Duration = Duration::from_secs(30);

const fn at(name: &str) -> At<'_> {
    At {
        namespace: NAMESPACE,
        name,
    }
}

fn spec(others: &Value) -> Value {
    let mut spec = json!({
        "model": "Qwen/Qwen3-32B",
        "backend": "vllm",
        "image": "nvcr.io/nvidia/ai-dynamo/dynamo-planner:1.6.1",
        "autoApply": false,
    });
    if let (Some(spec), Some(others)) = (spec.as_object_mut(), others.as_object()) {
        spec.extend(others.clone());
    }
    spec
}

fn h200() -> Value {
    json!({ "hardware": { "gpuSku": "h200_sxm" } })
}

/// Runs it, on a cluster of two nodes of H100 and two of H200 that nobody uses.
pub(super) async fn check(bench: &Bench, findings: &mut Findings) -> anyhow::Result<()> {
    // Without a pod: a profiling Job would be in nobody's way, but slower.
    let operator = Starter::new(bench, NAMESPACE)
        .with(&["--rapid=inline"])
        .start()
        .await?;
    bench.namespace(NAMESPACE).await?;
    findings
        .step("of two pools alike, the one with more memory", alike(bench))
        .await?;
    findings.step("gpuSku chooses a pool", chosen(bench)).await?;
    findings
        .step("a cordoned node does not count", cordoned(bench))
        .await?;
    findings
        .step("taints count, and tolerations; who waits goes on", tainted(bench))
        .await?;
    findings
        .step("GPUs that pods hold are waited for", Box::pin(held(bench)))
        .await?;
    operator.end_well(findings).await
}

/// Asks and tells what was discovered: system, GPUs for the search.
async fn discovered(bench: &Bench, name: &str, others: &Value) -> anyhow::Result<(String, u64)> {
    bench.ask(at(name), &spec(others)).await?;
    let found = bench.wait_for(at(name), "Ready", MOST).await?;
    told(&found)
}

fn told(found: &DynamicObject) -> anyhow::Result<(String, u64)> {
    let hardware = &found.data["status"]["hardware"];
    ensure!(
        hardware["source"] == "NodeLabels",
        "status.hardware is {hardware}"
    );
    let sku = hardware["gpuSku"].as_str().unwrap_or_default().to_owned();
    Ok((sku, hardware["totalGpus"].as_u64().unwrap_or_default()))
}

/// Waits until a request says that it waits for GPUs, with these words.
async fn waits(bench: &Bench, name: &str, words: &[&str]) -> anyhow::Result<String> {
    let says = |object: &DynamicObject| {
        let message = condition(object, "Validation")["message"]
            .as_str()
            .unwrap_or_default();
        words.iter().all(|word| message.contains(word))
    };
    let found = bench.wait_until(at(name), MOST, says).await?;
    Ok(condition(&found, "Validation")["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

async fn patch_node(bench: &Bench, name: &str, spec: &Value) -> anyhow::Result<()> {
    let nodes: Api<Node> = Api::all(bench.client.clone());
    let patch = json!({ "spec": spec });
    nodes
        .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await?;
    Ok(())
}

async fn alike(bench: &Bench) -> anyhow::Result<String> {
    let found = discovered(bench, "alike", &json!({})).await?;
    ensure!(found == ("h200_sxm".to_owned(), 16), "it is {found:?}");
    let request = bench.requests(NAMESPACE).get("alike").await?;
    let wish = &request.data["spec"]["hardware"];
    ensure!(wish.is_null(), "the user's spec became {wish}");
    Ok(request.data["status"]["hardware"].to_string())
}

async fn chosen(bench: &Bench) -> anyhow::Result<String> {
    let wish = json!({ "hardware": { "gpuSku": "h100_sxm" } });
    let found = discovered(bench, "chosen", &wish).await?;
    ensure!(found == ("h100_sxm".to_owned(), 16), "it is {found:?}");
    Ok(format!("{found:?}"))
}

async fn cordoned(bench: &Bench) -> anyhow::Result<String> {
    patch_node(bench, "h200-0", &json!({ "unschedulable": true })).await?;
    let half = discovered(bench, "cordoned", &h200()).await?;
    ensure!(half == ("h200_sxm".to_owned(), 8), "it is {half:?}");
    let other = discovered(bench, "larger", &json!({})).await?;
    ensure!(
        other == ("h100_sxm".to_owned(), 16),
        "the larger pool is {other:?}"
    );
    Ok(format!("{half:?}, and without a wish {other:?}"))
}

async fn tainted(bench: &Bench) -> anyhow::Result<String> {
    let taints = json!([{ "key": "team", "value": "red", "effect": "NoSchedule" }]);
    patch_node(bench, "h200-1", &json!({ "taints": taints })).await?;
    bench.ask(at("tainted"), &spec(&h200())).await?;
    let said = waits(
        bench,
        "tainted",
        &["no GPU of h200_sxm is free", "h200-0", "team=red:NoSchedule"],
    )
    .await?;
    let mut tolerant = h200();
    let tolerations = json!([{ "key": "team", "operator": "Exists" }]);
    tolerant["overrides"] =
        json!({ "profilingJob": { "template": { "spec": { "tolerations": tolerations } } } });
    let found = discovered(bench, "tolerant", &tolerant).await?;
    ensure!(
        found == ("h200_sxm".to_owned(), 8),
        "who tolerates gets {found:?}"
    );
    patch_node(bench, "h200-0", &json!({ "unschedulable": null })).await?;
    let found = told(&bench.wait_for(at("tainted"), "Ready", MOST).await?)?;
    ensure!(found == ("h200_sxm".to_owned(), 8), "who waited gets {found:?}");
    patch_node(bench, "h200-1", &json!({ "taints": null })).await?;
    Ok(said)
}

async fn held(bench: &Bench) -> anyhow::Result<String> {
    let pods: Api<Pod> = Api::namespaced(bench.client.clone(), NAMESPACE);
    for node in ["h200-0", "h200-1"] {
        let pod = serde_json::from_value(json!({
            "metadata": { "name": node },
            "spec": {
                "nodeSelector": { "kubernetes.io/hostname": node },
                "terminationGracePeriodSeconds": 0,
                "containers": [{
                    "name": "main",
                    "image": "busybox",
                    "command": ["sleep", "3600"],
                    "resources": { "limits": { "nvidia.com/gpu": 8 } },
                }],
            },
        }))?;
        pods.create(&PostParams::default(), &pod).await?;
        let running = await_condition(pods.clone(), node, conditions::is_pod_running());
        tokio::time::timeout(MOST, running).await??;
    }
    bench.ask(at("held"), &spec(&h200())).await?;
    let said = waits(bench, "held", &["no GPU of h200_sxm is free"]).await?;
    pods.delete("h200-1", &DeleteParams::default()).await?;
    let found = told(&bench.wait_for(at("held"), "Ready", MOST).await?)?;
    ensure!(found == ("h200_sxm".to_owned(), 8), "who waited gets {found:?}");
    pods.delete("h200-0", &DeleteParams::default()).await?;
    Ok(said)
}
