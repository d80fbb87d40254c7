//! `cargo xtask test`: every check that this machine can run, and by name what it cannot.
//!
//! A test that cannot run somewhere prints `skipped: <name>: <reason>` and passes. libtest hides the output of passing
//! tests, so the suite runs them with `--show-output`, reads those lines and leaves the rest of that output out.

use std::process::ExitCode;
use std::time::Instant;

mod cargo_test;
mod readme;
pub(crate) mod report;
mod stages;

use report::Report;
use stages::STAGES;

/// Arguments of `cargo xtask test`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct SuiteArgs {
    /// Fail when anything had to be skipped
    #[arg(long)]
    require_all: bool,
    /// Name the stages and stop
    #[arg(long)]
    list: bool,
}

/// How a stage ended.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// All of it passed.
    Passed,
    /// Something is wrong; the stage has said what.
    Failed(String),
    /// This machine lacks what the stage needs.
    Skipped(String),
}

/// Runs the stages in order; a failed one does not keep the next from running.
pub(crate) fn run(args: SuiteArgs) -> anyhow::Result<ExitCode> {
    let mut report = Report::new();
    for stage in &STAGES {
        if args.list {
            report::say(&format!("{:<10} {}", stage.name, stage.meaning))?;
            continue;
        }
        report::say(&format!("\n==> {}: {}", stage.name, stage.meaning))?;
        let start = Instant::now();
        let verdict = (stage.run)(&mut report).unwrap_or_else(|error| Verdict::Failed(format!("{error:#}")));
        report.stage(stage.name, start.elapsed(), &verdict);
        report::say(&report.last_stage())?;
    }
    if args.list {
        return Ok(ExitCode::SUCCESS);
    }
    let summary = report.summary(args.require_all);
    report::say(&summary.text)?;
    Ok(if summary.passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
