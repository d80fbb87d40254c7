//! `cargo xtask oracle`: the same questions to aiconfigurator and to our model, drawn from a seed.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use dgdr_perf_model::{ModelSpec, PrecisionOverrides, registry};

use crate::peer::Peer;
use crate::suite::report::say;
use crate::workspace::{self, Metadata};

mod compare;
mod draw;
mod golden;
pub(crate) mod ours;
pub(crate) mod question;
mod report;
pub(crate) mod upstream;

use compare::{NEAR, Row, Tally};
use ours::Ours;
use question::{Platform, Question};
use upstream::Memory;

/// This share of the rows that upstream answers must be within 1 %.
const LEAST_NEAR_SHARE: f64 = 0.99;

/// Arguments of `cargo xtask oracle`.
#[derive(Debug, clap::Args)]
pub(crate) struct OracleArgs {
    /// Questions to draw
    #[arg(long, value_name = "N", default_value_t = 1000)]
    rows: usize,
    /// What they are drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Only models whose name has one of these in it
    #[arg(long, value_name = "TEXT", value_delimiter = ',')]
    models: Vec<String>,
    /// Only these systems
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    systems: Vec<String>,
    /// Only these engines
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    backends: Vec<String>,
    /// A Python venv that has the peer; by default one is made below the build directory
    #[arg(long, value_name = "DIR")]
    venv: Option<PathBuf>,
    /// Rows to print of those that differ most
    #[arg(long, value_name = "N", default_value_t = 30)]
    worst: usize,
    /// Write the committed sample that the tests read, from a seed and number of rows of its own
    #[arg(long, conflicts_with_all = ["rows", "seed", "models", "systems", "backends"])]
    refresh: bool,
}

/// Asks both, prints how far apart they are, and fails when too many rows are.
pub(crate) fn run(args: &OracleArgs) -> anyhow::Result<ExitCode> {
    let target = Metadata::read()?.target_directory;
    let peer = Peer::at(args.venv.as_deref())?;
    peer.install()?;
    let ours = Ours::read()?;
    let models = models(&args.models);
    ensure!(
        !models.is_empty(),
        "no model has one of {:?} in its name",
        args.models
    );
    let platforms: Vec<Platform> = ours
        .platforms()
        .into_iter()
        .filter(|platform| {
            allowed(&args.systems, platform.system) && allowed(&args.backends, platform.backend.name())
        })
        .collect();
    ensure!(
        !platforms.is_empty(),
        "no measured system and engine has these names: systems {:?}, engines {:?}",
        args.systems,
        args.backends
    );
    let (seed, count) = if args.refresh {
        (golden::SEED, golden::ROWS)
    } else {
        (args.seed, args.rows)
    };
    let questions = draw::questions(seed, count, &models, &platforms);
    let mut memory = Memory::read(&target)?;
    let mut rows = Vec::new();
    for platform in &platforms {
        rows.extend(ask_both(platform, &questions, &ours, (&peer, &mut memory))?);
    }
    say(&report::tables(&rows))?;
    say(&report::reasons(&rows))?;
    say(&report::worst_rows(&rows, args.worst))?;
    if args.refresh {
        let written = golden::write(workspace::root(), &rows)?;
        say(&format!("{written} rows written for the tests"))?;
    }
    judge(&rows)
}

/// All questions to one system and engine.
fn ask_both(
    platform: &Platform,
    questions: &[Question],
    ours: &Ours,
    (peer, memory): (&Peer, &mut Memory),
) -> anyhow::Result<Vec<Row>> {
    let mine: Vec<&Question> = questions
        .iter()
        .filter(|question| question.platform == *platform)
        .collect();
    let arguments: Vec<_> = mine.iter().map(|question| question.arguments()).collect();
    let replies = memory.answer(peer, &arguments)?;
    Ok(mine
        .into_iter()
        .zip(replies)
        .map(|(question, upstream)| Row {
            ours: ours.answer(question, PrecisionOverrides::default()),
            question: question.clone(),
            upstream,
        })
        .collect())
}

fn models(wanted: &[String]) -> Vec<&'static ModelSpec> {
    registry::models()
        .iter()
        .filter(|model| {
            let name = model.name.to_lowercase();
            wanted.is_empty() || wanted.iter().any(|part| name.contains(&part.to_lowercase()))
        })
        .collect()
}

fn allowed(wanted: &[String], name: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|wanted| wanted == name)
}

fn judge(rows: &[Row]) -> anyhow::Result<ExitCode> {
    let mut tally = Tally::default();
    for row in rows {
        tally.add(row.outcome());
    }
    let share = tally.near_share().unwrap_or(0.0);
    say(&format!(
        "{} of {} rows that upstream answers are within {} % ({:.2} %; at least {} % are promised)",
        tally.near,
        tally.upstream,
        NEAR * 100.0,
        share * 100.0,
        LEAST_NEAR_SHARE * 100.0
    ))?;
    Ok(if share >= LEAST_NEAR_SHARE {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
