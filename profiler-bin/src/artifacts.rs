//! The files of a finished run: what other programs read, and what people look at.

use dgdr_types::contract::file;

mod directory;
mod log;
mod pareto;
mod record;
mod status;

pub use directory::{OutputDirectory, WriteError};
pub use log::RunLog;
pub use pareto::pareto_csv;
pub use record::{RECORD_FILE, Record, RecordInput, Timings};
pub use status::{STATUS_FILE, StatusFile, message};

/// The deployment, ready to be applied.
pub const DEPLOYMENT_FILE: &str = file::DEPLOYMENT;
/// Configurations that no other one beats.
pub const PARETO_FILE: &str = "pareto.csv";
/// What happened, line by line.
pub const LOG_FILE: &str = "profile_sla.log";
/// The prefill curve for the SLA planner's ConfigMap.
pub const PREFILL_JSON_FILE: &str = "prefill_raw_data.json";
/// The decode surface for the SLA planner's ConfigMap.
pub const DECODE_JSON_FILE: &str = "decode_raw_data.json";
/// The prefill curve for the SLA planner.
pub const PREFILL_NPZ_FILE: &str = "selected_prefill_interpolation/raw_data.npz";
/// The decode surface for the SLA planner.
pub const DECODE_NPZ_FILE: &str = "selected_decode_interpolation/raw_data.npz";
