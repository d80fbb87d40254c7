//! Hyper-connections of DeepSeek-V4.

use super::curve::Curve;
use super::miss::{Measured, OperatorMiss};
use super::roofline;
use crate::graph::{HyperConnectionShape, HyperConnectionSide};
use crate::{OperatorLatency, SystemSpec};

const TABLE: &str = "mhc";

impl HyperConnectionSide {
    /// The name used in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pre => "pre",
            Self::Post => "post",
        }
    }
}

impl HyperConnectionShape {
    /// Parameters of one connection: the mixing product's weights, its bias, and three scales.
    pub(super) fn parameters(&self) -> f64 {
        let (streams, hidden) = (f64::from(self.streams), f64::from(self.hidden));
        let weights = (2.0 + streams) * streams;
        weights * streams * hidden + weights + 3.0
    }

    fn wanted(&self) -> String {
        format!(
            "op_name {}, streams {}, hidden {}",
            self.side.name(),
            self.streams,
            self.hidden
        )
    }
}

/// Cost of one side of a layer's connections as a function of the number of tokens.
#[derive(Debug, Clone)]
pub struct HyperConnectionCost {
    system: &'static SystemSpec,
    shape: HyperConnectionShape,
    curve: Curve,
    measured_on: String,
}

impl HyperConnectionCost {
    pub(crate) fn resolve(measured: Measured<'_>, shape: HyperConnectionShape) -> Result<Self, OperatorMiss> {
        let missing = || measured.not_measured(TABLE, shape.wanted());
        let directory = measured.directory(TABLE)?;
        let slice = directory
            .word(shape.side.name())
            .and_then(|side| directory.find(&[side, shape.streams, shape.hidden]))
            .ok_or_else(missing)?;
        let grid = measured.file.grid(directory, slice)?;
        Ok(Self {
            system: measured.system,
            shape,
            curve: Curve::of_row(&grid, 0).ok_or_else(missing)?,
            measured_on: measured.label(),
        })
    }

    /// Latency of one layer.
    ///
    /// # Errors
    /// [`OperatorMiss::OutOfReach`] for fewer tokens than the only measured number.
    pub fn latency(&self, tokens: u64) -> Result<OperatorLatency, OperatorMiss> {
        let roofline = |tokens| roofline::hyper_connection(self.system, &self.shape, tokens);
        self.curve
            .held(tokens, roofline)
            .ok_or_else(|| OperatorMiss::OutOfReach {
                operator: TABLE,
                wanted: format!("{}, tokens {tokens}", self.shape.wanted()),
                measured_on: self.measured_on.clone(),
            })
    }
}
