//! Where the workspace is, and how its cargo is called.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// The workspace root: xtask is built where it is run.
pub(crate) fn root() -> &'static Path {
    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest_dir.parent().unwrap_or(manifest_dir)
}

/// The cargo that runs this task, started in the workspace root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// What `cargo metadata` says about the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    /// The workspace's members.
    pub(crate) packages: Vec<Package>,
    /// Where cargo builds.
    pub(crate) target_directory: PathBuf,
}

/// A member of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    /// Its name on the registry.
    pub(crate) name: String,
    /// What it uses, of every kind.
    pub(crate) dependencies: Vec<Dependency>,
    /// What is built from it.
    pub(crate) targets: Vec<Target>,
}

/// A dependency as a manifest declares it.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    /// Its name on the registry.
    pub(crate) name: String,
    /// Where it is, when it is ours.
    pub(crate) path: Option<PathBuf>,
}

/// A library, binary, test or bench.
#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    /// Which of them.
    pub(crate) kind: Vec<String>,
    /// Its root.
    pub(crate) src_path: PathBuf,
}

impl Metadata {
    /// Asks cargo, without touching the network.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let output = cargo()
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .output()
            .context("cannot run cargo metadata")?;
        ensure!(
            output.status.success(),
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        serde_json::from_slice(&output.stdout).context("cargo metadata answered in an unknown form")
    }
}
