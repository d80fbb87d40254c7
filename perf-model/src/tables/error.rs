//! What can go wrong with the packed tables themselves.

use crate::Backend;

/// Tables that do not exist or cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// No kernels were measured on this system.
    #[error("no measured kernels for system `{system}`: choose one of {available}")]
    NoTables {
        /// The system asked for.
        system: &'static str,
        /// Systems with tables, comma-separated.
        available: String,
    },
    /// The engine version asked for is not the one that was measured.
    #[error(
        "no measured kernels of {backend} version `{asked}` on `{system}`: ask for `{packed}`, or for `current`"
    )]
    NoVersion {
        /// The system asked for.
        system: &'static str,
        /// The engine asked for.
        backend: Backend,
        /// The version asked for.
        asked: String,
        /// The version that exists.
        packed: String,
    },
    /// The file is of another format version.
    #[error(
        "table file `{file}` has format version {found}, this build reads {known}: repack it with `cargo xtask perf-data`"
    )]
    FormatVersion {
        /// The file.
        file: String,
        /// Its format version.
        found: u16,
        /// The format version that this library reads.
        known: u16,
    },
    /// The file is damaged.
    #[error(
        "table file `{file}` is damaged in its {part}, byte {at}: restore it or repack it with `cargo xtask perf-data`"
    )]
    Damaged {
        /// The file.
        file: String,
        /// Which part of the file.
        part: &'static str,
        /// Byte offset within that part.
        at: usize,
    },
}
