//! TTFT and throughput over the input length.

use std::ops::RangeInclusive;

use dgdr_units::{Milliseconds, Tokens, TokensPerSecond, floor_count, real};

use crate::leave_one_out::{KnotError, LeaveOneOut};
use crate::pchip::Pchip;
use crate::{Axis, Beyond, Bound, BuildError, OutOfRange, QueryError, Reading, Source};

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
#[derive(Debug, Clone)]
pub struct PrefillCurve {
    points: Vec<PrefillPoint>,
    ttft: Pchip,
    throughput: Pchip,
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
        let ttft = points.iter().map(|point| point.ttft.get()).collect();
        let throughput = points
            .iter()
            .map(|point| point.throughput_per_gpu.get())
            .collect();
        Ok(Self {
            ttft: Pchip::new(isl.clone(), ttft),
            throughput: Pchip::new(isl, throughput),
            points,
        })
    }

    /// The points, by rising input length.
    pub fn points(&self) -> &[PrefillPoint] {
        &self.points
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
        let (value, source) = read(&self.ttft, isl, out_of_range)?;
        let value = Milliseconds::new(value).map_err(|_| QueryError::Meaningless { value })?;
        Ok(Reading { value, source })
    }

    /// Input tokens per second and GPU, interpolated on its own (not derived from the interpolated TTFT), as upstream's
    /// planner does.
    ///
    /// # Errors
    /// As [`Self::ttft`].
    pub fn throughput_per_gpu(
        &self,
        isl: Tokens,
        out_of_range: OutOfRange,
    ) -> Result<Reading<TokensPerSecond>, QueryError> {
        let (value, source) = read(&self.throughput, isl, out_of_range)?;
        let value = TokensPerSecond::new(value).map_err(|_| QueryError::Meaningless { value })?;
        Ok(Reading { value, source })
    }

    /// The longest prompt whose TTFT, and that of every shorter measured prompt, is at or below a limit.
    ///
    /// # Errors
    /// [`QueryError::LimitTooLow`] when the shortest measured prompt already takes longer.
    pub fn max_isl(&self, limit: Milliseconds) -> Result<LongestPrompt, QueryError> {
        let shortest = self.points[0];
        if shortest.ttft > limit {
            return Err(QueryError::LimitTooLow {
                limit_ms: limit.get(),
                lowest_ms: shortest.ttft.get(),
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
    pub fn leave_one_out(&self) -> LeaveOneOut {
        let inner = 1..self.points.len() - 1;
        LeaveOneOut::new(
            inner
                .map(|index| {
                    let point = self.points[index];
                    let isl = real(point.isl.get());
                    KnotError {
                        along: Axis::Isl,
                        at: vec![(Axis::Isl, isl)],
                        measured_ms: point.ttft.get(),
                        predicted_ms: self.ttft.without(index).at(isl),
                    }
                })
                .collect(),
        )
    }
}

/// The value of a fit at an input length, and where it came from.
fn read(fit: &Pchip, isl: Tokens, out_of_range: OutOfRange) -> Result<(f64, Source), QueryError> {
    let isl = real(isl.get());
    let (low, high) = (fit.low(), fit.high());
    let source = if isl < low || isl > high {
        if out_of_range == OutOfRange::Refuse {
            return Err(QueryError::OutOfRange {
                axis: Axis::Isl,
                value: isl,
                low,
                high,
            });
        }
        let edge = if isl < low { low } else { high };
        Source::Extrapolated {
            beyond: vec![Beyond {
                axis: Axis::Isl,
                by: (isl - edge).abs(),
                edge,
            }],
        }
    } else if fit.xs().binary_search_by(|knot| knot.total_cmp(&isl)).is_ok() {
        Source::Point
    } else {
        Source::Interpolated
    };
    let value = fit.at(isl);
    if value > 0.0 {
        Ok((value, source))
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
