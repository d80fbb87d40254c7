//! `cargo xtask bench-peer`: the same question to aiconfigurator and to us, on one machine in one run.

mod case;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

use crate::peer::Peer;
use crate::suite::report::say;
use crate::workspace::{self, Metadata};

use case::{Case, Promise};

/// Runs one command and prints what it took.
const MEASURE: &str = include_str!("bench_peer/measure.py");
/// Arguments of `cargo xtask bench-peer`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BenchPeerArgs {
    /// A Python venv that has the peer; by default one is made below the build directory
    #[arg(long, value_name = "DIR")]
    venv: Option<PathBuf>,
    /// Runs of ours; the best and the median are shown
    #[arg(long, value_name = "N", default_value_t = 10)]
    runs: u32,
    /// Runs of the peer, which take from 20 seconds to many minutes each; 2 of the dense question, else 1
    #[arg(long, value_name = "N")]
    peer_runs: Option<u32>,
    /// The question; repeatable
    #[arg(long = "case", value_enum, default_value = "dense")]
    cases: Vec<Case>,
}

/// What one run took.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Measured {
    code: i32,
    wall_s: f64,
    cpu_s: f64,
    peak_mib: f64,
}

/// A command that is run several times.
struct Contestant {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<OsString>,
    runs: u32,
}

/// What several runs of one command took.
#[derive(Debug)]
struct Series {
    name: &'static str,
    runs: u32,
    best_wall_s: f64,
    median_wall_s: f64,
    best_cpu_s: f64,
    /// The largest of all runs.
    peak_mib: f64,
}

/// Measures both, prints a table a question, and fails when we are not as far ahead as promised.
pub(crate) fn run(args: &BenchPeerArgs) -> anyhow::Result<ExitCode> {
    let target = Metadata::read()?.target_directory;
    let peer = Peer::at(args.venv.as_deref())?;
    peer.install()?;
    build()?;
    let python = peer.python();
    let mut kept = true;
    for case in &args.cases {
        let mut series = Vec::new();
        for contestant in contestants(*case, args, &peer, &target) {
            let scratch = scratch(&target);
            // Results of an earlier run must not be found by the next.
            if scratch.exists() {
                fs::remove_dir_all(&scratch).context("cannot clear the results of an earlier run")?;
            }
            fs::create_dir_all(&scratch)?;
            series.push(measure(&python, &contestant)?);
        }
        kept &= judge(&series, case.promise())?;
    }
    Ok(if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn scratch(target: &Path) -> PathBuf {
    target.join("peer/results")
}

/// The peer first, then what is promised of us, then the rest.
fn contestants(case: Case, args: &BenchPeerArgs, peer: &Peer, target: &Path) -> Vec<Contestant> {
    let scratch = scratch(target);
    let ours = |name, arguments| Contestant {
        name,
        program: target.join("release/dgdr-profiler"),
        arguments,
        runs: args.runs,
    };
    let profile = case
        .profile_arguments(&scratch.join("ours"))
        .map(|arguments| ours("dgdr-profiler profile", arguments));
    let mut list = vec![Contestant {
        name: "aiconfigurator cli default",
        program: peer.program(),
        arguments: case.peer_arguments(&scratch.join("peer")),
        runs: args.peer_runs.unwrap_or_else(|| case.peer_runs()),
    }];
    list.extend(profile);
    list.push(ours("dgdr-profiler sweep", case.sweep_arguments()));
    list
}

fn build() -> anyhow::Result<()> {
    let status = workspace::cargo()
        .args(["build", "--release", "--quiet", "--package", "dgdr-profiler"])
        .status()
        .context("cannot run cargo build")?;
    ensure!(status.success(), "the release build failed");
    Ok(())
}

fn measure(python: &Path, contestant: &Contestant) -> anyhow::Result<Series> {
    let mut runs = Vec::new();
    for _ in 0..contestant.runs.max(1) {
        let output = Command::new(python)
            .args(["-c", MEASURE])
            .arg(&contestant.program)
            .args(&contestant.arguments)
            .output()
            .with_context(|| format!("cannot measure {}", contestant.name))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let measured: Measured = serde_json::from_str(text.trim()).with_context(|| {
            format!(
                "measuring {}: {}",
                contestant.name,
                String::from_utf8_lossy(&output.stderr)
            )
        })?;
        if measured.code != 0 {
            bail!(
                "{} ended with code {}:\n{}",
                contestant.name,
                measured.code,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        runs.push(measured);
    }
    Ok(Series::of(contestant.name, &runs))
}

impl Series {
    fn of(name: &'static str, runs: &[Measured]) -> Self {
        let mut walls: Vec<f64> = runs.iter().map(|run| run.wall_s).collect();
        walls.sort_by(f64::total_cmp);
        Self {
            name,
            runs: u32::try_from(runs.len()).unwrap_or(u32::MAX),
            best_wall_s: walls.first().copied().unwrap_or(f64::NAN),
            median_wall_s: walls.get(walls.len() / 2).copied().unwrap_or(f64::NAN),
            best_cpu_s: runs.iter().map(|run| run.cpu_s).fold(f64::INFINITY, f64::min),
            peak_mib: runs.iter().map(|run| run.peak_mib).fold(0.0, f64::max),
        }
    }
}

/// Prints the table with the ratios to the first series, and whether the second keeps the promise.
fn judge(series: &[Series], promise: Promise) -> anyhow::Result<bool> {
    let [peer, promised, ..] = series else {
        bail!("two series are compared");
    };
    say(&format!(
        "{:<28} {:>5} {:>12} {:>12} {:>12} {:>10} {:>9} {:>9}",
        "command", "runs", "best wall", "median wall", "best CPU", "peak", "wall", "memory"
    ))?;
    for line in series {
        say(&format!(
            "{:<28} {:>5} {:>10.4} s {:>10.4} s {:>10.4} s {:>6.0} MiB {:>8.0}x {:>8.1}x",
            line.name,
            line.runs,
            line.best_wall_s,
            line.median_wall_s,
            line.best_cpu_s,
            line.peak_mib,
            peer.best_wall_s / line.best_wall_s,
            peer.peak_mib / line.peak_mib,
        ))?;
    }
    let failures = broken_promises(peer, promised, promise);
    for failure in &failures {
        say(&format!("failed: {failure}"))?;
    }
    Ok(failures.is_empty())
}

fn broken_promises(peer: &Series, ours: &Series, promise: Promise) -> Vec<String> {
    let ratios = [
        ("time", peer.best_wall_s / ours.best_wall_s, promise.wall_ratio),
        ("memory", peer.peak_mib / ours.peak_mib, promise.memory_ratio),
    ];
    let too_large = (ours.peak_mib > promise.peak_mib).then(|| {
        format!(
            "memory: {:.0} MiB, at most {:.0} are promised",
            ours.peak_mib, promise.peak_mib
        )
    });
    ratios
        .iter()
        // A ratio that is not a number keeps no promise.
        .filter(|(_, ratio, least)| ratio.partial_cmp(least).is_none_or(std::cmp::Ordering::is_lt))
        .map(|(what, ratio, least)| {
            format!("{what}: {ratio:.1} times less than the peer, at least {least} is promised")
        })
        .chain(too_large)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &'static str, wall_s: f64, peak_mib: f64) -> Series {
        let run = Measured {
            code: 0,
            wall_s,
            cpu_s: wall_s,
            peak_mib,
        };
        let slower = Measured {
            wall_s: wall_s * 2.0,
            ..run
        };
        Series::of(name, &[slower, run, slower])
    }

    #[test]
    fn the_best_run_and_the_largest_memory_count() {
        let ours = series("ours", 0.05, 30.0);
        assert!((ours.best_wall_s - 0.05).abs() < 1e-12);
        assert!((ours.median_wall_s - 0.1).abs() < 1e-12);
        assert_eq!(ours.runs, 3);
        assert_eq!(
            broken_promises(&series("peer", 16.0, 600.0), &ours, Case::Dense.promise()),
            Vec::<String>::new()
        );
    }

    #[test]
    fn broken_promises_are_named() {
        let peer = series("peer", 16.0, 600.0);
        let broken = |wall_s, peak_mib| {
            broken_promises(&peer, &series("ours", wall_s, peak_mib), Case::Dense.promise()).len()
        };
        assert_eq!(broken(0.1, 30.0), 1);
        assert_eq!(broken(0.1, 61.0), 2);
        assert_eq!(broken(f64::NAN, 30.0), 1);
        let large = series("ours", 0.01, 90.0);
        let slow = series("peer", 300.0, 1200.0);
        assert_eq!(broken_promises(&slow, &large, Case::Deepseek.promise()).len(), 1);
    }

    #[test]
    fn the_request_is_json() {
        let request: serde_json::Value = serde_json::from_str(case::REQUEST).expect("JSON");
        assert_eq!(request["hardware"]["totalGpus"], 8);
    }
}
