//! One slice of a table: latencies over the product of sorted axes, with holes.

use dgdr_units::{floor_count, real};

/// Latencies over sorted axes, outermost first; cells may be absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    pub(super) axes: Box<[Box<[u32]>]>,
    pub(super) octaves: Box<[Box<[f64]>]>,
    pub(super) present: Box<[bool]>,
    pub(super) codes: Box<[u32]>,
    pub(super) scale: LogScale,
    pub(super) order: Box<[u32]>,
}

/// How codes stand for latencies: `2^(floor + code × step)` milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LogScale {
    pub(super) floor: f64,
    pub(super) step: f64,
}

impl Grid {
    /// Coordinates along each axis, ascending, outermost axis first.
    pub fn axes(&self) -> &[Box<[u32]>] {
        &self.axes
    }

    /// Base-2 logarithms of the coordinates along each axis.
    pub(crate) fn octaves(&self) -> &[Box<[f64]>] {
        &self.octaves
    }

    /// Number of cells, absent ones included.
    pub fn cells(&self) -> usize {
        self.codes.len()
    }

    /// Milliseconds at a cell (row-major, the innermost axis varying fastest); none where nothing was measured.
    pub fn latency(&self, cell: usize) -> Option<f64> {
        let present = *self.present.get(cell)?;
        present.then(|| (self.scale.step * f64::from(self.codes[cell]) + self.scale.floor).exp2())
    }

    /// Whether something was measured at a cell.
    pub fn has(&self, cell: usize) -> bool {
        self.present.get(cell).copied().unwrap_or(false)
    }

    /// The order in which cells of the outer axes (all but the innermost) first appeared in the source, where that
    /// order matters: it breaks ties between equally near GEMM sites.
    pub fn order(&self) -> &[u32] {
        &self.order
    }
}

/// A coordinate of zero counts as nearly zero.
const NEARLY_ZERO: f64 = 1e-12;

/// Base-2 logarithm of a coordinate.
pub(crate) fn octaves(coordinate: u64) -> f64 {
    real(coordinate).max(NEARLY_ZERO).log2()
}

/// Base-2 logarithms of all coordinates.
pub(super) fn octaves_along(axes: &[Box<[u32]>]) -> Box<[Box<[f64]>]> {
    let along = |axis: &[u32]| {
        axis.iter()
            .map(|coordinate| octaves(u64::from(*coordinate)))
            .collect()
    };
    axes.iter().map(|axis| along(axis)).collect()
}

/// Codes of computed latencies: from a nanosecond to an hour in steps that cost no precision.
const FINE: LogScale = LogScale {
    floor: -20.0,
    step: 1e-8,
};

impl Grid {
    /// The latencies of two grids together, at the coordinates that both have.
    pub(crate) fn sum(&self, other: &Self) -> Self {
        let latencies: Vec<Option<f64>> = (0..self.cells())
            .map(|cell| {
                let there = other.cell(&self.coordinates(cell))?;
                Some(self.latency(cell)? + other.latency(there)?)
            })
            .collect();
        Self {
            axes: self.axes.clone(),
            octaves: self.octaves.clone(),
            present: latencies.iter().map(Option::is_some).collect(),
            codes: latencies
                .iter()
                .map(|ms| ms.map_or(0, |ms| FINE.code(ms)))
                .collect(),
            scale: FINE,
            order: Box::default(),
        }
    }

    fn coordinates(&self, cell: usize) -> Vec<u32> {
        let mut rest = cell;
        let mut at: Vec<u32> = self
            .axes
            .iter()
            .rev()
            .map(|axis| {
                let coordinate = axis[rest % axis.len()];
                rest /= axis.len();
                coordinate
            })
            .collect();
        at.reverse();
        at
    }

    fn cell(&self, at: &[u32]) -> Option<usize> {
        self.axes.iter().zip(at).try_fold(0, |cell, (axis, coordinate)| {
            Some(cell * axis.len() + axis.binary_search(coordinate).ok()?)
        })
    }
}

impl LogScale {
    /// The nearest code of a latency.
    fn code(self, ms: f64) -> u32 {
        let code = floor_count(((ms.log2() - self.floor) / self.step + 0.5).max(0.0));
        u32::try_from(code).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
impl Grid {
    /// A grid of known latencies, quantised finely enough to be exact in tests.
    pub(crate) fn of(axes: &[&[u32]], latency: impl Fn(&[u32]) -> Option<f64>) -> Self {
        let cells: usize = axes.iter().map(|axis| axis.len()).product();
        let axes: Box<[Box<[u32]>]> = axes.iter().map(|axis| (*axis).into()).collect();
        let empty = Self {
            octaves: octaves_along(&axes),
            axes,
            present: vec![false; cells].into(),
            codes: vec![0; cells].into(),
            scale: FINE,
            order: Box::default(),
        };
        let values: Vec<Option<f64>> = (0..cells).map(|cell| latency(&empty.coordinates(cell))).collect();
        Self {
            present: values.iter().map(Option::is_some).collect(),
            codes: values
                .iter()
                .map(|value| value.map_or(0, |ms| FINE.code(ms)))
                .collect(),
            ..empty
        }
    }

    /// The same grid with another order of first appearance.
    pub(crate) fn with_order(mut self, order: &[u32]) -> Self {
        self.order = order.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::Grid;

    #[test]
    fn two_grids_add_up_where_both_were_measured() {
        let there = Grid::of(&[&[12, 20], &[1, 2, 8]], |at| {
            (at != [20, 8]).then(|| f64::from(at[1]))
        });
        let back = Grid::of(&[&[20], &[1, 2, 4, 8]], |at| Some(0.5 * f64::from(at[1])));
        let both = there.sum(&back);
        assert_eq!(both.axes(), there.axes());
        let found: Vec<Option<f64>> = (0..both.cells()).map(|cell| both.latency(cell)).collect();
        assert_eq!(found[..3], [None; 3]);
        assert_relative_eq!(found[3].unwrap(), 1.5, max_relative = 1e-8);
        assert_relative_eq!(found[4].unwrap(), 3.0, max_relative = 1e-8);
        assert_eq!(found[5], None);
    }
}
