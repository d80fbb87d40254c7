//! The `dgdr-profiler` command.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    dgdr_profiler::cli::run(std::env::args_os()).into()
}
