//! The five steps, the same for simulation and for real engines.

mod answer;
pub mod comparison;
mod curve_files;
pub mod curves;
pub mod deployment;
mod fronts;
pub mod in_memory;
pub mod limits;
pub mod options;
pub mod pictures;
pub mod price;
pub mod profile;
pub mod question;
pub mod request;
mod results;
pub mod runner_up;
pub mod sensitivity;
mod sizes;
mod stage;
pub mod study;
