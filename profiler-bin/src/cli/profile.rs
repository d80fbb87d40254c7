//! `profile`: the main job.

use std::io::Read;
use std::path::Path;

use dgdr_sweep_planner::Granularity;
use dgdr_types::contract::environment;
use dgdr_types::{ResolvedRequest, apply_set, parse_request, resolve};

use super::args::ProfileArgs;
use super::block_on;
use super::printer::Printer;
use crate::artifacts::{DEPLOYMENT_FILE, OutputDirectory, RunLog, StatusFile};
use crate::error::ProfilerError;
use crate::exit_status::ExitStatus;
use crate::kernel_tables::KernelTables;
use crate::parallel;
use crate::pipeline::options::{Pictures, ProfileOptions, UnmetSla};
use crate::pipeline::profile::{Run, profile};
use crate::pipeline::request::dry_run;
use crate::progress::Progress;
use crate::report::{headroom, summary};

/// Configurations of each way of serving that the terminal lists.
const LISTED: usize = 5;

pub(super) fn run(arguments: &ProfileArgs, printer: Printer) -> Result<ExitStatus, ProfilerError> {
    let text = read_config(arguments.config.as_deref().ok_or(ProfilerError::NoConfig)?)?;
    let options = options(arguments);
    if arguments.dry_run {
        let request = understand(&text, &arguments.set)?;
        return show_plan(&request, &options, printer);
    }
    let directory = OutputDirectory::create(&arguments.output_dir)?;
    let mut log = RunLog::new(printer);
    let request = match understand(&text, &arguments.set) {
        Ok(request) => request,
        Err(error) => {
            // A Job's other containers learn of a bad request from the status file, not from our exit code.
            StatusFile::new(&directory).fail(&error.to_string())?;
            log.error(&error);
            log.write(&directory)?;
            return Err(error);
        }
    };
    let progress = Progress::new(printer);
    let run = Run {
        request: &request,
        options: &options,
        directory: &directory,
        log: &mut log,
        progress: &progress,
    };
    let finished = block_on(profile(run))??;
    printer.note(summary(&finished.question, &finished.comparison, LISTED));
    if let Some(now) = finished.picked() {
        let line = headroom(&finished.sensitivity, now).to_string();
        if !line.is_empty() {
            printer.note(line);
        }
    }
    printer.note(format_args!("Results are in {}", directory.path().display()));
    for (step, duration) in &finished.timings.steps {
        printer.detail(format_args!("{step}: {duration:.1} ms"));
    }
    printer.data(directory.path().join(DEPLOYMENT_FILE).display())?;
    Ok(ExitStatus::Done)
}

fn options(arguments: &ProfileArgs) -> ProfileOptions {
    ProfileOptions {
        model_config: arguments.model_config.clone(),
        tables: KernelTables::new(&arguments.tables),
        transfer: arguments.kv_transfer,
        pictures: if arguments.no_plots {
            Pictures::Skip
        } else {
            Pictures::Draw
        },
        unmet_sla: if arguments.strict_sla {
            UnmetSla::Fail
        } else {
            UnmetSla::TakeClosest
        },
        price: arguments.gpu_hour_price,
        granularity: Granularity {
            prefill: arguments.prefill_interpolation_granularity,
            decode: arguments.decode_interpolation_granularity,
        },
        dgd_version: arguments.dgd_version,
        space: arguments.search_space.into(),
        threads: parallel::available(),
    }
}

/// A file, inline JSON, or standard input.
fn read_config(config: &str) -> Result<String, ProfilerError> {
    let unreadable = |source| ProfilerError::ConfigUnreadable {
        path: config.into(),
        source,
    };
    if config == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(unreadable)?;
        return Ok(text);
    }
    if config.trim_start().starts_with('{') {
        return Ok(config.to_owned());
    }
    std::fs::read_to_string(Path::new(config)).map_err(unreadable)
}

fn understand(text: &str, changes: &[String]) -> Result<ResolvedRequest, ProfilerError> {
    let mut raw = parse_request(text)?;
    for (field, variable) in [("name", environment::NAME), ("namespace", environment::NAMESPACE)] {
        // A Job is given the spec alone, and tells by its environment whose it is.
        let is_open = raw.document().pointer(&format!("/metadata/{field}")).is_none();
        if let Ok(value) = std::env::var(variable)
            && is_open
        {
            // Quoted, since a name such as 123 or 1e3 is text too.
            apply_set(&mut raw, &format!("metadata.{field}=\"{value}\""))?;
        }
    }
    for change in changes {
        apply_set(&mut raw, change)?;
    }
    Ok(resolve(&raw)?)
}

fn show_plan(
    request: &ResolvedRequest,
    options: &ProfileOptions,
    printer: Printer,
) -> Result<ExitStatus, ProfilerError> {
    for warning in &request.warnings {
        printer.warning(warning);
    }
    let (question, tried) = dry_run(request, options)?;
    for filled in &question.hardware.filled {
        printer.warning(filled.describe());
    }
    for (backend, candidates) in tried {
        let kept: Vec<String> = candidates.kept.iter().map(ToString::to_string).collect();
        let kept = if kept.is_empty() {
            "nothing".to_owned()
        } else {
            kept.join(", ")
        };
        printer.data(format_args!("{backend}: would try {kept}"))?;
        for rejected in &candidates.rejected {
            printer.data(format_args!(
                "{backend}: would not try {}: {}; {}",
                rejected.mapping,
                rejected.reason,
                rejected.reason.remedy()
            ))?;
        }
    }
    Ok(ExitStatus::Done)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{ProfileOptions, options};
    use crate::cli::args::Cli;

    #[test]
    fn saying_nothing_is_the_default() {
        let cli = Cli::try_parse_from(["dgdr-profiler", "--config", "-"]).unwrap();
        assert_eq!(
            format!("{:?}", options(&cli.profile)),
            format!("{:?}", ProfileOptions::default())
        );
    }
}
