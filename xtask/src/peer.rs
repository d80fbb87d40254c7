//! The programs that we are compared with, each in a Python virtual environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::suite::report::say;
use crate::workspace::Metadata;

/// What a virtual environment holds.
#[derive(Debug)]
struct Kit {
    /// What is installed, in words.
    title: &'static str,
    /// Where it is, below the build directory, unless the user names another folder.
    folder: &'static str,
    /// Packages that are installed as they are: what they say they need is not looked at.
    alone: &'static [&'static str],
    /// Packages that are installed with what they need.
    packages: &'static [&'static str],
}

/// The predictor, as a user installs it.
const AICONFIGURATOR: Kit = Kit {
    title: "aiconfigurator 0.12.0",
    folder: "peer/venv",
    alone: &[],
    packages: &["aiconfigurator==0.12.0"],
};

/// Planner, mocker, frontend and profiler, with what our checks use of them.
///
/// Its own pins ask for versions that the public index does not have, and for an aisimulate that is an empty shell
/// there; this development version speaks the schema of the runtime.
const DYNAMO: Kit = Kit {
    title: "ai-dynamo 1.6.1",
    folder: "peer/dynamo",
    alone: &[
        "ai-dynamo==1.6.1",
        "ai-dynamo-runtime==1.6.1",
        "aisimulate==0.13.0.dev202610130000000070",
    ],
    packages: &[
        "bokeh==3.9.2",
        "ijson==3.6.0",
        "jinja2==3.1.6",
        "kubernetes==32.0.1",
        "matplotlib==3.11.2",
        "msgspec==0.22.0",
        "munch==4.0.0",
        "numpy==2.4.6",
        "nvidia-ml-py==13.615.71",
        "packaging==26.3",
        "pandas==3.1.1",
        "plotext==5.3.2",
        "plotly==7.1.0",
        "prettytable==3.18.0",
        "prometheus-client==0.26.0",
        "psutil==7.2.2",
        "pyarrow==26.0.1",
        "pydantic==2.13.5",
        "pyyaml==6.0.4",
        "scikit-learn==1.9.1",
        "scipy==1.17.1",
        "transformers==5.24.0",
        "uvloop==0.23.0",
    ],
};

/// The packages as they were installed: another list is installed anew.
const INSTALLED: &str = "installed-packages.txt";

/// A virtual environment for a peer.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    venv: PathBuf,
    kit: &'static Kit,
}

impl Peer {
    /// aiconfigurator's environment in a folder, by default one below the build directory; it may not exist yet.
    pub(crate) fn at(venv: Option<&Path>) -> anyhow::Result<Self> {
        Self::of(&AICONFIGURATOR, venv)
    }

    /// ai-dynamo's environment in a folder, by default one below the build directory; it may not exist yet.
    pub(crate) fn dynamo(venv: Option<&Path>) -> anyhow::Result<Self> {
        Self::of(&DYNAMO, venv)
    }

    fn of(kit: &'static Kit, venv: Option<&Path>) -> anyhow::Result<Self> {
        let venv = match venv {
            Some(venv) => venv.to_owned(),
            None => Metadata::read()?.target_directory.join(kit.folder),
        };
        Ok(Self { venv, kit })
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.venv
    }

    /// Its Python.
    pub(crate) fn python(&self) -> PathBuf {
        self.venv.join("bin/python")
    }

    /// aiconfigurator's command line.
    pub(crate) fn program(&self) -> PathBuf {
        self.venv.join("bin/aiconfigurator")
    }

    /// The folder of its measurements' package, the one with `systems/`, where that is installed.
    pub(crate) fn core(&self) -> Option<PathBuf> {
        self.package("aiconfigurator_core")
            .filter(|core| core.join("systems").is_dir())
    }

    /// The folder of an installed package.
    pub(crate) fn package(&self, name: &str) -> Option<PathBuf> {
        fs::read_dir(self.venv.join("lib"))
            .ok()?
            .filter_map(Result::ok)
            .map(|python| python.path().join("site-packages").join(name))
            .find(|package| package.is_dir())
    }

    /// Whether all packages are there, in these versions.
    pub(crate) fn is_installed(&self) -> bool {
        fs::read_to_string(self.venv.join(INSTALLED)).is_ok_and(|installed| installed == self.packages())
    }

    /// Makes the virtual environment unless the peer is there already.
    pub(crate) fn install(&self) -> anyhow::Result<()> {
        if self.is_installed() {
            return Ok(());
        }
        say(&format!(
            "installing {} into {}",
            self.kit.title,
            self.venv.display()
        ))?;
        if !self.python().exists() {
            let made = Command::new("python3")
                .args(["-m", "venv"])
                .arg(&self.venv)
                .status()
                .context("cannot run python3")?;
            ensure!(made.success(), "python3 cannot make a venv: install python3-venv");
        }
        if !self.kit.alone.is_empty() {
            self.pip(&["--no-deps"], self.kit.alone)?;
        }
        self.pip(&[], self.kit.packages)?;
        fs::write(self.venv.join(INSTALLED), self.packages())?;
        Ok(())
    }

    fn pip(&self, options: &[&str], packages: &[&str]) -> anyhow::Result<()> {
        let installed = Command::new(self.python())
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(options)
            .args(packages)
            .status()
            .context("cannot run pip")?;
        ensure!(
            installed.success(),
            "pip cannot install {} with the Python of {}: check the network, and that it is Python 3.11 or newer",
            self.kit.title,
            self.venv.display()
        );
        Ok(())
    }

    /// All packages, one a line.
    fn packages(&self) -> String {
        let packages = self.kit.alone.iter().chain(self.kit.packages);
        packages.copied().flat_map(|package| [package, "\n"]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_has_one_version_and_another_list_is_installed_anew() {
        for kit in [&AICONFIGURATOR, &DYNAMO] {
            for package in kit.alone.iter().chain(kit.packages) {
                assert_eq!(package.matches("==").count(), 1, "{package}");
            }
        }
        let folder = std::env::temp_dir().join(format!("xtask-peer-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let peer = Peer::dynamo(Some(&folder)).expect("a peer");
        assert!(!peer.is_installed());
        fs::write(folder.join(INSTALLED), peer.packages()).expect("a list");
        assert!(peer.is_installed());
        fs::write(folder.join(INSTALLED), "ai-dynamo==1.0.0\n").expect("a list");
        assert!(!peer.is_installed());
        fs::remove_dir_all(folder).expect("no folder");
    }
}
