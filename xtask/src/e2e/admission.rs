//! The webhook, with a certificate of its own making, behind a real API server.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use serde_json::json;

use super::bench::{Bench, Plan};
use super::finding::Findings;
use super::manifests;
use super::operator::{Operator, Starter, free_address};
use super::requests::At;
use crate::workspace;

const NAMESPACE: &str = "admission";
const SERVICE: &str = "dgdr-operator-webhook";
const DEFAULT_IMAGE: &str = "nvcr.io/nvidia/ai-dynamo/dynamo-planner:1.6.1";
const MOST: Duration = Duration::from_mins(1);
/// What is installed for it.
const FILES: [&str; 3] = [
    "webhook-self-made/rbac.yaml",
    "webhook/webhook.yaml",
    "webhook/nvidia.com_dynamographdeploymentrequests.yaml",
];

/// Runs it on a cluster of its own, whose requests all pass the webhook.
pub(super) async fn check(bench: &Bench, findings: &mut Findings) -> anyhow::Result<()> {
    let other = Bench::start(&bench.ground, NAMESPACE, Plan::default()).await?;
    let result = on(&other, findings).await;
    let refused = other.audit().refused_to_operator(0)?;
    findings.see(
        "no call is refused to the operator there",
        refused.is_empty(),
        &refused.join("; "),
    )?;
    other.end()?;
    result
}

async fn on(bench: &Bench, findings: &mut Findings) -> anyhow::Result<()> {
    bench.namespace(NAMESPACE).await?;
    let operator = serve(bench).await?;
    findings
        .step("the API server is told whom to trust", trusted(bench))
        .await?;
    findings
        .step("the operator's image is the default", defaulted(bench))
        .await?;
    findings
        .step("what only the webhook knows is refused", refused(bench))
        .await?;
    findings
        .step(
            "a request of v1alpha1 is deployed, and read in both versions",
            older(bench),
        )
        .await?;
    operator.end_well(findings).await
}

/// Installs the webhook and starts an operator that serves it.
async fn serve(bench: &Bench) -> anyhow::Result<Operator> {
    let address = free_address()?;
    let port = address.port();
    for file in FILES {
        let path = workspace::root().join("deploy/manifests/components").join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        manifests::apply(
            &bench.client,
            &text.replace("port: 443", &format!("port: {port}")),
        )
        .await?;
    }
    // There is no network of services here: this one leads to the operator's own port on loopback.
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": SERVICE },
        "spec": { "type": "ExternalName", "externalName": "localhost" },
    });
    let services: Api<Service> = Api::namespaced(bench.client.clone(), manifests::OPERATOR.namespace);
    services
        .patch(
            SERVICE,
            &PatchParams::apply("dgdr-test-e2e"),
            &Patch::Apply(&service),
        )
        .await?;
    Starter::new(bench, NAMESPACE)
        .with(&[
            &format!("--webhook-address={address}"),
            &format!("--default-image={DEFAULT_IMAGE}"),
        ])
        .start()
        .await
}

async fn trusted(bench: &Bench) -> anyhow::Result<String> {
    let kinds: Api<CustomResourceDefinition> = Api::all(bench.client.clone());
    let has_authority = |kind: Option<&CustomResourceDefinition>| {
        let conversion = kind.and_then(|kind| kind.spec.conversion.as_ref()?.webhook.as_ref());
        conversion.is_some_and(|webhook| {
            let client = webhook.client_config.as_ref();
            client.is_some_and(|client| client.ca_bundle.is_some())
        })
    };
    let waiting = await_condition(kinds, "dynamographdeploymentrequests.nvidia.com", has_authority);
    tokio::time::timeout(MOST, waiting)
        .await
        .context("no authority was written")??;
    // The API server reads its own webhooks a little later.
    for _ in 0..100 {
        let said = bench
            .kubectl
            .call(&["apply", "--dry-run=server", "-f", "-"], &quick("probe"))
            .await?;
        if said.succeeded {
            return Ok("and asks it".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let said = bench
        .kubectl
        .complaint(&["apply", "--dry-run=server", "-f", "-"], &quick("probe"))
        .await?;
    bail!("the API server does not reach it: {said}")
}

fn quick(name: &str) -> String {
    json!({
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeploymentRequest",
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": { "model": "Qwen/Qwen3-0.6B", "backend": "vllm" },
    })
    .to_string()
}

async fn defaulted(bench: &Bench) -> anyhow::Result<String> {
    bench.kubectl.feed(&["apply", "-f", "-"], &quick("plain")).await?;
    let request = bench.requests(NAMESPACE).get("plain").await?;
    let image = &request.data["spec"]["image"];
    ensure!(image == DEFAULT_IMAGE, "the image is {image}");
    let at = At {
        namespace: NAMESPACE,
        name: "plain",
    };
    bench.wait_for(at, "Deployed", MOST).await?;
    Ok(image.to_string())
}

async fn refused(bench: &Bench) -> anyhow::Result<String> {
    let text = quick("unversioned").replace(
        "\"backend\"",
        "\"image\":\"registry.example/own:latest\",\"backend\"",
    );
    let complaint = bench.kubectl.complaint(&["apply", "-f", "-"], &text).await?;
    let words = "spec.runtimeVersionOverride: Required value: is required when spec.image has no parseable semantic-version tag";
    ensure!(complaint.contains(words), "kubectl says {complaint}");
    Ok(words.to_owned())
}

async fn older(bench: &Bench) -> anyhow::Result<String> {
    let text = json!({
        "apiVersion": "nvidia.com/v1alpha1",
        "kind": "DynamoGraphDeploymentRequest",
        "metadata": { "name": "older", "namespace": NAMESPACE },
        "spec": {
            "model": "Qwen/Qwen3-0.6B",
            "backend": "vllm",
            "autoApply": true,
            "profilingConfig": {
                "profilerImage": DEFAULT_IMAGE,
                "config": { "sla": { "ttft": 200.0, "itl": 20.0, "isl": 3000, "osl": 150 } },
            },
        },
    });
    let said = bench
        .kubectl
        .call(&["apply", "-f", "-"], &text.to_string())
        .await?;
    ensure!(said.succeeded, "kubectl says {}", said.errors);
    ensure!(
        said.errors.contains("deprecated"),
        "nobody warns: {}",
        said.errors
    );
    let at = At {
        namespace: NAMESPACE,
        name: "older",
    };
    let found = bench.wait_for(at, "Deployed", MOST).await?;
    let isl = &found.data["spec"]["workload"]["isl"];
    ensure!(isl == 3000, "spec.workload.isl is {isl}");
    let path = "-o=jsonpath={.status.state} {.spec.profilingConfig.config.sla.isl}";
    let kind = "dynamographdeploymentrequests.v1alpha1.nvidia.com";
    let seen = bench
        .kubectl
        .run(&["get", kind, "older", "-n", NAMESPACE, path])
        .await?;
    ensure!(seen == "Ready 3000", "v1alpha1 says {seen}");
    Ok(seen)
}
