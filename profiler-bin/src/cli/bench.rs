//! `bench`: sends load to an engine, and says what was measured and whether it can be trusted.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dgdr_load_generator::arrivals::Arrivals;
use dgdr_load_generator::statistics::Distribution;
use dgdr_load_generator::validity::Limits;
use dgdr_load_generator::{
    Api, Endpoint, KvReuse, PromptWriter, Run, Schedule, Shapes, Summary, Target, TokenCounter, Workload,
    aiperf, run, trace,
};
use dgdr_units::RequestsPerSecond;
use serde_json::{Map, Value};

use super::answer;
use super::args::{ArrivalKind, BenchApi, BenchArgs, LoadGenerator};
use super::printer::Printer;
use crate::artifacts::OutputDirectory;
use crate::error::ProfilerError;
use crate::exit_status::ExitStatus;
use crate::model_source::tokenizer_file;
use crate::report::{Align, Table};

mod external;

/// What is sent, and where to.
struct Load {
    target: Target,
    workload: Workload,
    schedule: Schedule,
}

pub(super) fn run_command(arguments: &BenchArgs, printer: Printer) -> Result<ExitStatus, ProfilerError> {
    let load = load(arguments)?;
    let summary = match arguments.load_generator {
        LoadGenerator::Native => native(arguments, &load, printer)?,
        LoadGenerator::Aiperf => external::measure(arguments, &load)?,
    };
    answer(printer, arguments.output, &summary, || table(&summary))?;
    for reason in &summary.reasons {
        printer.warning(format_args!("not valid: {reason}"));
    }
    Ok(if summary.ttft_ms.is_some() {
        ExitStatus::Done
    } else {
        ExitStatus::EngineFailed
    })
}

fn native(arguments: &BenchArgs, load: &Load, printer: Printer) -> Result<Summary, ProfilerError> {
    let writer = writer(arguments)?;
    if !writer.is_exact() {
        printer.note("without --tokenizer prompts are common words, of about the length that is asked for");
    }
    let prepared = load.workload.prepare(&load.target, &writer)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let measured = runtime.block_on(run(
        &load.target.endpoint,
        prepared,
        Arc::new(writer),
        &load.schedule,
        |_| (),
    ))?;
    let summary = Summary::of(&measured, load.workload.kv_reuse, &Limits::default());
    keep(arguments, load, (&measured, &summary))?;
    Ok(summary)
}

/// Writes the files that were asked for.
fn keep(arguments: &BenchArgs, load: &Load, (run, summary): (&Run, &Summary)) -> Result<(), ProfilerError> {
    let encode = |error: serde_json::Error| ProfilerError::Encode {
        what: "the samples",
        problem: error.to_string(),
    };
    if let Some(path) = &arguments.samples {
        let lines = run.samples.iter().map(serde_json::to_string);
        let lines = lines.collect::<Result<Vec<String>, _>>().map_err(encode)?;
        write(path, (lines.join("\n") + "\n").as_bytes())?;
    }
    if let Some(folder) = &arguments.artifact_dir {
        let export = aiperf::export(run, summary, &load.target);
        let text = serde_json::to_string_pretty(&export).map_err(encode)?;
        write(&folder.join(aiperf::EXPORT_FILE), text.as_bytes())?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), ProfilerError> {
    let name = path
        .file_name()
        .ok_or_else(|| wrong("--samples", &format!("{} names no file", path.display())))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    OutputDirectory::create(folder.unwrap_or_else(|| Path::new(".")))?
        .write(&name.to_string_lossy(), bytes)?;
    Ok(())
}

fn load(arguments: &BenchArgs) -> Result<Load, ProfilerError> {
    let target = Target {
        endpoint: Endpoint::parse(&arguments.url)?,
        api: match arguments.api {
            BenchApi::Chat => Api::Chat,
            BenchApi::Completions => Api::Completions,
        },
        model: arguments.model.clone(),
        api_key: arguments.api_key.clone(),
        extra: extra(&arguments.extra_input)?,
    };
    let recorded = arguments.trace.as_deref().map(recorded).transpose()?;
    let arrivals = match (arguments.concurrency, arguments.request_rate, &recorded) {
        (Some(concurrency), _, _) => Arrivals::Closed { concurrency },
        (None, Some(rate), _) => at_rate(rate, arguments.arrivals)?,
        (None, None, Some(requests)) => Arrivals::At(requests.iter().map(|request| request.at).collect()),
        (None, None, None) => {
            return Err(wrong(
                "--concurrency",
                "say --concurrency, --request-rate or --trace",
            ));
        }
    };
    let recorded_requests = recorded.as_ref().map_or(0, Vec::len);
    let shapes = match (recorded, arguments.isl, arguments.osl) {
        (Some(requests), _, _) => Shapes::Trace(requests),
        (None, Some(isl), Some(osl)) => Shapes::Drawn { isl, osl },
        (None, _, _) => return Err(wrong("--isl", "say --isl and --osl, or --trace")),
    };
    let mut requests = arguments.requests.unwrap_or(recorded_requests);
    if matches!(arrivals, Arrivals::At(_)) {
        requests = requests.min(recorded_requests);
    }
    Ok(Load {
        target,
        workload: Workload {
            shapes,
            requests,
            warmup: arguments.warmup,
            kv_reuse: if arguments.warm_prompts {
                KvReuse::Warmed
            } else {
                KvReuse::Fresh
            },
            seed: arguments.seed,
        },
        schedule: Schedule {
            arrivals,
            seed: arguments.seed,
            timeout: Duration::from_secs(arguments.request_timeout),
        },
    })
}

fn at_rate(rate: f64, kind: ArrivalKind) -> Result<Arrivals, ProfilerError> {
    let rate = RequestsPerSecond::new(rate).map_err(|error| wrong("--request-rate", &error.to_string()))?;
    Ok(match kind {
        ArrivalKind::Poisson => Arrivals::Poisson { rate },
        ArrivalKind::Constant => Arrivals::Constant { rate },
    })
}

fn recorded(path: &Path) -> Result<Vec<trace::TraceRequest>, ProfilerError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| wrong("--trace", &format!("cannot read {}: {error}", path.display())))?;
    Ok(trace::parse(&text)?)
}

/// Fields of requests: `key=value`, where the value is JSON or else text.
fn extra(inputs: &[String]) -> Result<Map<String, Value>, ProfilerError> {
    let field = |input: &String| {
        let (key, value) = input
            .split_once('=')
            .ok_or_else(|| wrong("--extra-input", &format!("`{input}` is not written key=value")))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        Ok((key.to_owned(), value))
    };
    inputs.iter().map(field).collect()
}

fn writer(arguments: &BenchArgs) -> Result<PromptWriter, ProfilerError> {
    Ok(match (&arguments.tokenizer, arguments.api) {
        (Some(tokenizer), _) => {
            let path = PathBuf::from(tokenizer);
            let path = if path.exists() {
                path
            } else {
                tokenizer_file(tokenizer)?
            };
            PromptWriter::counted(TokenCounter::open(&path)?)?
        }
        (None, BenchApi::Completions) => PromptWriter::Ids {
            vocabulary: arguments.vocabulary,
        },
        (None, BenchApi::Chat) => PromptWriter::Common,
    })
}

fn wrong(argument: &'static str, problem: &str) -> ProfilerError {
    ProfilerError::Argument {
        argument,
        problem: problem.to_owned(),
    }
}

fn table(summary: &Summary) -> String {
    let columns = ["", "mean", "p50", "p90", "p99", "95 % of the mean"].map(|name| (name, Align::Right));
    let mut table = Table::new(&columns);
    let rows = [
        ("TTFT ms", summary.ttft_ms),
        ("ITL ms", summary.itl_ms),
        ("TPOT ms", summary.tpot_ms),
        ("latency ms", summary.e2e_ms),
        ("sent late ms", summary.send_lag_ms),
        ("input tokens", summary.input_tokens),
        ("output tokens", summary.output_tokens),
    ];
    for (name, figures) in rows {
        if let Some(figures) = figures {
            table.row(row(name, &figures));
        }
    }
    let verdict = if summary.valid { "valid" } else { "NOT VALID" };
    format!(
        "{table}\n{} requests, {} failed, in {:.2} s: {:.2} requests/s, {:.1} output tokens/s; {:.2} CPU s; {verdict}",
        summary.requests,
        summary.errors,
        summary.duration_s,
        summary.requests_per_s,
        summary.output_tokens_per_s,
        summary.cpu_s,
    )
}

fn row(name: &str, figures: &Distribution) -> [String; 6] {
    let number = |value: f64| format!("{value:.3}");
    let interval = figures
        .ci95
        .map_or(String::new(), |[low, high]| format!("{low:.3} to {high:.3}"));
    [
        name.to_owned(),
        number(figures.mean),
        number(figures.p50),
        number(figures.p90),
        number(figures.p99),
        interval,
    ]
}
