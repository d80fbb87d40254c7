//! A control plane for tests, and what can be done to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::api::{Api, ListParams, PostParams};
use nix::sys::signal::Signal;
use serde_json::json;

use super::binaries::Binaries;
use super::crds::{self, CrdSet};
use super::folder::Folder;
use super::nodes::{self, NodeGroup};
use super::part::{self, Part, Process};
use super::{certificates, kubeconfig};

/// How long a part may take until it answers.
const MOST_FOR_START: Duration = Duration::from_mins(1);
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);
/// How long the token of a ServiceAccount is good.
const TOKEN_SECONDS: i64 = 24 * 3600;
/// A cluster that may be thrown away.
const GIVEN: &str = "DGDR_TEST_KUBECONFIG";

/// What a test cluster is to have.
#[derive(Debug, Clone)]
pub(crate) struct Wishes {
    /// GPU nodes.
    pub(crate) nodes: Vec<NodeGroup>,
    /// Custom resources.
    pub(crate) crds: CrdSet,
}

/// A control plane that runs, ours or a given one.
#[derive(Debug)]
pub(crate) struct TestCluster {
    folder: Folder,
    admin: PathBuf,
    /// None where the cluster was given: then nothing is started or ended.
    binaries: Option<Binaries>,
}

impl TestCluster {
    /// Starts what does not run yet, and waits until everything answers.
    pub(crate) async fn start(root: &Path, wishes: &Wishes) -> anyhow::Result<Self> {
        let folder = Folder::open(root)?;
        if let Some(admin) = std::env::var_os(GIVEN).map(PathBuf::from) {
            let cluster = Self {
                folder,
                admin,
                binaries: None,
            };
            cluster.equip_given(wishes).await?;
            return Ok(cluster);
        }
        let binaries = Binaries::find()?;
        certificates::make(&folder)?;
        for owner in [certificates::CONTROLLERS, certificates::SCHEDULER] {
            kubeconfig::write_for_certificate(&folder, owner)?;
        }
        let admin = kubeconfig::write_for_certificate(&folder, certificates::ADMIN)?;
        fs::write(folder.root().join("audit-policy.json"), audit_policy())?;
        let cluster = Self {
            folder,
            admin,
            binaries: Some(binaries),
        };
        cluster.resume(Part::Etcd).await?;
        cluster.resume(Part::ApiServer).await?;
        let client = cluster.client().await?;
        // Kinds first: the garbage collector looks for new ones only every half minute. Nodes too: a pod that could not
        // be placed waits some seconds.
        crds::install(&client, wishes.crds).await?;
        cluster.resume(Part::Scheduler).await?;
        nodes::make(&client, &wishes.nodes, cluster.folder.ports().kubelet).await?;
        cluster.resume(Part::Controllers).await?;
        Ok(cluster)
    }

    async fn equip_given(&self, wishes: &Wishes) -> anyhow::Result<()> {
        let client = self.client().await?;
        crds::install(&client, wishes.crds).await?;
        let existing = Api::<Node>::all(client.clone())
            .list(&ListParams::default().limit(1))
            .await?;
        // Where there are nodes, somebody runs their pods.
        if existing.items.is_empty() {
            nodes::make(&client, &wishes.nodes, self.folder.ports().kubelet).await?;
        }
        Ok(())
    }

    /// Where its files are.
    pub(crate) const fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The kubeconfig of one who may do everything.
    pub(crate) fn admin_kubeconfig(&self) -> &Path {
        &self.admin
    }

    /// A client that may do everything.
    pub(crate) async fn client(&self) -> anyhow::Result<kube::Client> {
        kubeconfig::client(&self.admin).await
    }

    /// Whether the cluster is ours to start and end.
    pub(crate) const fn is_ours(&self) -> bool {
        self.binaries.is_some()
    }

    /// Starts a part, if it does not run, and waits until it answers.
    pub(crate) async fn resume(&self, part: Part) -> anyhow::Result<()> {
        let Some(binaries) = &self.binaries else {
            bail!("the cluster was given by {GIVEN}: its parts are not ours to start");
        };
        let process = Process::of(&self.folder, part.program());
        if process.pid().is_none() {
            part::wait_until_free(part.port(&self.folder), MOST_FOR_START).await?;
            process.start(&binaries.program(part), &part.arguments(&self.folder))?;
        }
        process
            .wait_for_port(part.port(&self.folder), MOST_FOR_START)
            .await?;
        match part {
            Part::ApiServer => self.wait_for_api_server(&process).await,
            Part::Controllers => self.wait_for_controllers(&process).await,
            Part::Etcd | Part::Scheduler => Ok(()),
        }
    }

    /// Ends a part: with SIGKILL as a crash would, with SIGTERM as an upgrade would.
    pub(crate) fn end(&self, part: Part, signal: Signal) -> anyhow::Result<()> {
        if !self.is_ours() {
            bail!("the cluster was given by {GIVEN}: its parts are not ours to end");
        }
        Process::of(&self.folder, part.program()).end(signal)
    }

    async fn wait_for_api_server(&self, process: &Process) -> anyhow::Result<()> {
        let started = Instant::now();
        let client = self.client().await?;
        loop {
            let request = axum::http::Request::get("/readyz").body(Vec::new())?;
            if client.request_text(request).await.is_ok() {
                return Ok(());
            }
            process.check(started, MOST_FOR_START)?;
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// They work when they made the first account.
    async fn wait_for_controllers(&self, process: &Process) -> anyhow::Result<()> {
        let started = Instant::now();
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, "default");
        while accounts.get_opt("default").await?.is_none() {
            process.check(started, MOST_FOR_START)?;
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(())
    }

    /// Writes the kubeconfig of a ServiceAccount, with a token that the API server gives.
    pub(crate) async fn service_account_kubeconfig(
        &self,
        account: ServiceAccountName<'_>,
    ) -> anyhow::Result<PathBuf> {
        let ServiceAccountName { namespace, name } = account;
        let api: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(TOKEN_SECONDS),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let token = api
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .with_context(|| format!("no token for ServiceAccount {namespace}/{name}"))?
            .status
            .context("the API server gave no token")?
            .token;
        kubeconfig::write_for_token(&self.folder, &format!("{namespace}-{name}"), &token)
    }
}

/// A ServiceAccount, by its names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServiceAccountName<'a> {
    /// Its namespace.
    pub(crate) namespace: &'a str,
    /// Its name there.
    pub(crate) name: &'a str,
}

/// Ends everything that belongs to the folder, and removes it.
pub(crate) fn take_down(root: &Path) -> anyhow::Result<()> {
    if !root.exists() {
        return Ok(());
    }
    let folder = Folder::open(root)?;
    // The stand-ins end their containers, when they are asked to.
    Process::of(&folder, super::STAND_INS).end(Signal::SIGTERM)?;
    // Nothing of the others is kept, so they need not end well; clients go before servers.
    for part in Part::ALL.iter().rev() {
        Process::of(&folder, part.program()).end(Signal::SIGKILL)?;
    }
    fs::remove_dir_all(folder.root()).with_context(|| format!("cannot remove {}", root.display()))
}

/// Keeps a line for each request of a ServiceAccount that is not the control plane's own, so that tests can count them.
fn audit_policy() -> String {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            { "level": "None", "userGroups": ["system:serviceaccounts:kube-system"] },
            { "level": "Metadata", "userGroups": ["system:serviceaccounts"] },
            { "level": "None" },
        ],
    })
    .to_string()
}
