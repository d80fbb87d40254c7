//! `engine`: SGLang's runtime profiling, as the guide's two curl calls, with errors explained.

use serde_json::json;

use super::args::{EngineCall, EngineCallArgs};
use super::printer::Printer;
use crate::error::ProfilerError;
use crate::exit_status::ExitStatus;

pub(super) fn run(arguments: &EngineCallArgs, printer: Printer) -> Result<ExitStatus, ProfilerError> {
    let call = match arguments.call {
        EngineCall::StartProfile => "start_profile",
        EngineCall::StopProfile => "stop_profile",
    };
    let url = format!("{}/engine/{call}", arguments.url.trim_end_matches('/'));
    let body = match &arguments.output_dir {
        Some(directory) => json!({"output_dir": directory}),
        None => json!({}),
    };
    let failed = |problem: String| ProfilerError::EngineCall {
        url: url.clone(),
        problem,
    };
    let mut response = ureq::post(&url)
        .config()
        .http_status_as_error(false)
        .build()
        .header("Content-Type", "application/json")
        .send(body.to_string())
        .map_err(|error| {
            failed(format!(
                "{error}; does the worker run, and is this its system port (DYN_SYSTEM_PORT, forwarded if it is in a cluster)?"
            ))
        })?;
    let said = response.body_mut().read_to_string().unwrap_or_default();
    let said = said.trim();
    match response.status().as_u16() {
        200..=299 => {
            printer.data(said)?;
            Ok(ExitStatus::Done)
        }
        404 | 405 => Err(failed(
            "this engine has no runtime profiling: only SGLang workers have it, on their system port"
                .to_owned(),
        )),
        status => Err(failed(format!("status {status}: {said}"))),
    }
}
