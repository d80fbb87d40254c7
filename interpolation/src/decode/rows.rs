//! Rows of one context length, and what lies between two of them.

use crate::cubic::Cubic;
use crate::leave_one_out::KnotError;
use crate::pchip::Pchip;
use crate::{Axis, DecodePoint};

/// Which number of a surface.
#[derive(Debug, Clone, Copy)]
pub(super) enum Quantity {
    Itl,
    Throughput,
}

/// The points of one context length.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) context_length: f64,
    itl: Pchip,
    throughput: Pchip,
    itl_ms: Vec<f64>,
}

impl Row {
    /// Fits points of one context length, sorted by KV usage, at least one.
    pub(super) fn new(points: &[DecodePoint]) -> Self {
        let usage: Vec<f64> = points.iter().map(|point| point.kv_usage.get()).collect();
        let itl_ms: Vec<f64> = points.iter().map(|point| point.itl.get()).collect();
        let throughput = points
            .iter()
            .map(|point| point.throughput_per_gpu.get())
            .collect();
        Self {
            context_length: points[0].context_length,
            itl: Pchip::new(usage.clone(), itl_ms.clone()),
            throughput: Pchip::new(usage, throughput),
            itl_ms,
        }
    }

    /// Number of points.
    pub(super) fn len(&self) -> usize {
        self.itl.xs().len()
    }

    /// KV usage and ITL (ms) of each point.
    pub(super) fn knots(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.itl.xs().iter().copied().zip(self.itl_ms.iter().copied())
    }

    /// Where a point of this row lies.
    pub(super) fn place(&self, usage: f64) -> Vec<(Axis, f64)> {
        vec![(Axis::KvUsage, usage), (Axis::ContextLength, self.context_length)]
    }

    /// ITL of each inner point as the rest of the row predicts it.
    pub(super) fn errors_along(&self) -> impl Iterator<Item = KnotError> + '_ {
        let last = self.len() - 1;
        self.knots()
            .enumerate()
            .filter(move |(index, _)| *index > 0 && *index < last)
            .map(|(index, (usage, measured_ms))| KnotError {
                along: Axis::KvUsage,
                at: self.place(usage),
                measured_ms,
                predicted_ms: self.itl.without(index).at(usage),
            })
    }

    fn fit(&self, quantity: Quantity) -> &Pchip {
        match quantity {
            Quantity::Itl => &self.itl,
            Quantity::Throughput => &self.throughput,
        }
    }

    /// KV usage at a share of this row's range.
    fn usage_at(&self, share: f64) -> f64 {
        self.itl.low() + share * self.itl.width()
    }
}

/// One context length between two rows (or on one).
#[derive(Debug, Clone, Copy)]
pub(super) struct Span<'a> {
    below: &'a Row,
    above: &'a Row,
    /// How far the values have gone over from the lower row (0) to the upper (1); outside that range beyond them.
    weight: f64,
    /// How far the range of KV usage has, from 0 to 1.
    edge_weight: f64,
}

impl<'a> Span<'a> {
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
        let weight = (from.recip() - at.recip()) / (from.recip() - to.recip());
        Self {
            below,
            above,
            weight,
            edge_weight: ((at - from) / (to - from)).clamp(0.0, 1.0),
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

    /// Whether a KV usage was measured here.
    pub(super) fn contains(&self, usage: f64) -> bool {
        (self.low()..=self.high()).contains(&usage)
    }

    /// Whether a KV usage is one of the points.
    pub(super) fn is_knot(&self, usage: f64) -> bool {
        self.is_on_row()
            && self
                .below
                .itl
                .xs()
                .binary_search_by(|knot| knot.total_cmp(&usage))
                .is_ok()
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

    /// On the lower row exactly, the row alone answers, so that its points are met to the last digit.
    fn is_on_row(&self) -> bool {
        self.weight.abs() <= 0.0
    }
}

/// `a` at weight 0, `b` at weight 1.
fn mix(a: f64, b: f64, weight: f64) -> f64 {
    a * (1.0 - weight) + b * weight
}
