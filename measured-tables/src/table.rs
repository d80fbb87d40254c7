//! The tables: which columns make their keys and axes, and the merge of measurement files into one.

mod all_to_all;
mod attention;
mod comm;
mod compressed_attention;
mod expert_compute;
mod gemm;
mod linear_attention;
mod mla;
mod moe;
mod quantize;
mod sparse_attention;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use dgdr_perf_model::SystemSpec;

use crate::lanes::{self, Density, Policy};
use crate::rows::{Columns, Rows};
use crate::sources::Source;

/// What a table is made of; several of one name, one after the other, where files of several forms make one table.
#[derive(Debug)]
pub(crate) struct TableSpec {
    /// Its name in the packed file.
    pub(crate) name: &'static str,
    /// Folder of its measurement files.
    pub(crate) family: &'static str,
    /// Name of its measurement files.
    pub(crate) file: &'static str,
    /// Names of its key columns; one named `lane` holds the kernel.
    pub(crate) columns: &'static [&'static str],
    /// Names of its axes, outermost first.
    pub(crate) axes: &'static [&'static str],
    /// Positions of the key columns whose values share a block; a model touches few of the others' combinations.
    pub(crate) grouped: &'static [usize],
    /// Whether the order of first appearance of the outer axes' cells is kept.
    pub(crate) ordered: bool,
    /// Which measurement stands for a coordinate that one file has several of.
    repeated: Repeated,
    read: Columns,
    point: fn(&Rows, usize, &SystemSpec) -> Option<Point>,
}

/// Which of several measurements of a coordinate in one file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeated {
    FirstStands,
    LastOfAFileStands,
}

/// One measurement.
#[derive(Debug, Clone, PartialEq)]
struct Point {
    key: Vec<Part>,
    at: Vec<u32>,
    ms: f64,
}

/// One part of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u32),
    Text(String),
}

/// A merged table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) spec: &'static TableSpec,
    /// Kernels in the order in which they are tried; a key's `lane` is a position here.
    pub(crate) lanes: Vec<String>,
    /// Texts that keys refer to by position.
    pub(crate) words: Vec<String>,
    /// The files that it was merged from.
    pub(crate) sources: Vec<String>,
    pub(crate) slices: BTreeMap<Vec<u32>, Slice>,
}

/// The measurements of one key.
#[derive(Debug, Default, Clone)]
pub(crate) struct Slice {
    /// Milliseconds by coordinates.
    pub(crate) points: BTreeMap<Vec<u32>, f64>,
    /// Coordinates in the order in which they were first read.
    pub(crate) read: Vec<Vec<u32>>,
}

const LANE: &str = "lane";

pub(crate) use comm::NCCL_TABLE;

/// The tables of an engine, in the order in which they are packed.
pub(crate) fn engine_tables() -> impl Iterator<Item = &'static TableSpec> {
    gemm::TABLES
        .iter()
        .chain(&attention::TABLES)
        .chain(&comm::TABLES)
        .chain(&quantize::TABLES)
        .chain(&moe::TABLES)
        .chain(&all_to_all::TABLES)
        .chain(&expert_compute::TABLES)
        .chain(&linear_attention::TABLES)
        .chain(&compressed_attention::TABLES)
        .chain(&mla::TABLES)
        .chain(&sparse_attention::TABLES)
}

fn text(rows: &Rows, column: &str, row: usize) -> Part {
    Part::Text(rows.text(column, row).to_owned())
}

type Merged = BTreeMap<Vec<Part>, Slice>;

impl Table {
    /// Merges measurement files, each with its form: the first measurement of a coordinate stands, so that later files
    /// only fill holes. None where nothing was measured.
    pub(crate) fn merge(
        files: &[(&'static TableSpec, Source)],
        system: &SystemSpec,
        policy: &Policy,
    ) -> anyhow::Result<Option<Self>> {
        let Some((spec, _)) = files.first() else {
            return Ok(None);
        };
        let mut merged = Merged::new();
        let mut own = BTreeMap::new();
        let mut labels = Vec::new();
        for (form, source) in files {
            let rows = Rows::read(&source.path, form.read)?;
            let added = absorb(&mut merged, form, source, &rows, system)?;
            if added > 0 && !labels.contains(&source.label) {
                labels.push(source.label.clone());
            }
            if source.own {
                own = density(&merged);
            }
        }
        if merged.is_empty() {
            return Ok(None);
        }
        let has_lanes = spec.columns.first() == Some(&LANE);
        let lanes = if has_lanes {
            lanes::order(policy, &own, &density(&merged))
        } else {
            Vec::new()
        };
        let words: BTreeSet<String> = merged
            .keys()
            .flat_map(|key| key.iter().skip(usize::from(has_lanes)))
            .filter_map(|part| match part {
                Part::Text(text) => Some(text.clone()),
                Part::Number(_) => None,
            })
            .collect();
        let words: Vec<String> = words.into_iter().collect();
        let mut slices = BTreeMap::new();
        for (key, slice) in merged {
            let encoded = key
                .iter()
                .enumerate()
                .map(|(column, part)| match part {
                    Part::Number(number) => Ok(*number),
                    Part::Text(text) if has_lanes && column == 0 => position(&lanes, text),
                    Part::Text(text) => position(&words, text),
                })
                .collect::<anyhow::Result<Vec<u32>>>()?;
            slices.insert(encoded, slice);
        }
        Ok(Some(Self {
            spec,
            lanes,
            words,
            sources: labels,
            slices,
        }))
    }
}

/// Adds a file's rows; says how many coordinates were new.
fn absorb(
    merged: &mut Merged,
    spec: &TableSpec,
    source: &Source,
    rows: &Rows,
    system: &SystemSpec,
) -> anyhow::Result<usize> {
    let mut added = 0;
    for position in 0..rows.len() {
        let row = match spec.repeated {
            Repeated::FirstStands => position,
            Repeated::LastOfAFileStands => rows.len() - 1 - position,
        };
        let allowed = source.kernels.as_ref();
        if allowed.is_some_and(|kernels| !kernels.contains(rows.text("kernel_source", row))) {
            continue;
        }
        let Some(point) = (spec.point)(rows, row, system) else {
            continue;
        };
        ensure!(
            point.ms.is_finite() && point.ms > 0.0,
            "{}: row {row} has latency {}",
            source.path.display(),
            point.ms
        );
        let slice = merged.entry(point.key).or_default();
        if !slice.points.contains_key(&point.at) {
            slice.read.push(point.at.clone());
            slice.points.insert(point.at, point.ms);
            added += 1;
        }
    }
    Ok(added)
}

/// Slices and points by the first part of the key.
fn density(merged: &Merged) -> BTreeMap<String, Density> {
    let mut density: BTreeMap<String, Density> = BTreeMap::new();
    for (key, slice) in merged {
        if let Some(Part::Text(lane)) = key.first() {
            let entry = density.entry(lane.clone()).or_default();
            entry.slices += 1;
            entry.points += slice.points.len();
        }
    }
    density
}

fn position(words: &[String], text: &str) -> anyhow::Result<u32> {
    let position = words
        .iter()
        .position(|word| word == text)
        .with_context(|| format!("`{text}` got lost"))?;
    Ok(u32::try_from(position)?)
}

#[cfg(test)]
mod tests;
