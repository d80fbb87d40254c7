//! How long prompts and answers are.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use dgdr_units::floor_count;

use crate::dice::Dice;

/// A distribution of lengths in tokens, at least one.
///
/// Written `500` (always), `100..900` (uniform, both ends included) or `500~50` (normal: mean and deviation).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lengths {
    /// Always the same.
    Fixed(u32),
    /// Each length equally often.
    Uniform {
        /// Shortest.
        low: u32,
        /// Longest.
        high: u32,
    },
    /// Around a mean.
    Normal {
        /// Mean.
        mean: u32,
        /// Standard deviation.
        deviation: u32,
    },
}

impl Lengths {
    /// Draws a length.
    pub fn draw(self, dice: &mut Dice) -> u32 {
        match self {
            Self::Fixed(length) => length.max(1),
            Self::Uniform { low, high } => {
                let span = u64::from(high.saturating_sub(low)) + 1;
                let above = u32::try_from(dice.below(span)).unwrap_or(0);
                low.saturating_add(above).max(1)
            }
            Self::Normal { mean, deviation } => {
                let drawn = f64::from(mean) + f64::from(deviation) * dice.normal();
                u32::try_from(floor_count(drawn.round()))
                    .unwrap_or(u32::MAX)
                    .max(1)
            }
        }
    }

    /// The length, when there is only one.
    pub const fn fixed(self) -> Option<u32> {
        match self {
            Self::Fixed(length) => Some(length),
            Self::Uniform { .. } | Self::Normal { .. } => None,
        }
    }

    /// Its mean and standard deviation, tokens; what is cut off at one token is not counted.
    pub fn moments(self) -> (f64, f64) {
        match self {
            Self::Fixed(length) => (f64::from(length), 0.0),
            Self::Uniform { low, high } => {
                let span = f64::from(high) - f64::from(low);
                (
                    f64::midpoint(f64::from(low), f64::from(high)),
                    span / 12.0_f64.sqrt(),
                )
            }
            Self::Normal { mean, deviation } => (f64::from(mean), f64::from(deviation)),
        }
    }
}

impl Display for Lengths {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(length) => write!(f, "{length}"),
            Self::Uniform { low, high } => write!(f, "{low}..{high}"),
            Self::Normal { mean, deviation } => write!(f, "{mean}~{deviation}"),
        }
    }
}

impl FromStr for Lengths {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let text = text.trim();
            text.parse()
                .map_err(|_| format!("`{text}` is no number of tokens"))
        };
        let lengths = if let Some((low, high)) = text.split_once("..") {
            let (low, high) = (number(low)?, number(high)?);
            if low > high {
                return Err(format!("the shortest length {low} is above the longest {high}"));
            }
            Self::Uniform { low, high }
        } else if let Some((mean, deviation)) = text.split_once('~') {
            Self::Normal {
                mean: number(mean)?,
                deviation: number(deviation)?,
            }
        } else {
            Self::Fixed(number(text)?)
        };
        let (mean, _) = lengths.moments();
        if mean < 1.0 {
            return Err("a length is at least one token".to_owned());
        }
        Ok(lengths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_lengths() -> impl Strategy<Value = Lengths> {
        prop_oneof![
            (1_u32..100_000).prop_map(Lengths::Fixed),
            (1_u32..1000, 0_u32..1000).prop_map(|(low, more)| Lengths::Uniform {
                low,
                high: low + more
            }),
            (1_u32..1000, 0_u32..300).prop_map(|(mean, deviation)| Lengths::Normal { mean, deviation }),
        ]
    }

    #[test]
    fn what_is_no_length_is_refused() {
        for text in ["", "0", "9..1", "5~x", "-3", "1.5"] {
            assert!(text.parse::<Lengths>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn printing_then_parsing_is_the_identity(lengths in any_lengths()) {
            prop_assert_eq!(lengths.to_string().parse(), Ok(lengths));
        }

        #[test]
        fn draws_stay_in_the_distribution(lengths in any_lengths(), seed in any::<u64>()) {
            let mut dice = Dice::new(seed);
            for _ in 0..100 {
                let drawn = lengths.draw(&mut dice);
                prop_assert!(drawn >= 1);
                match lengths {
                    Lengths::Fixed(length) => prop_assert_eq!(drawn, length),
                    Lengths::Uniform { low, high } => prop_assert!((low..=high).contains(&drawn)),
                    Lengths::Normal { mean, deviation } => prop_assert!(drawn <= mean + 9 * deviation),
                }
            }
        }
    }
}
