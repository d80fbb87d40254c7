//! Pseudo-random choices: the same seed makes the same ones on every machine.

/// A pseudo-random sequence (SplitMix64).
#[derive(Debug)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    /// The sequence of a seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `most`.
    pub(crate) fn up_to(&mut self, most: u32) -> u32 {
        let wide = ((self.next() >> 32) * (u64::from(most) + 1)) >> 32;
        u32::try_from(wide).unwrap_or(most)
    }

    /// True this many times of a hundred.
    pub(crate) fn percent(&mut self, share: u32) -> bool {
        self.up_to(99) < share
    }

    /// One of them, each as often as the others; none of none.
    pub(crate) fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let last = u32::try_from(all.len().checked_sub(1)?).unwrap_or(u32::MAX);
        all.get(usize::try_from(self.up_to(last)).unwrap_or(0))
    }
}
