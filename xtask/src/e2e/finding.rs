//! What checks find.

use std::fmt::Display;
use std::future::Future;
use std::time::Instant;

use crate::suite::report::say;

/// What a check has looked at; each thing is told at once.
#[derive(Debug, Default)]
pub(super) struct Findings {
    passed: usize,
    failed: usize,
}

impl Findings {
    /// One thing that was looked at.
    pub(super) fn see(&mut self, subject: &str, passed: bool, detail: &str) -> anyhow::Result<()> {
        let word = if passed { "ok" } else { "FAILED" };
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        say(&format!("  {word:<6}  {subject:<60}  {detail}"))
    }

    /// One thing that is not as it should be.
    pub(super) fn failed(&mut self, subject: &str, detail: &str) -> anyhow::Result<()> {
        self.see(subject, false, detail)
    }

    /// One thing that cannot be looked at here; it counts neither way.
    pub(super) fn skipped(subject: &str, reason: &str) -> anyhow::Result<()> {
        say(&format!("  skipped: {subject}: {reason}"))
    }

    /// A step: passed when it ends well, with what it says and its time; the check goes on either way.
    pub(super) async fn step<T: Display>(
        &mut self,
        subject: &str,
        step: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        match step.await {
            Ok(detail) => self.see(
                subject,
                true,
                &format!("{:>5.1} s  {detail}", started.elapsed().as_secs_f64()),
            ),
            Err(error) => self.failed(subject, &format!("{error:#}")),
        }
    }

    /// How many things are as they should be.
    pub(super) const fn passed_count(&self) -> usize {
        self.passed
    }

    /// How many are not.
    pub(super) const fn failed_count(&self) -> usize {
        self.failed
    }
}
