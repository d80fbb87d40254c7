//! What the suite says, and what it adds up.

use std::fmt::{self, Display, Formatter};
use std::io::Write as _;
use std::time::Duration;

use super::Verdict;

/// Prints a line.
pub(crate) fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}

/// The stage whose numbers are those of its test binaries.
pub(crate) const TESTS: &str = "tests";

/// Sums of all test binaries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Tests that passed.
    pub(crate) passed: usize,
    /// Tests that failed.
    pub(crate) failed: usize,
    /// Tests that libtest ignored.
    pub(crate) ignored: usize,
}

/// A stage's end as the summary lists it.
#[derive(Debug)]
struct StageLine {
    name: &'static str,
    duration: Duration,
    word: &'static str,
}

impl Display for StageLine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<10} {:<7} {:>7.1} s",
            self.name,
            self.word,
            self.duration.as_secs_f64()
        )
    }
}

/// The end of a run.
#[derive(Debug)]
pub(crate) struct Summary {
    /// What to print; its last line has the sums.
    pub(crate) text: String,
    /// Whether the run passed.
    pub(crate) passed: bool,
}

/// Collects what the stages find.
#[derive(Debug)]
pub(crate) struct Report {
    stages: Vec<StageLine>,
    failures: Vec<String>,
    /// `name: reason`.
    skips: Vec<String>,
    counts: Counts,
}

impl Report {
    /// An empty report.
    pub(crate) const fn new() -> Self {
        Self {
            stages: Vec::new(),
            failures: Vec::new(),
            skips: Vec::new(),
            counts: Counts {
                passed: 0,
                failed: 0,
                ignored: 0,
            },
        }
    }

    /// Adds the numbers of test binaries.
    pub(crate) const fn add(&mut self, counts: Counts) {
        self.counts.passed += counts.passed;
        self.counts.failed += counts.failed;
        self.counts.ignored += counts.ignored;
    }

    /// Notes a test that said why it cannot run here.
    pub(crate) fn skip(&mut self, what: &str) {
        self.skips.push(what.to_owned());
    }

    /// Notes how a stage ended.
    pub(crate) fn stage(&mut self, name: &'static str, duration: Duration, verdict: &Verdict) {
        let word = match verdict {
            Verdict::Passed => "passed",
            Verdict::Failed(reason) => {
                self.failures.push(format!("{name}: {reason}"));
                "FAILED"
            }
            Verdict::Skipped(reason) => {
                self.skips.push(format!("{name}: {reason}"));
                "skipped"
            }
        };
        self.stages.push(StageLine { name, duration, word });
    }

    /// The last stage in one line.
    pub(crate) fn last_stage(&self) -> String {
        self.stages.last().map(StageLine::to_string).unwrap_or_default()
    }

    /// The end of the run.
    pub(crate) fn summary(&self, require_all: bool) -> Summary {
        let mut lines = vec!["\nstages".to_owned()];
        lines.extend(self.stages.iter().map(|stage| format!("  {stage}")));
        lines.extend(self.failures.iter().map(|failure| format!("failed: {failure}")));
        lines.extend(self.skips.iter().map(|skip| format!("skipped: {skip}")));
        let numbers = self.numbers();
        if numbers.tests == 0 {
            lines.push("failed: no test ran".to_owned());
        }
        let forbidden_skips = require_all && numbers.skipped > 0;
        if forbidden_skips {
            lines.push("failed: --require-all was given and something was skipped".to_owned());
        }
        lines.push(format!(
            "{} passed, {} failed, {} skipped",
            numbers.passed, numbers.failed, numbers.skipped
        ));
        Summary {
            text: lines.join("\n"),
            passed: numbers.failed == 0 && numbers.tests > 0 && !forbidden_skips,
        }
    }

    /// Tests and stages together; the stage of the tests counts only when it failed without a failed test.
    fn numbers(&self) -> Numbers {
        let stages = |word: &str| {
            self.stages
                .iter()
                .filter(|stage| stage.name != TESTS && stage.word == word)
                .count()
        };
        let tests_stage_failed = self
            .stages
            .iter()
            .any(|stage| stage.name == TESTS && stage.word == "FAILED");
        // A skipping test returns early, so libtest has counted it as passed.
        let skipped_by_themselves = self.skips.len() - stages("skipped");
        Numbers {
            tests: self.counts.passed + self.counts.failed,
            passed: self.counts.passed.saturating_sub(skipped_by_themselves) + stages("passed"),
            failed: self.counts.failed.max(usize::from(tests_stage_failed)) + stages("FAILED"),
            skipped: self.skips.len() + self.counts.ignored,
        }
    }
}

/// The last line's numbers.
#[derive(Debug, PartialEq, Eq)]
struct Numbers {
    /// Tests that libtest ran.
    tests: usize,
    passed: usize,
    failed: usize,
    skipped: usize,
}

#[cfg(test)]
mod tests;
