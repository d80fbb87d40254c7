//! One packed file a system and engine, and one a system for NCCL.

use std::collections::BTreeMap;

use anyhow::Context as _;
use dgdr_perf_model::{Backend, SystemSpec};

use crate::encode::{FileHeader, packed_file};
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

/// Packs the current version of each engine on a system, then NCCL.
///
/// # Errors
/// A system that the catalogue does not have; measurements that cannot be read, or packed within the error bound.
pub fn pack_system(tree: &DataTree, name: &str) -> anyhow::Result<Vec<Pack>> {
    let system =
        SystemSpec::by_name(name).with_context(|| format!("system `{name}` is not in the catalogue"))?;
    let specs: Vec<&TableSpec> = engine_tables().collect();
    let mut packs = Vec::new();
    for backend in Backend::ALL {
        let version = tree.current_version(name, backend)?;
        let mut tables = Vec::new();
        let lanes = tree.lane_policy(backend, &version, system);
        for forms in specs.chunk_by(|a, b| a.name == b.name) {
            let mut files = Vec::new();
            for form in forms {
                let sources = tree.engine_sources(name, backend, &version, form)?;
                files.extend(sources.into_iter().map(|source| (*form, source)));
            }
            tables.extend(Table::merge(&files, system, &lanes)?);
        }
        packs.push(pack(name, backend.name(), version, &tables)?);
    }
    let (version, sources) = tree.nccl_sources(name)?;
    let files: Vec<_> = sources.into_iter().map(|source| (&NCCL_TABLE, source)).collect();
    let nccl = Table::merge(&files, system, &lanes::Policy::Alphabetical)?
        .with_context(|| format!("`{name}` has no NCCL measurements"))?;
    packs.push(pack(name, "nccl", version, &[nccl])?);
    Ok(packs)
}

fn pack(system: &str, backend: &str, version: String, tables: &[Table]) -> anyhow::Result<Pack> {
    let name = format!("{system}-{backend}.dgdrperf");
    let header = FileHeader {
        system: system.to_owned(),
        backend: backend.to_owned(),
        version,
        origin: ORIGIN.to_owned(),
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
