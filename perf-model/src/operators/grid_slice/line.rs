//! Latencies along the last axis of a slice, for those who ask for many of them in ascending order.

use super::super::curve::{blend, fraction};
use super::{Descent, Span};
use crate::{OperatorLatency, Source};

/// Measured points along an axis, and how far a walk along it has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    /// Ascending.
    keys: &'a [u64],
    /// Milliseconds at each key.
    ms: &'a [f64],
    /// The last key at or below the last coordinate that was asked for.
    reached: usize,
}

impl<'a> Row<'a> {
    pub(super) const fn new(keys: &'a [u64], ms: &'a [f64]) -> Self {
        Self { keys, ms, reached: 0 }
    }

    /// Latency at a coordinate that is not below the one before; none outside the measurements.
    fn at(&mut self, coordinate: u64) -> Option<OperatorLatency> {
        if coordinate < *self.keys.first()? {
            return None;
        }
        while self
            .keys
            .get(self.reached + 1)
            .is_some_and(|next| *next <= coordinate)
        {
            self.reached += 1;
        }
        let low = self.reached;
        if self.keys[low] == coordinate {
            return Some(OperatorLatency {
                ms: self.ms[low],
                source: Source::Measured,
            });
        }
        let weight = fraction(self.keys[low], coordinate, *self.keys.get(low + 1)?);
        Some(OperatorLatency {
            ms: blend(self.ms[low], self.ms[low + 1], weight),
            source: Source::Interpolated,
        })
    }
}

/// Latencies along an axis.
#[derive(Debug, Clone, Copy)]
pub(super) enum Line<'a> {
    /// Measured points.
    At(Row<'a>),
    /// Points between two measured rows.
    Between {
        /// The row below and the row above.
        rows: [Row<'a>; 2],
        /// Where the rows are.
        span: Span,
    },
}

impl Line<'_> {
    /// Latency at the last coordinate of a query, which is not below the one before; none outside the measurements.
    pub(super) fn at<const N: usize, R: Fn([u64; N]) -> f64>(
        &mut self,
        descent: &Descent<'_, N, R>,
    ) -> Option<OperatorLatency> {
        let coordinate = *descent.query.last()?;
        match self {
            Self::At(row) => row.at(coordinate),
            Self::Between { rows, span } => {
                let ends = rows.each_mut().map(|row| row.at(coordinate));
                descent.join(*span, ends)
            }
        }
    }
}
