//! What is covered by measured tables, and what is not and why.

use crate::backend::Backend;
use crate::engine::missing_operators;
use crate::error::PerfModelError;
use crate::mapping::ParallelMapping;
use crate::model::ModelSpec;
use crate::precision::PrecisionOverrides;
use crate::quant::Precision;
use crate::system::SystemSpec;
use crate::tables::PerfDatabase;

/// What to look up.
#[derive(Debug, Clone, Copy)]
pub struct CoverageQuery<'a> {
    /// The model.
    pub model: &'a ModelSpec,
    /// GPU system.
    pub system: &'static SystemSpec,
    /// Engine.
    pub backend: Backend,
    /// How the model is spread.
    pub mapping: ParallelMapping,
    /// Formats that are insisted on.
    pub precision: PrecisionOverrides,
}

/// Whether predictions rest on measured tables.
#[derive(Debug, Clone, PartialEq)]
pub enum Coverage {
    /// Every operator was measured.
    Measured {
        /// Version of the engine that was measured.
        version: String,
        /// Formats that the model runs in.
        precision: Precision,
    },
    /// The tables lack operators.
    Incomplete {
        /// Version of the engine that was measured.
        version: String,
        /// Formats that the model would run in.
        precision: Precision,
        /// One [`PerfModelError::Operator`] for each, in step order.
        missing: Vec<PerfModelError>,
    },
    /// No prediction is possible, whatever the operators.
    NotCovered(PerfModelError),
}

impl Coverage {
    /// Looks a combination up.
    pub fn of(q: CoverageQuery<'_>) -> Self {
        match Self::look_up(q) {
            Ok(coverage) => coverage,
            Err(reason) => Self::NotCovered(reason),
        }
    }

    fn look_up(q: CoverageQuery<'_>) -> Result<Self, PerfModelError> {
        let database = PerfDatabase::embedded(q.system, q.backend, None)?;
        let precision = Precision::infer_with(q.model, &database, q.precision)?;
        let missing = missing_operators(&database, q.model, precision, q.mapping)?;
        let version = database.version().to_owned();
        Ok(if missing.is_empty() {
            Self::Measured { version, precision }
        } else {
            Self::Incomplete {
                version,
                precision,
                missing,
            }
        })
    }

    /// True when every operator was measured.
    pub const fn is_measured(&self) -> bool {
        matches!(self, Self::Measured { .. })
    }
}

#[cfg(test)]
mod tests;
