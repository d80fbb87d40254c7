//! Why points make no curve, and why a query has no answer.

use crate::Axis;

/// Why points make no curve or surface.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Too few points for a curve.
    #[error(
        "a prefill curve needs at least {need} points with different input lengths, got {have}: measure more input lengths"
    )]
    TooFewPoints {
        /// Points given.
        have: usize,
        /// Points needed.
        need: usize,
    },
    /// No context length was measured at two KV usages.
    #[error(
        "a decode surface needs one context length with at least 2 kv usages, got {points} point(s) over {rows} context \
         length(s): measure more concurrencies at each context length"
    )]
    NoUsableRow {
        /// Points given.
        points: usize,
        /// Distinct context lengths among them.
        rows: usize,
    },
    /// Two points lie at the same place.
    #[error("two points lie at {axis} {at}: keep one of them")]
    Duplicate {
        /// The axis that does not rise strictly.
        axis: Axis,
        /// Where on the axis.
        at: f64,
    },
    /// A number that has to be above zero (and finite) is not.
    #[error(
        "{quantity} of point {index} must be a finite number above 0, got {value}: drop or repeat that measurement"
    )]
    NotPositive {
        /// Which number.
        quantity: &'static str,
        /// Index of the point as given.
        index: usize,
        /// The number.
        value: f64,
    },
    /// The engine has no KV cache.
    #[error("max_kv_tokens must be above 0: read the engine's KV capacity before measuring decode")]
    NoKvCapacity,
}

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The query lies outside the measured range.
    #[error(
        "{axis} {value} lies outside the measured range {low} to {high}: stay inside it or ask for extrapolation"
    )]
    OutOfRange {
        /// The axis.
        axis: Axis,
        /// The query's value on it.
        value: f64,
        /// Lowest valid value (for KV usage: at the context length of the query).
        low: f64,
        /// Highest valid value (for KV usage: at the context length of the query).
        high: f64,
    },
    /// The query is not a positive finite number.
    #[error("{axis} must be a finite number above 0, got {value}")]
    NotANumber {
        /// The axis.
        axis: Axis,
        /// The query's value on it.
        value: f64,
    },
    /// Places along an axis are not in order.
    #[error("{axis} has to rise from query to query, but {value} follows a larger one: sort the queries")]
    Unsorted {
        /// The axis.
        axis: Axis,
        /// The first value that does not rise.
        value: f64,
    },
    /// The continuation from the edge left the possible values.
    #[error(
        "extrapolation gives {value}, which is not above 0: ask for a place nearer to the measured range"
    )]
    Meaningless {
        /// What the continuation gives.
        value: f64,
    },
    /// Even the lightest measured load is over the limit.
    #[error(
        "{limit_ms} ms is below the {lowest_ms} ms that {axis} {at} takes, the smallest one measured: raise the limit or use more GPUs"
    )]
    LimitTooLow {
        /// The limit in milliseconds.
        limit_ms: f64,
        /// What the lightest measured load takes, in milliseconds.
        lowest_ms: f64,
        /// The axis along which the answer was sought.
        axis: Axis,
        /// The lightest measured load.
        at: f64,
    },
    /// An idle engine breaks the limit already.
    #[error(
        "{limit_ms} ms is below the {takes_ms:.2} ms that {axis} {at} takes on an idle engine: raise the limit, shorten \
         the prompts or use more GPUs per engine"
    )]
    OverLimit {
        /// The limit in milliseconds.
        limit_ms: f64,
        /// What it takes, in milliseconds.
        takes_ms: f64,
        /// The axis of the query.
        axis: Axis,
        /// The query's value on it.
        at: f64,
    },
}
