//! Everything that stands in for a machine room, in one process: nodes that run pods, disks,
//! and the controller of deployments.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::certificates;
use super::folder::Folder;
use super::kubelet::images::Images;
use super::kubelet::{self, Assignment};
use super::{graph_controller, kubeconfig, volume_binder};

/// What the stand-ins are to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Casting {
    /// The nodes whose pods run.
    pub(crate) nodes: Vec<String>,
    /// What stands for images.
    pub(crate) images: Images,
}

impl Casting {
    /// Where a process of its own finds it.
    pub(crate) fn file(folder: &Folder) -> PathBuf {
        folder.root().join("stand-ins.json")
    }

    /// Writes it for a process of its own; false when it stands there already.
    pub(crate) fn write(&self, folder: &Folder) -> anyhow::Result<bool> {
        let path = Self::file(folder);
        let text = serde_json::to_vec_pretty(self)?;
        let changed = fs::read(&path).ok().as_ref() != Some(&text);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(changed)
    }

    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }
}

/// Stand-ins that work until they are dropped.
#[derive(Debug)]
pub(crate) struct StandIns {
    tasks: JoinSet<anyhow::Result<()>>,
}

impl StandIns {
    /// Starts them.
    pub(crate) async fn start(folder: &Folder, casting: Casting) -> anyhow::Result<Self> {
        let admin = kubeconfig::client(&folder.kubeconfig(certificates::ADMIN)).await?;
        let mut tasks = JoinSet::new();
        let assignment = Assignment {
            nodes: casting.nodes,
            images: casting.images,
        };
        tasks.spawn(kubelet::run(folder.clone(), assignment));
        let (place, client) = (folder.clone(), admin.clone());
        tasks.spawn(async move {
            volume_binder::run(client, place).await;
            Ok(())
        });
        tasks.spawn(async move {
            graph_controller::run(admin).await;
            Ok(())
        });
        Ok(Self { tasks })
    }

    /// Waits until one of them gives up.
    async fn end(mut self) -> anyhow::Result<()> {
        match self.tasks.join_next().await {
            Some(end) => end?,
            None => Ok(()),
        }
    }
}

/// Runs the stand-ins of a folder until SIGTERM.
pub(crate) async fn run(root: &Path) -> anyhow::Result<()> {
    let folder = Folder::open(root)?;
    let casting = Casting::read(&Casting::file(&folder))?;
    let stand_ins = StandIns::start(&folder, casting).await?;
    let mut told = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        end = stand_ins.end() => end,
        _ = told.recv() => Ok(()),
    }
}
