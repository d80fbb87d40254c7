//! What the points of a surface form: rows, or a scatter.

use super::rows::{LeftOut, Row, RowSpan, Rows};
use super::scattered::{Scattered, ScatteredSpan};
use crate::cubic::Cubic;
use crate::leave_one_out::KnotError;
use crate::{Axis, DecodePoint, Half, Neighbours, Region, Third};

/// What a fit interpolates.
#[derive(Debug, Clone, Copy)]
pub(super) enum Quantity {
    /// Milliseconds.
    Itl,
    /// `throughput · ITL · context / usage`: tokens that the requests of one GPU would hold with the cache full.
    ///
    /// By Little's law throughput times ITL is the number of requests in flight per GPU, which KV usage and context
    /// length give, too; so this is constant but for how the points were measured, and interpolates to nearly nothing,
    /// while throughput itself bends in both directions.
    Occupancy,
}

/// The occupancy of a point.
pub(super) fn occupancy(point: &DecodePoint) -> f64 {
    point.throughput_per_gpu.get() * point.itl.get() * point.context_length / point.kv_usage.get()
}

/// How the points of a surface lie.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// In rows of one context length each, by rising context length.
    Rows(Rows),
    /// Here and there.
    Scattered(Scattered),
}

impl Shape {
    /// The shape of points that are sorted by context length, then by KV usage, all distinct: rows when at least half of
    /// the points share their context length with another. `None` when they form neither rows nor triangles.
    pub(super) fn of(points: &[DecodePoint]) -> Option<Self> {
        let rows = || points.chunk_by(same_context);
        let in_rows: usize = rows().map(<[DecodePoint]>::len).filter(|len| *len > 1).sum();
        if in_rows > 0 && in_rows * 2 >= points.len() {
            return Some(Self::Rows(Rows::new(rows().map(Row::new).collect())));
        }
        let scattered = Scattered::new(points).map(Self::Scattered);
        match scattered {
            None if in_rows > 0 => Some(Self::Rows(Rows::new(rows().map(Row::new).collect()))),
            other => other,
        }
    }

    /// The line of a context length through the surface.
    pub(super) fn span(&self, context_length: f64) -> Span<'_> {
        match self {
            Self::Rows(rows) => Span::Rows(rows.span(context_length)),
            Self::Scattered(scattered) => Span::Scattered(scattered.span(context_length)),
        }
    }

    /// ITL (ms) of each point as the fit has it, in the order of the points.
    pub(super) fn fitted(&self) -> Vec<f64> {
        match self {
            Self::Rows(rows) => rows.list.iter().flat_map(Row::fitted).copied().collect(),
            Self::Scattered(scattered) => scattered.fitted().collect(),
        }
    }

    /// Who predicts a left-out point: by these kinds, errors add up between points.
    pub(super) fn neighbours(&self, is_on_row: bool) -> &'static [Neighbours] {
        match self {
            Self::Rows(_) if is_on_row => &[Neighbours::Along(Axis::KvUsage)],
            Self::Rows(_) => &[
                Neighbours::Along(Axis::KvUsage),
                Neighbours::Along(Axis::ContextLength),
            ],
            Self::Scattered(_) => &[Neighbours::Around],
        }
    }

    /// Each point as the others predict it, where they lie on both sides of it.
    pub(super) fn errors(&self, points: &[DecodePoint]) -> Vec<KnotError> {
        let middle = middle_context(points);
        let knot = |neighbours, predicted: LeftOut| {
            let LeftOut {
                usage,
                context_length,
                measured_ms,
                predicted_ms,
            } = predicted;
            let (third, half) = region(&self.span(context_length), usage, context_length <= middle);
            KnotError {
                neighbours,
                region: Region::Loads {
                    usage: third,
                    context: half,
                },
                at: vec![(Axis::KvUsage, usage), (Axis::ContextLength, context_length)],
                measured_ms,
                predicted_ms,
            }
        };
        let of = |neighbours| move |predicted| knot(neighbours, predicted);
        match self {
            Self::Rows(rows) => {
                let along = rows.list.iter().flat_map(Row::errors_along);
                let across = rows.errors_across();
                along
                    .map(of(Neighbours::Along(Axis::KvUsage)))
                    .chain(across.into_iter().map(of(Neighbours::Along(Axis::ContextLength))))
                    .collect()
            }
            Self::Scattered(scattered) => scattered
                .errors()
                .into_iter()
                .map(of(Neighbours::Around))
                .collect(),
        }
    }
}

/// Whether two points were measured at one context length.
pub(super) fn same_context(a: &DecodePoint, b: &DecodePoint) -> bool {
    a.context_length.total_cmp(&b.context_length).is_eq()
}

/// Geometric mean of the shortest and the longest context of sorted points.
pub(super) fn middle_context(points: &[DecodePoint]) -> f64 {
    let ends = [&points[0], &points[points.len() - 1]].map(|point| point.context_length);
    (ends[0] * ends[1]).sqrt()
}

/// In which part of the surface a place lies.
pub(super) fn region(span: &Span<'_>, usage: f64, is_short: bool) -> (Third, Half) {
    (
        Third::of_share(span.share(usage)),
        if is_short { Half::Short } else { Half::Long },
    )
}

/// The line of one context length through a surface.
#[derive(Debug)]
pub(super) enum Span<'a> {
    /// Between two rows, or on one.
    Rows(RowSpan<'a>),
    /// Through triangles.
    Scattered(ScatteredSpan<'a>),
}

impl Span<'_> {
    /// Lowest KV usage.
    pub(super) fn low(&self) -> f64 {
        match self {
            Self::Rows(span) => span.low(),
            Self::Scattered(span) => span.low(),
        }
    }

    /// Highest KV usage.
    pub(super) fn high(&self) -> f64 {
        match self {
            Self::Rows(span) => span.high(),
            Self::Scattered(span) => span.high(),
        }
    }

    /// A KV usage as a share of the range.
    pub(super) fn share(&self, usage: f64) -> f64 {
        match self {
            Self::Rows(span) => span.share(usage),
            Self::Scattered(span) => {
                let (low, high) = (span.low(), span.high());
                if high > low {
                    (usage - low) / (high - low)
                } else {
                    0.0
                }
            }
        }
    }

    /// Whether the line runs along a row.
    pub(super) fn is_on_row(&self) -> bool {
        match self {
            Self::Rows(span) => span.is_on_row(),
            Self::Scattered(_) => false,
        }
    }

    /// Whether points may lie on the line.
    pub(super) fn may_hold_points(&self) -> bool {
        match self {
            Self::Rows(span) => span.is_on_row(),
            Self::Scattered(_) => true,
        }
    }

    /// The value at a KV usage, and outside the range its continuation.
    pub(super) fn value(&self, quantity: Quantity, usage: f64) -> f64 {
        match self {
            Self::Rows(span) => span.value(quantity, usage),
            Self::Scattered(span) => span.value(quantity, usage),
        }
    }

    /// The values at rising KV usages.
    pub(super) fn along(&self, quantity: Quantity, usages: &[f64]) -> Vec<f64> {
        match self {
            Self::Rows(span) => span.along(quantity, usages),
            Self::Scattered(span) => usages.iter().map(|usage| span.value(quantity, *usage)).collect(),
        }
    }

    /// The cubics of one quantity along KV usage, from the lowest to the highest.
    pub(super) fn cells(&self, quantity: Quantity) -> Vec<Cubic> {
        match self {
            Self::Rows(span) => span.cells(quantity),
            Self::Scattered(span) => span.cells(quantity),
        }
    }
}
