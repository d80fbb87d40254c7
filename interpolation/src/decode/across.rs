//! How values go over from one context length to another.

/// Along `1 / (context + shift)`.
///
/// At one KV usage a step reads the same cache whatever the context, and the rest of its cost depends on the number of
/// requests, which goes with the reciprocal of the context. So without a shift a cost that is linear in requests is met
/// exactly; with one, a cost that saturates as `requests / (requests + some)` is; a shift below zero suits a cost that
/// bends upwards, a very large one is a line in the context itself. Which it is, the points tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Across {
    shift: f64,
}

/// Shifts that are tried, in shortest context lengths; none comes first, so that it wins a tie.
const SHIFTS: [f64; 12] = [0.0, -0.5, -0.25, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 1e6];

impl Across {
    /// The way among those that are tried whose error is least; without any error, along the reciprocal.
    pub(super) fn best(shortest: f64, error: impl Fn(Self) -> Option<f64>) -> Self {
        let mut best = (Self { shift: 0.0 }, f64::INFINITY);
        for shift in SHIFTS {
            let tried = Self {
                shift: shift * shortest,
            };
            if let Some(error) = error(tried)
                && error < best.1
            {
                best = (tried, error);
            }
        }
        best.0
    }

    /// How far a context length has gone on the way: 0 at the first end, 1 at the second.
    #[inline]
    pub(super) fn weight(self, [from, to]: [f64; 2], context_length: f64) -> f64 {
        // (1/from − 1/at) / (1/from − 1/to) of the shifted lengths, with one division.
        let shifted = (context_length + self.shift).max(f64::MIN_POSITIVE);
        (context_length - from) * (to + self.shift) / ((to - from) * shifted)
    }

    /// The quotient of two context lengths on the way.
    pub(super) fn ratio(self, context_length: f64, other: f64) -> f64 {
        (context_length + self.shift) / (other + self.shift)
    }

    /// What goes over in a straight line at one KV usage.
    pub(super) fn load(self, usage: f64, context_length: f64) -> f64 {
        usage / (context_length + self.shift)
    }
}
