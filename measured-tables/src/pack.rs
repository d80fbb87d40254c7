//! One packed file a system and engine, and one a system for NCCL.

use std::collections::BTreeMap;

use anyhow::Context as _;
use dgdr_perf_model::{Backend, SystemSpec};

use crate::encode::{Effort, FileHeader, packed_file};
use crate::error::MeasuredTablesError;
use crate::sources::DataTree;
use crate::table::{NCCL_TABLE, Table, TableSpec, engine_tables};
use crate::{lanes, verify};

/// The release that the tables are taken from, as recorded in them.
const ORIGIN: &str = "aiconfigurator-core 0.12.0";

/// One packed file and what went into it.
#[derive(Debug)]
pub struct Pack {
    /// The file's name.
    pub name: String,
    /// The file's contents.
    pub bytes: Vec<u8>,
    /// What each table takes of it, by name.
    pub tables: BTreeMap<&'static str, Share>,
    /// The largest relative error of a packed latency.
    pub worst_error: f64,
}

/// What one table takes of a packed file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Share {
    /// Combinations of key columns.
    pub slices: usize,
    /// Measurements.
    pub points: usize,
    /// Packed bytes.
    pub bytes: usize,
}

/// What to pack.
#[derive(Debug, Clone, Copy)]
pub struct PackQuery<'a> {
    /// The measurements.
    pub tree: &'a DataTree,
    /// The system.
    pub system: &'static SystemSpec,
    /// How hard to compress.
    pub effort: Effort,
}

/// Packs an engine's measurements; `version` as in [`VersionSlots::resolve`](crate::VersionSlots::resolve).
///
/// # Errors
/// [`MeasuredTablesError::NoMeasurements`], [`MeasuredTablesError::NoVersion`], and [`MeasuredTablesError::Read`] for
/// files that cannot be read, or packed within the error bound.
pub fn pack_engine(
    q: PackQuery<'_>,
    backend: Backend,
    version: Option<&str>,
) -> Result<Pack, MeasuredTablesError> {
    let name = q.system.name;
    let slots = q.tree.versions(name, backend)?;
    let version = slots
        .resolve(version)
        .ok_or_else(|| MeasuredTablesError::NoVersion {
            system: name.to_owned(),
            backend,
            asked: version.unwrap_or_default().to_owned(),
            available: slots.describe(),
        })?;
    let specs: Vec<&TableSpec> = engine_tables().collect();
    let lanes = q.tree.lane_policy(backend, version, q.system);
    let mut tables = Vec::new();
    for forms in specs.chunk_by(|a, b| a.name == b.name) {
        let mut files = Vec::new();
        for form in forms {
            let sources = q.tree.engine_sources(name, backend, version, form)?;
            files.extend(sources.into_iter().map(|source| (*form, source)));
        }
        tables.extend(Table::merge(&files, q.system, &lanes)?);
    }
    Ok(pack(q, backend.name(), version, &tables)?)
}

/// Packs the measurements of NCCL on a system; a file without tables where there are none.
///
/// # Errors
/// [`MeasuredTablesError::NoSystem`]; [`MeasuredTablesError::Read`].
pub fn pack_nccl(q: PackQuery<'_>) -> Result<Pack, MeasuredTablesError> {
    let (version, sources) = q.tree.nccl_sources(q.system.name)?;
    let files: Vec<_> = sources.into_iter().map(|source| (&NCCL_TABLE, source)).collect();
    let table = Table::merge(&files, q.system, &lanes::Policy::Alphabetical)?;
    Ok(pack(q, "nccl", &version, table.as_slice())?)
}

fn pack(q: PackQuery<'_>, backend: &str, version: &str, tables: &[Table]) -> anyhow::Result<Pack> {
    let system = q.system.name;
    let name = format!("{system}-{backend}.dgdrperf");
    let header = FileHeader {
        system: system.to_owned(),
        backend: backend.to_owned(),
        version: version.to_owned(),
        origin: ORIGIN.to_owned(),
        effort: q.effort,
    };
    let (bytes, sizes) = packed_file(&header, tables).with_context(|| format!("packing {name}"))?;
    let worst_error = verify::worst_error(&name, &bytes, tables)?;
    let tables = tables
        .iter()
        .zip(sizes)
        .map(|(table, bytes)| {
            let share = Share {
                slices: table.slices.len(),
                points: table.slices.values().map(|slice| slice.points.len()).sum(),
                bytes,
            };
            (table.spec.name, share)
        })
        .collect();
    Ok(Pack {
        name,
        bytes,
        tables,
        worst_error,
    })
}
