//! How far a fit can be trusted between its points.

use serde::Serialize;

use crate::Axis;

/// One point as predicted by the fit without it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KnotError {
    /// The axis along which its neighbours predicted it.
    pub along: Axis,
    /// Where the point lies.
    pub at: Vec<(Axis, f64)>,
    /// What was measured, in milliseconds.
    pub measured_ms: f64,
    /// What the others predict, in milliseconds.
    pub predicted_ms: f64,
}

impl KnotError {
    /// Predicted minus measured, as a share of measured.
    pub fn relative(&self) -> f64 {
        (self.predicted_ms - self.measured_ms) / self.measured_ms
    }
}

/// Leave-one-out errors of a fit.
///
/// Only points with neighbours on both sides count: the others would be extrapolated. The gap that a point leaves is
/// about twice as wide as the gaps of the fit, so these errors are larger than those of the fit itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeaveOneOut {
    errors: Vec<KnotError>,
}

impl LeaveOneOut {
    pub(crate) fn new(errors: Vec<KnotError>) -> Self {
        Self { errors }
    }

    /// The error of each inner point.
    pub fn errors(&self) -> &[KnotError] {
        &self.errors
    }

    /// The largest relative error; `None` when no point has neighbours on both sides.
    pub fn worst(&self) -> Option<&KnotError> {
        self.errors
            .iter()
            .max_by(|a, b| a.relative().abs().total_cmp(&b.relative().abs()))
    }

    /// Root of the mean squared relative error; `None` when no point has neighbours on both sides.
    pub fn rms_relative(&self) -> Option<f64> {
        let count = u32::try_from(self.errors.len()).ok().filter(|count| *count > 0)?;
        let sum: f64 = self.errors.iter().map(|error| error.relative().powi(2)).sum();
        Some((sum / f64::from(count)).sqrt())
    }
}
