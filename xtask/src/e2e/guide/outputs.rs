//! What a request brings along: engines that are simulated, a planner, volumes, overrides.

use anyhow::{Context as _, ensure};
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::super::requests::condition;
use super::{MOST, Reader, Rules, quick};
use crate::workspace;

fn claim(name: &str) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": { "name": name },
        "spec": { "accessModes": ["ReadWriteMany"], "resources": { "requests": { "storage": "1Gi" } } },
    })
    .to_string()
}

impl Reader<'_> {
    pub(super) async fn mocker(self) -> anyhow::Result<String> {
        let features = json!({ "features": { "mocker": { "enabled": true } } });
        self.apply("mocker", &quick(&features)).await?;
        self.wait_for("mocker", "Deployed").await?;
        let dgd = self.deployment("mocker-dgd").await?.to_string();
        ensure!(dgd.contains("dynamo.mocker"), "the deployment runs no mocker");
        ensure!(!dgd.contains("nvidia.com/gpu"), "the deployment asks for GPUs");
        Ok("no GPU is asked for".to_owned())
    }

    pub(super) async fn planner(self) -> anyhow::Result<String> {
        let features = json!({ "features": { "planner": { "enable_throughput_scaling": true, "optimization_target": "sla" } } });
        self.apply("planner", &quick(&features)).await?;
        self.wait_for("planner", "Deployed").await?;
        let dgd = self.deployment("planner-dgd").await?;
        ensure!(
            dgd.to_string().contains("dynamo.planner"),
            "the deployment has no planner"
        );
        let selector = "-l=dgdr.nvidia.com/name=planner";
        let listed = self
            .kubectl(&["get", "configmap", selector, "-o", "json"])
            .await?;
        let listed: Value = serde_json::from_str(&listed)?;
        let mut names = Vec::new();
        for map in listed["items"].as_array().context("no list")? {
            let name = map["metadata"]["name"].as_str().unwrap_or_default();
            let owner = &map["metadata"]["ownerReferences"][0]["kind"];
            let wanted = if name.starts_with("dgdr-output-") {
                "DynamoGraphDeploymentRequest"
            } else {
                "DynamoGraphDeployment"
            };
            ensure!(owner == wanted, "ConfigMap {name} is owned by {owner}");
            names.push(name.to_owned());
        }
        ensure!(
            names.iter().any(|name| name.starts_with("planner-config")),
            "there are only {names:?}"
        );
        Ok(names.join(", "))
    }

    pub(super) async fn model_cache(self) -> anyhow::Result<String> {
        let cache = json!({ "modelCache": {
            "pvcName": "model-cache",
            "pvcModelPath": "hub/models--qwen",
            "pvcMountPath": "/opt/model-cache",
        } });
        self.apply("cached", &quick(&cache)).await?;
        let missing = |object: &DynamicObject| {
            let said = condition(object, "Validation")["message"]
                .as_str()
                .unwrap_or_default();
            said.contains("model cache PVC model-cache not found")
        };
        self.bench.wait_until(self.at("cached"), MOST, missing).await?;
        self.feed(&["apply", "-f", "-"], &claim("model-cache")).await?;
        self.wait_for("cached", "Deployed").await?;
        let dgd = self.deployment("cached-dgd").await?.to_string();
        ensure!(
            dgd.contains("/opt/model-cache"),
            "the deployment does not mount it"
        );
        Ok("went on when the claim was there".to_owned())
    }

    pub(super) async fn output_volume(self) -> anyhow::Result<String> {
        self.feed(&["apply", "-f", "-"], &claim("dynamo-pvc")).await?;
        let mut pod = json!({ "volumes": [{
            "name": "profiling-output",
            "persistentVolumeClaim": { "claimName": "dynamo-pvc" },
        }] });
        if self.rules == Rules::Upstreams {
            pod["containers"] = json!([]);
        }
        let overrides = json!({ "overrides": { "profilingJob": { "template": { "spec": pod } } } });
        self.apply("kept", &quick(&overrides)).await?;
        self.wait_for("kept", "Deployed").await?;
        let folder = format!("{}_dynamo-pvc", self.namespace);
        let folder = self.bench.cluster.folder().volumes().join(folder);
        for file in ["final_config.yaml", "selected_prefill_interpolation/raw_data.npz"] {
            ensure!(
                folder.join(file).is_file(),
                "{file} is not on the volume {}",
                folder.display()
            );
        }
        let reader = workspace::root().join("deploy/utils/manifests/pvc-access-pod.yaml");
        self.kubectl(&["apply", "-f", &reader.to_string_lossy()]).await?;
        self.kubectl(&[
            "wait",
            "--for=condition=Ready",
            "pod/pvc-access-pod",
            "--timeout=60s",
        ])
        .await?;
        self.kubectl(&["delete", "pod", "pvc-access-pod", "--grace-period=0", "--force"])
            .await?;
        Ok("deployment and curves are on it".to_owned())
    }

    pub(super) async fn overrides(self) -> anyhow::Result<String> {
        let mut job = json!({
            "backoffLimit": 2,
            "template": { "spec": { "tolerations": [{ "key": "profiling", "operator": "Exists" }] } },
        });
        if self.rules == Rules::Upstreams {
            job["template"]["spec"]["containers"] = json!([]);
        }
        let dgd = json!({
            "apiVersion": "nvidia.com/v1alpha1",
            "kind": "DynamoGraphDeployment",
            "metadata": { "name": "my-dgd", "labels": { "team": "blue" } },
            "spec": { "services": { "Frontend": { "replicas": 2 } } },
        });
        let overrides = json!({ "overrides": { "profilingJob": job, "dgd": dgd } });
        self.apply("overridden", &quick(&overrides)).await?;
        self.wait_for("overridden", "Deployed").await?;
        let made = self
            .kubectl(&["get", "job", "profile-overridden", "-o", "json"])
            .await?;
        let made: Value = serde_json::from_str(&made)?;
        ensure!(
            made["spec"]["backoffLimit"] == 2,
            "the Job's limit is {}",
            made["spec"]["backoffLimit"]
        );
        let tolerations = &made["spec"]["template"]["spec"]["tolerations"];
        ensure!(
            tolerations[0]["key"] == "profiling",
            "the Job tolerates {tolerations}"
        );
        let found = self.deployment("my-dgd").await?;
        ensure!(
            found["metadata"]["labels"]["team"] == "blue",
            "the label is missing"
        );
        let replicas = if found["spec"]["services"].is_object() {
            found["spec"]["services"]["Frontend"]["replicas"].clone()
        } else {
            let parts = found["spec"]["components"].as_array().into_iter().flatten();
            let front = parts.into_iter().find(|part| part["type"] == "frontend");
            front.map_or(Value::Null, |part| part["replicas"].clone())
        };
        ensure!(replicas == 2, "the frontend has {replicas} replicas");
        Ok("my-dgd".to_owned())
    }
}
