//! The controller of DynamoGraphDeploymentRequests.
//!
//! A thin layer over the library: one line a command.
#![forbid(unsafe_code)]

use std::io::{IsTerminal as _, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use dgdr_operator::settings::{LogFormat, Settings};
use dgdr_operator::{collector, controller};
use dgdr_types::contract::{API_VERSION, KIND};
use tracing_subscriber::EnvFilter;

#[derive(Debug, Parser)]
#[command(name = "dgdr-operator", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the controller.
    Run(Box<Settings>),
    /// Pass a profiler's results on to the ConfigMap of its DGDR; runs beside the profiler in its Job.
    Collect(collector::Arguments),
    /// Print the version and the API that it belongs to.
    Version,
}

/// Exit code where the cluster failed.
const CLUSTER_FAILED: u8 = 5;

/// The error is the last line of the log, and so the message of the ended container.
fn collect(arguments: &collector::Arguments) -> ExitCode {
    log(LogFormat::Json);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "there is no runtime");
            return CLUSTER_FAILED.into();
        }
    };
    let result = runtime.block_on(collector::collect(arguments));
    // A thread that still reads a file system which does not answer must not keep the container.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the results were not passed on");
            CLUSTER_FAILED.into()
        }
    }
}

/// Logs to stderr, as `RUST_LOG` asks.
fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Json => log.json().flatten_event(true).init(),
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
    }
}

/// Runs until SIGTERM or SIGINT.
fn run(settings: Settings) -> ExitCode {
    log(settings.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "there is no runtime");
            return CLUSTER_FAILED.into();
        }
    };
    let result = runtime.block_on(async {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        tokio::spawn(async move {
            signalled().await;
            let _ = stop.send(true);
        });
        controller::run(settings, stopped).await
    });
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the operator ends");
            CLUSTER_FAILED.into()
        }
    }
}

async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminated) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminated.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(settings) => run(*settings),
        Command::Collect(arguments) => collect(&arguments),
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
