//! kubectl, as a user calls it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

const MOST: Duration = Duration::from_mins(2);

/// kubectl of this machine, with the kubeconfig of somebody.
#[derive(Debug, Clone)]
pub(super) struct Kubectl {
    kubeconfig: PathBuf,
    cache: PathBuf,
}

/// How a call ended.
#[derive(Debug)]
pub(super) struct Said {
    /// Whether its exit code is 0.
    pub(super) succeeded: bool,
    /// Standard output.
    pub(super) output: String,
    /// Standard error: warnings too.
    pub(super) errors: String,
}

impl Kubectl {
    /// Whoever the kubeconfig says; what was discovered of the cluster is kept in `cache`.
    pub(super) const fn new(kubeconfig: PathBuf, cache: PathBuf) -> Self {
        Self { kubeconfig, cache }
    }

    /// Calls it, with something on its standard input.
    pub(super) async fn call(&self, arguments: &[&str], input: &str) -> anyhow::Result<Said> {
        let mut child = Command::new("kubectl")
            .args(arguments)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--cache-dir")
            .arg(&self.cache)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot run kubectl: is it installed?")?;
        let mut pipe = child.stdin.take().context("kubectl has no standard input")?;
        pipe.write_all(input.as_bytes()).await?;
        drop(pipe);
        let output = tokio::time::timeout(MOST, child.wait_with_output())
            .await
            .with_context(|| format!("kubectl {} does not end", arguments.join(" ")))??;
        Ok(Said {
            succeeded: output.status.success(),
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// What a call prints that ends well.
    pub(super) async fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.feed(arguments, "").await
    }

    /// What a call with an input prints that ends well.
    pub(super) async fn feed(&self, arguments: &[&str], input: &str) -> anyhow::Result<String> {
        let said = self.call(arguments, input).await?;
        if !said.succeeded {
            bail!("kubectl {}: {}", arguments.join(" "), said.errors.trim());
        }
        Ok(said.output)
    }

    /// What a call complains of that ends badly.
    pub(super) async fn complaint(&self, arguments: &[&str], input: &str) -> anyhow::Result<String> {
        let said = self.call(arguments, input).await?;
        if said.succeeded {
            bail!(
                "kubectl {} should be refused, and prints {}",
                arguments.join(" "),
                said.output.trim()
            );
        }
        Ok(said.errors)
    }
}
