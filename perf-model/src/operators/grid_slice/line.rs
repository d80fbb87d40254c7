//! Latencies along the last axis of a slice.

use super::super::curve::{Bracket, bracket, fraction};
use crate::{OperatorLatency, Source};

/// Measured points along an axis.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Row<'a> {
    /// Ascending.
    pub(super) keys: &'a [u64],
    /// Milliseconds at each key.
    pub(super) ms: &'a [f64],
}

/// Latencies along an axis.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Line<'a> {
    /// Measured points.
    At(Row<'a>),
    /// Points between two measured rows.
    Between {
        /// The row below.
        low: Row<'a>,
        /// The row above.
        high: Row<'a>,
        /// How far it is from the one to the other, 0 to 1.
        weight: f64,
    },
}

impl Row<'_> {
    fn at(&self, coordinate: u64) -> Option<OperatorLatency> {
        match bracket(self.keys, coordinate) {
            Bracket::At(position) => Some(OperatorLatency {
                ms: self.ms[position],
                source: Source::Measured,
            }),
            Bracket::Above(position) => {
                let weight = fraction(self.keys[position], coordinate, self.keys[position + 1]);
                let (low, high) = (self.ms[position], self.ms[position + 1]);
                Some(OperatorLatency {
                    ms: (high - low).mul_add(weight, low),
                    source: Source::Interpolated,
                })
            }
            Bracket::Outside => None,
        }
    }
}

impl Line<'_> {
    /// Latency at a coordinate; none outside the measurements of a row.
    pub(in super::super) fn at(&self, coordinate: u64) -> Option<OperatorLatency> {
        match self {
            Self::At(row) => row.at(coordinate),
            Self::Between { low, high, weight } => {
                let (low, high) = (low.at(coordinate)?, high.at(coordinate)?);
                Some(OperatorLatency {
                    ms: (high.ms - low.ms).mul_add(*weight, low.ms),
                    source: Source::Interpolated,
                })
            }
        }
    }
}
