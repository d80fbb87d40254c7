//! Whole-numbered quantities: tokens, GPUs, bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Defines a newtype over an unsigned integer.
macro_rules! count {
    ($(#[$doc:meta])* $name:ident, $repr:ty, $one:literal, $many:literal) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub struct $name($repr);

        impl $name {
            /// None of it.
            pub const ZERO: Self = Self(0);

            /// Wraps a count.
            pub const fn new(count: $repr) -> Self {
                Self(count)
            }

            /// The count.
            pub const fn get(self) -> $repr {
                self.0
            }

            /// The difference, or zero where `other` is larger.
            #[must_use]
            pub const fn saturating_sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }
        }

        impl From<$name> for $repr {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl std::ops::Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }
        }

        impl std::ops::Mul<$repr> for $name {
            type Output = Self;
            fn mul(self, factor: $repr) -> Self {
                Self(self.0.saturating_mul(factor))
            }
        }

        impl std::iter::Sum for $name {
            fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
                parts.fold(Self::ZERO, |total, part| total + part)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} {}", self.0, if self.0 == 1 { $one } else { $many })
            }
        }
    };
}

count!(
    /// A number of tokens.
    Tokens, u64, "token", "tokens"
);
count!(
    /// A number of GPUs.
    Gpus, u32, "GPU", "GPUs"
);
count!(
    /// A number of bytes.
    Bytes, u64, "byte", "bytes"
);

impl Bytes {
    /// The same amount in gibibytes.
    pub fn gib(self) -> f64 {
        crate::real(self.0) / crate::BYTES_PER_GIB
    }
}
