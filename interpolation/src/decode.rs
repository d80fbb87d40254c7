//! ITL and throughput over KV usage and context length.

use std::ops::RangeInclusive;

use dgdr_units::{Fraction, Milliseconds, Tokens, TokensPerSecond, floor_count, real};

use crate::leave_one_out::{KnotError, LeaveOneOut};
use crate::prefill::positive;
use crate::{Axis, Beyond, Bound, BuildError, OutOfRange, QueryError, Reading, Source};

mod rows;

use rows::{Quantity, Row, Span};

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
#[derive(Debug, Clone)]
pub struct DecodeSurface {
    max_kv_tokens: Tokens,
    points: Vec<DecodePoint>,
    rows: Vec<Row>,
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
        let same_row =
            |a: &DecodePoint, b: &DecodePoint| a.context_length.total_cmp(&b.context_length).is_eq();
        if let Some(pair) = points.windows(2).find(|pair| {
            same_row(&pair[0], &pair[1]) && pair[0].kv_usage.total_cmp(&pair[1].kv_usage).is_eq()
        }) {
            return Err(BuildError::Duplicate {
                axis: Axis::KvUsage,
                at: pair[0].kv_usage.get(),
            });
        }
        let rows: Vec<Row> = points.chunk_by(same_row).map(Row::new).collect();
        if rows.iter().all(|row| row.len() < 2) {
            return Err(BuildError::NoUsableRow {
                points: points.len(),
                rows: rows.len(),
            });
        }
        Ok(Self {
            max_kv_tokens,
            points,
            rows,
        })
    }

    /// Tokens that the engine's KV cache holds.
    pub fn max_kv_tokens(&self) -> Tokens {
        self.max_kv_tokens
    }

    /// The points, by rising context length, then by rising KV usage.
    pub fn points(&self) -> &[DecodePoint] {
        &self.points
    }

    /// The measured range of context lengths in tokens.
    pub fn context_range(&self) -> RangeInclusive<f64> {
        self.rows[0].context_length..=self.rows[self.rows.len() - 1].context_length
    }

    /// The measured range of KV usage at a context length; beyond the measured contexts, that of the nearest one.
    pub fn usage_range(&self, context_length: f64) -> RangeInclusive<f64> {
        let span = Span::at(&self.rows, context_length);
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
        let (value, source) = self.read(Quantity::Itl, place, out_of_range)?;
        let value = Milliseconds::new(value).map_err(|_| QueryError::Meaningless { value })?;
        Ok(Reading { value, source })
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
        let (value, source) = self.read(Quantity::Throughput, place, out_of_range)?;
        let value = TokensPerSecond::new(value).map_err(|_| QueryError::Meaningless { value })?;
        Ok(Reading { value, source })
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
        let span = Span::at(&self.rows, context_length);
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

    /// How well each point is predicted by its neighbours, along KV usage and across context lengths: the error to
    /// expect of ITL between points.
    pub fn leave_one_out(&self) -> LeaveOneOut {
        let mut errors = Vec::new();
        for (index, row) in self.rows.iter().enumerate() {
            errors.extend(row.errors_along());
            if let (Some(below), Some(above)) = (index.checked_sub(1), self.rows.get(index + 1)) {
                let span = Span::between(&self.rows[below], above, row.context_length);
                errors.extend(row.knots().filter(|(usage, _)| span.contains(*usage)).map(
                    |(usage, measured_ms)| KnotError {
                        along: Axis::ContextLength,
                        at: row.place(usage),
                        measured_ms,
                        predicted_ms: span.value(Quantity::Itl, usage),
                    },
                ));
            }
        }
        LeaveOneOut::new(errors)
    }

    /// Requests that fill `usage` of the cache, rounded down but for the last digits (`3 · a / a` may give 2.99…).
    fn in_flight(&self, usage: f64, context_length: f64) -> u64 {
        floor_count(usage * real(self.max_kv_tokens.get()) / context_length * (1.0 + 1e-9))
    }

    fn read(
        &self,
        quantity: Quantity,
        place: DecodePlace,
        out_of_range: OutOfRange,
    ) -> Result<(f64, Source), QueryError> {
        let (usage, context_length) = (place.kv_usage.get(), place.context_length);
        let mut beyond: Vec<Beyond> = self
            .check_context(context_length, out_of_range)?
            .into_iter()
            .collect();
        let span = Span::at(&self.rows, context_length);
        if !span.contains(usage) {
            let (low, high) = (span.low(), span.high());
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
        let value = span.value(quantity, usage);
        if value <= 0.0 {
            return Err(QueryError::Meaningless { value });
        }
        let source = if !beyond.is_empty() {
            Source::Extrapolated { beyond }
        } else if span.is_knot(usage) {
            Source::Point
        } else {
            Source::Interpolated
        };
        Ok((value, source))
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

#[cfg(test)]
mod tests;
