//! Rows of one context length, and what lies between two of them.

use super::across::Across;
use super::shape::{Quantity, occupancy};
use crate::DecodePoint;
use crate::cubic::{Cubic, within};
use crate::isotonic;
use crate::pchip::{Pchip, without};

/// Rows by rising context length, and how values go over between them.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub(super) list: Vec<Row>,
    contexts: Vec<f64>,
    across: Across,
}

impl Rows {
    /// Fits rows, at least one; what predicts left-out rows best is how values go over.
    pub(super) fn new(rows: Vec<Row>) -> Self {
        let across = Across::best(rows[0].context_length, |across| {
            root_mean_square(&errors_across(&rows, across))
        });
        let contexts = rows.iter().map(|row| row.context_length).collect();
        Self {
            list: rows,
            contexts,
            across,
        }
    }

    /// The line of a context length; beyond the rows, the continuation of the nearest two.
    #[inline]
    pub(super) fn span(&self, context_length: f64) -> RowSpan<'_> {
        // Rows are few: counting them needs no branch that could be guessed wrong.
        let above = self
            .contexts
            .iter()
            .filter(|context| **context <= context_length)
            .count();
        let last = self.list.len() - 1;
        if last == 0 {
            return RowSpan::on(&self.list[0]);
        }
        if above > last && context_length <= self.contexts[last] {
            return RowSpan::on(&self.list[last]);
        }
        let above = above.clamp(1, last);
        RowSpan::between(
            [&self.list[above - 1], &self.list[above]],
            self.across,
            context_length,
        )
    }

    /// Each row as its neighbouring rows predict it.
    pub(super) fn errors_across(&self) -> Vec<LeftOut> {
        errors_across(&self.list, self.across)
    }
}

/// A point as others predict it.
#[derive(Debug, Clone, Copy)]
pub(super) struct LeftOut {
    pub(super) usage: f64,
    pub(super) context_length: f64,
    pub(super) measured_ms: f64,
    pub(super) predicted_ms: f64,
}

/// Root of the mean squared error in milliseconds; `None` without any.
pub(super) fn root_mean_square(errors: &[LeftOut]) -> Option<f64> {
    let squares = errors
        .iter()
        .map(|error| (error.predicted_ms - error.measured_ms).powi(2));
    crate::leave_one_out::root_mean(squares)
}

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

    /// Each inner point as the rest of the row predicts it.
    pub(super) fn errors_along(&self) -> impl Iterator<Item = LeftOut> + '_ {
        let last = self.len() - 1;
        self.knots()
            .enumerate()
            .filter(move |(index, _)| *index > 0 && *index < last)
            .map(move |(index, (usage, measured_ms))| {
                let rest = isotonic::rising(&without(&self.measured_ms, index));
                LeftOut {
                    usage,
                    context_length: self.context_length,
                    measured_ms,
                    predicted_ms: Pchip::new(without(self.itl.xs(), index), rest).at(usage),
                }
            })
    }

    #[inline]
    fn fit(&self, quantity: Quantity) -> &Pchip {
        match quantity {
            Quantity::Itl => &self.itl,
            Quantity::Occupancy => &self.occupancy,
        }
    }

    /// KV usage at a share of this row's range.
    #[inline]
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
    /// Lowest and highest KV usage.
    range: [f64; 2],
    /// One by the width of the range, zero where it has none.
    per_width: f64,
}

impl<'a> RowSpan<'a> {
    /// The span of one row alone.
    #[inline]
    fn on(row: &'a Row) -> Self {
        Self::over([row, row], 0.0, [row.itl.low(), row.itl.high()])
    }

    /// The span of a context length, seen from two different rows.
    ///
    /// The range of KV usage goes over by the context length itself: its lower edge is one request, which fills the
    /// cache in proportion to it.
    #[inline]
    fn between([below, above]: [&'a Row; 2], across: Across, context_length: f64) -> Self {
        let [from, to] = [below.context_length, above.context_length];
        let gone = ((context_length - from) / (to - from)).clamp(0.0, 1.0);
        let range = [
            mix(below.itl.low(), above.itl.low(), gone),
            mix(below.itl.high(), above.itl.high(), gone),
        ];
        Self::over([below, above], across.weight([from, to], context_length), range)
    }

    #[inline]
    fn over([below, above]: [&'a Row; 2], weight: f64, range: [f64; 2]) -> Self {
        let width = range[1] - range[0];
        Self {
            below,
            above,
            weight,
            range,
            per_width: if width > 0.0 { width.recip() } else { 0.0 },
        }
    }

    /// Lowest KV usage.
    pub(super) fn low(&self) -> f64 {
        self.range[0]
    }

    /// Highest KV usage.
    pub(super) fn high(&self) -> f64 {
        self.range[1]
    }

    /// On the lower row exactly, the row alone answers, so that its points are met to the last digit.
    pub(super) fn is_on_row(&self) -> bool {
        self.weight.abs() <= 0.0
    }

    /// The value at a KV usage; outside the range the edge goes on in a straight line.
    #[inline]
    pub(super) fn value(&self, quantity: Quantity, usage: f64) -> f64 {
        if self.is_on_row() {
            return self.below.fit(quantity).at(usage);
        }
        self.value_at_share(quantity, self.share(usage))
    }

    /// The values at rising KV usages, each as [`Self::value`] gives it.
    pub(super) fn along(&self, quantity: Quantity, usages: &[f64]) -> Vec<f64> {
        let mut below = Vec::with_capacity(usages.len());
        if self.is_on_row() {
            self.below.fit(quantity).along(usages, &mut below);
            return below;
        }
        let mut above = Vec::with_capacity(usages.len());
        let mut places = Vec::with_capacity(usages.len());
        for (row, values) in [(self.below, &mut below), (self.above, &mut above)] {
            places.clear();
            places.extend(usages.iter().map(|usage| row.usage_at(self.share(*usage))));
            row.fit(quantity).along(&places, values);
        }
        let weights = [1.0 - self.weight, self.weight];
        if (0.0..=1.0).contains(&self.weight) {
            for (a, b) in below.iter_mut().zip(&above) {
                let bounds = if *a < *b { [*a, *b] } else { [*b, *a] };
                *a = within(*a * weights[0] + b * weights[1], bounds);
            }
        } else {
            for (a, b) in below.iter_mut().zip(&above) {
                *a = *a * weights[0] + b * weights[1];
            }
        }
        below
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

    #[inline]
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
    #[inline]
    pub(super) fn share(&self, usage: f64) -> f64 {
        (usage - self.range[0]) * self.per_width
    }
}

/// Each row as its neighbouring rows predict it.
fn errors_across(rows: &[Row], across: Across) -> Vec<LeftOut> {
    rows.windows(3)
        .flat_map(|three| {
            let row = &three[1];
            let span = RowSpan::between([&three[0], &three[2]], across, row.context_length);
            row.knots()
                .filter(move |(usage, _)| (span.low()..=span.high()).contains(usage))
                .map(move |(usage, measured_ms)| LeftOut {
                    usage,
                    context_length: row.context_length,
                    measured_ms,
                    predicted_ms: span.value(Quantity::Itl, usage),
                })
        })
        .collect()
}

/// `a` at weight 0, `b` at weight 1.
pub(super) fn mix(a: f64, b: f64, weight: f64) -> f64 {
    a * (1.0 - weight) + b * weight
}
