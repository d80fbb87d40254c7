//! `support`: what is covered by measured tables, and why the rest is not.

use dgdr_perf_model::coverage::{Coverage, CoverageQuery};
use dgdr_perf_model::{Backend, ModelSpec, ParallelMapping, PrecisionOverrides, SystemSpec, registry};
use rayon::prelude::*;
use serde::Serialize;

use super::answer;
use super::args::SupportArgs;
use super::printer::Printer;
use crate::error::ProfilerError;
use crate::estimate::backend;
use crate::exit_status::ExitStatus;
use crate::hardware::{Hardware, HardwareWish};
use crate::model_source::{ModelQuery, find_model};
use crate::report::{Align, Table};

/// Tensor-parallel widths that are looked at: those of a search on nodes of eight GPUs.
const WIDTHS: [u32; 4] = [1, 2, 4, 8];

/// One model on one system with one engine.
#[derive(Debug, Serialize)]
struct Row {
    model: String,
    system: &'static str,
    backend: &'static str,
    /// Mappings whose every operator was measured.
    measured: Vec<String>,
    /// Mappings that cannot be predicted, and why.
    gaps: Vec<Gap>,
}

#[derive(Debug, Serialize)]
struct Gap {
    mapping: String,
    reasons: Vec<String>,
}

pub(super) fn run(arguments: &SupportArgs, printer: Printer) -> Result<ExitStatus, ProfilerError> {
    let models = match &arguments.model {
        Some(name) => {
            let query = ModelQuery::named(name).with_config(arguments.model_config.as_deref());
            vec![find_model(&query)?.spec]
        }
        None => registry::models().to_vec(),
    };
    let systems: Vec<&'static SystemSpec> = match &arguments.system {
        Some(name) => {
            let wish = HardwareWish {
                system: Some(name),
                ..HardwareWish::default()
            };
            vec![Hardware::resolve(wish, None)?.system]
        }
        None => SystemSpec::all().iter().collect(),
    };
    let backends = match &arguments.backend {
        Some(name) => vec![backend(name)?],
        None => Backend::ALL.to_vec(),
    };
    let questions: Vec<(&ModelSpec, &'static SystemSpec, Backend)> = models
        .iter()
        .flat_map(|model| systems.iter().map(move |system| (model, *system)))
        .flat_map(|(model, system)| backends.iter().map(move |backend| (model, system, *backend)))
        .collect();
    let rows: Vec<Row> = questions
        .into_par_iter()
        .map(|(model, system, backend)| row(model, system, backend))
        .collect();
    answer(printer, arguments.output, &rows, || table(&rows))?;
    Ok(ExitStatus::Done)
}

fn row(model: &ModelSpec, system: &'static SystemSpec, backend: Backend) -> Row {
    let mut measured = Vec::new();
    let mut gaps = Vec::new();
    for mapping in WIDTHS
        .into_iter()
        .filter_map(|width| ParallelMapping::tp(width).ok())
    {
        let query = CoverageQuery {
            model,
            system,
            backend,
            mapping,
            precision: PrecisionOverrides::default(),
        };
        match Coverage::of(query) {
            Coverage::Measured { .. } => measured.push(mapping.to_string()),
            Coverage::Incomplete { missing, .. } => gaps.push(Gap {
                mapping: mapping.to_string(),
                reasons: missing.iter().map(ToString::to_string).collect(),
            }),
            Coverage::NotCovered(reason) => {
                gaps.push(Gap {
                    mapping: mapping.to_string(),
                    reasons: vec![reason.to_string()],
                });
            }
        }
    }
    Row {
        model: model.name.clone(),
        system: system.name,
        backend: backend.name(),
        measured,
        gaps,
    }
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new(&[
        ("model", Align::Left),
        ("system", Align::Left),
        ("backend", Align::Left),
        ("measured", Align::Left),
        ("not covered", Align::Left),
    ]);
    for row in rows {
        let measured = if row.measured.is_empty() {
            "-".to_owned()
        } else {
            row.measured.join(" ")
        };
        table.row([
            row.model.clone(),
            row.system.to_owned(),
            row.backend.to_owned(),
            measured,
            gaps(&row.gaps),
        ]);
    }
    table.to_string()
}

/// Gaps in one cell: mappings that share their reasons share the words.
fn gaps(gaps: &[Gap]) -> String {
    let mut merged: Vec<(Vec<&str>, &[String])> = Vec::new();
    for gap in gaps {
        match merged.iter_mut().find(|(_, reasons)| *reasons == gap.reasons) {
            Some((mappings, _)) => mappings.push(&gap.mapping),
            None => merged.push((vec![&gap.mapping], &gap.reasons)),
        }
    }
    let cells: Vec<String> = merged
        .iter()
        .map(|(mappings, reasons)| format!("{}: {}", mappings.join(" "), reasons.join("; ")))
        .collect();
    cells.join(" | ")
}
