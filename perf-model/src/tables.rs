//! Measured kernel latencies, packed: the file format, the tables inside, and the database that serves them.
//!
//! One file per system and engine, and one per system for NCCL. They are made by `cargo xtask perf-data` and embedded
//! in the library; only the slices that a model touches are ever decompressed. The layout is described in [`wire`].

mod block;
mod database;
mod directory;
mod embedded;
mod error;
mod grid;
mod packed_file;
pub mod predictor;
mod reader;
pub mod wire;

pub use database::PerfDatabase;
pub use directory::Directory;
pub use error::TableError;
pub use grid::Grid;
pub(crate) use grid::octaves;
pub use packed_file::{Header, PackedFile, UNMEASURED};
