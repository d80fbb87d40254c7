//! What is covered by measured tables, what by the roofline, and what by neither and why.

use dgdr_units::{BYTES_PER_GIB, real};

use crate::backend::Backend;
use crate::engine::Survey;
use crate::error::PerfModelError;
use crate::mapping::ParallelMapping;
use crate::model::ModelSpec;
use crate::precision::PrecisionOverrides;
use crate::quant::Precision;
use crate::system::SystemSpec;
use crate::tables::PerfDatabase;

/// The oldest compute capability that TensorRT-LLM has kernels for: Ampere.
const TRTLLM_OLDEST: u32 = 80;

/// What to look up.
#[derive(Debug, Clone, Copy)]
pub struct CoverageQuery<'a> {
    /// Tables of a system and engine, or none ([`PerfDatabase::available`]).
    pub database: &'a PerfDatabase,
    /// The model.
    pub model: &'a ModelSpec,
    /// How the model is spread.
    pub mapping: ParallelMapping,
    /// Formats that are insisted on.
    pub precision: PrecisionOverrides,
}

/// What predictions rest on.
#[derive(Debug, Clone, PartialEq)]
pub enum Coverage {
    /// Every operator was measured.
    Measured {
        /// Formats that the model runs in.
        precision: Precision,
    },
    /// The tables lack operators; the roofline can stand in for them.
    Incomplete {
        /// Formats that the model would run in.
        precision: Precision,
        /// One [`PerfModelError::Operator`] for each, in step order.
        missing: Vec<PerfModelError>,
    },
    /// Nothing was measured on this system with this engine; the roofline stands in for all of it.
    RooflineOnly {
        /// Formats that the model would run in.
        precision: Precision,
    },
    /// Such a worker cannot exist, and why.
    Impossible(PerfModelError),
    /// The worker may exist, but nothing can be predicted about it, and why.
    NotCovered(PerfModelError),
}

impl Coverage {
    /// Looks a combination up.
    pub fn of(q: CoverageQuery<'_>) -> Self {
        match Self::look_up(q) {
            Ok(coverage) => coverage,
            Err(reason) if reason.is_physical() => Self::Impossible(reason),
            Err(reason) => Self::NotCovered(reason),
        }
    }

    fn look_up(q: CoverageQuery<'_>) -> Result<Self, PerfModelError> {
        runs_on(q.database.backend(), q.database.system())?;
        let precision = Precision::infer_with(q.model, q.database, q.precision)?;
        let survey = Survey::of(q.database, q.model, precision, q.mapping)?;
        fits(&survey, q)?;
        Ok(if !q.database.is_measured() {
            Self::RooflineOnly { precision }
        } else if survey.missing.is_empty() {
            Self::Measured { precision }
        } else {
            Self::Incomplete {
                precision,
                missing: survey.missing,
            }
        })
    }

    /// True when every operator was measured.
    pub const fn is_measured(&self) -> bool {
        matches!(self, Self::Measured { .. })
    }
}

/// Whether an engine has kernels for a GPU at all.
fn runs_on(backend: Backend, system: &SystemSpec) -> Result<(), PerfModelError> {
    let runs = match backend {
        Backend::Trtllm => system.sm_version.is_some_and(|version| version >= TRTLLM_OLDEST),
        Backend::Sglang | Backend::Vllm => true,
    };
    runs.then_some(()).ok_or(PerfModelError::EngineNeedsOtherGpu {
        backend,
        system: system.name,
        needed: "an NVIDIA GPU of compute capability 8.0 or higher",
    })
}

/// Whether a GPU holds what is there before anything is served.
fn fits(survey: &Survey, q: CoverageQuery<'_>) -> Result<(), PerfModelError> {
    let capacity = real(q.database.system().memory_capacity.get());
    if survey.resident < capacity {
        return Ok(());
    }
    Err(PerfModelError::WeightsDoNotFit {
        model: q.model.name.clone(),
        mapping: q.mapping,
        needed_gib: survey.resident / BYTES_PER_GIB,
        capacity_gib: capacity / BYTES_PER_GIB,
    })
}

#[cfg(test)]
mod tests;
