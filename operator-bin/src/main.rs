//! The controller of DynamoGraphDeploymentRequests.
//!
//! So far it says which API it belongs to; the controller and the output collector are not written yet.
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use dgdr_types::contract::{API_VERSION, KIND};

#[derive(Debug, Parser)]
#[command(name = "dgdr-operator", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the version and the API that it belongs to.
    Version,
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            match writeln!(
                std::io::stdout().lock(),
                "dgdr-operator {version} for {KIND} {API_VERSION}"
            ) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
    }
}
