//! One slice of a table over any number of axes, the first of which may be fixed when a model is: usually its heads.

mod line;
mod tree;

use std::sync::Arc;

use super::curve::{Bracket, blend, bracket, fraction};
use super::hold::hold;
use crate::tables::Grid;
use crate::{Axis, OperatorLatency, Source};
use tree::Tree;

use line::Line;

/// Whether values between two points of an axis are blended as they are or by their square roots, which suits latencies
/// that grow with the square of the coordinate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blend {
    Linear,
    SquareRoot,
}

/// What the axes of a slice count, and how values between their points are blended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Axes<const N: usize> {
    pub(super) names: [Axis; N],
    pub(super) blends: [Blend; N],
}

impl Axes<3> {
    /// Prefill attention: latency grows with the square of the sequence.
    pub(super) const CONTEXT: Self = Self {
        names: [Axis::Heads, Axis::Sequence, Axis::Batch],
        blends: [Blend::Linear, Blend::SquareRoot, Blend::Linear],
    };

    /// Decode attention.
    pub(super) const GENERATION: Self = Self {
        names: [Axis::Heads, Axis::Batch, Axis::Sequence],
        blends: [Blend::Linear; 3],
    };
}

/// A slice of `N` axes, whole or seen from one coordinate of the first.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct GridSlice<const N: usize> {
    grid: Arc<Grid>,
    tree: Tree<N>,
    first: Option<u64>,
    axes: Axes<N>,
}

impl<const N: usize> GridSlice<N> {
    /// A view from `first` on the first axis. None where the grid has not `N` axes.
    pub(super) fn new(grid: Arc<Grid>, first: u64, axes: Axes<N>) -> Option<Self> {
        let tree = Tree::around(&grid, first)?;
        Some(Self {
            grid,
            tree,
            first: Some(first),
            axes,
        })
    }

    /// A view of all of it. None where the grid has not `N` axes.
    pub(super) fn whole(grid: Arc<Grid>, axes: Axes<N>) -> Option<Self> {
        let tree = Tree::whole(&grid)?;
        Some(Self {
            grid,
            tree,
            first: None,
            axes,
        })
    }

    /// Latency at `query`, whose first coordinate a view replaces by its own: measured, interpolated, or beyond the
    /// measurements by the `roofline`. None where the roofline is zero everywhere.
    pub(super) fn latency(
        &self,
        mut query: [u64; N],
        roofline: &impl Fn([u64; N]) -> f64,
    ) -> Option<OperatorLatency> {
        query[0] = self.first.unwrap_or(query[0]);
        let descent = Descent {
            tree: &self.tree,
            axes: &self.axes,
            query,
            roofline,
        };
        descent
            .inside(0, 0)
            .or_else(|| hold(&self.grid, self.axes.names, query, roofline))
    }
}

/// The last axis on its own.
impl<const N: usize> GridSlice<N> {
    /// The latencies at `query` together, with each of these ascending coordinates in place of its last one: what
    /// [`Self::latency`] would answer one by one.
    pub(super) fn sum(
        &self,
        mut query: [u64; N],
        coordinates: &[u64],
        roofline: &impl Fn([u64; N]) -> f64,
    ) -> Option<OperatorLatency> {
        query[0] = self.first.unwrap_or(query[0]);
        let mut line = self.line(query);
        let mut total = OperatorLatency::ZERO;
        for coordinate in coordinates {
            query[N - 1] = *coordinate;
            let descent = Descent {
                tree: &self.tree,
                axes: &self.axes,
                query,
                roofline,
            };
            let inside = match &mut line {
                Some(line) => line.at(&descent),
                None => descent.inside(0, 0),
            };
            total = total.plus(inside.or_else(|| hold(&self.grid, self.axes.names, query, roofline))?);
        }
        Some(total)
    }

    /// The rows along the last axis at the other coordinates of `query`. None where [`Descent::inside`] has to look:
    /// outside the measurements, and between points of any axis but the last two.
    fn line(&self, query: [u64; N]) -> Option<Line<'_>> {
        let free = N.checked_sub(2)?;
        if self.axes.blends[N - 1] != Blend::Linear {
            return None;
        }
        let mut node = 0;
        for (axis, coordinate) in query.into_iter().enumerate().take(free) {
            let (keys, first) = self.tree.children(axis, node);
            let Bracket::At(position) = bracket(keys, coordinate) else {
                return None;
            };
            node = first + position;
        }
        let (keys, first) = self.tree.children(free, node);
        let row = |position: usize| self.tree.row(first + position);
        match bracket(keys, query[free]) {
            Bracket::At(position) => Some(Line::At(row(position))),
            Bracket::Above(position) => Some(Line::Between {
                rows: [row(position), row(position + 1)],
                span: Span {
                    axis: free,
                    ends: [keys[position], keys[position + 1]],
                },
            }),
            Bracket::Outside => None,
        }
    }
}

/// One query on its way down the axes.
struct Descent<'a, const N: usize, R> {
    tree: &'a Tree<N>,
    axes: &'a Axes<N>,
    query: [u64; N],
    roofline: &'a R,
}

/// The coordinates at both ends of a stretch of an axis.
#[derive(Debug, Clone, Copy)]
struct Span {
    axis: usize,
    ends: [u64; 2],
}

impl<const N: usize, R: Fn([u64; N]) -> f64> Descent<'_, N, R> {
    /// Latency below a node of an axis; none outside its coordinates.
    fn inside(&self, axis: usize, node: usize) -> Option<OperatorLatency> {
        let (keys, first) = self.tree.children(axis, node);
        match bracket(keys, self.query[axis]) {
            Bracket::At(position) => self.below(axis, first + position),
            Bracket::Above(position) => {
                let span = Span {
                    axis,
                    ends: [keys[position], keys[position + 1]],
                };
                let ends = [position, position + 1].map(|position| self.below(axis, first + position));
                self.join(span, ends)
            }
            Bracket::Outside => None,
        }
    }

    fn below(&self, axis: usize, child: usize) -> Option<OperatorLatency> {
        if axis + 1 == N {
            Some(OperatorLatency {
                ms: self.tree.ms(child),
                source: Source::Measured,
            })
        } else {
            self.inside(axis + 1, child)
        }
    }

    /// Blends the latencies at both ends of a span; where the measurements are ragged and only one end has one, that end
    /// is scaled by the roofline.
    fn join(&self, span: Span, ends: [Option<OperatorLatency>; 2]) -> Option<OperatorLatency> {
        match ends {
            [Some(low), Some(high)] => {
                let weight = fraction(span.ends[0], self.query[span.axis], span.ends[1]);
                let ms = match self.axes.blends[span.axis] {
                    Blend::Linear => blend(low.ms, high.ms, weight),
                    Blend::SquareRoot => {
                        let (low, high) = (low.ms.sqrt(), high.ms.sqrt());
                        blend(low, high, weight).powi(2)
                    }
                };
                let source = low.source.worse(high.source).worse(Source::Interpolated);
                Some(OperatorLatency { ms, source })
            }
            [Some(low), None] => self.scaled(low, span.axis, span.ends[0]),
            [None, Some(high)] => self.scaled(high, span.axis, span.ends[1]),
            [None, None] => None,
        }
    }

    fn scaled(&self, survivor: OperatorLatency, axis: usize, end: u64) -> Option<OperatorLatency> {
        let mut snapped = self.query;
        snapped[axis] = end;
        let reference = (self.roofline)(snapped);
        (reference > 0.0).then(|| OperatorLatency {
            ms: survivor.ms * (self.roofline)(self.query) / reference,
            source: survivor
                .source
                .worse(Source::extrapolated(self.axes.names[axis], end, self.query[axis])),
        })
    }
}

#[cfg(test)]
mod tests;
