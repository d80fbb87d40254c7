//! The ground that every other crate stands on: quantities with their unit in the type.
//!
//! A value is checked once, at construction; inside the workspace nothing re-checks it. Fields are private, there is
//! no `Deref` and no `From<f64>`, and `Display` prints the unit, so a number cannot lose or change its meaning on
//! the way.
#![forbid(unsafe_code)]

mod count;
mod error;
mod measure;

pub use count::{Bytes, Gpus, Tokens};
pub use error::UnitError;
pub use measure::{Fraction, Milliseconds, RequestsPerSecond, TokensPerSecond};

/// Bytes in one gibibyte.
pub const BYTES_PER_GIB: f64 = 1_073_741_824.0;

/// A count as a real number, exact up to 2^53; larger counts (which no quantity of serving reaches) round.
#[expect(
    clippy::cast_precision_loss,
    reason = "the one place where counts become reals; exact below 2^53"
)]
pub const fn real(count: u64) -> f64 {
    count as f64
}

/// A non-negative real rounded down to a count; negative, NaN and oversized values saturate.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the one place where reals become counts; `as` saturates, which the doc promises"
)]
pub const fn floor_count(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests;
