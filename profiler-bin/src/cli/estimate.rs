//! `estimate`: one prediction, or one a line.

use std::io::{BufRead, BufReader, Write};

use dgdr_perf_model::tables::UNMEASURED;
use serde::Serialize;

use super::answer;
use super::args::EstimateArgs;
use super::printer::Printer;
use crate::error::ProfilerError;
use crate::estimate::{EstimatePoint, Estimator, Prediction};
use crate::exit_status::ExitStatus;
use crate::kernel_tables::KernelTables;
use crate::report::{Align, Table, sources};

pub(super) fn run(arguments: &EstimateArgs, printer: Printer) -> Result<ExitStatus, ProfilerError> {
    let mut estimator = Estimator::new(KernelTables::new(&arguments.tables));
    match arguments.batch.as_deref() {
        None => {
            let prediction = estimator.answer(&arguments.point)?;
            for assumption in &prediction.assumptions {
                printer.warning(assumption);
            }
            answer(printer, arguments.output, &prediction, || table(&prediction))?;
        }
        Some("-") => many(estimator, std::io::stdin().lock())?,
        Some(path) => {
            let file = std::fs::File::open(path).map_err(|source| ProfilerError::ConfigUnreadable {
                path: path.into(),
                source,
            })?;
            many(estimator, BufReader::new(file))?;
        }
    }
    Ok(ExitStatus::Done)
}

/// A line that could not be answered; the ones after it still are.
#[derive(Debug, Serialize)]
struct FailedLine {
    error: LineError,
}

#[derive(Debug, Serialize)]
struct LineError {
    code: &'static str,
    message: String,
    hints: Vec<String>,
}

/// Answers JSON lines in order, one each.
fn many(mut estimator: Estimator, lines: impl BufRead) -> Result<(), ProfilerError> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in lines.lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let text = match answer_line(&mut estimator, &line) {
            Ok(prediction) => serde_json::to_string(&prediction),
            Err(error) => serde_json::to_string(&FailedLine { error }),
        };
        let text = text.map_err(|error| ProfilerError::Encode {
            what: "an answer",
            problem: error.to_string(),
        })?;
        writeln!(out, "{text}")?;
    }
    out.flush()?;
    Ok(())
}

fn answer_line(estimator: &mut Estimator, line: &str) -> Result<Prediction, LineError> {
    let point: EstimatePoint = serde_json::from_str(line).map_err(|error| LineError {
        code: "invalid-line",
        message: error.to_string(),
        hints: vec![
            "write one JSON object a line, keys as the options of `estimate` in snake case".to_owned(),
        ],
    })?;
    estimator.answer(&point).map_err(|error| LineError {
        code: error.code(),
        message: error.to_string(),
        hints: error.hints(),
    })
}

fn table(prediction: &Prediction) -> String {
    let mut table = Table::new(&[("", Align::Left), ("", Align::Right), ("", Align::Left)]);
    let mut row =
        |name: &str, value: String, unit: &str| table.row([name.to_owned(), value, unit.to_owned()]);
    row("TTFT", format!("{:.3}", prediction.ttft_ms), "ms");
    row("TPOT", format!("{:.3}", prediction.tpot_ms), "ms");
    row(
        "request latency",
        format!("{:.3}", prediction.request_latency_ms),
        "ms",
    );
    row(
        "throughput",
        format!("{:.3}", prediction.tokens_per_s_per_gpu),
        "tokens/s/GPU",
    );
    row("memory", format!("{:.3}", prediction.memory_gib), "GiB/GPU");
    let fit = match &prediction.memory_problem {
        None => "fits".to_owned(),
        Some(problem) => format!("does NOT fit: {problem}"),
    };
    let tables = if prediction.backend_version == UNMEASURED {
        "no measured tables".to_owned()
    } else {
        format!("tables of {}", prediction.backend_version)
    };
    let mut lines = vec![
        table.to_string().trim_start().to_owned(),
        format!("{fit}, {tables}"),
    ];
    let provenances = [
        ("TTFT", &prediction.provenance.ttft),
        ("TPOT", &prediction.provenance.tpot),
    ];
    lines.extend(provenances.into_iter().filter_map(|(name, provenance)| {
        let provenance = provenance.as_ref()?;
        Some(format!("{name} is {}", sources(provenance)))
    }));
    lines.extend(prediction.borrowed.iter().map(|borrowed| {
        format!(
            "{} is completed from {}",
            borrowed.table,
            borrowed.from.join(", ")
        )
    }));
    lines.join("\n")
}
