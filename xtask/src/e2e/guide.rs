//! The profiler guide's walk-through with kubectl, command by command.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::bench::Bench;
use super::finding::Findings;
use super::operator::Starter;
use super::requests::{At, condition, phase};
use crate::workspace;

mod outputs;
mod states;

/// How long a request may take until it is deployed, where many things build at once.
const MOST: Duration = Duration::from_secs(90);
/// Memory that an operator may take, MiB.
const MOST_MIB: u64 = 150;
/// What `kubectl get dgdr` shows, as upstream's.
const COLUMNS: &str = "NAME MODEL BACKEND PHASE PROFILING REASON MESSAGE DGD AGE";
/// What is said of a thorough search without a backend.
const INCOMPATIBLE: &str = "\"thorough\" is incompatible with";
const IMAGE: &str = "nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.9.0";

/// Whose custom resources the cluster has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// Ours, which refuse at once what cannot work.
    Ours,
    /// Upstream's, with which the operator has to say so.
    Upstreams,
}

/// One who follows the guide.
#[derive(Clone, Copy)]
struct Reader<'a> {
    bench: &'a Bench,
    namespace: &'a str,
    rules: Rules,
}

/// Follows it in a namespace of that name.
pub(super) async fn follow(
    bench: &Bench,
    findings: &mut Findings,
    (namespace, rules): (&str, Rules),
) -> anyhow::Result<()> {
    let operator = Starter::new(bench, namespace).start().await?;
    bench.namespace(namespace).await?;
    let reader = Reader {
        bench,
        namespace,
        rules,
    };
    reader.first_steps(findings).await?;
    reader.what_comes_along(findings).await?;
    reader.afterwards(findings).await?;
    let (now, most) = operator.memory_mib()?;
    let detail = format!("{now} MiB, at most {most} MiB");
    findings.see("the operator is small", most <= MOST_MIB, &detail)?;
    operator.end_well(findings).await
}

impl Reader<'_> {
    async fn first_steps(self, findings: &mut Findings) -> anyhow::Result<()> {
        findings
            .step("quick start: apply, wait, Deployed", self.quick_start())
            .await?;
        findings
            .step("kubectl get dgdr has upstream's columns", self.columns())
            .await?;
        findings
            .step("kubectl describe dgdr tells the events", self.describe())
            .await?;
        findings
            .step("kubectl logs -f job/profile-… is the profiler's", self.logs())
            .await?;
        findings
            .step("a deployed request refuses another spec", self.immutable())
            .await?;
        findings
            .step("autoApply: false, jsonpath | kubectl apply", self.by_hand())
            .await?;
        findings
            .step("flipping autoApply later deploys", self.flipped())
            .await?;
        findings
            .step("thorough with backend auto is refused", self.contradiction())
            .await
    }

    async fn what_comes_along(self, findings: &mut Findings) -> anyhow::Result<()> {
        findings.step("mocker", self.mocker()).await?;
        findings
            .step("planner, with its ConfigMaps", self.planner())
            .await?;
        findings
            .step("a model cache is waited for, and mounted", self.model_cache())
            .await?;
        findings
            .step(
                "profiling output on a volume, and the pod that reads it",
                self.output_volume(),
            )
            .await?;
        findings
            .step("overrides of Job and deployment", self.overrides())
            .await?;
        findings
            .step(
                "the sample profile_sla_aic_dgdr.yaml",
                self.sample("profile_sla_aic_dgdr.yaml", "sla-aic"),
            )
            .await?;
        findings
            .step(
                "the sample profile_sla_moe_dgdr.yaml",
                self.sample("profile_sla_moe_dgdr.yaml", "sla-moe"),
            )
            .await
    }

    async fn afterwards(self, findings: &mut Findings) -> anyhow::Result<()> {
        findings
            .step("a deployment degrades, recovers, and is deleted", self.health())
            .await?;
        findings
            .step(
                "deleting a request leaves its deployment and nothing else",
                self.deleted(),
            )
            .await?;
        findings
            .step(
                "deleting an annotated request takes its deployment",
                self.deleted_with_all(),
            )
            .await
    }
}

impl<'a> Reader<'a> {
    const fn at(self, name: &'a str) -> At<'a> {
        At {
            namespace: self.namespace,
            name,
        }
    }

    /// kubectl in the reader's namespace.
    async fn kubectl(self, arguments: &[&str]) -> anyhow::Result<String> {
        self.feed(arguments, "").await
    }

    async fn feed(self, arguments: &[&str], input: &str) -> anyhow::Result<String> {
        let all: Vec<&str> = arguments.iter().copied().chain(["-n", self.namespace]).collect();
        self.bench.kubectl.feed(&all, input).await
    }

    /// Applies a request as a user writes it.
    async fn apply(self, name: &str, spec: &Value) -> anyhow::Result<()> {
        self.feed(&["apply", "-f", "-"], &Self::text(name, spec)).await?;
        Ok(())
    }

    fn text(name: &str, spec: &Value) -> String {
        json!({
            "apiVersion": "nvidia.com/v1beta1",
            "kind": "DynamoGraphDeploymentRequest",
            "metadata": { "name": name },
            "spec": spec,
        })
        .to_string()
    }

    async fn wait_for(self, name: &'a str, wanted: &str) -> anyhow::Result<DynamicObject> {
        self.bench.wait_for(self.at(name), wanted, MOST).await
    }

    async fn deployment(self, name: &str) -> anyhow::Result<Value> {
        let text = self.kubectl(&["get", "dgd", name, "-o", "json"]).await?;
        Ok(serde_json::from_str(&text)?)
    }

    async fn sample(self, file: &str, name: &'a str) -> anyhow::Result<String> {
        let path = workspace::root().join("deploy/samples").join(file);
        self.kubectl(&["apply", "-f", &path.to_string_lossy()]).await?;
        let found = self.wait_for(name, "Deployed").await?;
        Ok(format!("{}", found.data["status"]["deploymentInfo"]))
    }

    async fn quick_start(self) -> anyhow::Result<String> {
        let file = workspace::root().join("deploy/samples/quickstart.yaml");
        self.kubectl(&["apply", "-f", &file.to_string_lossy()]).await?;
        self.kubectl(&[
            "wait",
            "--for=jsonpath={.status.phase}=Deployed",
            "dgdr/my-model-profiling",
            "--timeout=90s",
        ])
        .await?;
        let dgd = self.deployment("my-model-profiling-dgd").await?;
        let labels = &dgd["metadata"]["labels"];
        ensure!(
            labels["dgdr.nvidia.com/name"] == "my-model-profiling",
            "the deployment's labels are {labels}"
        );
        ensure!(
            labels["dgdr.nvidia.com/namespace"] == self.namespace,
            "the deployment's labels are {labels}"
        );
        Ok(dgd["apiVersion"].to_string())
    }

    async fn columns(self) -> anyhow::Result<String> {
        // Upstream's older resources show two of them only when asked for all.
        let all: &[&str] = match self.rules {
            Rules::Ours => &["get", "dgdr"],
            Rules::Upstreams => &["get", "dgdr", "-o=wide"],
        };
        let text = self.kubectl(all).await?;
        let mut lines = text.lines();
        let head: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
        ensure!(head.join(" ") == COLUMNS, "the columns are {head:?}");
        let row: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
        let row = row.join(" ");
        let wanted = "my-model-profiling Qwen/Qwen3-0.6B vllm Deployed Deployed Deployment is healthy my-model-profiling-dgd";
        ensure!(row.starts_with(wanted), "the row is {row}");
        Ok(row)
    }

    async fn describe(self) -> anyhow::Result<String> {
        let text = self.kubectl(&["describe", "dgdr", "my-model-profiling"]).await?;
        for told in [
            "ProfilingJobCreated",
            "SpecGenerated",
            "DeploymentCreated",
            "DeploymentReady",
            "Deployment is healthy",
        ] {
            ensure!(text.contains(told), "{told} is missing in:\n{text}");
        }
        Ok(format!("{} lines", text.lines().count()))
    }

    async fn logs(self) -> anyhow::Result<String> {
        let text = self
            .kubectl(&["logs", "-f", "job/profile-my-model-profiling"])
            .await?;
        let line = text.lines().find(|line| !line.trim().is_empty());
        let line = line.context("the profiler's log is empty")?;
        Ok(format!("{} lines, the first: {line}", text.lines().count()))
    }

    async fn immutable(self) -> anyhow::Result<String> {
        let patch = [
            "patch",
            "dgdr",
            "my-model-profiling",
            "--type=merge",
            "-p",
            r#"{"spec":{"sla":{"ttft":100}}}"#,
        ];
        let all: Vec<&str> = patch.into_iter().chain(["-n", self.namespace]).collect();
        if self.rules == Rules::Ours {
            let complaint = self.bench.kubectl.complaint(&all, "").await?;
            ensure!(
                complaint.contains("delete and recreate"),
                "kubectl says {complaint}"
            );
            return Ok(complaint.trim().chars().take(120).collect());
        }
        self.bench.kubectl.run(&all).await?;
        let at = self.at("my-model-profiling");
        let generation = |object: &DynamicObject| object.metadata.generation.unwrap_or_default();
        let seen = |object: &DynamicObject| object.data["status"]["observedGeneration"] == generation(object);
        let found = self.bench.wait_until(at, MOST, seen).await?;
        ensure!(phase(&found) == "Deployed", "it is {}", phase(&found));
        let reasons = self.bench.event_reasons(at).await?;
        ensure!(
            reasons.iter().any(|(reason, _)| reason == "SpecChangeRejected"),
            "told is {reasons:?}"
        );
        Ok("SpecChangeRejected".to_owned())
    }

    async fn by_hand(self) -> anyhow::Result<String> {
        let features =
            json!({ "planner": { "enable_throughput_scaling": true, "optimization_target": "sla" } });
        let wishes = json!({ "autoApply": false, "features": features });
        self.apply("by-hand", &quick(&wishes)).await?;
        self.wait_for("by-hand", "Ready").await?;
        let none = self
            .kubectl(&["get", "dgd", "--ignore-not-found", "by-hand-dgd"])
            .await?;
        ensure!(none.is_empty(), "there is a deployment already: {none}");
        let path = "-o=jsonpath={.status.profilingResults.selectedConfig}";
        let config = self.kubectl(&["get", "dgdr", "by-hand", path]).await?;
        let said = self.feed(&["apply", "-f", "-"], &config).await?;
        let shown = |object: &DynamicObject| {
            object.data["status"]["deploymentInfo"]["availableReplicas"].as_i64() > Some(0)
        };
        let found = self.bench.wait_until(self.at("by-hand"), MOST, shown).await?;
        ensure!(phase(&found) == "Ready", "it is {}", phase(&found));
        self.kubectl(&[
            "wait",
            "--for=jsonpath={.metadata.ownerReferences[0].kind}=DynamoGraphDeployment",
            "configmap/planner-config-by-hand",
            "--timeout=30s",
        ])
        .await?;
        Ok(said.trim().to_owned())
    }

    async fn flipped(self) -> anyhow::Result<String> {
        self.apply("flipped", &quick(&json!({ "autoApply": false })))
            .await?;
        let ready = self.wait_for("flipped", "Ready").await?;
        let picked = &ready.data["status"]["profilingResults"]["selectedConfig"];
        self.kubectl(&[
            "patch",
            "dgdr",
            "flipped",
            "--type=merge",
            "-p",
            r#"{"spec":{"autoApply":true}}"#,
        ])
        .await?;
        let deployed = self.wait_for("flipped", "Deployed").await?;
        let still = &deployed.data["status"]["profilingResults"]["selectedConfig"];
        ensure!(picked == still, "the selected configuration became another");
        Ok(deployed.data["status"]["dgdName"].to_string())
    }

    async fn contradiction(self) -> anyhow::Result<String> {
        let spec = quick(&json!({ "backend": "auto", "searchStrategy": "thorough" }));
        let text = Self::text("contradiction", &spec);
        if self.rules == Rules::Ours {
            let arguments = ["apply", "-f", "-", "-n", self.namespace];
            let complaint = self.bench.kubectl.complaint(&arguments, &text).await?;
            ensure!(complaint.contains(INCOMPATIBLE), "kubectl says {complaint}");
            return Ok("by the API server".to_owned());
        }
        self.feed(&["apply", "-f", "-"], &text).await?;
        let failed = |object: &DynamicObject| phase(object) == "Failed";
        let found = self
            .bench
            .wait_until(self.at("contradiction"), MOST, failed)
            .await?;
        let said = condition(&found, "Validation")["message"]
            .as_str()
            .unwrap_or_default();
        ensure!(said.contains(INCOMPATIBLE), "the condition says {said}");
        Ok("by the operator".to_owned())
    }
}

/// The quick start's spec with other fields.
fn quick(others: &Value) -> Value {
    let mut spec = json!({
        "model": "Qwen/Qwen3-0.6B",
        "backend": "vllm",
        "image": IMAGE,
        "workload": { "isl": 3000, "osl": 150 },
        "sla": { "ttft": 200.0, "itl": 20.0 },
    });
    if let (Some(spec), Some(others)) = (spec.as_object_mut(), others.as_object()) {
        spec.extend(others.clone());
    }
    spec
}
