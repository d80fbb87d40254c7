//! Why a number is not a quantity.

/// A number that is not a value of the unit it was given for.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// The number is NaN or infinite.
    #[error("{unit} must be a finite number, got {value}")]
    NotFinite {
        /// Name of the unit.
        unit: &'static str,
        /// The rejected number.
        value: f64,
    },
    /// The number lies outside the unit's range.
    #[error("{unit} must be {range}, got {value}")]
    OutOfRange {
        /// Name of the unit.
        unit: &'static str,
        /// The allowed range in words.
        range: &'static str,
        /// The rejected number.
        value: f64,
    },
}
