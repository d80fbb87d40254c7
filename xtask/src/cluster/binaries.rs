//! Where the control plane's programs come from.
//!
//! A folder named by `KUBEBUILDER_ASSETS`, as everywhere in the Go world; otherwise one program that is all four, built
//! from Go sources at pinned versions and kept for later runs.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use sha2::{Digest as _, Sha256};

use super::part::Part;
use crate::suite::report::say;
use crate::workspace;

/// The version of Kubernetes whose sources `go.mod` names.
const VERSION: &str = "v1.36.3";
const SOURCES: [&str; 3] = [
    include_str!("control-plane/main.go"),
    include_str!("control-plane/go.mod"),
    include_str!("control-plane/go.sum"),
];
/// How often the build says how far it is.
const NEWS: Duration = Duration::from_secs(15);
/// How many of the last lines explain a failed build.
const LAST_LINES: usize = 15;

/// The programs.
#[derive(Debug, Clone)]
pub(crate) struct Binaries {
    given: Option<PathBuf>,
    built: Option<PathBuf>,
}

impl Binaries {
    /// Finds the programs, or builds what is missing.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let given = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
        if let Some(folder) = &given {
            for part in [Part::Etcd, Part::ApiServer] {
                let program = folder.join(part.program());
                ensure!(
                    program.is_file(),
                    "KUBEBUILDER_ASSETS names a folder without {}: {}",
                    part.program(),
                    folder.display()
                );
            }
        }
        let complete = given
            .as_deref()
            .is_some_and(|folder| Part::ALL.iter().all(|part| folder.join(part.program()).is_file()));
        let built = if complete { None } else { Some(build()?) };
        Ok(Self { given, built })
    }

    /// The program of a part.
    pub(crate) fn program(&self, part: Part) -> PathBuf {
        [self.given.as_deref(), self.built.as_deref()]
            .into_iter()
            .flatten()
            .map(|folder| folder.join(part.program()))
            .find(|program| program.is_file())
            .unwrap_or_else(|| PathBuf::from(part.program()))
    }
}

/// The folder of the built programs.
fn build() -> anyhow::Result<PathBuf> {
    let cache = cache()?;
    let folder = cache.join(format!("{VERSION}-{}", key()));
    if folder.join(Part::Scheduler.program()).is_file() {
        return Ok(folder);
    }
    let version = Command::new("go").arg("version").output();
    ensure!(
        version.is_ok_and(|output| output.status.success()),
        "the control plane is built with Go, which is not here: install Go 1.26 or later, or let KUBEBUILDER_ASSETS name \
         a folder with etcd and kube-apiserver"
    );
    say(&format!(
        "building Kubernetes {VERSION} into {} (once; about 8 minutes on two cores)",
        folder.display()
    ))?;
    // Built aside and renamed, so that the folder is complete whenever it is there.
    let aside = cache.join(format!("building-{}", std::process::id()));
    fs::create_dir_all(&aside).with_context(|| format!("cannot make {}", aside.display()))?;
    compile(&aside.join("control-plane"))?;
    for part in Part::ALL {
        std::os::unix::fs::symlink("control-plane", aside.join(part.program()))?;
    }
    if let Err(error) = fs::rename(&aside, &folder) {
        fs::remove_dir_all(&aside)?;
        // Another run may have been faster.
        ensure!(folder.is_dir(), "cannot make {}: {error}", folder.display());
    }
    Ok(folder)
}

fn cache() -> anyhow::Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .context("there is no home folder: set XDG_CACHE_HOME")?;
    Ok(base.join("dgdr-test-cluster"))
}

/// Names what is built: other sources, other folder.
fn key() -> String {
    let mut hash = Sha256::new();
    for source in SOURCES {
        hash.update(source);
    }
    let digest = hash.finalize();
    digest
        .iter()
        .take(6)
        .fold(String::new(), |key, byte| format!("{key}{byte:02x}"))
}

fn compile(target: &Path) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut child = Command::new("go")
        .current_dir(workspace::root().join("xtask/src/cluster/control-plane"))
        .env("CGO_ENABLED", "0")
        .args([
            "build",
            "-v",
            "-mod=readonly",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
        ])
        .arg(linker_flags())
        .arg("-o")
        .arg(target)
        .arg(".")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run go build")?;
    let mut compiled = 0_u32;
    let mut last_lines = Vec::new();
    let mut last_news = started;
    for line in BufReader::new(child.stderr.take().context("go build has no stderr")?).lines() {
        let line = line?;
        if is_package(&line) {
            compiled += 1;
        } else {
            last_lines.push(line);
        }
        if last_news.elapsed() >= NEWS {
            last_news = Instant::now();
            say(&format!(
                "  {} s: {compiled} packages compiled",
                started.elapsed().as_secs()
            ))?;
        }
    }
    if !child.wait()?.success() {
        let from = last_lines.len().saturating_sub(LAST_LINES);
        bail!(
            "go build failed:\n{}",
            last_lines.get(from..).unwrap_or_default().join("\n")
        );
    }
    say(&format!("built in {} s", started.elapsed().as_secs()))
}

/// The programs say their version, which clients ask for.
fn linker_flags() -> String {
    let mut numbers = VERSION.trim_start_matches('v').split('.');
    let (major, minor) = (
        numbers.next().unwrap_or_default(),
        numbers.next().unwrap_or_default(),
    );
    let package = "k8s.io/component-base/version";
    format!(
        "-s -w -X {package}.gitVersion={VERSION} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    )
}

/// `go build -v` names each package on a line of its own; all else it says has spaces.
fn is_package(line: &str) -> bool {
    !line.is_empty() && !line.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_have_the_version_that_is_named() {
        assert!(SOURCES[1].contains(&format!("k8s.io/kubernetes {VERSION}\n")));
        assert!(linker_flags().ends_with("gitMajor=1 -X k8s.io/component-base/version.gitMinor=36"));
        assert_eq!(key().len(), 12);
    }

    #[test]
    fn packages_are_told_from_complaints() {
        assert!(is_package("k8s.io/api/core/v1"));
        assert!(!is_package("go: downloading k8s.io/api v0.36.3"));
        assert!(!is_package("# k8s.io/api/core/v1 [failed]"));
        assert!(!is_package(""));
    }
}
