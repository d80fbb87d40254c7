//! Latency over one sorted axis.

use dgdr_units::real;

use crate::tables::Grid;
use crate::{Axis, OperatorLatency, Source};

/// Where a coordinate lies among sorted ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bracket {
    /// It is one of them.
    At(usize),
    /// It lies between this one and the next.
    Above(usize),
    /// It lies below the first or above the last.
    Outside,
}

/// Finds a coordinate among ascending `keys`.
pub(super) fn bracket(keys: &[u64], coordinate: u64) -> Bracket {
    match keys.binary_search(&coordinate) {
        Ok(position) => Bracket::At(position),
        Err(0) => Bracket::Outside,
        Err(position) if position == keys.len() => Bracket::Outside,
        Err(position) => Bracket::Above(position - 1),
    }
}

/// How far `coordinate` is from `low` to `high`, 0 to 1.
pub(super) fn fraction(low: u64, coordinate: u64, high: u64) -> f64 {
    (real(coordinate) - real(low)) / (real(high) - real(low))
}

/// The value at `weight`, 0 to 1, on the way from one value to another.
///
/// Not `mul_add`: without a target feature for it, that is a library call, five times as slow as the rest of a lookup.
pub(super) fn blend(low: f64, high: f64, weight: f64) -> f64 {
    low + (high - low) * weight
}

/// A measured point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) key: u64,
    /// Milliseconds.
    pub(super) ms: f64,
}

/// Measured points along one axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curve {
    /// Ascending.
    pub(super) keys: Box<[u64]>,
    /// Milliseconds at each key.
    pub(super) ms: Box<[f64]>,
}

impl Curve {
    /// The measured points of one row of a grid's innermost axis; none when the row is empty.
    pub(super) fn of_row(grid: &Grid, row: usize) -> Option<Self> {
        let axis = grid.axes().last()?;
        let start = row * axis.len();
        let points: Vec<(u64, f64)> = axis
            .iter()
            .enumerate()
            .filter_map(|(offset, key)| Some((u64::from(*key), grid.latency(start + offset)?)))
            .collect();
        if points.is_empty() {
            return None;
        }
        Some(Self {
            keys: points.iter().map(|(key, _)| *key).collect(),
            ms: points.iter().map(|(_, ms)| *ms).collect(),
        })
    }

    /// Linear between points.
    pub(super) fn inside(&self, coordinate: u64) -> Option<OperatorLatency> {
        match bracket(&self.keys, coordinate) {
            Bracket::At(position) => Some(OperatorLatency {
                ms: self.ms[position],
                source: Source::Measured,
            }),
            Bracket::Above(position) => {
                let weight = fraction(self.keys[position], coordinate, self.keys[position + 1]);
                Some(OperatorLatency {
                    ms: blend(self.ms[position], self.ms[position + 1], weight),
                    source: Source::Interpolated,
                })
            }
            Bracket::Outside => None,
        }
    }

    /// The first or the last point, whichever is on the side of `coordinate`.
    pub(super) fn end_near(&self, coordinate: u64) -> Point {
        let position = if coordinate < self.keys[0] {
            0
        } else {
            self.keys.len() - 1
        };
        Point {
            key: self.keys[position],
            ms: self.ms[position],
        }
    }

    /// Linear between points; beyond them, proportional to the coordinate from the nearest end. `axis` names what the
    /// coordinate is.
    pub(super) fn proportional(&self, axis: Axis, coordinate: u64) -> OperatorLatency {
        self.inside(coordinate).unwrap_or_else(|| {
            let end = self.end_near(coordinate);
            OperatorLatency {
                ms: end.ms * real(coordinate) / real(end.key),
                source: Source::extrapolated(axis, end.key, coordinate),
            }
        })
    }

    /// Linear between points; beyond them, at the share of the `roofline` that the nearest end reaches.
    ///
    /// None where the roofline is no time at all, and below a curve of a single point, from which no slope is known.
    pub(super) fn held(&self, tokens: u64, roofline: impl Fn(u64) -> f64) -> Option<OperatorLatency> {
        if let Some(found) = self.inside(tokens) {
            return Some(found);
        }
        let end = if tokens < self.keys[0] {
            0
        } else {
            self.keys.len() - 1
        };
        if self.keys.len() == 1 && tokens < self.keys[0] {
            return None;
        }
        let (here, there) = (roofline(tokens), roofline(self.keys[end]));
        (here > 0.0 && there > 0.0).then(|| OperatorLatency {
            ms: self.ms[end] * here / there,
            source: Source::extrapolated(Axis::Tokens, self.keys[end], tokens),
        })
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    use dgdr_units::real;

    use super::Curve;
    use crate::{Axis, OperatorLatency, Source};

    fn curve() -> Curve {
        Curve {
            keys: [10, 20, 40].into(),
            ms: [1.0, 3.0, 2.0].into(),
        }
    }

    fn at(coordinate: u64) -> OperatorLatency {
        curve().proportional(Axis::Tokens, coordinate)
    }

    #[test]
    fn points_are_exact_and_ends_are_scaled() {
        assert_eq!(at(20).source, Source::Measured);
        assert_relative_eq!(at(20).ms, 3.0);
        assert_relative_eq!(at(30).ms, 2.5);
        assert_relative_eq!(at(5).ms, 0.5);
        assert_relative_eq!(at(80).ms, 4.0);
        assert_eq!(at(80).source, Source::extrapolated(Axis::Tokens, 40, 80));
        assert_eq!(curve().inside(41), None);
    }

    #[test]
    fn a_held_curve_follows_the_roofline_from_its_nearest_end() {
        let square = |tokens: u64| real(tokens * tokens);
        assert_relative_eq!(curve().held(5, square).unwrap().ms, 0.25);
        assert_relative_eq!(curve().held(80, square).unwrap().ms, 8.0);
        assert_relative_eq!(curve().held(30, square).unwrap().ms, 2.5);
        assert_eq!(curve().held(0, square), None);
        let single = Curve {
            keys: [10].into(),
            ms: [1.0].into(),
        };
        assert_eq!(single.held(9, square), None);
        assert_relative_eq!(single.held(20, square).unwrap().ms, 4.0);
    }

    proptest! {
        #[test]
        fn inside_a_segment_a_value_stays_between_its_ends(
            ms in proptest::collection::vec(0.001_f64..100.0, 3), at in 10_u64..=40,
        ) {
            let curve = Curve { ms: ms.clone().into(), ..curve() };
            let (low, high) = if at <= 20 { (ms[0], ms[1]) } else { (ms[1], ms[2]) };
            let found = curve.inside(at).unwrap().ms;
            prop_assert!(found >= low.min(high) * (1.0 - 1e-12) && found <= low.max(high) * (1.0 + 1e-12));
        }
    }
}
