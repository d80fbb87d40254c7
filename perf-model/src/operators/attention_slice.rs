//! One slice of an attention table: latency over heads and two token axes, for one number of heads.

use std::sync::Arc;

use super::curve::{Bracket, Curve, bracket, fraction};
use super::hold::hold;
use crate::tables::Grid;
use crate::{Axis, OperatorLatency, Source};

/// Whether values between two points of the middle axis are blended as they are or by their square roots, which suits
/// latencies that grow with the square of the coordinate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MiddleBlend {
    Linear,
    SquareRoot,
}

impl MiddleBlend {
    /// What the axes count: a table whose middle axis wants square roots is one of prefill, by sequence and then batch;
    /// decode is measured by batch and then sequence.
    const fn axes(self) -> [Axis; 3] {
        match self {
            Self::Linear => [Axis::Heads, Axis::Batch, Axis::Sequence],
            Self::SquareRoot => [Axis::Heads, Axis::Sequence, Axis::Batch],
        }
    }
}

/// The measurements for one number of heads.
#[derive(Debug, Clone, PartialEq)]
struct Plane {
    heads: u64,
    /// Ascending; only those with measurements.
    keys: Box<[u64]>,
    rows: Box<[Curve]>,
}

/// The planes that one number of heads is answered from.
#[derive(Debug, Clone, PartialEq)]
enum Planes {
    At(Plane),
    Between(Plane, Plane),
    Outside,
}

/// A slice seen from one number of heads.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AttentionSlice {
    grid: Arc<Grid>,
    planes: Planes,
    heads: u64,
    blend: MiddleBlend,
}

impl AttentionSlice {
    pub(super) fn new(grid: Arc<Grid>, heads: u64, blend: MiddleBlend) -> Self {
        let measured: Vec<(usize, u64)> = grid
            .axes()
            .first()
            .map(|axis| {
                axis.iter()
                    .enumerate()
                    .map(|(position, heads)| (position, u64::from(*heads)))
                    .collect()
            })
            .unwrap_or_default();
        let keys: Vec<u64> = measured.iter().map(|(_, heads)| *heads).collect();
        let plane = |position: usize| Plane::new(&grid, position);
        let planes = match bracket(&keys, heads) {
            Bracket::At(position) => plane(position).map_or(Planes::Outside, Planes::At),
            Bracket::Above(position) => match (plane(position), plane(position + 1)) {
                (Some(low), Some(high)) => Planes::Between(low, high),
                _ => Planes::Outside,
            },
            Bracket::Outside => Planes::Outside,
        };
        Self {
            grid,
            planes,
            heads,
            blend,
        }
    }

    /// Latency at the two token coordinates (middle and innermost axis): measured, interpolated, or beyond the
    /// measurements by the `roofline` of (heads, middle, innermost). None where the roofline is zero everywhere.
    pub(super) fn latency(
        &self,
        at: [u64; 2],
        roofline: &impl Fn([u64; 3]) -> f64,
    ) -> Option<OperatorLatency> {
        let query = [self.heads, at[0], at[1]];
        let inside = match &self.planes {
            Planes::At(plane) => plane.latency(query, self.blend, roofline),
            Planes::Between(low, high) => {
                let ends = [low, high].map(|plane| plane.latency(query, self.blend, roofline));
                join(
                    Span {
                        axis: 0,
                        name: Axis::Heads,
                        ends: [low.heads, high.heads],
                        blend: MiddleBlend::Linear,
                    },
                    ends,
                    query,
                    roofline,
                )
            }
            Planes::Outside => None,
        };
        inside.or_else(|| hold(&self.grid, self.blend.axes(), query, roofline))
    }
}

impl Plane {
    fn new(grid: &Grid, position: usize) -> Option<Self> {
        let [heads, middle, _] = grid.axes() else {
            return None;
        };
        let (keys, rows): (Vec<u64>, Vec<Curve>) = middle
            .iter()
            .enumerate()
            .filter_map(|(row, key)| {
                Some((
                    u64::from(*key),
                    Curve::of_row(grid, position * middle.len() + row)?,
                ))
            })
            .unzip();
        Some(Self {
            heads: u64::from(*heads.get(position)?),
            keys: keys.into(),
            rows: rows.into(),
        })
    }

    fn latency(
        &self,
        query: [u64; 3],
        blend: MiddleBlend,
        roofline: &impl Fn([u64; 3]) -> f64,
    ) -> Option<OperatorLatency> {
        match bracket(&self.keys, query[1]) {
            Bracket::At(row) => self.rows[row].inside(query[2]),
            Bracket::Above(row) => {
                let span = Span {
                    axis: 1,
                    name: blend.axes()[1],
                    ends: [self.keys[row], self.keys[row + 1]],
                    blend,
                };
                let ends = [row, row + 1].map(|row| self.rows[row].inside(query[2]));
                join(span, ends, query, roofline)
            }
            Bracket::Outside => None,
        }
    }
}

/// Two neighbouring coordinates of one axis.
#[derive(Debug, Clone, Copy)]
struct Span {
    axis: usize,
    name: Axis,
    ends: [u64; 2],
    blend: MiddleBlend,
}

/// Blends the latencies at both ends of a span; where the measurements are ragged and only one end has one, that end is
/// scaled by the roofline.
fn join(
    span: Span,
    ends: [Option<OperatorLatency>; 2],
    query: [u64; 3],
    roofline: &impl Fn([u64; 3]) -> f64,
) -> Option<OperatorLatency> {
    let scaled = |survivor: OperatorLatency, end: u64| {
        let mut snapped = query;
        snapped[span.axis] = end;
        let reference = roofline(snapped);
        (reference > 0.0).then(|| OperatorLatency {
            ms: survivor.ms * roofline(query) / reference,
            source: survivor
                .source
                .worse(Source::extrapolated(span.name, end, query[span.axis])),
        })
    };
    match ends {
        [Some(low), Some(high)] => {
            let weight = fraction(span.ends[0], query[span.axis], span.ends[1]);
            let ms = match span.blend {
                MiddleBlend::Linear => (high.ms - low.ms).mul_add(weight, low.ms),
                MiddleBlend::SquareRoot => {
                    let (low, high) = (low.ms.sqrt(), high.ms.sqrt());
                    (high - low).mul_add(weight, low).powi(2)
                }
            };
            let source = low.source.worse(high.source).worse(Source::Interpolated);
            Some(OperatorLatency { ms, source })
        }
        [Some(low), None] => scaled(low, span.ends[0]),
        [None, Some(high)] => scaled(high, span.ends[1]),
        [None, None] => None,
    }
}

#[cfg(test)]
mod tests;
