//! The measured points of a grid as a tree: under every coordinate only those that were measured with it.

use std::ops::Range;

use super::super::curve::{Bracket, bracket};
use super::line::Row;
use crate::tables::Grid;

/// The coordinates of one axis below every node of the axis before it.
#[derive(Debug, Clone, Default, PartialEq)]
struct Level {
    /// Ascending below each node.
    keys: Vec<u64>,
    /// Where each node's keys start, and at last where they end.
    starts: Vec<usize>,
}

/// Measured points, one level an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree<const N: usize> {
    levels: [Level; N],
    /// By position among the last level's keys.
    ms: Vec<f64>,
}

impl<const N: usize> Tree<N> {
    /// The points at `first` on the first axis, or at the two coordinates around it; no points where it is outside.
    /// None where the grid has not `N` axes.
    pub(super) fn around(grid: &Grid, first: u64) -> Option<Self> {
        let outer: Vec<u64> = grid.axes().first()?.iter().map(|key| u64::from(*key)).collect();
        let planes = match bracket(&outer, first) {
            Bracket::At(position) => position..position + 1,
            Bracket::Above(position) => position..position + 2,
            Bracket::Outside => 0..0,
        };
        Self::of(grid, planes)
    }

    /// All points. None where the grid has not `N` axes.
    pub(super) fn whole(grid: &Grid) -> Option<Self> {
        Self::of(grid, 0..grid.axes().first()?.len())
    }

    /// The points at these positions on the first axis.
    fn of(grid: &Grid, planes: Range<usize>) -> Option<Self> {
        let axes: &[Box<[u32]>; N] = grid.axes().try_into().ok()?;
        let plane = axes[1..].iter().map(|axis| axis.len()).product::<usize>();
        let mut tree = Self {
            levels: std::array::from_fn(|_| Level::default()),
            ms: Vec::new(),
        };
        let mut last: Option<[usize; N]> = None;
        for cell in planes.start * plane..planes.end * plane {
            let Some(ms) = grid.latency(cell) else { continue };
            let at = positions(axes, cell);
            let fresh = last.map_or(0, |last| {
                last.iter().zip(at).take_while(|(old, new)| *old == new).count()
            });
            for axis in fresh..N {
                if axis > fresh || last.is_none() {
                    let start = tree.levels[axis].keys.len();
                    tree.levels[axis].starts.push(start);
                }
                tree.levels[axis].keys.push(u64::from(axes[axis][at[axis]]));
            }
            tree.ms.push(ms);
            last = Some(at);
        }
        if last.is_none() {
            tree.levels[0].starts.push(0);
        }
        for level in &mut tree.levels {
            level.starts.push(level.keys.len());
        }
        Some(tree)
    }

    /// The coordinates below a node of an axis, and the position of the first among the axis's keys.
    pub(super) fn children(&self, axis: usize, node: usize) -> (&[u64], usize) {
        let level = &self.levels[axis];
        let (start, end) = (level.starts[node], level.starts[node + 1]);
        (&level.keys[start..end], start)
    }

    /// The measured points below a node of the last axis but one.
    pub(super) fn row(&self, node: usize) -> Row<'_> {
        let (keys, first) = self.children(N - 1, node);
        Row::new(keys, &self.ms[first..first + keys.len()])
    }

    /// Milliseconds at a position among the last axis's keys.
    pub(super) fn ms(&self, position: usize) -> f64 {
        self.ms[position]
    }
}

/// The position of a cell along each axis.
fn positions<const N: usize>(axes: &[Box<[u32]>; N], cell: usize) -> [usize; N] {
    let mut rest = cell;
    let mut at = [0; N];
    for (position, axis) in at.iter_mut().zip(axes).rev() {
        *position = rest % axis.len();
        rest /= axis.len();
    }
    at
}
