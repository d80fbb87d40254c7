//! The README's commands, run as they are written there.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::Verdict;
use super::report::say;
use crate::workspace::{self, Metadata};

/// The command that would start this very suite again.
const SUITE: &str = "cargo xtask test";
/// Most time that the README's run may take once it is built; the peer takes 16 seconds for half of it.
const MOST_TIME: Duration = Duration::from_millis(250);
/// A busy machine may disturb some runs, not all.
const RUNS: u32 = 10;

/// Runs each command; for the suite itself, asks only for its stages.
pub(super) fn commands() -> anyhow::Result<Verdict> {
    let readme = fs::read_to_string(workspace::root().join("README.md")).context("cannot read README.md")?;
    let commands = shell_commands(&readme);
    ensure!(
        commands.contains(&SUITE),
        "README.md does not say how to run the tests: `{SUITE}`"
    );
    ensure!(commands.len() > 1, "README.md has no command but the tests'");
    for command in commands {
        let status = cargo(command)?
            .status()
            .with_context(|| format!("cannot run `{command}`"))?;
        if !status.success() {
            return Ok(Verdict::Failed(format!("`{command}` of README.md failed")));
        }
    }
    Ok(Verdict::Passed)
}

/// Lines of the fenced blocks marked `sh`.
fn shell_commands(markdown: &str) -> Vec<&str> {
    markdown
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(block, _)| block))
        .flat_map(str::lines)
        .filter(|line| !line.is_empty())
        .collect()
}

fn cargo(command: &str) -> anyhow::Result<Command> {
    let arguments = command
        .strip_prefix("cargo ")
        .with_context(|| format!("`{command}` of README.md is not a cargo command"))?;
    let mut cargo = workspace::cargo();
    cargo.args(arguments.split_whitespace());
    if command == SUITE {
        cargo.arg("--list");
    }
    Ok(cargo)
}

/// Times the main job of the README, built for release.
pub(super) fn speed() -> anyhow::Result<Verdict> {
    let build = workspace::cargo()
        .args(["build", "--quiet", "--release", "--package", "dgdr-profiler"])
        .status()
        .context("cannot run cargo build")?;
    ensure!(build.success(), "the release build failed");
    let target = Metadata::read()?.target_directory;
    let mut best = Duration::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        let output = Command::new(target.join("release/dgdr-profiler"))
            .current_dir(workspace::root())
            .args([
                "profile",
                "--quiet",
                "--config",
                "deploy/samples/qwen3-32b-h200.yaml",
                "--output-dir",
            ])
            .arg(target.join("speed"))
            .output()
            .context("cannot run the release binary")?;
        best = best.min(start.elapsed());
        ensure!(
            output.status.success(),
            "the run failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    say(&format!(
        "best of {RUNS} runs: {:.1} ms",
        best.as_secs_f64() * 1000.0
    ))?;
    Ok(if best <= MOST_TIME {
        Verdict::Passed
    } else {
        Verdict::Failed(format!(
            "a run takes {} ms, at most {} are allowed",
            best.as_millis(),
            MOST_TIME.as_millis()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shell_blocks_are_commands() {
        let markdown =
            "```sh\ncargo run\n```\ntext\n```text\ncargo no\n```\n\n```sh\ncargo xtask test\n```\n";
        assert_eq!(shell_commands(markdown), ["cargo run", SUITE]);
    }

    #[test]
    fn the_suite_does_not_start_itself() {
        let arguments: Vec<String> = cargo(SUITE)
            .expect("a cargo command")
            .get_args()
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect();
        assert_eq!(arguments, ["xtask", "test", "--list"]);
        assert!(cargo("rm -r x").is_err());
    }
}
