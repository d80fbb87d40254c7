//! The main job without files, for programs that pass results on themselves.

use dgdr_types::spec::ProfilingPhase;
use dgdr_types::{RawRequest, resolve};

use super::answer::{Answer, answer};
use super::options::ProfileOptions;
use super::stage::{Stage, Stopwatch};
use crate::artifacts::{RunLog, StatusFile};
use crate::cli::printer::{Printer, Verbosity};
use crate::error::ProfilerError;
use crate::progress::Progress;

/// What a run without files gives.
#[derive(Debug)]
pub struct Unwritten {
    /// What `profiler_status.yaml` would say at the end, of a failure too.
    pub status: String,
    /// What `final_config.yaml` would hold.
    pub deployment: Result<String, ProfilerError>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Answers a request. Nothing is written, drawn or printed.
pub async fn profile(request: &RawRequest, options: &ProfileOptions) -> Unwritten {
    let mut status = StatusFile::unwritten();
    match steps(request, options, &mut status).await {
        Ok(answer) => Unwritten {
            status: status.text().to_owned(),
            deployment: Ok(answer.deployment),
            warnings: answer.warnings,
        },
        Err(error) => {
            // What was never written cannot fail to be.
            let _infallible = status.fail(&error.to_string());
            Unwritten {
                status: status.text().to_owned(),
                deployment: Err(error),
                warnings: Vec::new(),
            }
        }
    }
}

async fn steps(
    request: &RawRequest,
    options: &ProfileOptions,
    status: &mut StatusFile<'_>,
) -> Result<Answer, ProfilerError> {
    let request = resolve(request)?;
    let mut stage = Stage {
        log: &mut RunLog::new(Printer::new(Verbosity::Quiet)),
        progress: &Progress::hidden(),
        status,
    };
    let found = answer(&request, options, &mut stage, &mut Stopwatch::start()).await?;
    stage.enter(ProfilingPhase::Done)?;
    Ok(found)
}
