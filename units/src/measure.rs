//! Real-valued quantities: durations, rates, fractions.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::UnitError;

/// Defines a checked newtype over `f64`; `$low..=$high` bounds it, `$range` says so in words.
macro_rules! measure {
    ($(#[$doc:meta])* $name:ident, $unit:literal, $suffix:literal, $low:expr, $high:expr, $range:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "f64", into = "f64")]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[cfg_attr(feature = "schema", schemars(with = "f64"))]
        pub struct $name(f64);

        impl $name {
            /// Nothing of it.
            pub const ZERO: Self = Self(0.0);

            /// Checks a number.
            ///
            /// # Errors
            /// [`UnitError`] when the number is not finite or out of range.
            pub fn new(value: f64) -> Result<Self, UnitError> {
                if !value.is_finite() {
                    return Err(UnitError::NotFinite { unit: $unit, value });
                }
                if !($low..=$high).contains(&value) {
                    return Err(UnitError::OutOfRange { unit: $unit, range: $range, value });
                }
                Ok(Self(value))
            }

            /// The number, in the unit of the type.
            pub const fn get(self) -> f64 {
                self.0
            }

            /// The larger of two values.
            #[must_use]
            pub fn max(self, other: Self) -> Self {
                if other.0 > self.0 { other } else { self }
            }

            /// The smaller of two values.
            #[must_use]
            pub fn min(self, other: Self) -> Self {
                if other.0 < self.0 { other } else { self }
            }

            /// Total order of the numbers (they are never NaN).
            pub fn total_cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.0.total_cmp(&other.0)
            }
        }

        impl TryFrom<f64> for $name {
            type Error = UnitError;
            fn try_from(value: f64) -> Result<Self, UnitError> {
                Self::new(value)
            }
        }

        impl From<$name> for f64 {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                if let Some(precision) = f.precision() {
                    write!(f, "{:.precision$}{}", self.0, $suffix)
                } else {
                    write!(f, "{}{}", self.0, $suffix)
                }
            }
        }
    };
}

measure!(
    /// A duration in milliseconds, at least zero.
    Milliseconds, "milliseconds", " ms", 0.0, f64::MAX, "at least 0"
);
measure!(
    /// A token rate in tokens per second, at least zero.
    TokensPerSecond, "tokens per second", " tokens/s", 0.0, f64::MAX, "at least 0"
);
measure!(
    /// A request rate in requests per second, at least zero.
    RequestsPerSecond, "requests per second", " req/s", 0.0, f64::MAX, "at least 0"
);
measure!(
    /// A share from 0 to 1.
    Fraction, "fraction", "", 0.0, 1.0, "from 0 to 1"
);

impl std::ops::Add for Milliseconds {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}
