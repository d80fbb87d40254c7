//! Extrapolation beyond a grid: the utilisation of the nearest measured points is held.

use dgdr_units::real;

use crate::tables::Grid;
use crate::{Axis, Beyond, OperatorLatency, Source};

/// How many of the nearest points share the answer; one more sets the radius at which their weight ends.
const NEIGHBOURS: usize = 4;

/// Keeps a distance of zero from dividing by zero.
const EPSILON: f64 = 1e-12;

/// A measured point as a neighbour of a query.
#[derive(Debug, Clone, Copy)]
struct Neighbour {
    distance: f64,
    cell: usize,
    at: [u64; 3],
    utilisation: f64,
}

/// The nearest points so far, by distance and then by cell.
#[derive(Debug, Default)]
struct Nearest {
    found: [Option<Neighbour>; NEIGHBOURS + 1],
}

impl Nearest {
    /// The distance beyond which nothing can enter.
    fn reach(&self) -> f64 {
        self.found[NEIGHBOURS].map_or(f64::INFINITY, |last| last.distance)
    }

    fn offer(&mut self, candidate: Neighbour) {
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
    fn at(&self) -> Option<[u64; 3]> {
        self.found[0].map(|nearest| nearest.at)
    }

    /// Modified Shepard interpolation: the weight of a neighbour falls to zero at the distance of the first one left out.
    fn utilisation(&self) -> Option<f64> {
        let radius = self.found[NEIGHBOURS].map(|left_out| left_out.distance);
        let neighbours = || self.found[..NEIGHBOURS].iter().flatten();
        let weight = |distance: f64| match radius {
            Some(radius) => ((radius - distance).max(0.0) / radius.mul_add(distance, EPSILON)).powi(2),
            None => 1.0 / distance.mul_add(distance, EPSILON),
        };
        let (mut sum, mut total) = (0.0, 0.0);
        for neighbour in neighbours() {
            sum += weight(neighbour.distance) * neighbour.utilisation;
            total += weight(neighbour.distance);
        }
        if total > 0.0 {
            return Some(sum / total);
        }
        let (mut sum, mut count) = (0.0, 0.0);
        for neighbour in neighbours() {
            sum += neighbour.utilisation;
            count += 1.0;
        }
        (count > 0.0).then(|| sum / count)
    }
}

/// Base-2 logarithm of a coordinate; zero counts as nearly zero.
fn octaves(coordinate: u64) -> f64 {
    real(coordinate).max(EPSILON).log2()
}

/// A coordinate of an axis by its distance to the query's.
#[derive(Debug, Clone, Copy)]
struct Step {
    position: usize,
    coordinate: u64,
    squared: f64,
}

/// Walks along an axis from the coordinate nearest to a query outwards.
struct Outwards<'a> {
    axis: &'a [u32],
    query: f64,
    below: usize,
    above: usize,
}

impl<'a> Outwards<'a> {
    fn new(axis: &'a [u32], query: u64) -> Self {
        let split = axis.partition_point(|coordinate| u64::from(*coordinate) < query);
        Self {
            axis,
            query: octaves(query),
            below: split,
            above: split,
        }
    }

    fn step(&self, position: usize) -> Option<Step> {
        let coordinate = u64::from(*self.axis.get(position)?);
        let squared = (octaves(coordinate) - self.query).powi(2);
        Some(Step {
            position,
            coordinate,
            squared,
        })
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

/// Roofline latency over the utilisation held from the nearest points of a grid of three axes; distances are Euclidean
/// in octaves. `axes` names the axes. None where no point has a positive roofline.
pub(super) fn hold(
    grid: &Grid,
    axes: [Axis; 3],
    query: [u64; 3],
    roofline: &impl Fn([u64; 3]) -> f64,
) -> Option<OperatorLatency> {
    let [first, second, third] = grid.axes() else {
        return None;
    };
    let mut nearest = Nearest::default();
    // Beyond this, by more than rounding, no later step of the same walk can enter either.
    let beyond = |nearest: &Nearest, squared: f64| squared.sqrt() > nearest.reach() * (1.0 + 1e-9);
    for a in Outwards::new(first, query[0]) {
        if beyond(&nearest, a.squared) {
            break;
        }
        for b in Outwards::new(second, query[1]) {
            if beyond(&nearest, a.squared + b.squared) {
                break;
            }
            for c in Outwards::new(third, query[2]) {
                let squared = a.squared + b.squared + c.squared;
                if beyond(&nearest, squared) {
                    break;
                }
                let cell = (a.position * second.len() + b.position) * third.len() + c.position;
                let Some(ms) = grid.latency(cell) else { continue };
                let at = [a.coordinate, b.coordinate, c.coordinate];
                let speed_of_light = roofline(at);
                if speed_of_light > 0.0 {
                    nearest.offer(Neighbour {
                        distance: squared.sqrt(),
                        cell,
                        at,
                        utilisation: speed_of_light / ms,
                    });
                }
            }
        }
    }
    let at = nearest.at()?;
    let beyond = [0, 1, 2].map(|axis| Beyond::new(axes[axis], at[axis], query[axis]));
    Some(OperatorLatency {
        ms: roofline(query) / nearest.utilisation()?,
        source: Source::Extrapolated(beyond.into_iter().max()?),
    })
}

#[cfg(test)]
mod tests;
