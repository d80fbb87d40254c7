//! `estimate`: one prediction, or one a line.

use std::io::{BufRead, BufReader, Write};

use dgdr_perf_model::tables::UNMEASURED;

use super::answer;
use super::args::EstimateArgs;
use super::printer::Printer;
use crate::error::ProfilerError;
use crate::estimate::{Estimator, Prediction};
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

/// Lines that are answered together, by all threads; it bounds what waits in memory.
const TOGETHER: usize = 4096;

/// Answers JSON lines in order, one each.
fn many(mut estimator: Estimator, lines: impl BufRead) -> Result<(), ProfilerError> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut lines = lines
        .lines()
        .filter(|line| line.as_ref().map_or(true, |line| !line.trim().is_empty()));
    loop {
        let together: Vec<String> = lines.by_ref().take(TOGETHER).collect::<Result<_, _>>()?;
        if together.is_empty() {
            break;
        }
        for answer in estimator.answer_lines(&together)? {
            writeln!(out, "{answer}")?;
        }
    }
    out.flush()?;
    Ok(())
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
