//! Packs measured kernel latencies into `perf-model/data/tables`.
//!
//! Reads an unpacked `aiconfigurator-core` (its folder with `systems/`), resolves which measurement files serve each
//! table, merges them, and writes one packed file per system and engine, and one per system for NCCL. The files are
//! committed; `--check` compares a fresh pack with them byte for byte.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, anyhow, bail, ensure};
use dgdr_measured_tables::{
    DataTree, Effort, MeasuredTablesError, Pack, PackQuery, Share, pack_engine, pack_nccl,
};
use dgdr_perf_model::{Backend, SystemSpec};

use crate::{efficiency, model_registry};

/// Systems whose kernels are packed.
const SYSTEMS: [&str; 5] = ["a100_sxm", "b200_sxm", "gb200", "h100_sxm", "h200_sxm"];

/// What the packed tables of all systems may take together, so that the library stays below the size limit of
/// crates.io.
const MOST_BYTES: usize = 10_000_000;

/// Packs measured kernel latencies into the performance model.
#[derive(Debug, clap::Args)]
pub(crate) struct PerfDataArgs {
    /// Measurements: a folder of system descriptions, or an unpacked aiconfigurator-core with its `systems/`
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Compare with the committed files instead of writing them
    #[arg(long, conflicts_with_all = ["systems", "to", "version"])]
    check: bool,
    /// Pack these systems, comma-separated, for use with `dgdr-profiler --systems-dir`
    #[arg(long, value_name = "SYSTEM", value_delimiter = ',', requires = "to")]
    systems: Vec<String>,
    /// Where those files go
    #[arg(long, value_name = "DIR", requires = "systems")]
    to: Option<PathBuf>,
    /// The version of the engines: `current`, `previous`, `next`, or one of these by number
    #[arg(long, value_name = "VERSION", requires = "to")]
    version: Option<String>,
}

/// Packs, and writes or compares.
///
/// # Errors
/// Measurements that cannot be read or packed within the error bound; with `check`, files that differ.
pub(crate) fn run(args: &PerfDataArgs) -> anyhow::Result<()> {
    let tree = DataTree::open(&args.from)?;
    let systems = match &args.to {
        Some(_) => args.systems.clone(),
        None => SYSTEMS.map(str::to_owned).to_vec(),
    };
    let packs = pack_all(&tree, &jobs(&systems), args.version.as_deref())?;
    for pack in &packs {
        report(&format!(
            "{:<32} {:>9} bytes, {:>7} points, worst error {:.2e}",
            pack.name,
            pack.bytes.len(),
            pack.tables.values().map(|share| share.points).sum::<usize>(),
            pack.worst_error
        ))?;
    }
    report(&size_table(&packs))?;
    if let Some(folder) = &args.to {
        return write(folder, &packs);
    }
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
    let learned = efficiency::text(&SYSTEMS, &packs)?;
    model_registry::settle(&data.join("efficiency.json"), &learned, mode)?;
    let folder = data.join("tables");
    if args.check {
        compare(&folder, &packs)
    } else {
        write(&folder, &packs)
    }
}

/// One file to pack: a system's measurements of an engine, or of NCCL.
#[derive(Clone, Copy)]
struct Job<'a> {
    system: &'a str,
    engine: Option<Backend>,
}

/// The files of some systems, in the order in which they are packed.
fn jobs(systems: &[String]) -> Vec<Job<'_>> {
    let engines = Backend::ALL.into_iter().map(Some).chain([None]);
    systems
        .iter()
        .flat_map(|system| engines.clone().map(move |engine| Job { system, engine }))
        .collect()
}

impl Job<'_> {
    /// Packs; none for an engine that was not measured.
    fn run(self, tree: &DataTree, version: Option<&str>) -> anyhow::Result<Option<Pack>> {
        let system = match SystemSpec::by_name(self.system) {
            Some(known) => known,
            None => tree.system(self.system)?,
        };
        let query = PackQuery {
            tree,
            system,
            effort: Effort::Smallest,
        };
        match self.engine.map(|engine| pack_engine(query, engine, version)) {
            None => Ok(Some(pack_nccl(query)?)),
            Some(Err(MeasuredTablesError::NoMeasurements { .. })) => Ok(None),
            Some(pack) => Ok(Some(pack?)),
        }
    }
}

/// Packs as many files at a time as there are cores; the result is in the order of the jobs.
fn pack_all(tree: &DataTree, jobs: &[Job<'_>], version: Option<&str>) -> anyhow::Result<Vec<Pack>> {
    let next = AtomicUsize::new(0);
    let pack_some = || {
        let mut packed = Vec::new();
        loop {
            let position = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(position) else {
                return anyhow::Ok(packed);
            };
            if let Some(pack) = job.run(tree, version)? {
                packed.push((position, pack));
            }
        }
    };
    let mut packed = BTreeMap::new();
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(pack_some)).collect();
        for worker in workers {
            let some = worker.join().map_err(|_| anyhow!("packing panicked"))?;
            packed.extend(some?);
        }
        anyhow::Ok(())
    })?;
    Ok(packed.into_values().collect())
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
