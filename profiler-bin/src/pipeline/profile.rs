//! The main job: a resolved request in, a directory of results out.

use dgdr_sweep_planner::{Outcome, Picking};
use dgdr_types::ResolvedRequest;
use dgdr_types::spec::ProfilingPhase;

use super::answer::answer;
use super::comparison::Comparison;
use super::options::ProfileOptions;
use super::question::Question;
use super::results::Results;
use super::runner_up::runner_up;
use super::sensitivity::{Sensitivity, sensitivity};
use super::stage::{Stage, Stopwatch};
use crate::artifacts::{OutputDirectory, RunLog, StatusFile, Timings};
use crate::error::ProfilerError;
use crate::progress::Progress;
use crate::report::Picked;

/// A finished run.
#[derive(Debug)]
pub struct Finished {
    /// The question.
    pub question: Question,
    /// All engines that were compared.
    pub comparison: Comparison,
    /// What would be picked if the request asked for a little less or more.
    pub sensitivity: Vec<Sensitivity>,
    /// How long each step took.
    pub timings: Timings,
}

impl Finished {
    /// What was picked, as far as a changed request is compared with it.
    pub fn picked(&self) -> Option<Picked> {
        let winner = self.comparison.winner();
        let pick = winner.decision.outcome.configuration()?;
        Some(Picked {
            tokens_per_s_per_gpu: pick.performance.tokens_per_s_per_gpu.get(),
            gpus: pick.total_gpus().get(),
            met: matches!(winner.decision.outcome, Outcome::Met(_)),
            fewest_gpus: matches!(winner.problem.picking, Picking::LoadMatch(_)),
        })
    }
}

/// What a run works with.
#[derive(Debug)]
pub struct Run<'a> {
    /// The request.
    pub request: &'a ResolvedRequest,
    /// How it is made.
    pub options: &'a ProfileOptions,
    /// Where results go.
    pub directory: &'a OutputDirectory,
    /// What is said on the way.
    pub log: &'a mut RunLog,
    /// What a person sees on the way.
    pub progress: &'a Progress,
}

/// Runs all steps and writes all files. The status file tells of every step, and of a failure.
///
/// # Errors
/// [`ProfilerError`], after the status file and the log say the same.
pub async fn profile(run: Run<'_>) -> Result<Finished, ProfilerError> {
    let Run {
        request,
        options,
        directory,
        log,
        progress,
    } = run;
    let mut status = StatusFile::new(directory);
    let result = steps(
        request,
        options,
        directory,
        &mut Stage {
            log,
            progress,
            status: &mut status,
        },
    )
    .await;
    progress.finish();
    match &result {
        Ok(_) => log.info("done"),
        Err(error) => {
            log.error(error);
            status.fail(&error.to_string())?;
        }
    }
    log.write(directory)?;
    result
}

async fn steps(
    request: &ResolvedRequest,
    options: &ProfileOptions,
    directory: &OutputDirectory,
    stage: &mut Stage<'_, '_>,
) -> Result<Finished, ProfilerError> {
    let mut watch = Stopwatch::start();
    let mut answer = answer(request, options, stage, &mut watch).await?;
    let sensitivity = sensitivity(&answer.question, &mut answer.comparison).await?;
    let runner_up = runner_up(&answer.comparison);
    watch.lap("sensitivity");
    let results = Results {
        request,
        options,
        answer: &answer,
        runner_up: runner_up.as_ref(),
        sensitivity: &sensitivity,
    };
    results.write_data(directory)?;
    watch.lap("render");
    results.write_record(directory, &watch.timings)?;
    watch.lap("record");
    stage.enter(ProfilingPhase::Done)?;
    Ok(Finished {
        question: answer.question,
        comparison: answer.comparison,
        sensitivity,
        timings: watch.timings,
    })
}
