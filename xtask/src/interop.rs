//! `cargo xtask interop`: upstream's own code reads what we write, and judges requests as we do.
//!
//! The peer is ai-dynamo in a virtual environment; its planner, mocker, profiler and operator types are asked through
//! small scripts that lie beside the checks. What upstream prints goes to a log; findings come back through a file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::ensure;

use crate::peer::Peer;
use crate::suite::report::say;
use crate::workspace::Metadata;

mod curves;
mod dgd;
mod dgdr;
mod mocker;
mod planner;
mod planner_config;
mod readers;
mod runs;
mod script;

use runs::Run;
use script::Finding;

/// Arguments of `cargo xtask interop`.
#[derive(Debug, clap::Args)]
pub(crate) struct InteropArgs {
    /// A Python venv for ai-dynamo; by default one is made below the build directory
    #[arg(long, value_name = "DIR")]
    venv: Option<PathBuf>,
    /// Only these checks
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Install what the checks need and stop
    #[arg(long)]
    install: bool,
    /// What requests and their faults are drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// What every check works with.
#[derive(Debug)]
struct Bench {
    /// Upstream.
    peer: Peer,
    /// Where checks may write.
    folder: PathBuf,
    /// Finished runs of our profiler.
    runs: Vec<Run>,
    /// Our profiler.
    profiler: PathBuf,
    /// What is drawn is drawn from this.
    seed: u64,
}

/// A check.
struct Check {
    /// One word.
    name: &'static str,
    /// What it shows when it passes.
    meaning: &'static str,
    /// Runs it. An error means that the check itself could not run.
    run: fn(&Bench) -> anyhow::Result<Vec<Finding>>,
}

/// All checks, in the order in which they run.
const CHECKS: [Check; 7] = [
    Check {
        name: "readers",
        meaning: "NumPy, pandas and upstream's profiler read arrays, curves, fronts and status",
        run: readers::check,
    },
    Check {
        name: "curves",
        meaning: "our curves miss held-out places by no more than scipy's, and answer ten times faster than its calls",
        run: curves::check,
    },
    Check {
        name: "planner",
        meaning: "the planner loads the curves, fits them, and answers as they do",
        run: planner::check,
    },
    Check {
        name: "config",
        meaning: "the planner takes its settings, and each takes effect",
        run: planner_config::check,
    },
    Check {
        name: "mocker",
        meaning: "the mocker takes the curves and serves with their latencies",
        run: mocker::check,
    },
    Check {
        name: "dgdr",
        meaning: "requests get the same verdict from both, and upstream takes what we print",
        run: dgdr::check,
    },
    Check {
        name: "dgd",
        meaning: "upstream's tools for deployments take ours",
        run: dgd::check,
    },
];

/// Runs the checks and prints a line for each thing that they looked at.
pub(crate) fn run(args: &InteropArgs) -> anyhow::Result<ExitCode> {
    for wanted in &args.only {
        ensure!(
            CHECKS.iter().any(|check| check.name == wanted),
            "no check is named {wanted:?}"
        );
    }
    let peer = Peer::dynamo(args.venv.as_deref())?;
    peer.install()?;
    if args.install {
        return Ok(ExitCode::SUCCESS);
    }
    let folder = Metadata::read()?.target_directory.join("interop");
    let bench = Bench {
        peer,
        profiler: runs::build_profiler()?,
        runs: Vec::new(),
        seed: args.seed,
        folder,
    };
    let bench = Bench {
        runs: runs::profile_all(&bench.profiler, &bench.folder)?,
        ..bench
    };
    let mut failed = 0;
    let mut passed = 0;
    for check in CHECKS.iter().filter(|check| is_wanted(args, check)) {
        say(&format!("\n{}: {}", check.name, check.meaning))?;
        let findings = (check.run)(&bench).unwrap_or_else(|error| {
            vec![Finding {
                subject: "the check itself".to_owned(),
                passed: false,
                detail: format!("{error:#}"),
            }]
        });
        ensure!(!findings.is_empty(), "the check {} looked at nothing", check.name);
        for finding in &findings {
            say(&finding.to_string())?;
        }
        let wrong = findings.iter().filter(|finding| !finding.passed).count();
        failed += wrong;
        passed += findings.len() - wrong;
    }
    say(&format!("\n{passed} passed, {failed} failed"))?;
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn is_wanted(args: &InteropArgs, check: &Check) -> bool {
    args.only.is_empty() || args.only.iter().any(|wanted| wanted == check.name)
}

/// A folder for one check, empty.
fn fresh_folder(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        std::fs::remove_dir_all(path)?;
    }
    std::fs::create_dir_all(path)?;
    Ok(())
}
