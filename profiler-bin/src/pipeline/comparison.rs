//! One question to several engines: each is studied, the best one wins.

use std::num::NonZeroUsize;

use dgdr_perf_model::{Backend, ExchangePolicy, Precision};
use dgdr_sweep_planner::{Outcome, Problem};

use super::question::{ProbeTraits, Question};
use super::study::{Study, Subject, study};
use crate::error::ProfilerError;
use crate::kernel_tables::KernelTables;
use crate::probe::{Probe, SimulatedProbe, Simulation};
use crate::progress::Progress;

/// How engines are simulated.
#[derive(Debug, Clone, Copy)]
pub struct EngineTables<'a> {
    /// Where measured kernels are.
    pub source: &'a KernelTables,
    /// The version of each engine; none for the current one.
    pub version: Option<&'a str>,
    /// Threads of a sweep; its answers do not depend on them.
    pub threads: NonZeroUsize,
}

/// Ranks of the widest exchange of tokens that is looked for.
const WIDEST_EXCHANGE: u32 = 64;

/// All engines that were compared.
#[derive(Debug)]
pub struct Comparison {
    /// One study each engine, in the order of the question.
    pub studies: Vec<Study>,
    /// The probe of each study, for the curves of the winner.
    pub probes: Vec<SimulatedProbe>,
    /// Index of the winner.
    pub chosen: usize,
    /// Engines that could not be studied, and why.
    pub skipped: Vec<(Backend, String)>,
}

impl Comparison {
    /// The winner.
    pub fn winner(&self) -> &Study {
        &self.studies[self.chosen]
    }
}

/// Studies every engine of the question by simulation.
///
/// # Errors
/// Why no engine could be studied: the first engine's reason. One engine that can be studied is enough.
pub async fn simulate(
    question: &Question,
    tables: EngineTables<'_>,
    progress: &Progress,
) -> Result<Comparison, ProfilerError> {
    let mut studies: Vec<Study> = Vec::new();
    let mut probes = Vec::new();
    let mut skipped = Vec::new();
    let mut first_error = None;
    let mut chosen = 0;
    for &backend in &question.backends {
        let (subject, mut probe) = match prepare(question, backend, tables) {
            Ok(ready) => ready,
            Err(error) => {
                skipped.push((backend, error.to_string()));
                first_error.get_or_insert(error);
                continue;
            }
        };
        let found = study(subject, &mut probe, progress).await?;
        if let Some(best) = studies.get(chosen)
            && beats(&found, best)
        {
            chosen = studies.len();
        }
        studies.push(found);
        probes.push(probe);
    }
    match (studies.is_empty(), first_error) {
        (true, Some(error)) => Err(error),
        _ => Ok(Comparison {
            studies,
            probes,
            chosen,
            skipped,
        }),
    }
}

/// The planner's problem for each engine of the question that can be studied.
///
/// # Errors
/// As [`simulate`].
pub fn problems(question: &Question, tables: EngineTables<'_>) -> Result<Vec<Problem>, ProfilerError> {
    let mut ready = Vec::new();
    let mut first_error = None;
    for &backend in &question.backends {
        match prepare(question, backend, tables) {
            Ok((subject, _)) => ready.push(subject.problem),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    match (ready.is_empty(), first_error) {
        (true, Some(error)) => Err(error),
        _ => Ok(ready),
    }
}

fn beats(challenger: &Study, best: &Study) -> bool {
    match (&challenger.decision.outcome, &best.decision.outcome) {
        (Outcome::Infeasible { .. }, _) => false,
        (_, Outcome::Infeasible { .. }) => true,
        (challenging, leading) => challenging.beats(leading, &challenger.problem),
    }
}

/// Tables, formats, problem and probe of one engine.
fn prepare(
    question: &Question,
    backend: Backend,
    tables: EngineTables<'_>,
) -> Result<(Subject, SimulatedProbe), ProfilerError> {
    let system = question.hardware.system;
    let database = tables
        .source
        .database(system, backend, tables.version)?
        .with_exchange(ExchangePolicy::WhereMeasured);
    let precision = Precision::infer(&question.model, &database)?;
    let version = database.version().to_owned();
    let exchanged_experts = database.exchanged_widths(&question.model, precision, WIDEST_EXCHANGE);
    let probe = SimulatedProbe::new(Simulation {
        database,
        model: question.model.clone(),
        precision,
        memory_capacity: question.hardware.memory,
        workload: question.workload,
        transfer: question.transfer,
        threads: tables.threads,
    });
    let traits = ProbeTraits {
        backend,
        precision,
        kind: probe.kind(),
        corrections: probe.corrections(),
        exchanged_experts,
    };
    let problem = question.problem(&traits)?;
    Ok((
        Subject {
            backend,
            version,
            precision,
            problem,
        },
        probe,
    ))
}
