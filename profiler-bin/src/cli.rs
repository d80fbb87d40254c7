//! The command line: arguments in, data on stdout, everything else on stderr, an exit code.

pub mod args;
mod bench;
mod engine;
mod estimate;
mod mock_engine;
pub mod printer;
mod profile;
mod query;
mod report;
mod support;
mod sweep;

use std::ffi::OsString;

use clap::{CommandFactory, Parser};
use serde::Serialize;

use crate::error::ProfilerError;
use crate::exit_status::ExitStatus;
use args::{Cli, Command, OutputFormat};
use printer::{Printer, Verbosity};

/// Runs one command to its end.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitStatus {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout and are no failure; clap knows which is which.
            let status = if error.use_stderr() {
                ExitStatus::Usage
            } else {
                ExitStatus::Done
            };
            let _closed = error.print();
            return status;
        }
    };
    let verbosity = match (cli.speech.quiet, cli.speech.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, true) => Verbosity::Verbose,
        (false, false) => Verbosity::Normal,
    };
    let printer = Printer::new(verbosity);
    match dispatch(cli, printer) {
        Ok(status) => status,
        Err(error) => {
            printer.error(&error, &error.hints());
            error.exit_status()
        }
    }
}

fn dispatch(cli: Cli, printer: Printer) -> Result<ExitStatus, ProfilerError> {
    if cli.command.is_some() && cli.profile.config.is_some() {
        return Err(ProfilerError::Argument {
            argument: "--config",
            problem: "belongs behind the command: say `dgdr-profiler profile --config …`".to_owned(),
        });
    }
    match cli.command {
        None => profile::run(&cli.profile, printer),
        Some(Command::Profile(arguments)) => profile::run(&arguments, printer),
        Some(Command::Estimate(arguments)) => estimate::run(&arguments, printer),
        Some(Command::Sweep(arguments)) => sweep::run(&arguments, printer),
        Some(Command::Support(arguments)) => support::run(&arguments, printer),
        Some(Command::Query(arguments)) => query::run(&arguments, printer),
        Some(Command::Report(arguments)) => report::run(&arguments, printer),
        Some(Command::Bench(arguments)) => bench::run_command(&arguments, printer),
        Some(Command::MockEngine(arguments)) => mock_engine::run(&arguments, printer),
        Some(Command::Engine(arguments)) => engine::run(&arguments, printer),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "dgdr-profiler", &mut script);
            printer.data(String::from_utf8_lossy(&script).trim_end())?;
            Ok(ExitStatus::Done)
        }
        Some(Command::Man) => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            printer.data(String::from_utf8_lossy(&page).trim_end())?;
            Ok(ExitStatus::Done)
        }
    }
}

/// Answers with data in the form that was asked for; `table` renders the form for people.
fn answer<T: Serialize>(
    printer: Printer,
    format: OutputFormat,
    data: &T,
    table: impl FnOnce() -> String,
) -> Result<(), ProfilerError> {
    let encode = |problem: String| ProfilerError::Encode {
        what: "the answer",
        problem,
    };
    let text = match format {
        OutputFormat::Table => table(),
        OutputFormat::Json => {
            serde_json::to_string_pretty(data).map_err(|error| encode(error.to_string()))?
        }
        OutputFormat::Yaml => serde_saphyr::to_string(data).map_err(|error| encode(error.to_string()))?,
    };
    printer.data(text.trim_end())?;
    Ok(())
}

/// Runs the pipeline's futures: a simulation never waits, so one thread is all it needs.
pub(crate) fn block_on<F: Future>(future: F) -> Result<F::Output, ProfilerError> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .build()?
        .block_on(future))
}
