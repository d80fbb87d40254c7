//! Steps 2 to 4 for one engine: candidates, sweep, pick.

use dgdr_perf_model::{Backend, Precision};
use dgdr_sweep_planner::{Candidates, Decision, Measurements, Problem, candidates, pick};

use crate::error::ProfilerError;
use crate::probe::{Probe, Sweep};
use crate::progress::Progress;

/// Everything that was found out about one engine.
#[derive(Debug, Clone)]
pub struct Study {
    /// The engine.
    pub backend: Backend,
    /// Version whose kernels answered.
    pub version: String,
    /// Formats that it runs in.
    pub precision: Precision,
    /// The question.
    pub problem: Problem,
    /// Mappings that were tried, and those that were not.
    pub candidates: Candidates,
    /// All answers.
    pub measurements: Measurements,
    /// What was picked, and why the others lost.
    pub decision: Decision,
}

/// Which engine is studied.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The engine.
    pub backend: Backend,
    /// Version whose kernels answer.
    pub version: String,
    /// Formats that it runs in.
    pub precision: Precision,
    /// The question.
    pub problem: Problem,
}

/// Asks the probe everything that the planner wants to know, and picks.
///
/// # Errors
/// [`ProfilerError::Planner`] when the probe answers another question than was asked.
pub async fn study(
    subject: Subject,
    probe: &mut impl Probe,
    progress: &Progress,
) -> Result<Study, ProfilerError> {
    let Subject {
        backend,
        version,
        precision,
        problem,
    } = subject;
    let candidates = candidates(&problem);
    let measurements = probe
        .sweep(Sweep {
            problem: &problem,
            candidates: &candidates,
            progress,
        })
        .await?;
    let decision = pick(&problem, &candidates, &measurements);
    Ok(Study {
        backend,
        version,
        precision,
        problem,
        candidates,
        measurements,
        decision,
    })
}
