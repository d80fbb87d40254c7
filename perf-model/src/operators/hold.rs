//! Extrapolation beyond a grid: the utilisation of the nearest measured points is held.

use crate::tables::{Grid, octaves};
use crate::{Axis, Beyond, OperatorLatency, Source};

/// How many of the nearest points share the answer; one more sets the radius at which their weight ends.
const NEIGHBOURS: usize = 4;

/// Keeps a distance of zero from dividing by zero.
const EPSILON: f64 = 1e-12;

/// A measured point as a neighbour of a query.
#[derive(Debug, Clone, Copy)]
struct Neighbour<const N: usize> {
    distance: f64,
    cell: usize,
    at: [u64; N],
}

/// The nearest points so far, by distance and then by cell.
#[derive(Debug)]
struct Nearest<const N: usize> {
    found: [Option<Neighbour<N>>; NEIGHBOURS + 1],
}

impl<const N: usize> Nearest<N> {
    /// The distance beyond which nothing can enter.
    fn reach(&self) -> f64 {
        self.found[NEIGHBOURS].map_or(f64::INFINITY, |last| last.distance)
    }

    fn offer(&mut self, candidate: Neighbour<N>) {
        let mut moving = Some(candidate);
        for slot in &mut self.found {
            match (*slot, moving) {
                (Some(kept), Some(new)) if (kept.distance, kept.cell) <= (new.distance, new.cell) => {}
                (_, None) => return,
                (displaced, Some(_)) => {
                    *slot = moving;
                    moving = displaced;
                }
            }
        }
    }

    /// Where the nearest point is.
    fn at(&self) -> Option<[u64; N]> {
        self.found[0].map(|nearest| nearest.at)
    }

    /// Modified Shepard interpolation: the weight of a neighbour falls to zero at the distance of the first one left out.
    fn utilisation(&self, grid: &Grid, roofline: &impl Fn([u64; N]) -> f64) -> Option<f64> {
        let radius = self.found[NEIGHBOURS].map(|left_out| left_out.distance);
        let weight = |distance: f64| match radius {
            Some(radius) => ((radius - distance).max(0.0) / (radius * distance + EPSILON)).powi(2),
            None => 1.0 / (distance * distance + EPSILON),
        };
        let (mut weighted, mut weights) = (0.0, 0.0);
        let (mut sum, mut count) = (0.0, 0.0);
        for neighbour in self.found[..NEIGHBOURS].iter().flatten() {
            let utilisation = roofline(neighbour.at) / grid.latency(neighbour.cell)?;
            if utilisation > 0.0 {
                let weight = weight(neighbour.distance);
                weighted += weight * utilisation;
                weights += weight;
                sum += utilisation;
                count += 1.0;
            }
        }
        if weights > 0.0 {
            return Some(weighted / weights);
        }
        (count > 0.0).then(|| sum / count)
    }
}

/// A coordinate of an axis by its distance to the query's.
#[derive(Debug, Clone, Copy)]
struct Step {
    position: usize,
    squared: f64,
}

/// Walks along an axis from the coordinate nearest to a query outwards; all in octaves.
struct Outwards<'a> {
    axis: &'a [f64],
    query: f64,
    below: usize,
    above: usize,
}

impl<'a> Outwards<'a> {
    /// `split` coordinates of the axis lie below the query.
    const fn new(axis: &'a [f64], query: f64, split: usize) -> Self {
        Self {
            axis,
            query,
            below: split,
            above: split,
        }
    }

    fn step(&self, position: usize) -> Option<Step> {
        let squared = (self.axis.get(position)? - self.query).powi(2);
        Some(Step { position, squared })
    }
}

impl Iterator for Outwards<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let below = self.below.checked_sub(1).and_then(|position| self.step(position));
        let above = self.step(self.above);
        match (below, above) {
            (Some(low), Some(high)) if low.squared <= high.squared => {
                self.below -= 1;
                Some(low)
            }
            (_, Some(high)) => {
                self.above += 1;
                Some(high)
            }
            (Some(low), None) => {
                self.below -= 1;
                Some(low)
            }
            (None, None) => None,
        }
    }
}

/// A walk over the points around a query that visits near ones first and stops where no further one can matter.
struct Walk<'a, const N: usize> {
    grid: &'a Grid,
    query: [f64; N],
    /// How many coordinates of each axis lie below the query.
    splits: [usize; N],
    nearest: Nearest<N>,
}

impl<const N: usize> Walk<'_, N> {
    /// Visits the points that share the coordinates `at` on the axes before `axis`.
    ///
    /// `squared` is the squared distance along those axes, `cell` the cell counted over them.
    fn visit(&mut self, axis: usize, squared: f64, cell: usize, at: &mut [u64; N]) {
        let grid = self.grid;
        let Some(coordinates) = grid.axes().get(axis) else {
            self.offer(squared.sqrt(), cell, *at);
            return;
        };
        for step in Outwards::new(&grid.octaves()[axis], self.query[axis], self.splits[axis]) {
            let squared = squared + step.squared;
            // Beyond this, by more than rounding, no later step of the same walk can enter either.
            if squared > self.nearest.reach().powi(2) * (1.0 + 1e-8) {
                break;
            }
            at[axis] = u64::from(coordinates[step.position]);
            self.visit(axis + 1, squared, cell * coordinates.len() + step.position, at);
        }
    }

    fn offer(&mut self, distance: f64, cell: usize, at: [u64; N]) {
        if self.grid.has(cell) {
            self.nearest.offer(Neighbour { distance, cell, at });
        }
    }
}

/// Roofline latency over the utilisation held from the nearest points of a grid of `N` axes; distances are Euclidean in
/// octaves. `axes` names the axes. None where no near point has a positive roofline.
pub(super) fn hold<const N: usize>(
    grid: &Grid,
    axes: [Axis; N],
    query: [u64; N],
    roofline: &impl Fn([u64; N]) -> f64,
) -> Option<OperatorLatency> {
    if grid.axes().len() != N {
        return None;
    }
    let octaves = query.map(octaves);
    let mut walk = Walk {
        grid,
        query: octaves,
        splits: std::array::from_fn(|axis| {
            grid.octaves()[axis].partition_point(|coordinate| *coordinate < octaves[axis])
        }),
        nearest: Nearest {
            found: [None; NEIGHBOURS + 1],
        },
    };
    walk.visit(0, 0.0, 0, &mut [0; N]);
    let at = walk.nearest.at()?;
    let beyond = (0..N).map(|axis| Beyond::new(axes[axis], at[axis], query[axis]));
    Some(OperatorLatency {
        ms: roofline(query) / walk.nearest.utilisation(grid, roofline)?,
        source: Source::Extrapolated(beyond.max()?),
    })
}

#[cfg(test)]
mod tests;
