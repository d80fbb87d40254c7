//! The program that we are compared with: aiconfigurator in a Python virtual environment.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::suite::report::say;
use crate::workspace::Metadata;

/// The release that we compare with.
const RELEASE: &str = "aiconfigurator==0.12.0";
/// Where its virtual environment is, below the build directory, unless the user names another.
const FOLDER: &str = "peer/venv";

/// A virtual environment for the peer.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    venv: PathBuf,
}

impl Peer {
    /// The environment of a folder, by default one below the build directory; it may not exist yet.
    pub(crate) fn at(venv: Option<&Path>) -> anyhow::Result<Self> {
        let venv = match venv {
            Some(venv) => venv.to_owned(),
            None => Metadata::read()?.target_directory.join(FOLDER),
        };
        Ok(Self { venv })
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.venv
    }

    /// Its Python.
    pub(crate) fn python(&self) -> PathBuf {
        self.venv.join("bin/python")
    }

    /// Its command line.
    pub(crate) fn program(&self) -> PathBuf {
        self.venv.join("bin/aiconfigurator")
    }

    /// The folder of its measurements' package, the one with `systems/`, where that is installed.
    pub(crate) fn core(&self) -> Option<PathBuf> {
        std::fs::read_dir(self.venv.join("lib"))
            .ok()?
            .filter_map(Result::ok)
            .map(|python| python.path().join("site-packages/aiconfigurator_core"))
            .find(|core| core.join("systems").is_dir())
    }

    /// Makes the virtual environment unless the peer is there already.
    pub(crate) fn install(&self) -> anyhow::Result<()> {
        if self.program().exists() {
            return Ok(());
        }
        say(&format!("installing {RELEASE} into {}", self.venv.display()))?;
        let made = Command::new("python3")
            .args(["-m", "venv"])
            .arg(&self.venv)
            .status()
            .context("cannot run python3")?;
        ensure!(made.success(), "python3 cannot make a venv: install python3-venv");
        let installed = Command::new(self.python())
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .arg(RELEASE)
            .status()
            .context("cannot run pip")?;
        ensure!(
            installed.success(),
            "pip cannot install {RELEASE}: check the network"
        );
        Ok(())
    }
}
