//! `cargo xtask e2e`: the operator on a real control plane, from `kubectl apply` to a deployed graph, and what goes wrong
//! on the way.
//!
//! The operator runs as a process with the roles that `deploy/manifests` gives it and no more; a call that is refused to
//! it is a finding of whichever check it happens in.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use futures::future::BoxFuture;

use crate::cluster::crds::CrdSet;
use crate::suite::report::say;
use crate::workspace::{self, Metadata};

mod admission;
mod ages;
mod audit;
mod bench;
mod discovery;
mod dry_run;
mod faults;
mod finding;
mod guide;
mod http;
mod kubectl;
mod manifests;
mod operator;
mod requests;
mod tenancy;
mod troubles;

use bench::{Bench, Ground, Plan};
use finding::Findings;
use guide::Rules;

/// Arguments of `cargo xtask e2e`.
#[derive(Debug, clap::Args)]
pub(crate) struct E2eArgs {
    /// Only these checks
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// What is drawn is drawn from this
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many requests the load has
    #[arg(long, value_name = "N", default_value_t = 500)]
    load: usize,
    /// Leave clusters and logs for a look
    #[arg(long)]
    keep: bool,
    /// Where clusters and logs are; by default below the build directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// A check.
struct Check {
    /// One word.
    name: &'static str,
    /// What it shows when it passes.
    meaning: &'static str,
    /// Runs it. An error means that it could not go on.
    run: for<'a> fn(&'a Bench, &'a mut Findings) -> BoxFuture<'a, anyhow::Result<()>>,
}

/// All checks, in the order in which they run.
const CHECKS: [Check; 8] = [
    Check {
        name: "manifests",
        meaning: "an API server takes all of deploy/, to the letter",
        run: |bench, findings| Box::pin(dry_run::check(bench, findings)),
    },
    Check {
        name: "guide",
        meaning: "the guide's walk-through works, command by command",
        run: |bench, findings| Box::pin(guide::follow(bench, findings, ("guide", Rules::Ours))),
    },
    Check {
        name: "guide-may",
        meaning: "the same with upstream's custom resources of May 2026",
        run: |bench, findings| Box::pin(ages::check(bench, findings, CrdSet::UpstreamMay)),
    },
    Check {
        name: "guide-v1",
        meaning: "the same with upstream's custom resources of release 1.0, where deployments are v1alpha1",
        run: |bench, findings| Box::pin(ages::check(bench, findings, CrdSet::UpstreamV1)),
    },
    Check {
        name: "troubles",
        meaning: "what keeps a pod from running is said in conditions within seconds",
        run: |bench, findings| Box::pin(troubles::check(bench, findings)),
    },
    Check {
        name: "discovery",
        meaning: "GPUs are found where they are, and waited for where they are taken",
        run: |bench, findings| Box::pin(discovery::check(bench, findings)),
    },
    Check {
        name: "tenancy",
        meaning: "an operator of one namespace serves that one, and cannot touch another",
        run: |bench, findings| Box::pin(tenancy::check(bench, findings)),
    },
    Check {
        name: "admission",
        meaning: "the webhook fills defaults, refuses, and converts what older clients write",
        run: |bench, findings| Box::pin(admission::check(bench, findings)),
    },
];

fn checks() -> impl Iterator<Item = &'static Check> {
    CHECKS.iter().chain(&faults::CHECKS)
}

/// Runs the checks and prints a line for each thing that they looked at.
pub(crate) fn run(args: &E2eArgs) -> anyhow::Result<ExitCode> {
    for wanted in &args.only {
        ensure!(
            checks().any(|check| check.name == wanted),
            "no check is named {wanted:?}"
        );
    }
    let target = Metadata::read()?.target_directory;
    let ground = Ground {
        programs: build_programs()?,
        root: args.dir.clone().unwrap_or_else(|| target.join("e2e")),
        seed: args.seed,
        load: args.load,
    };
    tokio::runtime::Runtime::new()?.block_on(run_all(args, &ground))
}

/// Our programs, as they are built for tests: what is slow unoptimised is optimised there too, so that times can be held.
fn build_programs() -> anyhow::Result<PathBuf> {
    let build = workspace::cargo()
        .args([
            "build",
            "--quiet",
            "--package",
            "dgdr-operator",
            "--package",
            "dgdr-profiler",
        ])
        .status()
        .context("cannot run cargo build")?;
    ensure!(build.success(), "our programs do not build");
    Ok(Metadata::read()?.target_directory.join("debug"))
}

async fn run_all(args: &E2eArgs, ground: &Ground) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let plan = Plan {
        images: faults::images(&ground.root.join("profilers"))?,
        ..Plan::default()
    };
    let bench = Bench::start(ground, "main", plan).await?;
    say(&format!(
        "the control plane is up after {:.1} s",
        started.elapsed().as_secs_f64()
    ))?;
    let (mut passed, mut failed) = (0, 0);
    for check in checks().filter(|check| is_wanted(args, check)) {
        say(&format!("\n{}: {}", check.name, check.meaning))?;
        let started = Instant::now();
        let mut findings = Findings::default();
        let before = bench.audit().length()?;
        if let Err(error) = (check.run)(&bench, &mut findings).await {
            findings.failed("the check goes to its end", &format!("{error:#}"))?;
        }
        let refused = bench.audit().refused_to_operator(before)?;
        findings.see(
            "no call is refused to the operator",
            refused.is_empty(),
            &refused.join("; "),
        )?;
        say(&format!("  {:.1} s", started.elapsed().as_secs_f64()))?;
        passed += findings.passed_count();
        failed += findings.failed_count();
    }
    if args.keep {
        say(&format!(
            "\nthe cluster stays: export KUBECONFIG={}",
            bench.cluster.admin_kubeconfig().display()
        ))?;
        bench.leave();
    } else {
        bench.end()?;
    }
    say(&format!("\n{passed} passed, {failed} failed"))?;
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn is_wanted(args: &E2eArgs, check: &Check) -> bool {
    args.only.is_empty() || args.only.iter().any(|wanted| wanted == check.name)
}
