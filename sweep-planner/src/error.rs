//! What can be wrong with a question to the planner.

use dgdr_units::UnitError;

/// Why a question or an answer was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlannerError {
    /// Lengths that no request can have.
    #[error(
        "{field}: {value} is not usable, it must be {expected}; \
         set {field} to the length of a typical request"
    )]
    Workload {
        /// Path of the field in a request.
        field: &'static str,
        /// The refused value.
        value: u32,
        /// What is allowed, in words.
        expected: &'static str,
    },
    /// A budget or a load of nothing.
    #[error("{field}: must be greater than zero; remove it or set a positive number")]
    Zero {
        /// Path of the field in a request.
        field: &'static str,
    },
    /// An answer was recorded although nothing was asked.
    #[error("an answer was recorded but no query is open: ask the walk for its next query first")]
    NothingAsked,
    /// An answer of another kind than the query.
    #[error("the query was {query}, the answer is of another kind: measure what was asked")]
    WrongAnswer {
        /// The open query.
        query: String,
    },
    /// A grid that would have fewer than three distinct points, too few for any curve.
    #[error(
        "the {axis} grid from {low} to {high} has only {points} distinct point(s), but a curve needs at least 3: {remedy}"
    )]
    GridTooSmall {
        /// What the axis holds, for example `prefill ISL`.
        axis: &'static str,
        /// Smallest value of the axis.
        low: u64,
        /// Largest value of the axis.
        high: u64,
        /// Distinct points that are possible.
        points: usize,
        /// What to change.
        remedy: &'static str,
    },
    /// A derived number left the range of its unit.
    #[error("a derived quantity is out of range: {0}; check the answers of the probe")]
    Unit(#[from] UnitError),
}
