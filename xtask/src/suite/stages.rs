//! The stages, in the order in which they run: quick ones first.

use std::process::Command;

use anyhow::Context as _;

use super::report::{Report, TESTS};
use super::{Verdict, cargo_test, readme};
use crate::peer::Peer;
use crate::workspace;

/// A part of the suite.
pub(super) struct Stage {
    /// One word.
    pub(super) name: &'static str,
    /// What it shows when it passes.
    pub(super) meaning: &'static str,
    /// Runs it. An error means that the stage itself could not run.
    pub(super) run: fn(&mut Report) -> anyhow::Result<Verdict>,
}

/// All stages.
pub(super) const STAGES: [Stage; 13] = [
    Stage {
        name: "format",
        meaning: "sources are formatted",
        run: format,
    },
    Stage {
        name: "tidy",
        meaning: "the rules of the house hold: layers, purity, sizes, names, links",
        run: tidy,
    },
    Stage {
        name: "clippy",
        meaning: "no warning in any target with all features",
        run: clippy,
    },
    Stage {
        name: TESTS,
        meaning: "unit, property, golden and integration tests, and doctests, with all features",
        run: tests,
    },
    Stage {
        name: "docs",
        meaning: "documentation builds without a warning",
        run: docs,
    },
    Stage {
        name: "bare",
        meaning: "each library builds with its default features alone",
        run: bare,
    },
    Stage {
        name: "codegen",
        meaning: "CRD, JSON Schema and field reference are what the types say",
        run: codegen,
    },
    Stage {
        name: "readme",
        meaning: "the README's commands run as they are written there",
        run: |_report| readme::commands(),
    },
    Stage {
        name: "speed",
        meaning: "the README's run, built for release, keeps its budget of time",
        run: |_report| readme::speed(),
    },
    Stage {
        name: "perf-data",
        meaning: "the packed tables and models are what the peer's measurements give",
        run: perf_data,
    },
    Stage {
        name: "cluster",
        meaning: "the test cluster runs pods as nodes would, and comes back from crashes",
        run: cluster,
    },
    Stage {
        name: "e2e",
        meaning: "the operator takes requests to deployments on a real control plane, whatever goes wrong",
        run: e2e,
    },
    Stage {
        name: "interop",
        meaning: "ai-dynamo reads what we write and judges requests as we do",
        run: interop,
    },
];

fn format(_report: &mut Report) -> anyhow::Result<Verdict> {
    cargo(&["fmt", "--all", "--check"], "run `cargo fmt --all`")
}

fn tidy(_report: &mut Report) -> anyhow::Result<Verdict> {
    cargo(&["xtask", "tidy"], "tidy has findings")
}

fn clippy(_report: &mut Report) -> anyhow::Result<Verdict> {
    cargo(
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--",
            "-D",
            "warnings",
        ],
        "clippy has findings",
    )
}

fn tests(report: &mut Report) -> anyhow::Result<Verdict> {
    let passed = cargo_test::run(&["--workspace", "--all-features", "--no-fail-fast"], report)?;
    Ok(if passed {
        Verdict::Passed
    } else {
        Verdict::Failed("cargo test failed".to_owned())
    })
}

fn codegen(_report: &mut Report) -> anyhow::Result<Verdict> {
    cargo(
        &["xtask", "codegen", "--check"],
        "generated files are not what the types say",
    )
}

fn docs(_report: &mut Report) -> anyhow::Result<Verdict> {
    let status = workspace::cargo()
        .args(["doc", "--workspace", "--all-features", "--no-deps", "--quiet"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .status()
        .context("cannot run cargo doc")?;
    Ok(if status.success() {
        Verdict::Passed
    } else {
        Verdict::Failed("rustdoc has findings".to_owned())
    })
}

/// The libraries that others may use on their own, each with its default features.
const LIBRARIES: [&str; 5] = [
    "dgdr-units",
    "dgdr-perf-model",
    "dgdr-interpolation",
    "dgdr-sweep-planner",
    "dgdr-types",
];

fn bare(_report: &mut Report) -> anyhow::Result<Verdict> {
    for library in LIBRARIES {
        let verdict = cargo(
            &["check", "--quiet", "--package", library],
            "a library needs a feature that only its users switch on",
        )?;
        if !matches!(verdict, Verdict::Passed) {
            return Ok(verdict);
        }
    }
    Ok(Verdict::Passed)
}

fn perf_data(_report: &mut Report) -> anyhow::Result<Verdict> {
    let peer = Peer::at(None)?;
    let Some(core) = peer.core() else {
        return Ok(Verdict::Skipped(format!(
            "no aiconfigurator-core in {}: make a Python venv there and install aiconfigurator-core==0.12.0 without \
             dependencies",
            peer.folder().display()
        )));
    };
    let core = core.to_string_lossy().into_owned();
    cargo(
        &["xtask", "perf-data", "--from", &core, "--check"],
        "the committed tables are not what the measurements give",
    )
}

/// Whether a program is here.
fn answers(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    let output = command.args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

/// Why no control plane can be had.
fn no_control_plane() -> Option<Verdict> {
    let has_one = answers("go", &["version"]) || std::env::var_os("KUBEBUILDER_ASSETS").is_some();
    (!has_one).then(|| {
        Verdict::Skipped(
            "there is no Go to build a control plane with: install it, or let KUBEBUILDER_ASSETS name a folder with one"
                .to_owned(),
        )
    })
}

fn e2e(_report: &mut Report) -> anyhow::Result<Verdict> {
    if let Some(verdict) = no_control_plane() {
        return Ok(verdict);
    }
    if !answers("kubectl", &["version", "--client"]) {
        return Ok(Verdict::Skipped(
            "there is no kubectl, with which requests are made: install it".to_owned(),
        ));
    }
    cargo(
        &["xtask", "e2e"],
        "the operator does not take requests where they should go",
    )
}

fn cluster(_report: &mut Report) -> anyhow::Result<Verdict> {
    if let Some(verdict) = no_control_plane() {
        return Ok(verdict);
    }
    cargo(
        &["xtask", "cluster", "check"],
        "the test cluster does not do what tests build on",
    )
}

fn interop(_report: &mut Report) -> anyhow::Result<Verdict> {
    let peer = Peer::dynamo(None)?;
    if !peer.is_installed() {
        return Ok(Verdict::Skipped(format!(
            "ai-dynamo is not in {}: `cargo xtask interop --install` brings it, where there is a network",
            peer.folder().display()
        )));
    }
    cargo(
        &["xtask", "interop"],
        "upstream does not take what we write, or judges otherwise",
    )
}

fn cargo(arguments: &[&str], complaint: &str) -> anyhow::Result<Verdict> {
    let mut command: Command = workspace::cargo();
    let status = command.args(arguments).status().with_context(|| {
        format!(
            "cannot run cargo {}",
            arguments.first().copied().unwrap_or_default()
        )
    })?;
    Ok(if status.success() {
        Verdict::Passed
    } else {
        Verdict::Failed(complaint.to_owned())
    })
}
