//! Rows of one context length, and what lies between two of them.

use super::shape::{Quantity, occupancy};
use crate::cubic::Cubic;
use crate::isotonic;
use crate::leave_one_out::KnotError;
use crate::pchip::{Pchip, without};
use crate::{Axis, DecodePoint};

/// The points of one context length.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) context_length: f64,
    itl: Pchip,
    occupancy: Pchip,
    /// ITL as measured, which the fit passes by where it falls.
    measured_ms: Vec<f64>,
}

impl Row {
    /// Fits points of one context length, sorted by KV usage, at least one.
    pub(super) fn new(points: &[DecodePoint]) -> Self {
        let usage: Vec<f64> = points.iter().map(|point| point.kv_usage.get()).collect();
        let measured_ms: Vec<f64> = points.iter().map(|point| point.itl.get()).collect();
        Self {
            context_length: points[0].context_length,
            itl: Pchip::new(usage.clone(), isotonic::rising(&measured_ms)),
            occupancy: Pchip::new(usage, points.iter().map(occupancy).collect()),
            measured_ms,
        }
    }

    /// Number of points.
    pub(super) fn len(&self) -> usize {
        self.itl.xs().len()
    }

    /// KV usage and measured ITL (ms) of each point.
    pub(super) fn knots(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.itl
            .xs()
            .iter()
            .copied()
            .zip(self.measured_ms.iter().copied())
    }

    /// ITL (ms) of each point as the fit has it.
    pub(super) fn fitted(&self) -> &[f64] {
        self.itl.ys()
    }

    /// ITL of each inner point as the rest of the row predicts it.
    pub(super) fn errors_along<'a>(
        &'a self,
        at: impl Fn(f64) -> KnotError + 'a,
    ) -> impl Iterator<Item = KnotError> + 'a {
        let last = self.len() - 1;
        self.knots()
            .enumerate()
            .filter(move |(index, _)| *index > 0 && *index < last)
            .map(move |(index, (usage, measured_ms))| {
                let rest = isotonic::rising(&without(&self.measured_ms, index));
                KnotError {
                    measured_ms,
                    predicted_ms: Pchip::new(without(self.itl.xs(), index), rest).at(usage),
                    ..at(usage)
                }
            })
    }

    fn fit(&self, quantity: Quantity) -> &Pchip {
        match quantity {
            Quantity::Itl => &self.itl,
            Quantity::Occupancy => &self.occupancy,
        }
    }

    /// KV usage at a share of this row's range.
    fn usage_at(&self, share: f64) -> f64 {
        self.itl.low() + share * self.itl.width()
    }
}

/// One context length between two rows (or on one).
#[derive(Debug, Clone, Copy)]
pub(super) struct RowSpan<'a> {
    below: &'a Row,
    above: &'a Row,
    /// How far the values have gone over from the lower row (0) to the upper (1); outside that range beyond them.
    weight: f64,
    /// How far the range of KV usage has, from 0 to 1.
    edge_weight: f64,
}

impl<'a> RowSpan<'a> {
    /// The span of a context length; beyond the rows, the continuation of the nearest two.
    pub(super) fn at(rows: &'a [Row], context_length: f64) -> Self {
        let above = rows.partition_point(|row| row.context_length <= context_length);
        let last = rows.len() - 1;
        match above {
            _ if last == 0 => Self::on(&rows[0]),
            0 => Self::between(&rows[0], &rows[1], context_length),
            _ if above <= last => Self::between(&rows[above - 1], &rows[above], context_length),
            _ if context_length <= rows[last].context_length => Self::on(&rows[last]),
            _ => Self::between(&rows[last - 1], &rows[last], context_length),
        }
    }

    /// The span of one row alone.
    fn on(row: &'a Row) -> Self {
        Self {
            below: row,
            above: row,
            weight: 0.0,
            edge_weight: 0.0,
        }
    }

    /// The span of a context length, seen from two different rows.
    ///
    /// Values go over by the reciprocal of the context length: at one KV usage the cache that a step reads is the same
    /// whatever the context, and the number of requests, which the rest of a step depends on, goes with the
    /// reciprocal. The range goes over by the context length itself: its lower edge is one request, which fills the
    /// cache in proportion to it.
    pub(super) fn between(below: &'a Row, above: &'a Row, context_length: f64) -> Self {
        let [from, to, at] = [below.context_length, above.context_length, context_length];
        let whole = to - from;
        let gone = at - from;
        Self {
            below,
            above,
            // (1/from − 1/at) / (1/from − 1/to), with one division.
            weight: gone * to / (whole * at),
            edge_weight: (gone / whole).clamp(0.0, 1.0),
        }
    }

    /// Lowest KV usage.
    pub(super) fn low(&self) -> f64 {
        mix(self.below.itl.low(), self.above.itl.low(), self.edge_weight)
    }

    /// Highest KV usage.
    pub(super) fn high(&self) -> f64 {
        mix(self.below.itl.high(), self.above.itl.high(), self.edge_weight)
    }

    /// On the lower row exactly, the row alone answers, so that its points are met to the last digit.
    pub(super) fn is_on_row(&self) -> bool {
        self.weight.abs() <= 0.0
    }

    /// The value at a KV usage; outside the range the edge goes on in a straight line.
    pub(super) fn value(&self, quantity: Quantity, usage: f64) -> f64 {
        if self.is_on_row() {
            return self.below.fit(quantity).at(usage);
        }
        self.value_at_share(quantity, self.share(usage))
    }

    /// The cubics of one quantity along KV usage, from the lowest to the highest.
    pub(super) fn cells(&self, quantity: Quantity) -> Vec<Cubic> {
        if self.is_on_row() {
            return self.below.fit(quantity).cells().collect();
        }
        let (low, width) = (self.low(), self.high() - self.low());
        if width <= 0.0 {
            return Vec::new();
        }
        let mut shares: Vec<f64> = [self.below, self.above]
            .into_iter()
            .filter(|row| row.len() > 1)
            .flat_map(|row| {
                row.itl
                    .xs()
                    .iter()
                    .map(|usage| (usage - row.itl.low()) / row.itl.width())
            })
            .collect();
        shares.sort_by(f64::total_cmp);
        shares.dedup_by(|a, b| a.total_cmp(b).is_eq());
        // Between neighbouring shares both rows are one cubic each, hence so is their mix: its ends tell it exactly.
        shares
            .windows(2)
            .map(|pair| Cubic {
                start: low + pair[0] * width,
                end: low + pair[1] * width,
                values: [
                    self.value_at_share(quantity, pair[0]),
                    self.value_at_share(quantity, pair[1]),
                ],
                slopes: [
                    self.slope_at_share(quantity, pair[0]) / width,
                    self.slope_at_share(quantity, pair[1]) / width,
                ],
            })
            .collect()
    }

    fn value_at_share(&self, quantity: Quantity, share: f64) -> f64 {
        let [a, b] = [self.below, self.above].map(|row| row.fit(quantity).at(row.usage_at(share)));
        let value = mix(a, b, self.weight);
        if (0.0..=1.0).contains(&self.weight) {
            value.clamp(a.min(b), a.max(b))
        } else {
            value
        }
    }

    /// Derivative by the share of the range.
    fn slope_at_share(&self, quantity: Quantity, share: f64) -> f64 {
        let [a, b] = [self.below, self.above]
            .map(|row| row.fit(quantity).slope_at(row.usage_at(share)) * row.itl.width());
        mix(a, b, self.weight)
    }

    /// A KV usage as a share of the range here.
    fn share(&self, usage: f64) -> f64 {
        let width = self.high() - self.low();
        if width > 0.0 {
            (usage - self.low()) / width
        } else {
            0.0
        }
    }
}

/// Errors of rows, as their neighbouring rows predict them.
pub(super) fn errors_across<'a>(
    rows: &'a [Row],
    at: impl Fn(&Row, f64) -> KnotError + Copy + 'a,
) -> impl Iterator<Item = KnotError> + 'a {
    rows.windows(3).flat_map(move |three| {
        let row = &three[1];
        let span = RowSpan::between(&three[0], &three[2], row.context_length);
        row.knots()
            .filter(move |(usage, _)| (span.low()..=span.high()).contains(usage))
            .map(move |(usage, measured_ms)| KnotError {
                measured_ms,
                predicted_ms: span.value(Quantity::Itl, usage),
                ..at(row, usage)
            })
    })
}

/// Where a point lies.
pub(super) fn place(usage: f64, context_length: f64) -> Vec<(Axis, f64)> {
    vec![(Axis::KvUsage, usage), (Axis::ContextLength, context_length)]
}

/// `a` at weight 0, `b` at weight 1.
pub(super) fn mix(a: f64, b: f64, weight: f64) -> f64 {
    a * (1.0 - weight) + b * weight
}
