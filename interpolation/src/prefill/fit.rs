//! Two fits of TTFT, and the choice between them.

use std::fmt;

use serde::Serialize;

use crate::cubic::Cubic;
use crate::leave_one_out::{KnotError, root_mean};
use crate::pchip::{Pchip, without};
use crate::{Axis, Neighbours, Quadratic, Region, Third};

/// Points below which a parabola is no candidate: with one of four left out it would pass through the other three, and
/// nothing would tell noise from bend.
const QUADRATIC_POINTS: usize = 5;

/// A form of TTFT over the input length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PrefillFit {
    /// A monotone cubic through every point (PCHIP).
    MonotoneCubic,
    /// The parabola nearest to the points.
    Quadratic,
}

impl fmt::Display for PrefillFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MonotoneCubic => "monotone cubic",
            Self::Quadratic => "quadratic",
        })
    }
}

/// What decided between the fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FitReason {
    /// The chosen one predicts points that are left out better.
    PredictsBetter,
    /// There are too few points for a parabola to be judged.
    TooFewPoints,
    /// The parabola falls somewhere in the measured range, which TTFT does not.
    QuadraticFalls,
    /// The parabola is at or below zero somewhere in the measured range.
    QuadraticNotPositive,
    /// What the parabola leaves is no noise: it stays on one side for several points in a row, or alternates.
    QuadraticMisfits,
}

impl fmt::Display for FitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PredictsBetter => f.write_str("predicts left-out points better"),
            Self::TooFewPoints => write!(f, "fewer than {QUADRATIC_POINTS} points"),
            Self::QuadraticFalls => f.write_str("the quadratic falls within the range"),
            Self::QuadraticNotPositive => f.write_str("the quadratic is not above zero within the range"),
            Self::QuadraticMisfits => f.write_str("what the quadratic leaves is a pattern, not noise"),
        }
    }
}

/// Which fit answers, and why.
///
/// The parabola answers when it rises and is above zero over the whole range and its leave-one-out error (root mean
/// square over the same inner points, in milliseconds) is the smaller one; else the monotone cubic does. So it wins
/// for noisy measurements, where passing through every point means to follow the noise.
///
/// Without noise the comparison alone would be unfair to the cubic, whose error in a gap is a fraction of that in the
/// double gap that a left-out point makes, while a parabola is as far off either way. So it has to leave noise, too:
/// residuals that neither follow one another nor alternate (Durbin and Watson, Biometrika 37, 1950).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FitChoice {
    /// The fit that answers.
    pub fit: PrefillFit,
    /// What decided.
    pub reason: FitReason,
    /// Leave-one-out error of the monotone cubic in milliseconds; `None` without inner points.
    pub cubic_error: Option<f64>,
    /// Leave-one-out error of the parabola in milliseconds; `None` when there are too few points to tell.
    pub quadratic_error: Option<f64>,
}

impl fmt::Display for FitChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.fit, self.reason)?;
        if let (FitReason::PredictsBetter, Some(cubic), Some(quadratic)) =
            (self.reason, self.cubic_error, self.quadratic_error)
        {
            let (chosen, other) = match self.fit {
                PrefillFit::MonotoneCubic => (cubic, quadratic),
                PrefillFit::Quadratic => (quadratic, cubic),
            };
            write!(f, " ({chosen:.2} ms instead of {other:.2} ms)")?;
        }
        Ok(())
    }
}

/// What the choice leaves.
pub(super) struct Chosen {
    pub(super) choice: FitChoice,
    /// The fit that answers, as cubics.
    pub(super) curve: Pchip,
    pub(super) quadratic: Option<Quadratic>,
    /// Errors of the fit that answers.
    pub(super) errors: Vec<KnotError>,
}

/// Fits both and chooses.
pub(super) fn choose(isl: &[f64], ttft: &[f64]) -> Chosen {
    let cubic_errors = errors(isl, ttft, |xs, ys, x| Some(Pchip::new(xs, ys).at(x)));
    let enough = isl.len() >= QUADRATIC_POINTS;
    let quadratic_errors = if enough {
        errors(isl, ttft, |xs, ys, x| Some(Quadratic::nearest(&xs, &ys)?.at(x)))
    } else {
        Vec::new()
    };
    let cubic_error = root_mean_square(&cubic_errors);
    let quadratic_error = root_mean_square(&quadratic_errors);
    let quadratic = Quadratic::nearest(isl, ttft);
    let range = [isl[0], isl[isl.len() - 1]];
    let chosen = |fit, reason| FitChoice {
        fit,
        reason,
        cubic_error,
        quadratic_error,
    };
    let cubic = |reason| chosen(PrefillFit::MonotoneCubic, reason);
    let (choice, parabola) = match quadratic {
        Some(parabola) if enough => {
            if range.iter().any(|end| parabola.slope_at(*end) < 0.0) {
                (cubic(FitReason::QuadraticFalls), None)
            } else if parabola.at(range[0]) <= 0.0 {
                (cubic(FitReason::QuadraticNotPositive), None)
            } else if quadratic_error < cubic_error && leaves_pattern(&parabola, isl, ttft) {
                (cubic(FitReason::QuadraticMisfits), None)
            } else if quadratic_error < cubic_error {
                (
                    chosen(PrefillFit::Quadratic, FitReason::PredictsBetter),
                    Some(parabola),
                )
            } else {
                (cubic(FitReason::PredictsBetter), None)
            }
        }
        _ => (cubic(FitReason::TooFewPoints), None),
    };
    let (curve, errors) = match parabola {
        Some(parabola) => (as_cubic(&parabola, range), quadratic_errors),
        None => (Pchip::new(isl.to_vec(), ttft.to_vec()), cubic_errors),
    };
    Chosen {
        choice,
        curve,
        quadratic,
        errors,
    }
}

/// Root of the mean squared error in milliseconds; `None` without any.
fn root_mean_square(errors: &[KnotError]) -> Option<f64> {
    root_mean(
        errors
            .iter()
            .map(|error| (error.predicted_ms - error.measured_ms).powi(2)),
    )
}

/// Whether residuals follow one another or alternate: the statistic of Durbin and Watson is 2 for noise, 0 for a bend, 4
/// for what goes up and down in turn (steps of a kernel, sampled twice a step). It is below 1 by chance in 6 of 1000 cases
/// of 16 points with 5 % of noise.
fn leaves_pattern(parabola: &Quadratic, isl: &[f64], ttft: &[f64]) -> bool {
    /// Residuals below this share of a value are rounding.
    const EXACT: f64 = 1e-9;
    let residuals: Vec<f64> = isl
        .iter()
        .zip(ttft)
        .map(|(isl, ttft)| parabola.at(*isl) - ttft)
        .collect();
    let steps: f64 = residuals.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)).sum();
    let sum: f64 = residuals.iter().map(|residual| residual.powi(2)).sum();
    let is_exact = residuals
        .iter()
        .zip(ttft)
        .all(|(residual, ttft)| residual.abs() <= EXACT * ttft);
    !is_exact && !(sum..=3.0 * sum).contains(&steps)
}

/// The parabola over the measured range: a cubic with its values and slopes is the same polynomial.
fn as_cubic(parabola: &Quadratic, [start, end]: [f64; 2]) -> Pchip {
    Pchip::of_cubic(Cubic {
        start,
        end,
        values: [parabola.at(start), parabola.at(end)],
        slopes: [parabola.slope_at(start), parabola.slope_at(end)],
    })
}

/// Each inner point as a fit of the others predicts it.
fn errors(
    isl: &[f64],
    ttft: &[f64],
    predict: impl Fn(Vec<f64>, Vec<f64>, f64) -> Option<f64>,
) -> Vec<KnotError> {
    let width = isl[isl.len() - 1] - isl[0];
    (1..isl.len() - 1)
        .filter_map(|index| {
            let at = isl[index];
            Some(KnotError {
                neighbours: Neighbours::Along(Axis::Isl),
                region: Region::Prompts(Third::of_share((at - isl[0]) / width)),
                at: vec![(Axis::Isl, at)],
                measured_ms: ttft[index],
                predicted_ms: predict(without(isl, index), without(ttft, index), at)?,
            })
        })
        .collect()
}
