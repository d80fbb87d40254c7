//! Finds how a large language model should be served: DGDR in, DynamoGraphDeployment, curves and plots out.
//!
//! The command line is a thin layer over this library, so that an operator and tests can call the pipeline.
#![forbid(unsafe_code)]

pub mod artifacts;
pub mod cli;
pub mod error;
pub mod estimate;
pub mod exit_status;
pub mod hardware;
pub mod kernel_tables;
pub mod model_source;
mod parallel;
pub mod pipeline;
pub mod plots;
pub mod probe;
pub mod progress;
pub mod report;

pub use error::ProfilerError;
pub use exit_status::ExitStatus;
pub use kernel_tables::KernelTables;
