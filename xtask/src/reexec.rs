//! Tasks that need heavy crates run in a second xtask, built with them; plain tasks stay quick to build.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::workspace;

/// Arguments that are handed on as they are.
#[derive(Debug, clap::Args)]
pub(crate) struct PassedArgs {
    /// Arguments of the task; `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// Runs `task` in an xtask that is built with `feature`.
pub(crate) fn with_feature(feature: &str, task: &str, passed: &PassedArgs) -> anyhow::Result<ExitCode> {
    let status = workspace::cargo()
        .args([
            "run",
            "--quiet",
            "--package",
            "xtask",
            "--features",
            feature,
            "--",
            task,
        ])
        .args(&passed.args)
        .status()?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
