//! What a query answers: a value, and where it came from.

use std::fmt;

use serde::Serialize;

/// A measured axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Input sequence length in tokens.
    Isl,
    /// Share of the engine's KV cache in use, from 0 to 1.
    KvUsage,
    /// Average context length of the running requests in tokens.
    ContextLength,
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Isl => "input length",
            Self::KvUsage => "kv usage",
            Self::ContextLength => "context length",
        })
    }
}

/// What to do with a query outside the measured range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutOfRange {
    /// Refuse it and name the valid range.
    #[default]
    Refuse,
    /// Continue from the edge, straight along input length and KV usage and with the trend of the nearest two context
    /// lengths across them, and say so in [`Reading::source`].
    Extrapolate,
}

/// How far a query lay outside the measured range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Beyond {
    /// The axis that was left.
    pub axis: Axis,
    /// Distance to the nearest edge, in the unit of the axis, always positive.
    pub by: f64,
    /// That edge.
    pub edge: f64,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Source {
    /// It is one of the points.
    Point,
    /// It lies on a point that contradicts others, so that the fit passes by it: the number is the fit's.
    ///
    /// ITL cannot fall when more requests run, so noisy points along KV usage are pooled until none does; and a
    /// quadratic passes by all points.
    Smoothed,
    /// It lies between points.
    Interpolated,
    /// It lies outside the measured range.
    Extrapolated {
        /// One entry for each axis that was left.
        beyond: Vec<Beyond>,
    },
}

/// A value together with where it came from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reading<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub source: Source,
    /// Relative error to expect of the fit there (root mean square): how well points that are left out are predicted in
    /// the same region. Zero on a point, `None` where nothing tells: outside the measured range, or where no point has
    /// neighbours on both sides.
    ///
    /// Leaving out a point widens the gap that is bridged to about twice, so the true error is rather smaller. How
    /// well the points themselves were measured or simulated is another matter.
    pub expected_error: Option<f64>,
}

/// What ended an inverse query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The limit itself: one step further breaks it.
    Limit,
    /// The measured range: the limit is never reached inside it, so the true answer may be larger.
    MeasuredRange,
    /// Neither: beyond it throughput falls again.
    Optimum,
}
