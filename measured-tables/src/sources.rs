//! Which measurement files serve a table: the active version's own, those it declares, earlier ones, other engines'.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use dgdr_perf_model::{Backend, SystemSpec};
use serde::Deserialize;

use crate::lanes::Policy;
use crate::table::TableSpec;
use crate::version::Version;

/// A measurement file, as part of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// Engine and version, for example `trtllm 1.3.0rc20`.
    pub(crate) label: String,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The only kernels whose rows may be taken; none for all.
    pub(crate) kernels: Option<BTreeSet<String>>,
    /// Whether it is the active version's own.
    pub(crate) own: bool,
}

/// The data of an unpacked aiconfigurator-core.
#[derive(Debug)]
pub struct DataTree {
    systems: PathBuf,
    slots: Slots,
    reuse: Manifest,
    lanes: BTreeMap<String, BTreeMap<String, BTreeMap<u32, String>>>,
}

#[derive(Debug, Deserialize)]
struct Slots {
    defaults: BTreeMap<String, Slot>,
    #[serde(default)]
    overrides: BTreeMap<String, BTreeMap<String, Slot>>,
}

#[derive(Debug, Deserialize)]
struct Slot {
    current: String,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    groups: Vec<ReuseGroup>,
}

/// Engines that measured the same kernel, so that one may lend it to another.
#[derive(Debug, Deserialize)]
struct ReuseGroup {
    op_file: String,
    kernel_source: String,
    tier: String,
    frameworks: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Declared {
    #[serde(default)]
    reuse: Vec<DeclaredReuse>,
}

#[derive(Debug, Deserialize)]
struct DeclaredReuse {
    table: String,
    from_version: String,
}

#[derive(Debug, Deserialize)]
struct SystemFile {
    misc: Misc,
}

#[derive(Debug, Deserialize)]
struct Misc {
    nccl_version: String,
}

impl DataTree {
    /// Opens an unpacked aiconfigurator-core: the folder with `systems/`.
    ///
    /// # Errors
    /// A file that is missing or not of the expected form.
    pub fn open(root: &Path) -> anyhow::Result<Self> {
        let systems = root.join("systems");
        Ok(Self {
            slots: yaml(&systems.join("query_versions.yaml"))?,
            reuse: yaml(&systems.join("perf_data_reuse_manifest.yaml"))?,
            lanes: yaml(&systems.join("attention_lane_defaults.yaml"))?,
            systems,
        })
    }

    /// The version of an engine that a request for the current one means.
    pub(crate) fn current_version(&self, system: &str, backend: Backend) -> anyhow::Result<String> {
        let slot = self
            .slots
            .overrides
            .get(system)
            .and_then(|slots| slots.get(backend.name()))
            .or_else(|| self.slots.defaults.get(backend.name()));
        slot.map(|slot| slot.current.clone())
            .with_context(|| format!("query_versions.yaml names no current version of {backend}"))
    }

    /// How the attention kernels of an engine version are ordered on a system: by the newest entry not above it.
    pub(crate) fn lane_policy(&self, backend: Backend, version: &str, system: &SystemSpec) -> Policy {
        let entry = || {
            let version = Version::parse(version)?;
            let (_, kernels) = self
                .lanes
                .get(backend.name())?
                .iter()
                .filter_map(|(entry, kernels)| Some((Version::parse(entry)?, kernels)))
                .filter(|(entry, _)| entry.release() <= version.release())
                .max_by(|(a, _), (b, _)| a.cmp(b))?;
            kernels.get(&system.sm_version?)
        };
        match entry() {
            None => Policy::Alphabetical,
            Some(lane) if lane == "default" => Policy::Known(None),
            Some(lane) => Policy::Known(Some(lane.clone())),
        }
    }

    /// The NCCL version of a system and its only measurement file.
    pub(crate) fn nccl_sources(&self, system: &str) -> anyhow::Result<(String, Vec<Source>)> {
        let description: SystemFile = yaml(&self.systems.join(format!("{system}.yaml")))?;
        let version = description.misc.nccl_version;
        let source = Source {
            label: format!("nccl {version}"),
            path: self
                .systems
                .join(format!("data/{system}/comm/nccl/{version}/nccl_perf.parquet")),
            kernels: None,
            own: true,
        };
        Ok((version, vec![source]))
    }

    /// The files that serve a table, the preferred one first.
    pub(crate) fn engine_sources(
        &self,
        system: &str,
        backend: Backend,
        version: &str,
        spec: &TableSpec,
    ) -> anyhow::Result<Vec<Source>> {
        let family = self.systems.join("data").join(system).join(spec.family);
        let mut sources: Vec<Source> = Vec::new();
        let mut add = |engine: &str, candidate: &str, kernels: Option<&BTreeSet<String>>| {
            let folder = family.join(engine).join(candidate);
            let path = folder.join(spec.file);
            let known = sources.iter().any(|source| source.path == path);
            if !known && path.is_file() && is_usable(&folder) {
                sources.push(Source {
                    label: format!("{engine} {candidate}"),
                    path,
                    kernels: kernels.cloned(),
                    own: engine == backend.name() && candidate == version,
                });
            }
        };
        add(backend.name(), version, None);
        for donor in declared(&family.join(backend.name()).join(version), spec)? {
            add(backend.name(), &donor, None);
        }
        let parsed = Version::parse(version);
        for (earlier, name) in versions_newest_first(&family.join(backend.name()))? {
            if parsed.as_ref().is_some_and(|parsed| earlier < *parsed) {
                add(backend.name(), &name, None);
            }
        }
        for (engine, kernels) in self.lenders(backend, spec) {
            for (_, name) in versions_newest_first(&family.join(&engine))? {
                add(&engine, &name, Some(&kernels));
            }
        }
        Ok(sources)
    }

    /// Engines that may lend measurements of a table, with the kernels that they may lend.
    fn lenders(&self, borrower: Backend, spec: &TableSpec) -> BTreeMap<String, BTreeSet<String>> {
        let mut lenders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for group in &self.reuse.groups {
            let lends = matches!(group.tier.as_str(), "shared" | "shared_fallback");
            let borrows = group.frameworks.iter().any(|engine| engine == borrower.name());
            if lends && borrows && group.op_file == spec.file {
                for engine in group
                    .frameworks
                    .iter()
                    .filter(|engine| *engine != borrower.name())
                {
                    lenders
                        .entry(engine.clone())
                        .or_default()
                        .insert(group.kernel_source.clone());
                }
            }
        }
        lenders
    }
}

/// Whether a version's folder may be read: an unfinished collection without a description of what is missing may not.
fn is_usable(folder: &Path) -> bool {
    folder.join("collection_meta.yaml").is_file()
        || !(folder.join("INCOMPLETE.txt").exists() || folder.join("SHARED_LAYER_REUSE.txt").exists())
}

/// Versions whose measurements of a table a version's folder declares to be its own too.
fn declared(folder: &Path, spec: &TableSpec) -> anyhow::Result<Vec<String>> {
    let path = folder.join("reuse.yaml");
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let declared: Declared = yaml(&path)?;
    Ok(declared
        .reuse
        .into_iter()
        .filter(|entry| spec.file.strip_suffix(".parquet") == Some(entry.table.as_str()))
        .map(|entry| entry.from_version)
        .collect())
}

/// The versions in an engine's folder; those whose name is no version are left out.
fn versions_newest_first(folder: &Path) -> anyhow::Result<Vec<(Version, String)>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut versions = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(version) = Version::parse(&name) {
            versions.push((version, name));
        }
    }
    versions.sort_by(|a, b| b.cmp(a));
    Ok(versions)
}

fn yaml<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("parsing {}", path.display()))
}

#[cfg(test)]
mod tests;
