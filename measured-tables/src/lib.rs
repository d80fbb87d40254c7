//! Kernel measurements in the folder format of `aiconfigurator-core`: which files serve a table, their merge, and the
//! packed files that the performance model reads.
//!
//! A folder `systems/` holds descriptions of GPU systems and, per system, kernel family, engine and version, parquet
//! files of latencies. [`DataTree`] resolves which of them answer for an engine version; [`pack_engine`] and
//! [`pack_nccl`] merge and pack them.

#![forbid(unsafe_code)]

mod encode;
mod error;
mod lanes;
mod pack;
mod rows;
mod slots;
mod sources;
mod system;
mod table;
mod verify;
mod version;

pub use encode::Effort;
pub use error::MeasuredTablesError;
pub use pack::{Pack, PackQuery, Share, pack_engine, pack_nccl};
pub use slots::VersionSlots;
pub use sources::DataTree;
