//! Runs of our profiler, whose results upstream reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::workspace::{self, Metadata};

/// A request and what its run has to show.
#[derive(Debug)]
struct Plan {
    name: &'static str,
    request: &'static str,
}

/// Dense and experts, aggregated and disaggregated, each engine, with and without planner.
const PLANS: [Plan; 10] = [
    Plan {
        name: "dense-disagg-trtllm",
        request: include_str!("requests/dense-disagg-trtllm.yaml"),
    },
    Plan {
        name: "dense-agg-vllm",
        request: include_str!("requests/dense-agg-vllm.yaml"),
    },
    Plan {
        name: "dense-load-sglang",
        request: include_str!("requests/dense-load-sglang.yaml"),
    },
    Plan {
        name: "experts-disagg-sglang",
        request: include_str!("requests/experts-disagg-sglang.yaml"),
    },
    Plan {
        name: "experts-disagg-vllm",
        request: include_str!("requests/experts-disagg-vllm.yaml"),
    },
    Plan {
        name: "experts-agg-trtllm",
        request: include_str!("requests/experts-agg-trtllm.yaml"),
    },
    Plan {
        name: "mocker-disagg-trtllm",
        request: include_str!("requests/mocker-disagg-trtllm.yaml"),
    },
    Plan {
        name: "mocker-agg-vllm",
        request: include_str!("requests/mocker-agg-vllm.yaml"),
    },
    Plan {
        name: "override-sglang",
        request: include_str!("requests/override-sglang.yaml"),
    },
    Plan {
        name: "guide-planner",
        request: include_str!("requests/guide-planner.yaml"),
    },
];

/// A finished run.
#[derive(Debug)]
pub(super) struct Run {
    /// Its name.
    pub(super) name: &'static str,
    /// The request's text.
    pub(super) request: &'static str,
    /// Where its results are.
    pub(super) directory: PathBuf,
}

impl Run {
    /// Name and folder, as scripts read them.
    pub(super) fn to_json(&self) -> Value {
        json!({"name": self.name, "directory": self.directory})
    }

    /// A file of the results.
    pub(super) fn file(&self, name: &str) -> anyhow::Result<String> {
        let path = self.directory.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}

/// Builds our profiler.
pub(super) fn build_profiler() -> anyhow::Result<PathBuf> {
    let build = workspace::cargo()
        .args(["build", "--quiet", "--package", "dgdr-profiler"])
        .status()
        .context("cannot run cargo build")?;
    ensure!(build.success(), "the profiler does not build");
    Ok(Metadata::read()?.target_directory.join("debug/dgdr-profiler"))
}

/// Runs every request.
pub(super) fn profile_all(profiler: &Path, folder: &Path) -> anyhow::Result<Vec<Run>> {
    let folder = folder.join("runs");
    super::fresh_folder(&folder)?;
    PLANS
        .iter()
        .map(|plan| {
            let directory = folder.join(plan.name);
            profile(profiler, plan.request, &directory)?;
            Ok(Run {
                name: plan.name,
                request: plan.request,
                directory,
            })
        })
        .collect()
}

/// Runs one request, whose results are then in `directory`.
pub(super) fn profile(profiler: &Path, request: &str, directory: &Path) -> anyhow::Result<()> {
    let config = directory.with_extension("yaml");
    fs::write(&config, request)?;
    let output = Command::new(profiler)
        .args(["profile", "--quiet", "--no-plots", "--config"])
        .arg(&config)
        .arg("--output-dir")
        .arg(directory)
        .output()
        .with_context(|| format!("cannot run {}", profiler.display()))?;
    ensure!(
        output.status.success(),
        "the run of {} failed: {}",
        config.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
