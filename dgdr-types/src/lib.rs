//! Kubernetes vocabulary of Dynamo: DGDR and DGD, parsed, defaulted, validated, resolved.
#![forbid(unsafe_code)]

pub mod contract;
pub mod dgd;
mod error;
mod finding;
mod gpu_sku;
mod image;
pub mod immutability;
pub mod names;
mod parse;
pub mod planner_settings;
mod print;
mod resolve;
mod resolved;
#[cfg(feature = "schema")]
pub mod schema;
pub mod spec;
pub mod v1alpha1;
mod yaml;

pub use error::DgdrError;
pub use finding::{Finding, Findings, Position, nearest};
pub use gpu_sku::GpuSku;
pub use image::{ImageError, ImageReference, RuntimeVersion, VersionError};
pub use parse::{RawRequest, apply_set, parse_request};
pub use resolve::resolve;
pub use resolved::{
    Assumed, Features, HardwareRequest, Load, ModelCache, Overrides, PlannerSettings, ResolvedRequest, Sla,
    Workload,
};
pub use spec::{BackendChoice, Choice, DgdrSpec, OptimizationType, SearchStrategy};
