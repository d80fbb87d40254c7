//! `report`: the page of a finished run, from its files.

use super::args::ReportArgs;
use super::printer::Printer;
use crate::artifacts::{DECODE_JSON_FILE, DEPLOYMENT_FILE, OutputDirectory, PREFILL_JSON_FILE, RECORD_FILE};
use crate::error::ProfilerError;
use crate::exit_status::ExitStatus;
use crate::report::{REPORT_FILE, RunFiles, page};

pub(super) fn run(arguments: &ReportArgs, printer: Printer) -> Result<ExitStatus, ProfilerError> {
    let read = |name: &str| {
        let path = arguments.dir.join(name);
        std::fs::read(&path).map_err(|error| ProfilerError::RunUnreadable {
            path,
            problem: error.to_string(),
        })
    };
    let deployment = String::from_utf8_lossy(&read(DEPLOYMENT_FILE)?).into_owned();
    let report = page(
        RunFiles {
            directory: &arguments.dir,
            record: &read(RECORD_FILE)?,
            prefill: &read(PREFILL_JSON_FILE)?,
            decode: &read(DECODE_JSON_FILE)?,
            deployment: &deployment,
        },
        arguments.gpu_hour_price,
    )?;
    let path = OutputDirectory::create(&arguments.dir)?.write(REPORT_FILE, report.as_bytes())?;
    printer.data(path.display())?;
    Ok(ExitStatus::Done)
}
