//! Everything that is generated or checked: `cargo xtask <task>`.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

#[cfg(feature = "oracle")]
mod accuracy;
mod bench_peer;
#[cfg(feature = "cluster")]
mod cluster;
#[cfg(feature = "codegen")]
mod codegen;
#[cfg(any(feature = "e2e", feature = "interop", feature = "oracle"))]
mod dice;
#[cfg(feature = "e2e")]
mod e2e;
#[cfg(feature = "perf-data")]
mod efficiency;
#[cfg(feature = "interop")]
mod interop;
#[cfg(feature = "perf-data")]
mod model_registry;
#[cfg(feature = "oracle")]
mod oracle;
mod peer;
#[cfg(feature = "perf-data")]
mod perf_data;
#[cfg(not(all(
    feature = "cluster",
    feature = "codegen",
    feature = "e2e",
    feature = "interop",
    feature = "oracle",
    feature = "perf-data"
)))]
mod reexec;
mod suite;
mod tidy;
mod workspace;

/// Generates and checks what is committed.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Write the CRD, the JSON Schema and the field reference of the DGDR (rebuilds xtask with what that needs)
    #[cfg(feature = "codegen")]
    Codegen(codegen::CodegenArgs),
    /// Write the CRD, the JSON Schema and the field reference of the DGDR (rebuilds xtask with what that needs)
    #[cfg(not(feature = "codegen"))]
    #[command(disable_help_flag = true)]
    Codegen(reexec::PassedArgs),
    /// Pack the measured kernel tables and the model registry (rebuilds xtask with what that needs)
    #[cfg(feature = "perf-data")]
    PerfData(perf_data::PerfDataArgs),
    /// Pack the measured kernel tables and the model registry (rebuilds xtask with what that needs)
    #[cfg(not(feature = "perf-data"))]
    #[command(disable_help_flag = true)]
    PerfData(reexec::PassedArgs),
    /// Check the rules that neither compiler nor clippy checks
    Tidy,
    /// Ask aiconfigurator and us the same question, and compare time and memory
    BenchPeer(bench_peer::BenchPeerArgs),
    /// Ask aiconfigurator's and our performance model the same questions (rebuilds xtask with what that needs)
    #[cfg(feature = "oracle")]
    Oracle(oracle::OracleArgs),
    /// Ask aiconfigurator's and our performance model the same questions (rebuilds xtask with what that needs)
    #[cfg(not(feature = "oracle"))]
    #[command(disable_help_flag = true)]
    Oracle(reexec::PassedArgs),
    /// Judge aiconfigurator's and our performance model by measured runs (rebuilds xtask with what that needs)
    #[cfg(feature = "oracle")]
    Accuracy(accuracy::AccuracyArgs),
    /// Judge aiconfigurator's and our performance model by measured runs (rebuilds xtask with what that needs)
    #[cfg(not(feature = "oracle"))]
    #[command(disable_help_flag = true)]
    Accuracy(reexec::PassedArgs),
    /// Let ai-dynamo read what we write and judge requests as we do (rebuilds xtask with what that needs)
    #[cfg(feature = "interop")]
    Interop(interop::InteropArgs),
    /// Let ai-dynamo read what we write and judge requests as we do (rebuilds xtask with what that needs)
    #[cfg(not(feature = "interop"))]
    #[command(disable_help_flag = true)]
    Interop(reexec::PassedArgs),
    /// Start or end a Kubernetes control plane with stand-ins for GPU nodes (rebuilds xtask with what that needs)
    #[cfg(feature = "cluster")]
    Cluster(cluster::ClusterArgs),
    /// Start or end a Kubernetes control plane with stand-ins for GPU nodes (rebuilds xtask with what that needs)
    #[cfg(not(feature = "cluster"))]
    #[command(disable_help_flag = true)]
    Cluster(reexec::PassedArgs),
    /// Run the operator on a real control plane, and let things go wrong (rebuilds xtask with what that needs)
    #[cfg(feature = "e2e")]
    E2e(e2e::E2eArgs),
    /// Run the operator on a real control plane, and let things go wrong (rebuilds xtask with what that needs)
    #[cfg(not(feature = "e2e"))]
    #[command(disable_help_flag = true)]
    E2e(reexec::PassedArgs),
    /// Run every check that this machine can run
    Test(suite::SuiteArgs),
}

fn main() -> ExitCode {
    match run(&Cli::parse().task) {
        Ok(code) => code,
        Err(error) => {
            // Nothing is left to be done when stderr is closed.
            let _ = writeln!(std::io::stderr().lock(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> anyhow::Result<ExitCode> {
    match task {
        #[cfg(feature = "codegen")]
        Task::Codegen(args) => codegen::run(*args).map(|()| ExitCode::SUCCESS),
        #[cfg(not(feature = "codegen"))]
        Task::Codegen(args) => reexec::with_feature("codegen", "codegen", args),
        #[cfg(feature = "perf-data")]
        Task::PerfData(args) => perf_data::run(args).map(|()| ExitCode::SUCCESS),
        #[cfg(not(feature = "perf-data"))]
        Task::PerfData(args) => reexec::with_feature("perf-data", "perf-data", args),
        Task::Tidy => tidy::run(&task_names()),
        Task::BenchPeer(args) => bench_peer::run(args),
        #[cfg(feature = "oracle")]
        Task::Oracle(args) => oracle::run(args),
        #[cfg(not(feature = "oracle"))]
        Task::Oracle(args) => reexec::with_feature("oracle", "oracle", args),
        #[cfg(feature = "oracle")]
        Task::Accuracy(args) => accuracy::run(args),
        #[cfg(not(feature = "oracle"))]
        Task::Accuracy(args) => reexec::with_feature("oracle", "accuracy", args),
        #[cfg(feature = "interop")]
        Task::Interop(args) => interop::run(args),
        #[cfg(not(feature = "interop"))]
        Task::Interop(args) => reexec::with_feature("interop", "interop", args),
        #[cfg(feature = "cluster")]
        Task::Cluster(args) => cluster::run(args).map(|()| ExitCode::SUCCESS),
        #[cfg(not(feature = "cluster"))]
        Task::Cluster(args) => reexec::with_feature("cluster", "cluster", args),
        #[cfg(feature = "e2e")]
        Task::E2e(args) => e2e::run(args),
        #[cfg(not(feature = "e2e"))]
        Task::E2e(args) => reexec::with_feature("e2e", "e2e", args),
        Task::Test(args) => suite::run(*args),
    }
}

/// The names of all tasks, as the command line knows them.
fn task_names() -> Vec<String> {
    Cli::command()
        .get_subcommands()
        .map(|task| task.get_name().to_owned())
        .collect()
}
