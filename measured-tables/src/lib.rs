//! Kernel measurements in the folder format of `aiconfigurator-core`: which files serve a table, their merge, and the
//! packed files that the performance model reads.
//!
//! A folder `systems/` holds descriptions of GPU systems and, per system, kernel family, engine and version, parquet
//! files of latencies. [`DataTree`] resolves which of them answer for an engine version; [`pack_system`] merges and
//! packs them.

#![forbid(unsafe_code)]

mod encode;
mod lanes;
mod pack;
mod rows;
mod sources;
mod table;
mod verify;
mod version;

pub use pack::{Pack, Share, pack_system};
pub use sources::DataTree;
