//! What can go wrong with a folder of measurements.

use dgdr_perf_model::Backend;

/// A folder of measurements that does not have what was asked for, or cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasuredTablesError {
    /// The folder describes no such system.
    #[error("no system `{system}` in {folder}; it describes {available}")]
    NoSystem {
        /// The system asked for.
        system: String,
        /// The folder.
        folder: String,
        /// The systems that it describes, comma-separated.
        available: String,
    },
    /// The folder has no measurements of an engine on a system.
    #[error("{folder} has no measurements of {backend} on `{system}`; choose another engine or system")]
    NoMeasurements {
        /// The system.
        system: String,
        /// The engine.
        backend: Backend,
        /// The folder.
        folder: String,
    },
    /// No such version of the engine can be asked for.
    #[error("{backend} version `{asked}` cannot be asked for on `{system}`; ask for {available}")]
    NoVersion {
        /// The system.
        system: String,
        /// The engine.
        backend: Backend,
        /// The version asked for.
        asked: String,
        /// What can be asked for, comma-separated.
        available: String,
    },
    /// Something cannot be read.
    #[error("cannot read measurements: {0}; restore the file, or leave its system out")]
    Read(String),
}

impl From<anyhow::Error> for MeasuredTablesError {
    /// The whole chain of causes in one line.
    fn from(error: anyhow::Error) -> Self {
        Self::Read(format!("{error:#}"))
    }
}
