//! ITL and throughput over KV usage and context length.

use std::ops::RangeInclusive;

use dgdr_units::{Fraction, Milliseconds, Tokens, TokensPerSecond, floor_count, real};

use crate::leave_one_out::LeaveOneOut;
use crate::prefill::{above_zero, positive, rising_within};
use crate::{Axis, Beyond, Bound, BuildError, OutOfRange, QueryError, Reading, Source};

mod across;
mod expected;
mod rows;
mod scattered;
mod shape;

use expected::ExpectedErrors;
use shape::{Quantity, Shape, Span, middle_context, region, same_context};

/// One measured decode load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecodePoint {
    /// Share of the KV cache in use: `context_length · requests / max_kv_tokens`.
    pub kv_usage: Fraction,
    /// Average context length in tokens: `isl + osl / 2`, so it may end in a half.
    pub context_length: f64,
    /// Inter-token latency.
    pub itl: Milliseconds,
    /// Output tokens per second and GPU.
    pub throughput_per_gpu: TokensPerSecond,
}

/// A place on a surface.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecodePlace {
    /// Share of the KV cache in use.
    pub kv_usage: Fraction,
    /// Average context length in tokens.
    pub context_length: f64,
}

/// ITL and throughput per GPU over KV usage and context length.
///
/// # Shape
/// The points form rows, one a context length, each with KV usages of its own (the grid is ragged: one request on a
/// long context already fills more of the cache, and the largest batch leaves another remainder). Between two rows the
/// range of KV usage goes over from one to the other, and a place is compared with the places of both rows at the same
/// share of their ranges. On a rectangular grid that is plain row-by-row interpolation.
///
/// Points of which fewer than half share their context length with another (what is left of a sweep with many
/// failures, or measurements of real traffic) form no rows: triangles are put up between them (Delaunay, in the plane
/// of KV usage and requests in flight). A surface of triangles passes through its points, stays between the corners of
/// each triangle and has no jumps, but nothing makes it rise with KV usage where noisy points do not, and outside the
/// measured context lengths it continues that of the nearest one.
///
/// # Across context lengths
/// Values go over in a line along `1 / (context + shift)`, with the shift that predicts left-out rows (or points) best, so
/// that costs that are linear in requests, saturate or bend upwards are all followed. The weights do not depend on the
/// values, so a surface between rows that rise with KV usage rises, too.
///
/// # Noise
/// ITL does not fall when more requests run. Where the points of a row do, neighbours are pooled (least squares) until
/// none does, so that ITL always rises along a row, a limit is crossed once, and the fit follows the load rather than
/// the noise. Rows that rise are met to the last digit; [`Self::smoothed`] tells which points are not, and their
/// readings are [`Source::Smoothed`].
///
/// # Throughput
/// It follows from ITL by Little's law: what is interpolated is `throughput · ITL · context / usage`, which points of
/// one engine share but for how they were measured. So between points, too, throughput times ITL is the number of
/// requests in flight.
#[derive(Debug, Clone)]
pub struct DecodeSurface {
    max_kv_tokens: Tokens,
    points: Vec<DecodePoint>,
    shape: Shape,
    /// ITL (ms) of each point as the fit has it.
    fitted_ms: Vec<f64>,
    middle_context: f64,
    leave_one_out: LeaveOneOut,
    expected: ExpectedErrors,
}

/// A point that the fit passes by, because it contradicts its neighbours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SmoothedPoint {
    /// What was measured.
    pub measured: DecodePoint,
    /// ITL of the fit there.
    pub itl: Milliseconds,
}

/// The heaviest load under an ITL limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeaviestLoad {
    /// Share of the KV cache in use; every lighter measured load keeps the limit too.
    pub kv_usage: Fraction,
    /// Requests in flight at that usage, rounded down.
    pub in_flight: u64,
    /// Whether the limit or the measured range ended it.
    pub bound: Bound,
}

impl DecodeSurface {
    /// Fits points, in any order.
    ///
    /// # Errors
    /// [`BuildError`] when no context length has two points, two points lie at the same place, a number is not above
    /// zero, or the engine has no KV cache.
    pub fn new(max_kv_tokens: Tokens, mut points: Vec<DecodePoint>) -> Result<Self, BuildError> {
        if max_kv_tokens == Tokens::ZERO {
            return Err(BuildError::NoKvCapacity);
        }
        for (index, point) in points.iter().enumerate() {
            let DecodePoint {
                kv_usage,
                context_length,
                itl,
                throughput_per_gpu,
            } = *point;
            positive("kv usage", index, kv_usage.get())?;
            positive("context length", index, context_length)?;
            positive("itl", index, itl.get())?;
            positive("throughput per GPU", index, throughput_per_gpu.get())?;
        }
        points.sort_by(|a, b| {
            a.context_length
                .total_cmp(&b.context_length)
                .then(a.kv_usage.total_cmp(&b.kv_usage))
        });
        if let Some(pair) = points.windows(2).find(|pair| {
            same_context(&pair[0], &pair[1]) && pair[0].kv_usage.total_cmp(&pair[1].kv_usage).is_eq()
        }) {
            return Err(BuildError::Duplicate {
                axis: Axis::KvUsage,
                at: pair[0].kv_usage.get(),
            });
        }
        let shape = Shape::of(&points).ok_or_else(|| BuildError::NoUsableRow {
            points: points.len(),
            rows: points.chunk_by(same_context).count(),
        })?;
        let leave_one_out = LeaveOneOut::new(shape.errors(&points));
        Ok(Self {
            max_kv_tokens,
            fitted_ms: shape.fitted(),
            middle_context: middle_context(&points),
            expected: ExpectedErrors::new(&shape, &leave_one_out),
            leave_one_out,
            points,
            shape,
        })
    }

    /// Tokens that the engine's KV cache holds.
    pub fn max_kv_tokens(&self) -> Tokens {
        self.max_kv_tokens
    }

    /// The points as they were measured, by rising context length, then by rising KV usage.
    pub fn points(&self) -> &[DecodePoint] {
        &self.points
    }

    /// The points that the fit passes by.
    pub fn smoothed(&self) -> impl Iterator<Item = SmoothedPoint> + '_ {
        self.points
            .iter()
            .zip(&self.fitted_ms)
            .filter(|(point, fitted_ms)| point.itl.get().total_cmp(fitted_ms).is_ne())
            .filter_map(|(point, fitted_ms)| {
                Some(SmoothedPoint {
                    measured: *point,
                    itl: Milliseconds::new(*fitted_ms).ok()?,
                })
            })
    }

    /// Whether the points form rows of one context length each; if not, triangles are put up between them.
    pub fn is_in_rows(&self) -> bool {
        matches!(self.shape, Shape::Rows(_))
    }

    /// The measured range of context lengths in tokens.
    pub fn context_range(&self) -> RangeInclusive<f64> {
        self.points[0].context_length..=self.points[self.points.len() - 1].context_length
    }

    /// The measured range of KV usage at a context length; beyond the measured contexts, that of the nearest one.
    pub fn usage_range(&self, context_length: f64) -> RangeInclusive<f64> {
        let span = self.shape.span(context_length);
        span.low()..=span.high()
    }

    /// Time between two output tokens of one request.
    ///
    /// # Errors
    /// [`QueryError`] outside the measured range (unless extrapolation was asked for), where its continuation
    /// is not above zero, or for a context length that is no positive number.
    pub fn itl(
        &self,
        place: DecodePlace,
        out_of_range: OutOfRange,
    ) -> Result<Reading<Milliseconds>, QueryError> {
        let asked = self.ask(place, out_of_range)?;
        let value = above_zero(asked.span.value(Quantity::Itl, place.kv_usage.get()))?;
        let value = Milliseconds::new(value).map_err(|_| QueryError::Meaningless { value })?;
        Ok(self.reading(value, place, asked))
    }

    /// Time between two output tokens, milliseconds, at many KV usages of one context length: what [`Self::itl`] gives,
    /// without its origin, for those who draw or scan the surface. `usages` rise and lie in
    /// [`Self::usage_range`].
    ///
    /// # Errors
    /// [`QueryError`] for a context length or a usage that was not measured, and for usages that fall.
    pub fn itl_along(&self, context_length: f64, usages: &[f64]) -> Result<Vec<f64>, QueryError> {
        self.check_context(context_length, OutOfRange::Refuse)?;
        let span = self.shape.span(context_length);
        rising_within(Axis::KvUsage, usages, [span.low(), span.high()])?;
        Ok(span.along(Quantity::Itl, usages))
    }

    /// Output tokens per second and GPU.
    ///
    /// # Errors
    /// As [`Self::itl`].
    pub fn throughput_per_gpu(
        &self,
        place: DecodePlace,
        out_of_range: OutOfRange,
    ) -> Result<Reading<TokensPerSecond>, QueryError> {
        let asked = self.ask(place, out_of_range)?;
        let value = if let (Source::Point, Some(index)) = (&asked.source, asked.point) {
            self.points[index].throughput_per_gpu
        } else {
            let value = throughput(&asked.span, place)?;
            TokensPerSecond::new(value).map_err(|_| QueryError::Meaningless { value })?
        };
        Ok(self.reading(value, place, asked))
    }

    /// The heaviest load whose ITL, and that of every lighter measured load, is at or below a limit.
    ///
    /// Noise can make ITL fall again further on; what lies behind the first crossing does not count, since an engine
    /// reaches it only through loads that break the limit.
    ///
    /// # Errors
    /// [`QueryError::LimitTooLow`] when the lightest measured load already takes longer; [`QueryError::OutOfRange`]
    /// when the context length was not measured.
    pub fn max_load(&self, limit: Milliseconds, context_length: f64) -> Result<HeaviestLoad, QueryError> {
        self.check_context(context_length, OutOfRange::Refuse)?;
        let span = self.shape.span(context_length);
        let lightest = span.value(Quantity::Itl, span.low());
        if lightest > limit.get() {
            return Err(QueryError::LimitTooLow {
                limit_ms: limit.get(),
                lowest_ms: lightest,
                axis: Axis::KvUsage,
                at: span.low(),
            });
        }
        let crossing = span
            .cells(Quantity::Itl)
            .into_iter()
            .find_map(|cell| cell.first_above(limit.get()));
        let (usage, bound) =
            crossing.map_or_else(|| (span.high(), Bound::MeasuredRange), |at| (at, Bound::Limit));
        // Rounding may leave the span by the last digit.
        let usage = usage.clamp(span.low(), span.high());
        let kv_usage = Fraction::new(usage).map_err(|_| QueryError::Meaningless { value: usage })?;
        Ok(HeaviestLoad {
            kv_usage,
            in_flight: self.in_flight(usage, context_length),
            bound,
        })
    }

    /// How well each point is predicted by its neighbours (along KV usage and across context lengths, or all around):
    /// the error to expect of ITL between points, as a whole and by regions.
    pub fn leave_one_out(&self) -> &LeaveOneOut {
        &self.leave_one_out
    }

    /// Requests that fill `usage` of the cache, rounded down but for the last digits (`3 · a / a` may give 2.99…).
    fn in_flight(&self, usage: f64, context_length: f64) -> u64 {
        floor_count(usage * real(self.max_kv_tokens.get()) / context_length * (1.0 + 1e-9))
    }

    /// Where a place lies, and where its numbers come from.
    fn ask(&self, place: DecodePlace, out_of_range: OutOfRange) -> Result<Asked<'_>, QueryError> {
        let (usage, context_length) = (place.kv_usage.get(), place.context_length);
        let outside = self.check_context(context_length, out_of_range)?;
        let span = self.shape.span(context_length);
        let (low, high) = (span.low(), span.high());
        let is_within = (low..=high).contains(&usage);
        if outside.is_none() && is_within {
            let point = span.may_hold_points().then(|| self.point_at(place)).flatten();
            let source = match point {
                None => Source::Interpolated,
                Some(index) if self.is_met(index) => Source::Point,
                Some(_) => Source::Smoothed,
            };
            return Ok(Asked { span, source, point });
        }
        let mut beyond: Vec<Beyond> = outside.into_iter().collect();
        if !is_within {
            if out_of_range == OutOfRange::Refuse {
                return Err(QueryError::OutOfRange {
                    axis: Axis::KvUsage,
                    value: usage,
                    low,
                    high,
                });
            }
            let edge = if usage < low { low } else { high };
            beyond.push(Beyond {
                axis: Axis::KvUsage,
                by: (usage - edge).abs(),
                edge,
            });
        }
        Ok(Asked {
            span,
            source: Source::Extrapolated { beyond },
            point: None,
        })
    }

    /// The index of the point at a place, if there is one.
    fn point_at(&self, place: DecodePlace) -> Option<usize> {
        self.points
            .binary_search_by(|point| {
                point
                    .context_length
                    .total_cmp(&place.context_length)
                    .then(point.kv_usage.total_cmp(&place.kv_usage))
            })
            .ok()
    }

    /// Whether the fit passes through a point.
    fn is_met(&self, index: usize) -> bool {
        self.points[index]
            .itl
            .get()
            .total_cmp(&self.fitted_ms[index])
            .is_eq()
    }

    fn reading<T>(&self, value: T, place: DecodePlace, asked: Asked<'_>) -> Reading<T> {
        let expected_error = match asked.source {
            Source::Point => Some(0.0),
            Source::Smoothed | Source::Interpolated => {
                let is_short = place.context_length <= self.middle_context;
                self.expected.at(
                    region(&asked.span, place.kv_usage.get(), is_short),
                    asked.span.is_on_row(),
                )
            }
            Source::Extrapolated { .. } => None,
        };
        Reading {
            value,
            source: asked.source,
            expected_error,
        }
    }

    fn check_context(
        &self,
        context_length: f64,
        out_of_range: OutOfRange,
    ) -> Result<Option<Beyond>, QueryError> {
        let axis = Axis::ContextLength;
        if !context_length.is_finite() || context_length <= 0.0 {
            return Err(QueryError::NotANumber {
                axis,
                value: context_length,
            });
        }
        let (low, high) = self.context_range().into_inner();
        if (low..=high).contains(&context_length) {
            return Ok(None);
        }
        if out_of_range == OutOfRange::Refuse {
            return Err(QueryError::OutOfRange {
                axis,
                value: context_length,
                low,
                high,
            });
        }
        let edge = if context_length < low { low } else { high };
        Ok(Some(Beyond {
            axis,
            by: (context_length - edge).abs(),
            edge,
        }))
    }
}

/// A place that may be answered.
#[derive(Debug)]
struct Asked<'a> {
    span: Span<'a>,
    source: Source,
    /// Index of the point that lies there.
    point: Option<usize>,
}

/// Output tokens per second and GPU at a place, by Little's law.
fn throughput(span: &Span<'_>, place: DecodePlace) -> Result<f64, QueryError> {
    let usage = place.kv_usage.get();
    let itl = above_zero(span.value(Quantity::Itl, usage))?;
    above_zero(span.value(Quantity::Occupancy, usage) * usage / (place.context_length * itl))
}

#[cfg(test)]
mod tests;
