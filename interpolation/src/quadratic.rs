//! The parabola nearest to points.

use serde::Serialize;

/// `constant + linear · x + square · x²`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quadratic {
    /// Value at zero.
    pub constant: f64,
    /// Factor of the position.
    pub linear: f64,
    /// Factor of its square.
    pub square: f64,
}

impl Quadratic {
    /// Value at a position.
    pub fn at(&self, x: f64) -> f64 {
        (self.square * x + self.linear) * x + self.constant
    }

    /// Derivative at a position.
    pub(crate) fn slope_at(&self, x: f64) -> f64 {
        2.0 * self.square * x + self.linear
    }

    /// Least squares, each point alike; `None` with fewer than three positions.
    ///
    /// # Source
    /// G. E. Forsythe, "Generation and use of orthogonal polynomials for data-fitting with a digital computer", J. Soc.
    /// Indust. Appl. Math. 5 (1957): three polynomials that are orthogonal on the positions need no system of equations.
    pub(crate) fn nearest(xs: &[f64], ys: &[f64]) -> Option<Self> {
        if xs.len() < 3 {
            return None;
        }
        let ones = vec![1.0; xs.len()];
        let middle = dot(xs, &ones) / dot(&ones, &ones);
        let first: Vec<f64> = xs.iter().map(|x| x - middle).collect();
        let first_square = dot(&first, &first);
        let bend = xs.iter().zip(&first).map(|(x, p)| x * p * p).sum::<f64>() / first_square;
        let drop = first_square / dot(&ones, &ones);
        let second: Vec<f64> = xs
            .iter()
            .zip(&first)
            .map(|(x, p)| (x - bend) * p - drop)
            .collect();
        let [c0, c1, c2] = [&ones, &first, &second].map(|basis| dot(ys, basis) / dot(basis, basis));
        Some(Self {
            constant: c0 - c1 * middle + c2 * (middle * bend - drop),
            linear: c1 - c2 * (middle + bend),
            square: c2,
        })
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::Quadratic;

    #[test]
    fn a_parabola_is_found_again() {
        let truth = Quadratic {
            constant: 16.5,
            linear: 0.015,
            square: 4.2e-7,
        };
        let xs = [100.0, 1117.0, 2134.0, 9000.0, 131_071.0];
        let found = Quadratic::nearest(&xs, &xs.map(|x| truth.at(x))).expect("five points");
        assert_relative_eq!(found.constant, truth.constant, max_relative = 1e-9);
        assert_relative_eq!(found.linear, truth.linear, max_relative = 1e-9);
        assert_relative_eq!(found.square, truth.square, max_relative = 1e-9);
    }

    /// `numpy.polyfit([0, 1, 2, 3], [1, 2, 1, 4], 2)` gives 0.5, -0.7, 1.3.
    #[test]
    fn as_numpy_fits() {
        let found = Quadratic::nearest(&[0.0, 1.0, 2.0, 3.0], &[1.0, 2.0, 1.0, 4.0]).expect("four points");
        assert_relative_eq!(found.square, 0.5, epsilon = 1e-12);
        assert_relative_eq!(found.linear, -0.7, epsilon = 1e-12);
        assert_relative_eq!(found.constant, 1.3, epsilon = 1e-12);
    }

    #[test]
    fn two_points_make_none() {
        assert_eq!(Quadratic::nearest(&[1.0, 2.0], &[1.0, 2.0]), None);
    }
}
