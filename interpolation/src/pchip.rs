//! A monotone cubic through points: PCHIP.

use crate::cubic::{Cubic, Polynomial};

/// So few knots are counted rather than searched: counting needs no branch that could be guessed wrong.
const COUNTED_KNOTS: usize = 32;

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
    /// The cells, ready to be asked.
    polynomials: Vec<Polynomial>,
}

impl Pchip {
    /// Fits the knots.
    pub(crate) fn new(xs: Vec<f64>, ys: Vec<f64>) -> Self {
        let slopes = slopes(&xs, &ys);
        Self::with_slopes(xs, ys, slopes)
    }

    /// The one cubic that has these values and slopes at both ends.
    pub(crate) fn of_cubic(cubic: Cubic) -> Self {
        Self::with_slopes(
            vec![cubic.start, cubic.end],
            cubic.values.to_vec(),
            cubic.slopes.to_vec(),
        )
    }

    fn with_slopes(xs: Vec<f64>, ys: Vec<f64>, slopes: Vec<f64>) -> Self {
        let mut fit = Self {
            xs,
            ys,
            slopes,
            polynomials: Vec::new(),
        };
        fit.polynomials = fit.cells().map(|cell| cell.polynomial()).collect();
        fit
    }

    /// Positions of the knots.
    pub(crate) fn xs(&self) -> &[f64] {
        &self.xs
    }

    /// Values at the knots.
    pub(crate) fn ys(&self) -> &[f64] {
        &self.ys
    }

    /// First position.
    #[inline]
    pub(crate) fn low(&self) -> f64 {
        self.xs[0]
    }

    /// Last position.
    #[inline]
    pub(crate) fn high(&self) -> f64 {
        self.xs[self.xs.len() - 1]
    }

    /// Last position minus the first, zero for one knot.
    #[inline]
    pub(crate) fn width(&self) -> f64 {
        self.high() - self.low()
    }

    /// Value at `x`; outside the knots the edge goes on in a straight line.
    #[inline]
    pub(crate) fn at(&self, x: f64) -> f64 {
        let last = self.xs.len() - 1;
        if x <= self.xs[0] {
            return self.ys[0] + self.slopes[0] * (x - self.xs[0]);
        }
        if x >= self.xs[last] {
            return self.ys[last] + self.slopes[last] * (x - self.xs[last]);
        }
        self.polynomials[self.cell_of(x)].at(x)
    }

    /// Adds the values at rising positions to `values`, cell by cell: nothing is searched for, and a cell is one loop
    /// without branches. Each is what [`Self::at`] gives.
    pub(crate) fn along(&self, positions: &[f64], values: &mut Vec<f64>) {
        let last = self.xs.len() - 1;
        let (first_x, last_x) = (self.xs[0], self.xs[last]);
        let edge = |at: usize| move |x: &f64| self.ys[at] + self.slopes[at] * (x - self.xs[at]);
        let (below, mut rest) = positions.split_at(positions.partition_point(|x| *x <= first_x));
        values.extend(below.iter().map(edge(0)));
        for (polynomial, end) in self.polynomials.iter().zip(&self.xs[1..]) {
            let (inside, further) = rest.split_at(rest.partition_point(|x| x < end && *x < last_x));
            values.extend(inside.iter().map(|x| polynomial.at(*x)));
            rest = further;
        }
        values.extend(rest.iter().map(edge(last)));
    }

    /// Slope at `x`; outside the knots that of the edge.
    pub(crate) fn slope_at(&self, x: f64) -> f64 {
        let last = self.xs.len() - 1;
        if x <= self.xs[0] {
            self.slopes[0]
        } else if x >= self.xs[last] {
            self.slopes[last]
        } else {
            self.polynomials[self.cell_of(x)].slope_at(x)
        }
    }

    /// The cells from left to right; none for one knot.
    pub(crate) fn cells(&self) -> impl Iterator<Item = Cubic> + '_ {
        (0..self.xs.len() - 1).map(|index| Cubic {
            start: self.xs[index],
            end: self.xs[index + 1],
            values: [self.ys[index], self.ys[index + 1]],
            slopes: [self.slopes[index], self.slopes[index + 1]],
        })
    }

    /// The index of the knot at `x`, if there is one.
    pub(crate) fn knot_at(&self, x: f64) -> Option<usize> {
        let index = self.xs.partition_point(|knot| *knot < x);
        self.xs
            .get(index)
            .is_some_and(|knot| knot.total_cmp(&x).is_eq())
            .then_some(index)
    }

    /// Index of the cell that holds `x`, which lies strictly inside the knots.
    #[inline]
    fn cell_of(&self, x: f64) -> usize {
        let behind = if self.xs.len() <= COUNTED_KNOTS {
            self.xs.iter().filter(|knot| **knot <= x).count()
        } else {
            self.xs.partition_point(|knot| *knot <= x)
        };
        behind - 1
    }
}

/// The numbers without the one at `index`.
pub(crate) fn without(numbers: &[f64], index: usize) -> Vec<f64> {
    [&numbers[..index], &numbers[index + 1..]].concat()
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
