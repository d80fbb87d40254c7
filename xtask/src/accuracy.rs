//! `cargo xtask accuracy`: our model and aiconfigurator against measured runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use crate::oracle::ours::Ours;
use crate::oracle::question::{Answer, Reply};
use crate::oracle::upstream;
use crate::peer::Peer;
use crate::suite::report::say;

mod query;
mod report;
mod silicon;
mod statistics;

use report::Judged;
use silicon::{Run, Runs};

/// Arguments of `cargo xtask accuracy`.
#[derive(Debug, clap::Args)]
pub(crate) struct AccuracyArgs {
    /// Measured runs: aiconfigurator-core's `systems/silicon_sample.csv`
    #[arg(long, value_name = "FILE")]
    silicon: PathBuf,
    /// A Python venv that has the peer, which is asked too; by default one below the build directory, if it is there
    #[arg(long, value_name = "DIR")]
    venv: Option<PathBuf>,
    /// Take only each N-th row
    #[arg(long, value_name = "N", default_value_t = 1)]
    sample: usize,
}

/// Prints how far both are from the measurements.
pub(crate) fn run(args: &AccuracyArgs) -> anyhow::Result<ExitCode> {
    let runs = Runs::read(&args.silicon, args.sample)?;
    let ours = Ours::read()?;
    let peer = Peer::at(args.venv.as_deref())?;
    let peer = peer.program().exists().then_some(peer);
    if peer.is_none() {
        say("no peer: `cargo xtask oracle` installs one")?;
    }
    let open = judge(runs.open, &ours, peer.as_ref())?;
    let reserved = judge(runs.reserved, &ours, peer.as_ref())?;
    say(&report::report(&open, &reserved))?;
    say(&report::refusals(&open))?;
    Ok(ExitCode::SUCCESS)
}

/// Asks both about each run. Nothing is kept: answers about reserved runs must be in no file.
fn judge(runs: Vec<Run>, ours: &Ours, peer: Option<&Peer>) -> anyhow::Result<Vec<Judged>> {
    let upstream: Vec<Option<Reply>> = match peer {
        Some(peer) => ask(&runs, peer)?.into_iter().map(Some).collect(),
        None => vec![None; runs.len()],
    };
    Ok(runs
        .into_iter()
        .zip(upstream)
        .map(|(run, upstream)| Judged {
            ours: query::answer(ours, &run),
            upstream,
            run,
        })
        .collect())
}

/// What upstream takes to exceed the memory has a verdict, but no latency to judge.
fn with_latency(answer: Answer) -> Reply {
    if answer.ttft_ms.is_some() {
        Ok(answer)
    } else {
        Err("out of memory".to_owned())
    }
}

/// Asks one process for each system and engine, and puts the answers back in order.
fn ask(runs: &[Run], peer: &Peer) -> anyhow::Result<Vec<Reply>> {
    let mut groups: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (index, run) in runs.iter().enumerate() {
        groups.entry((&run.system, &run.backend)).or_default().push(index);
    }
    let mut replies: Vec<Reply> = vec![Err("not asked".to_owned()); runs.len()];
    for indexes in groups.values() {
        let questions: Vec<Value> = indexes
            .iter()
            .filter_map(|index| runs.get(*index))
            .map(query::arguments)
            .collect();
        for (index, reply) in indexes.iter().zip(upstream::ask(peer, &questions)?) {
            if let Some(slot) = replies.get_mut(*index) {
                *slot = reply.and_then(with_latency);
            }
        }
    }
    Ok(replies)
}
