//! A monotone cubic through points: PCHIP.

use crate::cubic::Cubic;

/// A piecewise cubic Hermite interpolant with Fritsch–Butland slopes.
///
/// Between two knots it stays between their values, and it is monotone there; so it is monotone wherever the data are.
/// One knot makes a constant, two make a line.
///
/// The caller guarantees at least one knot, strictly rising positions and as many finite values as positions.
///
/// # Source
/// F. N. Fritsch and J. Butland, "A method for constructing local monotone piecewise cubic interpolants", SIAM J. Sci.
/// Stat. Comput. 5 (1984); end slopes by the three-point formula of C. Moler, "Numerical Computing with MATLAB", 3.6.
#[derive(Debug, Clone)]
pub(crate) struct Pchip {
    xs: Vec<f64>,
    ys: Vec<f64>,
    slopes: Vec<f64>,
}

impl Pchip {
    /// Fits the knots.
    pub(crate) fn new(xs: Vec<f64>, ys: Vec<f64>) -> Self {
        let slopes = slopes(&xs, &ys);
        Self { xs, ys, slopes }
    }

    /// Positions of the knots.
    pub(crate) fn xs(&self) -> &[f64] {
        &self.xs
    }

    /// First position.
    pub(crate) fn low(&self) -> f64 {
        self.xs[0]
    }

    /// Last position.
    pub(crate) fn high(&self) -> f64 {
        self.xs[self.xs.len() - 1]
    }

    /// Last position minus the first, zero for one knot.
    pub(crate) fn width(&self) -> f64 {
        self.high() - self.low()
    }

    /// Value at `x`; outside the knots the edge goes on in a straight line.
    pub(crate) fn at(&self, x: f64) -> f64 {
        let last = self.xs.len() - 1;
        if x <= self.xs[0] {
            return self.ys[0] + self.slopes[0] * (x - self.xs[0]);
        }
        if x >= self.xs[last] {
            return self.ys[last] + self.slopes[last] * (x - self.xs[last]);
        }
        let cell = self.cell(self.cell_of(x));
        let [a, b] = cell.values;
        // Rounding may leave the cell's corners by the last digit; the law is kept exactly.
        cell.at(x).clamp(a.min(b), a.max(b))
    }

    /// Slope at `x`; outside the knots that of the edge.
    pub(crate) fn slope_at(&self, x: f64) -> f64 {
        let last = self.xs.len() - 1;
        if x <= self.xs[0] {
            self.slopes[0]
        } else if x >= self.xs[last] {
            self.slopes[last]
        } else {
            self.cell(self.cell_of(x)).slope_at(x)
        }
    }

    /// The cells from left to right; none for one knot.
    pub(crate) fn cells(&self) -> impl Iterator<Item = Cubic> + '_ {
        (0..self.xs.len() - 1).map(|index| self.cell(index))
    }

    /// The fit without the knot `index`.
    pub(crate) fn without(&self, index: usize) -> Self {
        let keep = |numbers: &[f64]| -> Vec<f64> { [&numbers[..index], &numbers[index + 1..]].concat() };
        Self::new(keep(&self.xs), keep(&self.ys))
    }

    /// Index of the cell that holds `x`, which lies strictly inside the knots.
    fn cell_of(&self, x: f64) -> usize {
        self.xs.partition_point(|knot| *knot <= x) - 1
    }

    fn cell(&self, index: usize) -> Cubic {
        Cubic {
            start: self.xs[index],
            end: self.xs[index + 1],
            values: [self.ys[index], self.ys[index + 1]],
            slopes: [self.slopes[index], self.slopes[index + 1]],
        }
    }
}

/// Slopes at the knots.
fn slopes(xs: &[f64], ys: &[f64]) -> Vec<f64> {
    let widths: Vec<f64> = xs.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let chords: Vec<f64> = ys
        .windows(2)
        .zip(&widths)
        .map(|(pair, width)| (pair[1] - pair[0]) / width)
        .collect();
    match chords.as_slice() {
        [] => vec![0.0],
        [only] => vec![*only; 2],
        [first, second, ..] => {
            let last = chords.len() - 1;
            let mut slopes = vec![end_slope([widths[0], widths[1]], [*first, *second])];
            slopes.extend(
                widths
                    .windows(2)
                    .zip(chords.windows(2))
                    .map(|(widths, chords)| inner_slope([widths[0], widths[1]], [chords[0], chords[1]])),
            );
            slopes.push(end_slope(
                [widths[last], widths[last - 1]],
                [chords[last], chords[last - 1]],
            ));
            slopes
        }
    }
}

/// Weighted harmonic mean of the two chords, zero at an extremum.
fn inner_slope([left, right]: [f64; 2], [before, after]: [f64; 2]) -> f64 {
    if before * after <= 0.0 {
        return 0.0;
    }
    let (w1, w2) = (2.0 * right + left, right + 2.0 * left);
    (w1 + w2) / (w1 / before + w2 / after)
}

/// Three-point slope at an end, limited so that the end cell stays monotone. `near` is the end cell.
fn end_slope([near, next]: [f64; 2], [chord, next_chord]: [f64; 2]) -> f64 {
    let slope = ((2.0 * near + next) * chord - near * next_chord) / (near + next);
    if slope * chord <= 0.0 {
        0.0
    } else if chord * next_chord < 0.0 && slope.abs() > 3.0 * chord.abs() {
        3.0 * chord
    } else {
        slope
    }
}

#[cfg(test)]
mod tests;
