//! Our operator as a process that can be killed.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::bench::Bench;
use super::finding::Findings;
use super::http;

const MOST_FOR_START: Duration = Duration::from_secs(30);
const MOST_FOR_END: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
/// How many of the log's last lines explain an end.
const LAST_LINES: usize = 10;

/// How an operator is started, again and again.
#[derive(Debug, Clone)]
pub(super) struct Starter {
    program: PathBuf,
    kubeconfig: PathBuf,
    log: PathBuf,
    name: String,
    namespace: String,
    arguments: Vec<String>,
}

impl Starter {
    /// An operator of that name, which no other has, with the roles of the cluster's install.
    pub(super) fn new(bench: &Bench, name: &str) -> Self {
        Self {
            program: bench.programs.join("dgdr-operator"),
            kubeconfig: bench.operator_kubeconfig.clone(),
            log: bench.folder().join(format!("{name}.log")),
            name: name.to_owned(),
            namespace: super::manifests::OPERATOR.namespace.to_owned(),
            arguments: Vec::new(),
        }
    }

    /// With these arguments of `dgdr-operator run` too.
    #[must_use]
    pub(super) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// At home in another namespace, where its lease is.
    #[must_use]
    pub(super) fn within(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// As somebody else, or by another way.
    #[must_use]
    pub(super) fn by(mut self, kubeconfig: &Path) -> Self {
        kubeconfig.clone_into(&mut self.kubeconfig);
        self
    }

    /// Starts it; it may not be ready yet.
    pub(super) fn spawn(&self) -> anyhow::Result<Operator> {
        let (metrics, health) = (free_address()?, free_address()?);
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let child = Command::new(&self.program)
            .arg("run")
            .arg(format!("--metrics-address={metrics}"))
            .arg(format!("--health-address={health}"))
            .arg(format!("--pod-name={}", self.name))
            .arg(format!("--pod-namespace={}", self.namespace))
            .args(&self.arguments)
            .env_clear()
            .env("KUBECONFIG", &self.kubeconfig)
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        Ok(Operator {
            child,
            metrics,
            health,
            log: self.log.clone(),
            name: self.name.clone(),
        })
    }

    /// Starts it and waits until it is ready.
    pub(super) async fn start(&self) -> anyhow::Result<Operator> {
        let mut operator = self.spawn()?;
        operator.wait_until_ready().await?;
        Ok(operator)
    }
}

/// A free port of 127.0.0.1; it is hardly taken before it is used.
pub(super) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// An operator that runs; it is killed when it is dropped.
#[derive(Debug)]
pub(super) struct Operator {
    child: Child,
    metrics: SocketAddr,
    health: SocketAddr,
    log: PathBuf,
    name: String,
}

impl Operator {
    /// Waits until `/readyz` says so.
    pub(super) async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            if http::get(self.health, "/readyz").await.is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "the operator {} ended with {status}:\n{}",
                    self.name,
                    self.last_words()
                );
            }
            if started.elapsed() > MOST_FOR_START {
                bail!("the operator {} is not ready:\n{}", self.name, self.last_words());
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// What its log ends with.
    pub(super) fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }

    /// Its process.
    pub(super) fn pid(&self) -> anyhow::Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.child.id())?))
    }

    /// Ends it as a crash would.
    pub(super) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Ends it as an upgrade would, and looks whether it ended well.
    pub(super) async fn end_well(self, findings: &mut Findings) -> anyhow::Result<()> {
        let ended = self.terminate().await?;
        findings.see(
            "the operator ends when it is told",
            ended.success(),
            &ended.to_string(),
        )
    }

    /// Ends it as an upgrade would, and says how it ended.
    pub(super) async fn terminate(mut self) -> anyhow::Result<ExitStatus> {
        kill(self.pid()?, Signal::SIGTERM)?;
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if started.elapsed() > MOST_FOR_END {
                bail!("the operator {} does not end:\n{}", self.name, self.last_words());
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Memory that it has now, and that it had at most, in MiB.
    pub(super) fn memory_mib(&self) -> anyhow::Result<(u64, u64)> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let read = |key: &str| -> anyhow::Result<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            let kib = line
                .and_then(|line| line.split_whitespace().next())
                .context("no memory is told")?;
            Ok(kib.parse::<u64>()? / 1024)
        };
        Ok((read("VmRSS:")?, read("VmHWM:")?))
    }

    /// What `/metrics` says.
    pub(super) async fn metrics(&self) -> anyhow::Result<String> {
        http::get(self.metrics, "/metrics").await
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // Already gone is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
