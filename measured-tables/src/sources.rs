//! Which measurement files serve a table: the active version's own, those it declares, earlier ones, other engines'.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use dgdr_perf_model::{Backend, SystemSpec};
use serde::Deserialize;

use crate::error::MeasuredTablesError;
use crate::lanes::Policy;
use crate::slots::{Slots, VersionSlots};
use crate::system::SystemFile;
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

#[derive(Debug, Default, Deserialize)]
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

/// Descriptions beside those of systems, without their ending.
const OTHER_FILES: [&str; 3] = [
    "attention_lane_defaults",
    "perf_data_reuse_manifest",
    "query_versions",
];

impl DataTree {
    /// Opens a folder of measurements: one with a description `<system>.yaml` of each system, or one that has such a
    /// folder as its `systems/`, as an unpacked aiconfigurator-core.
    ///
    /// Of the three files beside the descriptions (`query_versions.yaml`, `perf_data_reuse_manifest.yaml`,
    /// `attention_lane_defaults.yaml`) each may be missing: then the newest version is the current one, no engine
    /// lends to another, and kernels are tried by name.
    ///
    /// # Errors
    /// [`MeasuredTablesError::Read`] for a file that is not of the expected form.
    pub fn open(folder: &Path) -> Result<Self, MeasuredTablesError> {
        let nested = folder.join("systems");
        let systems = if nested.is_dir() {
            nested
        } else {
            folder.to_path_buf()
        };
        Ok(Self {
            slots: optional_yaml(&systems.join("query_versions.yaml"))?,
            reuse: optional_yaml(&systems.join("perf_data_reuse_manifest.yaml"))?,
            lanes: optional_yaml(&systems.join("attention_lane_defaults.yaml"))?,
            systems,
        })
    }

    /// The systems that the folder describes, by name.
    ///
    /// # Errors
    /// [`MeasuredTablesError::Read`] for a folder that cannot be listed.
    pub fn system_names(&self) -> Result<Vec<String>, MeasuredTablesError> {
        let mut names: Vec<String> = entries(&self.systems)?
            .into_iter()
            .filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned))
            .filter(|name| !OTHER_FILES.contains(&name.as_str()))
            .collect();
        names.sort();
        Ok(names)
    }

    /// A system as the folder describes it.
    ///
    /// # Errors
    /// [`MeasuredTablesError::NoSystem`] where it does not; [`MeasuredTablesError::Read`].
    pub fn system(&self, name: &str) -> Result<&'static SystemSpec, MeasuredTablesError> {
        Ok(self.describe(name)?.leak(name))
    }

    /// The versions of an engine that can be asked for on a system.
    ///
    /// # Errors
    /// [`MeasuredTablesError::NoMeasurements`] where the engine was not measured; [`MeasuredTablesError::Read`].
    pub fn versions(&self, system: &str, backend: Backend) -> Result<VersionSlots, MeasuredTablesError> {
        let measured = self.measured_versions(system, backend)?;
        let Some((_, newest)) = measured.iter().next_back() else {
            return Err(MeasuredTablesError::NoMeasurements {
                system: system.to_owned(),
                backend,
                folder: self.systems.display().to_string(),
            });
        };
        match self.slots.authored(system, backend.name()) {
            Some((slots, true)) => Ok(slots),
            Some((slots, false)) => Ok(VersionSlots {
                next: self.next_version(backend, &slots.current)?,
                ..slots
            }),
            None => Ok(VersionSlots {
                current: newest.clone(),
                previous: None,
                next: None,
            }),
        }
    }

    /// The newest version of an engine that is above `current`, on any system that has no versions of its own.
    fn next_version(&self, backend: Backend, current: &str) -> Result<Option<String>, MeasuredTablesError> {
        let own = self.slots.with_own(backend.name());
        let mut newest = BTreeMap::new();
        for system in self.system_names()? {
            if !own.contains(system.as_str()) {
                newest.extend(self.measured_versions(&system, backend)?);
            }
        }
        let current = Version::parse(current);
        Ok(newest
            .into_iter()
            .next_back()
            .filter(|(version, _)| Some(version) > current.as_ref())
            .map(|(_, name)| name))
    }

    /// The versions of an engine with measurements of their own on a system, oldest first.
    fn measured_versions(&self, system: &str, backend: Backend) -> anyhow::Result<BTreeMap<Version, String>> {
        let data = self.systems.join("data").join(system);
        let mut versions = BTreeMap::new();
        if !data.is_dir() {
            return Ok(versions);
        }
        for family in entries(&data)? {
            let engine = data.join(family).join(backend.name());
            for (version, name) in versions_newest_first(&engine)? {
                if has_measurements(&engine.join(&name))? {
                    versions.insert(version, name);
                }
            }
        }
        Ok(versions)
    }

    pub(crate) fn describe(&self, system: &str) -> Result<SystemFile, MeasuredTablesError> {
        let path = self.systems.join(format!("{system}.yaml"));
        if !path.is_file() {
            return Err(MeasuredTablesError::NoSystem {
                system: system.to_owned(),
                folder: self.systems.display().to_string(),
                available: self.system_names()?.join(", "),
            });
        }
        Ok(yaml(&path)?)
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

    /// The NCCL version of a system and its only measurement file, where it was measured.
    pub(crate) fn nccl_sources(&self, system: &str) -> Result<(String, Vec<Source>), MeasuredTablesError> {
        let version = self.describe(system)?.nccl_version().to_owned();
        let path = self
            .systems
            .join(format!("data/{system}/comm/nccl/{version}/nccl_perf.parquet"));
        let source = path.is_file().then(|| Source {
            label: format!("nccl {version}"),
            path,
            kernels: None,
            own: true,
        });
        Ok((version, source.into_iter().collect()))
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
    for name in entries(folder)? {
        if let Some(version) = Version::parse(&name) {
            versions.push((version, name));
        }
    }
    versions.sort_by(|a, b| b.cmp(a));
    Ok(versions)
}

/// Names of what is in a folder.
fn entries(folder: &Path) -> anyhow::Result<Vec<String>> {
    let context = || format!("listing {}", folder.display());
    std::fs::read_dir(folder)
        .with_context(context)?
        .map(|entry| {
            Ok(entry
                .with_context(context)?
                .file_name()
                .to_string_lossy()
                .into_owned())
        })
        .collect()
}

/// Whether a version's folder has measurements, and not only a note where to find them.
fn has_measurements(folder: &Path) -> anyhow::Result<bool> {
    Ok(is_usable(folder) && entries(folder)?.iter().any(|name| name.ends_with(".parquet")))
}

fn optional_yaml<T: serde::de::DeserializeOwned + Default>(path: &Path) -> anyhow::Result<T> {
    if path.is_file() {
        yaml(path)
    } else {
        Ok(T::default())
    }
}

fn yaml<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("parsing {}", path.display()))
}

#[cfg(test)]
mod tests;
