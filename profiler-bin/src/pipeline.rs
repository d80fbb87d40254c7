//! The five steps, the same for simulation and for real engines.

pub mod comparison;
mod curve_files;
pub mod curves;
pub mod deployment;
pub mod limits;
pub mod options;
pub mod pictures;
pub mod profile;
pub mod question;
pub mod request;
mod stage;
pub mod study;
