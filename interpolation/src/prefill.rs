//! TTFT and throughput over the input length.

use std::ops::RangeInclusive;

use dgdr_units::{Milliseconds, Tokens, TokensPerSecond, floor_count, real};

use crate::leave_one_out::LeaveOneOut;
use crate::pchip::Pchip;
use crate::{
    Axis, Beyond, Bound, BuildError, Neighbours, OutOfRange, Quadratic, QueryError, Reading, Region, Source,
    Third,
};

mod fit;

pub use fit::{FitChoice, FitReason, PrefillFit};

/// Points that a curve needs: fewer say nothing about how TTFT grows.
///
/// Upstream's planner wants five before it trusts its own regression; that is a matter for whoever plans the
/// measurements.
const MIN_POINTS: usize = 2;

/// One measured prefill.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrefillPoint {
    /// Input length.
    pub isl: Tokens,
    /// Time to first token of one request on an idle engine.
    pub ttft: Milliseconds,
    /// Input tokens per second and GPU: `isl / ttft · attention_dp / gpus`.
    pub throughput_per_gpu: TokensPerSecond,
}

/// TTFT and throughput per GPU over the input length.
///
/// Two fits of TTFT compete, a monotone cubic through the points and the parabola nearest to them (attention costs the
/// square of the input length, the rest goes in proportion): see [`FitChoice`]. Throughput follows from TTFT.
#[derive(Debug, Clone)]
pub struct PrefillCurve {
    points: Vec<PrefillPoint>,
    ttft: Pchip,
    /// Prompts per GPU that are worked on at once, `throughput · ttft / isl`: nearly constant along the curve.
    share: Pchip,
    choice: FitChoice,
    quadratic: Option<Quadratic>,
    leave_one_out: LeaveOneOut,
    /// Relative error to expect, by the third of the range.
    expected: [Option<f64>; 3],
}

/// The longest prompt under a TTFT limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongestPrompt {
    /// Its length, rounded down: every prompt from the shortest measured one up to it keeps the limit.
    pub isl: Tokens,
    /// Whether the limit or the measured range ended it.
    pub bound: Bound,
}

impl PrefillCurve {
    /// Fits points, in any order.
    ///
    /// # Errors
    /// [`BuildError`] with fewer than two points, two points of one input length, or a number that is not above zero.
    pub fn new(mut points: Vec<PrefillPoint>) -> Result<Self, BuildError> {
        if points.len() < MIN_POINTS {
            return Err(BuildError::TooFewPoints {
                have: points.len(),
                need: MIN_POINTS,
            });
        }
        for (index, point) in points.iter().enumerate() {
            let PrefillPoint {
                isl,
                ttft,
                throughput_per_gpu,
            } = *point;
            positive("input length", index, real(isl.get()))?;
            positive("ttft", index, ttft.get())?;
            positive("throughput per GPU", index, throughput_per_gpu.get())?;
        }
        points.sort_by_key(|point| point.isl);
        if let Some(pair) = points.windows(2).find(|pair| pair[0].isl == pair[1].isl) {
            return Err(BuildError::Duplicate {
                axis: Axis::Isl,
                at: real(pair[0].isl.get()),
            });
        }
        let isl: Vec<f64> = points.iter().map(|point| real(point.isl.get())).collect();
        let ttft: Vec<f64> = points.iter().map(|point| point.ttft.get()).collect();
        let share = points
            .iter()
            .map(|point| point.throughput_per_gpu.get() * point.ttft.get() / real(point.isl.get()))
            .collect();
        let chosen = fit::choose(&isl, &ttft);
        let leave_one_out = LeaveOneOut::new(chosen.errors);
        let expected = Third::ALL
            .map(|third| leave_one_out.expected(Neighbours::Along(Axis::Isl), Region::Prompts(third)));
        Ok(Self {
            points,
            ttft: chosen.curve,
            share: Pchip::new(isl, share),
            choice: chosen.choice,
            quadratic: chosen.quadratic,
            leave_one_out,
            expected,
        })
    }

    /// The points as they were measured, by rising input length.
    pub fn points(&self) -> &[PrefillPoint] {
        &self.points
    }

    /// Which fit answers, and why.
    pub fn fit(&self) -> FitChoice {
        self.choice
    }

    /// The parabola nearest to the points (least squares, as upstream plots it), whether it answers or not; `None` with
    /// fewer than three points.
    pub fn quadratic(&self) -> Option<Quadratic> {
        self.quadratic
    }

    /// The measured range of input lengths.
    pub fn isl_range(&self) -> RangeInclusive<Tokens> {
        self.points[0].isl..=self.points[self.points.len() - 1].isl
    }

    /// Time to first token of one prompt on an idle engine.
    ///
    /// # Errors
    /// [`QueryError`] outside the measured range (unless extrapolation was asked for), or where its straight
    /// continuation is not above zero.
    pub fn ttft(&self, isl: Tokens, out_of_range: OutOfRange) -> Result<Reading<Milliseconds>, QueryError> {
        let source = self.source(isl, out_of_range)?;
        let value = self.ttft.at(real(isl.get()));
        let value = above_zero(value)
            .and_then(|value| Milliseconds::new(value).map_err(|_| QueryError::Meaningless { value }))?;
        Ok(self.reading(value, isl, source))
    }

    /// Time to first token, milliseconds, at many input lengths: what [`Self::ttft`] gives, without its origin, for those
    /// who draw or scan the curve. `lengths` rise and lie in [`Self::isl_range`].
    ///
    /// # Errors
    /// [`QueryError`] for a length that was not measured, and for lengths that fall.
    pub fn ttft_along(&self, lengths: &[f64]) -> Result<Vec<f64>, QueryError> {
        let (low, high) = self.isl_range().into_inner();
        rising_within(Axis::Isl, lengths, [low, high].map(|isl| real(isl.get())))?;
        let mut values = Vec::with_capacity(lengths.len());
        self.ttft.along(lengths, &mut values);
        Ok(values)
    }

    /// Input tokens per second and GPU.
    ///
    /// Between points, `throughput · ttft / isl` is interpolated (an engine that takes one prompt after the other keeps
    /// it constant) and divided by TTFT, so that both numbers tell the same story.
    ///
    /// # Errors
    /// As [`Self::ttft`].
    pub fn throughput_per_gpu(
        &self,
        isl: Tokens,
        out_of_range: OutOfRange,
    ) -> Result<Reading<TokensPerSecond>, QueryError> {
        let source = self.source(isl, out_of_range)?;
        let value = if source == Source::Point {
            let at = self.points.partition_point(|point| point.isl < isl);
            self.points[at].throughput_per_gpu
        } else {
            let length = real(isl.get());
            let ttft = above_zero(self.ttft.at(length))?;
            let value = above_zero(self.share.at(length) * length / ttft)?;
            TokensPerSecond::new(value).map_err(|_| QueryError::Meaningless { value })?
        };
        Ok(self.reading(value, isl, source))
    }

    /// The longest prompt whose TTFT, and that of every shorter measured prompt, is at or below a limit.
    ///
    /// # Errors
    /// [`QueryError::LimitTooLow`] when the shortest measured prompt already takes longer.
    pub fn max_isl(&self, limit: Milliseconds) -> Result<LongestPrompt, QueryError> {
        let shortest = self.ttft.ys()[0];
        if shortest > limit.get() {
            return Err(QueryError::LimitTooLow {
                limit_ms: limit.get(),
                lowest_ms: shortest,
                axis: Axis::Isl,
                at: self.ttft.low(),
            });
        }
        Ok(
            match self.ttft.cells().find_map(|cell| cell.first_above(limit.get())) {
                Some(isl) => LongestPrompt {
                    isl: Tokens::new(floor_count(isl)),
                    bound: Bound::Limit,
                },
                None => LongestPrompt {
                    isl: *self.isl_range().end(),
                    bound: Bound::MeasuredRange,
                },
            },
        )
    }

    /// How well each inner point is predicted by the others: the error to expect of TTFT between points.
    pub fn leave_one_out(&self) -> &LeaveOneOut {
        &self.leave_one_out
    }

    /// Where a number at an input length comes from.
    fn source(&self, isl: Tokens, out_of_range: OutOfRange) -> Result<Source, QueryError> {
        let isl = real(isl.get());
        let (low, high) = (self.share.low(), self.share.high());
        if isl >= low && isl <= high {
            return Ok(match (self.share.knot_at(isl), self.choice.fit) {
                (Some(_), PrefillFit::MonotoneCubic) => Source::Point,
                (Some(_), PrefillFit::Quadratic) => Source::Smoothed,
                (None, _) => Source::Interpolated,
            });
        }
        if out_of_range == OutOfRange::Refuse {
            return Err(QueryError::OutOfRange {
                axis: Axis::Isl,
                value: isl,
                low,
                high,
            });
        }
        let edge = if isl < low { low } else { high };
        Ok(Source::Extrapolated {
            beyond: vec![Beyond {
                axis: Axis::Isl,
                by: (isl - edge).abs(),
                edge,
            }],
        })
    }

    fn reading<T>(&self, value: T, isl: Tokens, source: Source) -> Reading<T> {
        let expected_error = match source {
            Source::Point => Some(0.0),
            Source::Smoothed | Source::Interpolated => {
                let share = (real(isl.get()) - self.share.low()) / self.share.width();
                self.expected[Third::of_share(share).index()]
            }
            Source::Extrapolated { .. } => None,
        };
        Reading {
            value,
            source,
            expected_error,
        }
    }
}

/// Refuses queries along an axis that fall, or leave the measured range.
pub(crate) fn rising_within(axis: Axis, queries: &[f64], [low, high]: [f64; 2]) -> Result<(), QueryError> {
    // The usual case in one pass that needs no branch; who is wrong is looked for afterwards. What is no number rises from
    // nothing.
    let rises = queries.windows(2).filter(|pair| pair[0] <= pair[1]).count();
    let ends = [queries.first(), queries.last()];
    if rises + 1 >= queries.len() && ends.into_iter().flatten().all(|end| (low..=high).contains(end)) {
        return Ok(());
    }
    if let Some(outside) = queries.iter().find(|query| !(low..=high).contains(*query)) {
        return Err(QueryError::OutOfRange {
            axis,
            value: *outside,
            low,
            high,
        });
    }
    let falling = queries.windows(2).find(|pair| pair[1] < pair[0]);
    Err(QueryError::Unsorted {
        axis,
        value: falling.map_or(low, |pair| pair[1]),
    })
}

/// Refuses what a continuation made impossible.
pub(crate) fn above_zero(value: f64) -> Result<f64, QueryError> {
    if value > 0.0 {
        Ok(value)
    } else {
        Err(QueryError::Meaningless { value })
    }
}

/// Refuses a number that is not above zero.
pub(crate) fn positive(quantity: &'static str, index: usize, value: f64) -> Result<(), BuildError> {
    if value.is_finite() && value > 0.0 {
        Ok(())
    } else {
        Err(BuildError::NotPositive {
            quantity,
            index,
            value,
        })
    }
}

#[cfg(test)]
mod tests;
