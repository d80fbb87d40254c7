//! `sweep`: all configurations on a GPU budget, ranked.

use std::num::NonZeroU32;

use dgdr_perf_model::Backend;
use dgdr_sweep_planner::{Goal, Load, Outcome, Picking, Serving, Sla, Workload};
use dgdr_types::contract::defaults;
use dgdr_units::{Gpus, Milliseconds, RequestsPerSecond};
use serde::Serialize;

use super::args::{SweepArgs, SweepMode};
use super::printer::Printer;
use super::{answer, block_on};
use crate::error::ProfilerError;
use crate::estimate::backend;
use crate::exit_status::ExitStatus;
use crate::hardware::{Hardware, HardwareWish};
use crate::kernel_tables::KernelTables;
use crate::model_source::{ModelQuery, find_model};
use crate::parallel;
use crate::pipeline::comparison::{Comparison, EngineTables, simulate};
use crate::pipeline::question::Question;
use crate::progress::Progress;
use crate::report::summary;

pub(super) fn run(arguments: &SweepArgs, printer: Printer) -> Result<ExitStatus, ProfilerError> {
    let tables = KernelTables::new(&arguments.tables);
    let question = question(arguments, &tables)?;
    for assumption in &question.model.assumed {
        printer.warning(assumption);
    }
    let progress = Progress::new(printer);
    let engine_tables = EngineTables {
        source: &tables,
        version: arguments.backend_version.as_deref(),
        threads: parallel::available(),
    };
    let comparison = block_on(simulate(&question, engine_tables, &progress))??;
    progress.finish();
    let winner = comparison.winner();
    answer(
        printer,
        arguments.output,
        &SweepAnswer::of(&comparison, arguments.top),
        || summary(&question, &comparison, arguments.top).to_string(),
    )?;
    match &winner.decision.outcome {
        Outcome::Met(_) => Ok(ExitStatus::Done),
        Outcome::Closest(closest) if arguments.strict_sla => {
            Err(ProfilerError::SlaNotMet(Box::new(closest.clone())))
        }
        Outcome::Closest(closest) => {
            printer.warning(format_args!("the SLA is not met: {}", closest.binding));
            Ok(ExitStatus::Done)
        }
        Outcome::Infeasible { reasons } => Err(ProfilerError::Infeasible {
            model: question.model.name.clone(),
            reasons: reasons.clone(),
        }),
    }
}

fn question(arguments: &SweepArgs, tables: &KernelTables) -> Result<Question, ProfilerError> {
    let wish = HardwareWish {
        system: Some(&arguments.subject.system),
        tables: Some(tables),
        gpus_per_node: arguments
            .gpus_per_node
            .map(|gpus| at_least_one("--gpus-per-node", gpus))
            .transpose()?,
        total_gpus: Some(at_least_one("--total-gpus", arguments.total_gpus)?),
        memory_mib: None,
    };
    let hardware = Hardware::resolve(wish, None)?;
    let query =
        ModelQuery::named(&arguments.subject.model).with_config(arguments.subject.model_config.as_deref());
    Ok(Question {
        transfer: arguments.kv_transfer,
        model: find_model(&query)?.spec,
        hardware,
        backends: match arguments.backend.as_str() {
            "auto" => Backend::ALL.to_vec(),
            name => vec![backend(name)?],
        },
        workload: Workload::new(arguments.isl, arguments.osl)?,
        goal: Goal::Sla(sla(arguments)?),
        picking: picking(arguments)?,
        serving: match arguments.mode {
            SweepMode::Agg => Serving::Aggregated,
            SweepMode::Disagg => Serving::Disaggregated,
            SweepMode::Both => Serving::Both,
        },
        max_gpus_per_engine: arguments.max_gpus_per_engine.map(Gpus::new),
        space: arguments.search_space.into(),
    })
}

fn sla(arguments: &SweepArgs) -> Result<Sla, ProfilerError> {
    if let Some(latency) = arguments.e2e_latency {
        return Ok(Sla::RequestLatency(target("--e2e-latency", latency)?));
    }
    Ok(Sla::TokenLatency {
        ttft: target("--ttft", arguments.ttft.unwrap_or(defaults::TTFT_MS))?,
        itl: target("--itl", arguments.itl.unwrap_or(defaults::ITL_MS))?,
    })
}

fn picking(arguments: &SweepArgs) -> Result<Picking, ProfilerError> {
    if let Some(rate) = arguments.request_rate {
        let rate =
            RequestsPerSecond::new(rate).map_err(|error| wrong("--request-rate", error.to_string()))?;
        return Ok(Picking::LoadMatch(Load::rate(rate)?));
    }
    match arguments.concurrency {
        Some(requests) => Ok(Picking::LoadMatch(Load::Concurrency(at_least_one(
            "--concurrency",
            requests,
        )?))),
        None => Ok(Picking::BestThroughput),
    }
}

fn target(argument: &'static str, value: f64) -> Result<Milliseconds, ProfilerError> {
    match Milliseconds::new(value) {
        Ok(target) if target.get() > 0.0 => Ok(target),
        Ok(_) => Err(wrong(argument, "a target must be above 0".to_owned())),
        Err(error) => Err(wrong(argument, error.to_string())),
    }
}

fn at_least_one(argument: &'static str, value: u32) -> Result<NonZeroU32, ProfilerError> {
    NonZeroU32::new(value).ok_or_else(|| wrong(argument, "0 must be at least 1".to_owned()))
}

const fn wrong(argument: &'static str, problem: String) -> ProfilerError {
    ProfilerError::Argument { argument, problem }
}

/// The winner's ranking, with the engine that it is of.
#[derive(Debug, Serialize)]
struct SweepAnswer<'a> {
    backend: &'static str,
    backend_version: &'a str,
    outcome: &'static str,
    #[serde(flatten)]
    ranking: dgdr_sweep_planner::Ranking,
}

impl<'a> SweepAnswer<'a> {
    fn of(comparison: &'a Comparison, top: usize) -> Self {
        let winner = comparison.winner();
        let mut ranking = winner.decision.ranking.clone();
        ranking.aggregated.truncate(top);
        ranking.disaggregated.truncate(top);
        Self {
            backend: winner.backend.name(),
            backend_version: &winner.version,
            outcome: match &winner.decision.outcome {
                Outcome::Met(_) => "met",
                Outcome::Closest(_) => "closest",
                Outcome::Infeasible { .. } => "infeasible",
            },
            ranking,
        }
    }
}
