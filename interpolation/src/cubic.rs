//! One cubic Hermite segment, and where it first rises above a limit.

/// A cubic over `[start, end]`, given by its values and slopes at both ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cubic {
    pub(crate) start: f64,
    pub(crate) end: f64,
    pub(crate) values: [f64; 2],
    /// Derivatives by the axis.
    pub(crate) slopes: [f64; 2],
}

impl Cubic {
    /// Coefficients of the share `u` (0 at the start, 1 at the end), highest power first.
    fn coefficients(&self) -> [f64; 4] {
        let width = self.end - self.start;
        let [y0, y1] = self.values;
        let [m0, m1] = [self.slopes[0] * width, self.slopes[1] * width];
        [2.0 * (y0 - y1) + m0 + m1, 3.0 * (y1 - y0) - 2.0 * m0 - m1, m0, y0]
    }

    /// Value at the share `u`, exact at 0 and 1.
    pub(crate) fn at_share(&self, u: f64) -> f64 {
        if u >= 1.0 {
            return self.values[1];
        }
        let [cubic, square, linear, constant] = self.coefficients();
        ((cubic * u + square) * u + linear) * u + constant
    }

    /// The same as a polynomial, for many questions.
    pub(crate) fn polynomial(&self) -> Polynomial {
        let [y0, y1] = self.values;
        let [cubic, square, linear, constant] = self.coefficients();
        let width = self.end - self.start;
        Polynomial {
            start: self.start,
            coefficients: [
                cubic / width / width / width,
                square / width / width,
                linear / width,
                constant,
            ],
            bounds: [y0.min(y1), y0.max(y1)],
        }
    }

    /// The largest `x` such that the segment is at or below `limit` from its start up to `x`; `None` when that is all
    /// of it. The start itself has to be at or below the limit.
    pub(crate) fn first_above(&self, limit: f64) -> Option<f64> {
        let mut turns = self.turning_shares();
        turns.push(1.0);
        let mut from = 0.0;
        for to in turns {
            if self.at_share(to) > limit {
                return Some(self.start + self.crossing(limit, [from, to]) * (self.end - self.start));
            }
            from = to;
        }
        None
    }

    /// Shares strictly inside the segment where the slope is zero, rising.
    fn turning_shares(&self) -> Vec<f64> {
        let [cubic, square, linear, _] = self.coefficients();
        let (a, b) = (3.0 * cubic, 2.0 * square);
        let discriminant = b * b - 4.0 * a * linear;
        if discriminant < 0.0 {
            return Vec::new();
        }
        // The form that does not cancel: one root from the larger sum, the other from Vieta.
        let larger = -0.5 * (b + discriminant.sqrt().copysign(b));
        let mut shares: Vec<f64> = [larger / a, linear / larger]
            .into_iter()
            .filter(|share| *share > 0.0 && *share < 1.0)
            .collect();
        shares.sort_by(f64::total_cmp);
        shares
    }

    /// The last share at or below `limit` in a stretch that starts at or below it and ends above it.
    fn crossing(&self, limit: f64, [mut low, mut high]: [f64; 2]) -> f64 {
        loop {
            let middle = f64::midpoint(low, high);
            if middle <= low || middle >= high {
                return low;
            }
            if self.at_share(middle) <= limit {
                low = middle;
            } else {
                high = middle;
            }
        }
    }
}

/// The value, or the bound that it is beyond. Two comparisons of the form that processors have an instruction for; those
/// of the standard library ask more about values that are no numbers.
#[inline]
pub(crate) fn within(value: f64, [low, high]: [f64; 2]) -> f64 {
    let value = if value < low { low } else { value };
    if value > high { high } else { value }
}

/// A cubic that stays between its ends, by its coefficients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Polynomial {
    start: f64,
    /// Of the distance from the start, highest power first.
    coefficients: [f64; 4],
    bounds: [f64; 2],
}

impl Polynomial {
    /// Value at `x` inside the segment, exact at its start. Rounding may leave the bounds by the last digit; the law is
    /// kept exactly.
    #[inline]
    pub(crate) fn at(&self, x: f64) -> f64 {
        let along = x - self.start;
        let [cubic, square, linear, constant] = self.coefficients;
        within(
            ((cubic * along + square) * along + linear) * along + constant,
            self.bounds,
        )
    }

    /// Derivative by the axis at `x` inside the segment.
    pub(crate) fn slope_at(&self, x: f64) -> f64 {
        let along = x - self.start;
        let [cubic, square, linear, _] = self.coefficients;
        (3.0 * cubic * along + 2.0 * square) * along + linear
    }
}
