//! What becomes of a deployment, and of what was made for a request.

use anyhow::ensure;
use kube::api::DynamicObject;

use super::super::requests::{condition, phase};
use super::{MOST, Reader, quick};

impl<'a> Reader<'a> {
    async fn wish(self, dgd: &str, state: &str) -> anyhow::Result<()> {
        let wish = format!("test.dgdr/state={state}");
        self.kubectl(&["annotate", "dgd", dgd, "--overwrite", &wish])
            .await?;
        Ok(())
    }

    /// Waits for a condition of the deployment with that reason.
    async fn said(self, name: &'a str, reason: &str) -> anyhow::Result<DynamicObject> {
        let says = |object: &DynamicObject| condition(object, "DeploymentReady")["reason"] == reason;
        self.bench.wait_until(self.at(name), MOST, says).await
    }

    pub(super) async fn health(self) -> anyhow::Result<String> {
        let (name, dgd) = ("flipped", "flipped-dgd");
        self.wish(dgd, "failed").await?;
        let found = self.bench.wait_for(self.at(name), "Deploying", MOST).await?;
        ensure!(
            found.data["status"]["deploymentInfo"]["availableReplicas"] == 0,
            "replicas are still counted"
        );
        self.wish(dgd, "successful").await?;
        self.wait_for(name, "Deployed").await?;
        self.kubectl(&["delete", "dgd", dgd]).await?;
        let found = self.said(name, "DeploymentDeleted").await?;
        ensure!(phase(&found) == "Failed", "it is {}", phase(&found));
        let reasons = self.bench.event_reasons(self.at(name)).await?;
        for wanted in ["DeploymentDegraded", "DeploymentDeleted"] {
            ensure!(
                reasons.iter().any(|(reason, _)| reason == wanted),
                "told is {reasons:?}"
            );
        }
        let none = self.kubectl(&["get", "dgd", "--ignore-not-found", dgd]).await?;
        ensure!(none.is_empty(), "it was made again");
        Ok("each told by an event".to_owned())
    }

    pub(super) async fn deleted(self) -> anyhow::Result<String> {
        let name = "my-model-profiling";
        self.kubectl(&["delete", "dgdr", name, "--timeout=30s"]).await?;
        for object in [
            "job/profile-my-model-profiling",
            "configmap/dgdr-output-my-model-profiling",
        ] {
            self.kubectl(&["wait", "--for=delete", object, "--timeout=60s"])
                .await?;
        }
        self.deployment("my-model-profiling-dgd").await?;
        Ok("Job and output are gone".to_owned())
    }

    pub(super) async fn deleted_with_all(self) -> anyhow::Result<String> {
        let name = "taken-along";
        self.apply(name, &quick(&serde_json::Value::Null)).await?;
        let annotation = "dgdr.nvidia.com/deployment-on-delete=delete";
        self.kubectl(&["annotate", "dgdr", name, annotation]).await?;
        self.wait_for(name, "Deployed").await?;
        self.kubectl(&["delete", "dgdr", name, "--timeout=30s"]).await?;
        self.kubectl(&["wait", "--for=delete", "dgd/taken-along-dgd", "--timeout=60s"])
            .await?;
        Ok("it is gone".to_owned())
    }
}
