//! Lets AIPerf measure, where it is installed.

use std::path::Path;
use std::process::{Command, Stdio};

use dgdr_load_generator::{Shapes, Summary, aiperf};

use super::{Load, wrong};
use crate::cli::args::BenchArgs;
use crate::error::ProfilerError;

/// Runs AIPerf and reads what it measured; its files are kept where they were asked for.
pub(super) fn measure(arguments: &BenchArgs, load: &Load) -> Result<Summary, ProfilerError> {
    let Shapes::Drawn { isl, osl } = load.workload.shapes else {
        return Err(wrong(
            "--trace",
            "traces are sent by our own load generator: leave --load-generator out",
        ));
    };
    let passing = tempfile::tempdir()
        .map_err(|error| failed(&arguments.aiperf, &format!("no place for its files: {error}")))?;
    let folder = arguments
        .artifact_dir
        .as_deref()
        .unwrap_or_else(|| passing.path());
    let commission = aiperf::Commission {
        target: &load.target,
        tokenizer: arguments.tokenizer.as_deref(),
        lengths: (isl, osl),
        arrivals: &load.schedule.arrivals,
        requests: (load.workload.requests, load.workload.warmup),
        timeout_s: arguments.request_timeout,
        seed: load.workload.seed,
        folder,
    };
    let status = Command::new(&arguments.aiperf)
        .args(commission.arguments())
        // AIPerf 0.13.0 refuses the path of a tokenizer when these are set.
        .env_remove("HF_HUB_OFFLINE")
        .env_remove("TRANSFORMERS_OFFLINE")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(|error| {
            failed(
                &arguments.aiperf,
                &format!("cannot be started: {error}; is it installed?"),
            )
        })?;
    if !status.success() {
        return Err(failed(&arguments.aiperf, &format!("ended with {status}")));
    }
    let path = folder.join(aiperf::EXPORT_FILE);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| failed(&arguments.aiperf, &format!("left no {}: {error}", path.display())))?;
    aiperf::import(&text).map_err(|problem| failed(&arguments.aiperf, &problem))
}

fn failed(program: &Path, problem: &str) -> ProfilerError {
    ProfilerError::LoadGenerator {
        program: program.to_owned(),
        problem: problem.to_owned(),
    }
}
