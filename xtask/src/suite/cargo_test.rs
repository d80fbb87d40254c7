//! Runs `cargo test` and reads what it prints.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use anyhow::Context as _;

use super::report::{Counts, Report, say};
use crate::workspace;

/// Runs `cargo test` with these arguments, shows what matters, and adds up what it counted; true when it succeeded.
pub(super) fn run(arguments: &[&str], report: &mut Report) -> anyhow::Result<bool> {
    let mut child = workspace::cargo()
        .arg("test")
        .args(arguments)
        .args(["--", "--show-output"])
        // A snapshot that differs is a failure, never a new file.
        .env("INSTA_UPDATE", "no")
        .env("INSTA_FORCE_PASS", "0")
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo test")?;
    let mut reader = Reader::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.context("reading what cargo test prints")?;
            if let Some(line) = reader.line(&String::from_utf8_lossy(&line)) {
                say(&line)?;
            }
        }
    }
    let status = child.wait().context("waiting for cargo test")?;
    report.add(reader.counts);
    for skip in &reader.skips {
        report.skip(skip);
    }
    Ok(status.success())
}

/// Follows libtest's output line by line.
#[derive(Debug, Default)]
struct Reader {
    counts: Counts,
    skips: Vec<String>,
    /// Inside the section that repeats what passing tests printed.
    in_successes: bool,
}

impl Reader {
    /// Reads a line; returns it when it is worth showing.
    fn line(&mut self, line: &str) -> Option<String> {
        if let Some(skip) = line.strip_prefix("skipped: ") {
            self.skips.push(skip.to_owned());
            return Some(line.to_owned());
        }
        match line {
            "successes:" => self.in_successes = true,
            "failures:" => self.in_successes = false,
            _ => {}
        }
        if let Some(counts) = counts_of(line) {
            self.in_successes = false;
            self.counts.passed += counts.passed;
            self.counts.failed += counts.failed;
            self.counts.ignored += counts.ignored;
        }
        (!self.in_successes).then(|| line.to_owned())
    }
}

/// The numbers of a line such as `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; …`.
fn counts_of(line: &str) -> Option<Counts> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |word: &str| {
        numbers
            .split("; ")
            .find_map(|part| part.strip_suffix(word)?.trim().parse().ok())
    };
    Some(Counts {
        passed: count("passed")?,
        failed: count("failed")?,
        ignored: count("ignored")?,
    })
}

#[cfg(test)]
mod tests;
