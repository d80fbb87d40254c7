//! The five steps, the same for simulation and for real engines.

pub mod comparison;
pub mod curves;
pub mod deployment;
pub mod limits;
pub mod pictures;
pub mod profile;
pub mod question;
pub mod study;
