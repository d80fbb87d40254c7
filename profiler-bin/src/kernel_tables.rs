//! Where the latencies of kernels come from: the tables that are built in, or a folder of the user's.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clap::{Args, ValueEnum};
use dgdr_perf_model::efficiency::GapPolicy;
use dgdr_perf_model::tables::{PackedFile, TableError};
use dgdr_perf_model::{Backend, PerfDatabase, PerfModelError, SystemSpec};

use crate::error::ProfilerError;

/// How the user chooses tables.
#[derive(Debug, Clone, Default, Args)]
pub struct KernelTableArgs {
    /// A folder of measurements instead of the built-in ones: system descriptions and parquet files as aiconfigurator
    /// has them, or files packed by `cargo xtask perf-data`.
    #[arg(long, value_name = "DIR")]
    pub systems_dir: Option<PathBuf>,
    /// What to do about kernels that nobody measured.
    #[arg(long, value_enum, default_value_t)]
    pub gaps: Gaps,
}

/// What to do about kernels that nobody measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Gaps {
    /// Estimate them by the roofline, at the efficiency of the nearest measured GPU generation; answers say so.
    #[default]
    Roofline,
    /// Leave out what needs them, as aiconfigurator does.
    Refuse,
}

impl From<Gaps> for GapPolicy {
    fn from(gaps: Gaps) -> Self {
        match gaps {
            Gaps::Roofline => Self::Roofline,
            Gaps::Refuse => Self::Refuse,
        }
    }
}

/// Tables of kernels; clones share what was read.
#[derive(Debug, Clone, Default)]
pub struct KernelTables {
    folder: Option<PathBuf>,
    gaps: Gaps,
    read: Arc<Mutex<Read>>,
}

/// What was read so far.
#[derive(Debug, Default)]
struct Read {
    systems: BTreeMap<String, &'static SystemSpec>,
    /// The one asked for last comes last.
    databases: Vec<(DatabaseKey, PerfDatabase)>,
}

/// What tables belong to: name of the system, engine, version as it was asked for.
type DatabaseKey = (&'static str, Backend, Option<String>);

/// Tables that are kept, decoded as far as they were used, for whoever asks again: those of all engines on two systems. A
/// program that answers for years would otherwise end up with all of them in memory.
const KEPT: usize = 2 * Backend::ALL.len();

/// The ending of packed files.
const PACKED: &str = "dgdrperf";

impl KernelTables {
    /// The tables that the arguments ask for.
    pub fn new(arguments: &KernelTableArgs) -> Self {
        Self {
            folder: arguments.systems_dir.clone(),
            gaps: arguments.gaps,
            read: Arc::default(),
        }
    }

    /// The system of a name: as the user's folder describes it, where there is one, else the built-in one.
    ///
    /// # Errors
    /// [`ProfilerError::Tables`] for a folder that cannot be read.
    pub fn system(&self, name: &str) -> Result<Option<&'static SystemSpec>, ProfilerError> {
        let known = || Ok(SystemSpec::by_name(name));
        let Some(folder) = self.folder.as_deref() else {
            return known();
        };
        if !has_descriptions(folder) {
            return known();
        }
        let mut read = self.lock();
        if let Some(system) = read.systems.get(name) {
            return Ok(Some(system));
        }
        let system = describe(folder, name)?;
        if let Some(system) = system {
            read.systems.insert(name.to_owned(), system);
        }
        Ok(system)
    }

    /// The tables of an engine on a system; `version` is `current`, `previous`, `next`, or one of these by number.
    ///
    /// # Errors
    /// [`ProfilerError::PerfModel`] for a system or version without tables where gaps are refused; [`ProfilerError::Tables`]
    /// for a folder that cannot be read.
    pub fn database(
        &self,
        system: &'static SystemSpec,
        backend: Backend,
        version: Option<&str>,
    ) -> Result<PerfDatabase, ProfilerError> {
        let key = (system.name, backend, version.map(str::to_owned));
        if let Some(known) = self.known(&key) {
            return Ok(known);
        }
        let gaps = GapPolicy::from(self.gaps);
        let found = match &self.folder {
            None => match gaps {
                GapPolicy::Roofline => PerfDatabase::available(system, backend, version),
                GapPolicy::Refuse => PerfDatabase::embedded(system, backend, version),
            }
            .map_err(PerfModelError::from)?,
            Some(folder) => match packed(folder, system, backend)? {
                Some(found) => checked_version(found, version)?,
                None => measured(folder, system, backend, version)?,
            },
        };
        let found = found.with_gaps(gaps);
        self.keep(key, found.clone());
        Ok(found)
    }

    /// Tables that were read before.
    fn known(&self, key: &DatabaseKey) -> Option<PerfDatabase> {
        let databases = &mut self.lock().databases;
        let place = databases.iter().position(|(known, _)| known == key)?;
        databases[place..].rotate_left(1);
        databases.last().map(|(_, database)| database.clone())
    }

    fn keep(&self, key: DatabaseKey, database: PerfDatabase) {
        let databases = &mut self.lock().databases;
        databases.retain(|(known, _)| *known != key);
        if databases.len() == KEPT {
            databases.remove(0);
        }
        databases.push((key, database));
    }

    fn lock(&self) -> MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The files of a folder that were packed for an engine on a system.
fn packed(
    folder: &Path,
    system: &'static SystemSpec,
    backend: Backend,
) -> Result<Option<PerfDatabase>, ProfilerError> {
    let read = |of: &str| {
        let path = folder.join(format!("{}-{of}.{PACKED}", system.name));
        if !path.is_file() {
            return Ok::<_, ProfilerError>(None);
        }
        let bytes = std::fs::read(&path).map_err(|error| unreadable(&path, &error))?;
        let file = PackedFile::parse(&path.display().to_string(), Cow::Owned(bytes));
        Ok(Some(file.map_err(PerfModelError::from)?))
    };
    let Some(engine) = read(backend.name())? else {
        return Ok(None);
    };
    let nccl = read("nccl")?.unwrap_or_else(|| PackedFile::empty(system.name, "nccl"));
    Ok(Some(PerfDatabase::of_files(system, backend, [engine, nccl])))
}

/// A packed file holds one version; asking for another is an error.
fn checked_version(found: PerfDatabase, asked: Option<&str>) -> Result<PerfDatabase, ProfilerError> {
    match asked {
        Some(asked) if asked != "current" && asked != found.version() => {
            Err(PerfModelError::from(TableError::NoVersion {
                system: found.system().name,
                backend: found.backend(),
                asked: asked.to_owned(),
                packed: found.version().to_owned(),
            })
            .into())
        }
        _ => Ok(found),
    }
}

fn unreadable(path: &Path, problem: &dyn std::fmt::Display) -> ProfilerError {
    ProfilerError::Tables {
        folder: path.to_path_buf(),
        problem: problem.to_string(),
    }
}

/// Whether a folder describes systems itself.
fn has_descriptions(folder: &Path) -> bool {
    let has_yaml = |folder: &Path| {
        std::fs::read_dir(folder).is_ok_and(|entries| {
            entries
                .filter_map(Result::ok)
                .any(|entry| entry.path().extension().is_some_and(|ending| ending == "yaml"))
        })
    };
    has_yaml(folder) || has_yaml(&folder.join("systems"))
}

#[cfg(feature = "parquet")]
mod folder {
    //! Folders of parquet files.

    use std::path::Path;

    use dgdr_measured_tables::{DataTree, Effort, MeasuredTablesError, PackQuery, pack_engine, pack_nccl};
    use dgdr_perf_model::tables::PackedFile;
    use dgdr_perf_model::{Backend, PerfDatabase, PerfModelError, SystemSpec};

    use crate::error::ProfilerError;

    pub(super) fn describe(folder: &Path, name: &str) -> Result<Option<&'static SystemSpec>, ProfilerError> {
        let tree = DataTree::open(folder).map_err(|error| super::unreadable(folder, &error))?;
        match tree.system(name) {
            Ok(system) => Ok(Some(system)),
            Err(MeasuredTablesError::NoSystem { .. }) => Ok(None),
            Err(error) => Err(super::unreadable(folder, &error)),
        }
    }

    pub(super) fn measured(
        folder: &Path,
        system: &'static SystemSpec,
        backend: Backend,
        version: Option<&str>,
    ) -> Result<PerfDatabase, ProfilerError> {
        let problem = |error: MeasuredTablesError| super::unreadable(folder, &error);
        let tree = DataTree::open(folder).map_err(problem)?;
        let query = PackQuery {
            tree: &tree,
            system,
            effort: Effort::Fast,
        };
        let engine = pack_engine(query, backend, version).map_err(problem)?;
        let nccl = pack_nccl(query).map_err(problem)?;
        let parse = |pack: dgdr_measured_tables::Pack| {
            PackedFile::parse(&pack.name, pack.bytes.into()).map_err(PerfModelError::from)
        };
        Ok(PerfDatabase::of_files(
            system,
            backend,
            [parse(engine)?, parse(nccl)?],
        ))
    }
}

#[cfg(not(feature = "parquet"))]
mod folder {
    //! What a build without the reader of parquet files says.

    use std::path::Path;

    use dgdr_perf_model::{Backend, PerfDatabase, SystemSpec};

    use crate::error::ProfilerError;

    const REMEDY: &str = "this build reads packed files only: pack the folder with `cargo xtask perf-data --from DIR \
                          --systems SYSTEM --to DIR`, or build with `--features parquet`";

    #[expect(
        clippy::unnecessary_wraps,
        reason = "the build that reads descriptions may fail to"
    )]
    pub(super) fn describe(_: &Path, name: &str) -> Result<Option<&'static SystemSpec>, ProfilerError> {
        Ok(SystemSpec::by_name(name))
    }

    pub(super) fn measured(
        folder: &Path,
        _: &'static SystemSpec,
        _: Backend,
        _: Option<&str>,
    ) -> Result<PerfDatabase, ProfilerError> {
        Err(super::unreadable(folder, &REMEDY))
    }
}

use folder::{describe, measured};

#[cfg(test)]
mod tests {
    use dgdr_perf_model::{Backend, SystemSpec};

    use super::{KEPT, KernelTables};

    #[test]
    fn tables_of_two_systems_are_kept_and_shared() {
        let tables = KernelTables::default();
        let ask = |system: &str, backend| {
            let system = SystemSpec::by_name(system).unwrap();
            tables.clone().database(system, backend, None).unwrap();
            tables.lock().databases.last().unwrap().0.clone()
        };
        for system in ["h100_sxm", "h200_sxm", "b200_sxm", "h200_sxm"] {
            for backend in Backend::ALL {
                assert_eq!(
                    ask(system, backend),
                    (SystemSpec::by_name(system).unwrap().name, backend, None)
                );
                assert!(tables.lock().databases.len() <= KEPT);
            }
        }
        let kept: Vec<&str> = tables
            .lock()
            .databases
            .iter()
            .map(|((name, ..), _)| *name)
            .collect();
        assert_eq!(
            kept,
            [
                "b200_sxm", "b200_sxm", "b200_sxm", "h200_sxm", "h200_sxm", "h200_sxm"
            ]
        );
    }

    #[test]
    fn another_version_is_not_the_kept_one() {
        let tables = KernelTables::default();
        let system = SystemSpec::by_name("h200_sxm").unwrap();
        let current = tables.database(system, Backend::Vllm, None).unwrap();
        assert!(tables.database(system, Backend::Vllm, Some("0.0.1")).is_err());
        let named = tables
            .database(system, Backend::Vllm, Some(current.version()))
            .unwrap();
        assert_eq!(named.version(), current.version());
    }
}
