//! Packs measured kernel latencies into `perf-model/data/tables`.
//!
//! Reads an unpacked `aiconfigurator-core` (its folder with `systems/`), resolves which measurement files serve each
//! table, merges them, and writes one packed file per system and engine, and one per system for NCCL. The files are
//! committed; `--check` compares a fresh pack with them byte for byte.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use dgdr_perf_model::{Backend, SystemSpec};

use crate::model_registry;

mod encode;
mod lanes;
mod rows;
mod sources;
mod table;
mod verify;
mod version;

use encode::{FileHeader, packed_file};
use sources::DataTree;
use table::{ENGINE_TABLES, NCCL_TABLE, Table};

/// Systems whose kernels are packed.
const SYSTEMS: [&str; 5] = ["a100_sxm", "b200_sxm", "gb200", "h100_sxm", "h200_sxm"];

/// The release that the tables are taken from, as recorded in them.
const ORIGIN: &str = "aiconfigurator-core 0.12.0";

/// What the packed tables of all systems may take together, so that the library stays below the size limit of
/// crates.io.
const MOST_BYTES: usize = 10_000_000;

/// Packs measured kernel latencies into the performance model.
#[derive(Debug, clap::Args)]
pub(crate) struct PerfDataArgs {
    /// An unpacked aiconfigurator-core: the folder that has `systems/`
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Compare with the committed files instead of writing them
    #[arg(long)]
    check: bool,
}

/// One packed file and what went into it.
struct Pack {
    name: String,
    bytes: Vec<u8>,
    /// Per table: slices, points and packed bytes.
    tables: BTreeMap<&'static str, Share>,
    worst_error: f64,
}

/// What one table takes of a file.
#[derive(Clone, Copy, Default)]
struct Share {
    slices: usize,
    points: usize,
    bytes: usize,
}

/// Packs, and writes or compares.
///
/// # Errors
/// Measurements that cannot be read or packed within the error bound; with `check`, files that differ.
pub(crate) fn run(args: &PerfDataArgs) -> anyhow::Result<()> {
    let tree = DataTree::open(&args.from)?;
    let mut packs = Vec::new();
    for system in SYSTEMS {
        for pack in pack_system(&tree, system)? {
            report(&format!(
                "{:<32} {:>9} bytes, {:>7} points, worst error {:.2e}",
                pack.name,
                pack.bytes.len(),
                pack.tables.values().map(|share| share.points).sum::<usize>(),
                pack.worst_error
            ))?;
            packs.push(pack);
        }
    }
    report(&size_table(&packs))?;
    let total: usize = packs.iter().map(|pack| pack.bytes.len()).sum();
    ensure!(
        total <= MOST_BYTES,
        "the packed tables take {total} bytes, more than {MOST_BYTES}: the library could not be published"
    );
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../perf-model/data");
    let mode = if args.check {
        model_registry::Mode::Check
    } else {
        model_registry::Mode::Write
    };
    model_registry::run(&args.from.join("model_configs"), &data.join("models.json"), mode)?;
    let folder = data.join("tables");
    if args.check {
        compare(&folder, &packs)
    } else {
        write(&folder, &packs)
    }
}

fn pack_system(tree: &DataTree, name: &str) -> anyhow::Result<Vec<Pack>> {
    let system =
        SystemSpec::by_name(name).with_context(|| format!("system `{name}` is not in the catalogue"))?;
    let mut packs = Vec::new();
    for backend in Backend::ALL {
        let version = tree.current_version(name, backend)?;
        let mut tables = Vec::new();
        for spec in &ENGINE_TABLES {
            let sources = tree.engine_sources(name, backend, &version, spec)?;
            let lanes = tree.lane_policy(backend, &version, system);
            if let Some(table) = Table::merge(spec, &sources, system, &lanes)? {
                tables.push(table);
            }
        }
        packs.push(pack(name, backend.name(), version, &tables)?);
    }
    let (version, sources) = tree.nccl_sources(name)?;
    let nccl = Table::merge(&NCCL_TABLE, &sources, system, &lanes::Policy::Alphabetical)?
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

fn size_table(packs: &[Pack]) -> String {
    let mut sums: BTreeMap<&str, Share> = BTreeMap::new();
    for (name, share) in packs.iter().flat_map(|pack| &pack.tables) {
        let sum = sums.entry(name).or_default();
        sum.slices += share.slices;
        sum.points += share.points;
        sum.bytes += share.bytes;
    }
    let mut text = format!(
        "\n{:<24} {:>7} {:>9} {:>9}\n",
        "table", "slices", "points", "bytes"
    );
    for (name, sum) in sums {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{name:<24} {:>7} {:>9} {:>9}",
            sum.slices, sum.points, sum.bytes
        );
    }
    let total: usize = packs.iter().map(|pack| pack.bytes.len()).sum();
    let _ = writeln!(text, "{:<24} {total:>27} (indexes included)", "all files");
    text
}

fn write(folder: &Path, packs: &[Pack]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    for pack in packs {
        let path = folder.join(&pack.name);
        std::fs::write(&path, &pack.bytes).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn compare(folder: &Path, packs: &[Pack]) -> anyhow::Result<()> {
    let differing: Vec<&str> = packs
        .iter()
        .filter(|pack| std::fs::read(folder.join(&pack.name)).ok().as_ref() != Some(&pack.bytes))
        .map(|pack| pack.name.as_str())
        .collect();
    if differing.is_empty() {
        report("all packed files are up to date")
    } else {
        bail!(
            "out of date: {}; run `cargo xtask perf-data --from …` and commit the result",
            differing.join(", ")
        )
    }
}

fn report(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stderr().lock(), "{line}").context("writing progress")
}
