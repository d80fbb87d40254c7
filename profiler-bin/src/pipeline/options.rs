//! How a run is made.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use dgdr_sweep_planner::{Granularity, SearchSpace};
use dgdr_types::dgd::DgdVersion;

use super::price::GpuPrice;
use crate::kernel_tables::KernelTables;
use crate::parallel;
use crate::probe::KvTransfer;

/// Whether pictures are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pictures {
    /// All of them.
    Draw,
    /// None.
    Skip,
}

/// What happens when the SLA cannot be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnmetSla {
    /// The nearest configuration is deployed, and the outcome says so.
    TakeClosest,
    /// The run fails and deploys nothing.
    Fail,
}

/// How a run is made.
#[derive(Debug, Clone)]
pub struct ProfileOptions {
    /// A model description to use instead of looking the model up.
    pub model_config: Option<PathBuf>,
    /// Where kernels were measured.
    pub tables: KernelTables,
    /// Whether the way of the KV cache counts.
    pub transfer: KvTransfer,
    /// Whether pictures are drawn.
    pub pictures: Pictures,
    /// What happens when the SLA cannot be met.
    pub unmet_sla: UnmetSla,
    /// Dollars for a GPU hour; none where nobody said it.
    pub price: Option<GpuPrice>,
    /// Points of the curves.
    pub granularity: Granularity,
    /// Version in which the deployment is written.
    pub dgd_version: DgdVersion,
    /// Which mappings are tried.
    pub space: SearchSpace,
    /// Threads of a sweep; results do not depend on them.
    pub threads: NonZeroUsize,
}

impl Default for ProfileOptions {
    /// As the command line has it when nothing is said.
    fn default() -> Self {
        Self {
            model_config: None,
            tables: KernelTables::default(),
            transfer: KvTransfer::default(),
            pictures: Pictures::Draw,
            unmet_sla: UnmetSla::TakeClosest,
            price: None,
            granularity: Granularity::default(),
            dgd_version: DgdVersion::default(),
            space: SearchSpace::default(),
            threads: parallel::available(),
        }
    }
}
