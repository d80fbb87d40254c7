//! Pseudo-random choices: the same seed makes the same ones on every machine.

use dgdr_units::{floor_count, real};

/// Reals that a unit draw can tell apart: 2^53.
const UNIT_STEPS: f64 = 9_007_199_254_740_992.0;

/// A pseudo-random sequence (SplitMix64).
#[derive(Debug, Clone)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// The sequence of a seed.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// One of many independent sequences of a seed.
    pub const fn stream(seed: u64, number: u64) -> Self {
        let mut dice = Self::new(seed ^ number.wrapping_mul(0xD134_2543_DE82_EF95));
        // The first draw mixes seed and number; what follows starts from there.
        let state = dice.draw();
        Self { state }
    }

    /// 64 random bits.
    pub const fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A real from 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        real(self.draw() >> 11) / UNIT_STEPS
    }

    /// A count from 0 to below `bound`; 0 when there is nothing below.
    pub fn below(&mut self, bound: u64) -> u64 {
        floor_count(self.unit() * real(bound)).min(bound.saturating_sub(1))
    }

    /// One of them, each as often as the others; none of none.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(all.len()).unwrap_or(u64::MAX);
        all.get(usize::try_from(self.below(count)).unwrap_or(0))
    }

    /// An exponentially distributed real of mean 1: the gaps of a Poisson process.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// A normally distributed real of mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_sequence_and_streams_differ() {
        let draws = |mut dice: Dice| [dice.draw(), dice.draw(), dice.draw()];
        assert_eq!(draws(Dice::new(7)), draws(Dice::new(7)));
        assert_ne!(draws(Dice::stream(7, 0)), draws(Dice::stream(7, 1)));
        assert_ne!(draws(Dice::stream(7, 0)), draws(Dice::stream(8, 0)));
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut dice = Dice::new(1);
        let draws = 20_000_u32;
        let (mut unit, mut exponential, mut normal, mut square) = (0.0, 0.0, 0.0, 0.0);
        for _ in 0..draws {
            unit += dice.unit();
            exponential += dice.exponential();
            let z = dice.normal();
            normal += z;
            square += z * z;
        }
        let n = f64::from(draws);
        assert!((unit / n - 0.5).abs() < 0.01, "{unit}");
        assert!((exponential / n - 1.0).abs() < 0.03, "{exponential}");
        assert!((normal / n).abs() < 0.03, "{normal}");
        assert!((square / n - 1.0).abs() < 0.05, "{square}");
    }

    #[test]
    fn counts_stay_below_their_bound() {
        let mut dice = Dice::new(3);
        assert!((0..1000).all(|_| dice.below(3) < 3));
        assert_eq!(dice.below(0), 0);
        assert_eq!(dice.pick::<u8>(&[]), None);
    }
}
