//! `support`: what is covered by measured tables, what by the roofline alone, and what cannot be and why.

use dgdr_perf_model::coverage::{Coverage, CoverageQuery};
use dgdr_perf_model::{
    Backend, ModelSpec, ParallelMapping, PerfDatabase, PerfModelError, PrecisionOverrides, SystemSpec,
    registry,
};
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

/// Widths over which experts are spread; large mixtures need a second node.
const SPREAD_WIDTHS: [u32; 4] = [2, 4, 8, 16];

/// So many rows are explained below the table.
const EXPLAINED_ROWS: usize = 3;

/// One model on one system with one engine.
#[derive(Debug, Serialize)]
struct Row {
    model: String,
    system: &'static str,
    backend: &'static str,
    /// Version of the engine that was measured; none without tables.
    version: Option<String>,
    /// Mappings whose every operator was measured.
    measured: Vec<String>,
    /// Mappings with operators that were not: the roofline can stand in for them.
    incomplete: Vec<Gap>,
    /// Mappings on a system without tables: the roofline stands in for everything.
    roofline_only: Vec<String>,
    /// Mappings that cannot exist.
    impossible: Vec<Gap>,
    /// Mappings of which nothing can be said.
    not_covered: Vec<Gap>,
}

/// A mapping that is not measured, and why.
#[derive(Debug, Serialize)]
struct Gap {
    mapping: String,
    /// In a few words: the operators without data, or what is in the way.
    gist: Vec<String>,
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
    for assumption in models.iter().flat_map(|model| &model.assumed) {
        printer.warning(assumption);
    }
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
    let databases = systems
        .iter()
        .flat_map(|system| {
            backends
                .iter()
                .map(|backend| PerfDatabase::available(system, *backend, None))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(PerfModelError::from)?;
    let questions: Vec<(&ModelSpec, &PerfDatabase)> = models
        .iter()
        .flat_map(|model| databases.iter().map(move |database| (model, database)))
        .collect();
    let rows: Vec<Row> = questions
        .into_par_iter()
        .map(|(model, database)| row(model, database, arguments.mapping))
        .collect();
    answer(printer, arguments.output, &rows, || table(&rows))?;
    Ok(ExitStatus::Done)
}

/// The mapping of a name: `TP4`, `TEP8` or `DEP16`.
pub(super) fn mapping(name: &str) -> Result<ParallelMapping, String> {
    let upper = name.to_ascii_uppercase();
    let digits = upper.find(|character: char| character.is_ascii_digit());
    let (kind, width) = upper.split_at(digits.unwrap_or(upper.len()));
    let of_width = match kind {
        "TP" => ParallelMapping::tp,
        "TEP" => ParallelMapping::tep,
        "DEP" => ParallelMapping::dep,
        _ => return Err("write TP, TEP or DEP and a number of GPUs, for example TEP8".to_owned()),
    };
    let width = width
        .parse()
        .map_err(|_| format!("`{width}` is not a number of GPUs"))?;
    of_width(width).map_err(|error| error.to_string())
}

/// The mappings that are looked at where none is asked for.
fn mappings(model: &ModelSpec) -> impl Iterator<Item = ParallelMapping> {
    let spread = [ParallelMapping::tep, ParallelMapping::dep]
        .into_iter()
        .filter(|_| model.experts.is_some())
        .flat_map(|of_width| {
            SPREAD_WIDTHS
                .into_iter()
                .filter_map(move |width| of_width(width).ok())
        });
    WIDTHS
        .into_iter()
        .filter_map(|width| ParallelMapping::tp(width).ok())
        .chain(spread)
}

fn row(model: &ModelSpec, database: &PerfDatabase, only: Option<ParallelMapping>) -> Row {
    let mut row = Row {
        model: model.name.clone(),
        system: database.system().name,
        backend: database.backend().name(),
        version: database.is_measured().then(|| database.version().to_owned()),
        measured: Vec::new(),
        incomplete: Vec::new(),
        roofline_only: Vec::new(),
        impossible: Vec::new(),
        not_covered: Vec::new(),
    };
    let asked: Vec<ParallelMapping> = match only {
        Some(mapping) => vec![mapping],
        None => mappings(model).collect(),
    };
    for mapping in asked {
        let name = mapping.to_string();
        let coverage = Coverage::of(CoverageQuery {
            database,
            model,
            mapping,
            precision: PrecisionOverrides::default(),
        });
        match coverage {
            Coverage::Measured { .. } => row.measured.push(name),
            Coverage::RooflineOnly { .. } => row.roofline_only.push(name),
            Coverage::Incomplete { missing, .. } => row.incomplete.push(Gap::new(name, &missing)),
            Coverage::Impossible(reason) => row.impossible.push(Gap::new(name, &[reason])),
            Coverage::NotCovered(reason) => row.not_covered.push(Gap::new(name, &[reason])),
        }
    }
    row
}

impl Gap {
    fn new(mapping: String, reasons: &[PerfModelError]) -> Self {
        Self {
            mapping,
            gist: reasons.iter().map(gist).collect(),
            reasons: reasons.iter().map(ToString::to_string).collect(),
        }
    }
}

fn gist(reason: &PerfModelError) -> String {
    if let PerfModelError::Operator { operator, .. } = reason {
        operator.to_string()
    } else {
        reason.gist().to_owned()
    }
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new(&[
        ("model", Align::Left),
        ("system", Align::Left),
        ("backend", Align::Left),
        ("measured", Align::Left),
        ("incomplete: operators without data", Align::Left),
        ("roofline only", Align::Left),
        ("not possible", Align::Left),
        ("not covered", Align::Left),
    ]);
    for row in rows {
        table.row([
            row.model.clone(),
            row.system.to_owned(),
            row.backend.to_owned(),
            names(&row.measured),
            gaps(&row.incomplete),
            names(&row.roofline_only),
            gaps(&row.impossible),
            gaps(&row.not_covered),
        ]);
    }
    let mut lines = vec![table.to_string()];
    if rows.len() <= EXPLAINED_ROWS {
        lines.extend(rows.iter().flat_map(explanations));
    }
    lines.join("\n")
}

/// The whole reasons of a row, one mapping's for all that share them.
fn explanations(row: &Row) -> impl Iterator<Item = String> {
    [&row.incomplete, &row.impossible, &row.not_covered]
        .into_iter()
        .flat_map(|gaps| merged(gaps))
        .flat_map(move |alike| {
            let mappings = alike.mappings();
            alike.gaps[0].reasons.iter().map(move |reason| {
                format!(
                    "{} on {} with {}, {mappings}: {reason}",
                    row.model, row.system, row.backend
                )
            })
        })
}

fn names(mappings: &[String]) -> String {
    if mappings.is_empty() {
        "-".to_owned()
    } else {
        mappings.join(" ")
    }
}

/// Mappings with the same gist.
struct Alike<'a> {
    gaps: Vec<&'a Gap>,
}

impl Alike<'_> {
    fn mappings(&self) -> String {
        let names: Vec<&str> = self.gaps.iter().map(|gap| gap.mapping.as_str()).collect();
        names.join(" ")
    }
}

/// Mappings that share their gist, in the order of their first.
fn merged(gaps: &[Gap]) -> Vec<Alike<'_>> {
    let mut merged: Vec<Alike<'_>> = Vec::new();
    for gap in gaps {
        match merged.iter_mut().find(|alike| alike.gaps[0].gist == gap.gist) {
            Some(alike) => alike.gaps.push(gap),
            None => merged.push(Alike { gaps: vec![gap] }),
        }
    }
    merged
}

/// Gaps in one cell: mappings that share their gist share the words.
fn gaps(gaps: &[Gap]) -> String {
    if gaps.is_empty() {
        return "-".to_owned();
    }
    let cells: Vec<String> = merged(gaps)
        .iter()
        .map(|alike| format!("{}: {}", alike.mappings(), alike.gaps[0].gist.join(", ")))
        .collect();
    cells.join("; ")
}

#[cfg(test)]
mod tests {
    use dgdr_perf_model::ParallelMapping;

    use super::mapping;

    #[test]
    fn a_mapping_is_read_as_it_is_printed() {
        for known in [
            ParallelMapping::tp(4),
            ParallelMapping::tep(8),
            ParallelMapping::dep(16),
        ] {
            let known = known.unwrap();
            assert_eq!(mapping(&known.to_string()), Ok(known));
            assert_eq!(mapping(&known.to_string().to_lowercase()), Ok(known));
        }
        for wrong in ["", "TP", "XP4", "TP0", "TP4x", "4"] {
            assert!(mapping(wrong).is_err(), "{wrong}");
        }
    }
}
