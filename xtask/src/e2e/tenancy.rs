//! An operator of one namespace serves that one, and cannot touch another.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};

use super::bench::Bench;
use super::finding::Findings;
use super::kubectl::Kubectl;
use super::manifests::{self, Install};
use super::operator::{Operator, Starter};
use super::requests::{At, condition};
use crate::cluster::test_cluster::ServiceAccountName;
use crate::workspace;

const OURS: &str = "team-a";
const THEIRS: &str = "team-b";
const USER: &str = "system:serviceaccount:team-a:dgdr-operator";
const MOST: Duration = Duration::from_secs(90);
/// What it may do at home and must not elsewhere.
const DEEDS: [[&str; 2]; 8] = [
    ["list", "dynamographdeploymentrequests"],
    ["patch", "dynamographdeploymentrequests/status"],
    ["create", "dynamographdeployments"],
    ["create", "jobs"],
    ["delete", "jobs"],
    ["get", "configmaps"],
    ["patch", "configmaps"],
    ["list", "pods"],
];

const fn at<'a>(namespace: &'a str, name: &'a str) -> At<'a> {
    At { namespace, name }
}

fn spec(hardware: &Value) -> Value {
    json!({
        "model": "Qwen/Qwen3-0.6B",
        "backend": "vllm",
        "image": "nvcr.io/nvidia/ai-dynamo/dynamo-planner:1.6.1",
        "hardware": hardware,
    })
}

fn given() -> Value {
    json!({ "gpuSku": "h200_sxm", "numGpusPerNode": 8, "totalGpus": 8 })
}

/// Runs it.
pub(super) async fn check(bench: &Bench, findings: &mut Findings) -> anyhow::Result<()> {
    bench.namespace(OURS).await?;
    bench.namespace(THEIRS).await?;
    manifests::install(&bench.client, Install::Namespace(OURS)).await?;
    let account = ServiceAccountName {
        namespace: OURS,
        name: "dgdr-operator",
    };
    let kubeconfig = bench.cluster.service_account_kubeconfig(account).await?;
    let from = bench.audit().length()?;
    let operator = start(bench, &kubeconfig).await?;
    findings
        .step("a request of its namespace is deployed", served(bench))
        .await?;
    findings
        .step("a request of another namespace is left alone", ignored(bench))
        .await?;
    findings
        .step("without nodes, hardware is asked for", blind(bench))
        .await?;
    operator.end_well(findings).await?;
    findings
        .step(
            "with the component `nodes`, it goes on",
            sighted(bench, &kubeconfig),
        )
        .await?;
    let refused = bench.audit().refused(USER, from)?;
    findings.see(
        "no call is refused to it",
        refused.is_empty(),
        &refused.join("; "),
    )?;
    let kubectl = Kubectl::new(kubeconfig, bench.folder().join("kubectl-team-a"));
    findings
        .step("its token is refused in another namespace", refusals(&kubectl))
        .await
}

async fn start(bench: &Bench, kubeconfig: &Path) -> anyhow::Result<Operator> {
    let starter = Starter::new(bench, OURS).within(OURS).by(kubeconfig);
    starter.with(&["--namespace=team-a"]).start().await
}

async fn served(bench: &Bench) -> anyhow::Result<String> {
    bench.ask(at(THEIRS, "other"), &spec(&given())).await?;
    bench.ask(at(OURS, "own"), &spec(&given())).await?;
    let found = bench.wait_for(at(OURS, "own"), "Deployed", MOST).await?;
    Ok(found.data["status"]["dgdName"].to_string())
}

async fn ignored(bench: &Bench) -> anyhow::Result<String> {
    let found = bench.requests(THEIRS).get("other").await?;
    let status = &found.data["status"];
    ensure!(status.is_null(), "somebody wrote {status}");
    ensure!(
        bench.event_reasons(at(THEIRS, "other")).await?.is_empty(),
        "somebody told events"
    );
    Ok("no status, no event".to_owned())
}

async fn blind(bench: &Bench) -> anyhow::Result<String> {
    bench.ask(at(OURS, "blind"), &spec(&json!({}))).await?;
    let words = "let the operator read nodes";
    let says = |object: &kube::api::DynamicObject| {
        condition(object, "Validation")["message"]
            .as_str()
            .is_some_and(|message| message.contains(words))
    };
    bench.wait_until(at(OURS, "blind"), MOST, says).await?;
    Ok(words.to_owned())
}

async fn sighted(bench: &Bench, kubeconfig: &Path) -> anyhow::Result<String> {
    let path = workspace::root().join("deploy/manifests/components/nodes/rbac.yaml");
    let text = std::fs::read_to_string(&path)?
        .replace("name: dgdr-operator-nodes", "name: dgdr-operator-nodes-of-team-a")
        .replace("namespace: dgdr-system", "namespace: team-a");
    manifests::apply(&bench.client, &text).await?;
    let operator = start(bench, kubeconfig).await?;
    let found = bench.wait_for(at(OURS, "blind"), "Deployed", MOST).await?;
    operator.terminate().await?;
    Ok(found.data["status"]["hardware"]["product"].to_string())
}

async fn refusals(kubectl: &Kubectl) -> anyhow::Result<String> {
    for [verb, resource] in DEEDS {
        let ask = |namespace| ["auth", "can-i", verb, resource, "-n", namespace];
        ensure!(
            kubectl.call(&ask(OURS), "").await?.succeeded,
            "it may not {verb} {resource} at home"
        );
        ensure!(
            !kubectl.call(&ask(THEIRS), "").await?.succeeded,
            "it may {verb} {resource} elsewhere"
        );
    }
    for arguments in [
        ["get", "dgdr", "-n", THEIRS],
        ["get", "configmap", "-n", THEIRS],
        ["get", "secret", "-n", OURS],
        ["delete", "dgd", "own-dgd", "--namespace=team-a"],
    ] {
        let complaint = kubectl.complaint(&arguments, "").await?;
        ensure!(complaint.contains("orbidden"), "kubectl says {complaint}");
    }
    Ok(format!("{} deeds asked about, 4 tried", DEEDS.len()))
}
