//! Percentiles, confidence intervals and trends.

use dgdr_units::{floor_count, real};
use serde::Serialize;

use crate::dice::Dice;

/// Figures of one quantity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Distribution {
    /// How many values.
    pub count: u64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation of the population.
    pub std: f64,
    /// Smallest.
    pub min: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest.
    pub max: f64,
    /// 95 % confidence interval of the mean, with three values or more.
    pub ci95: Option<[f64; 2]>,
}

impl Distribution {
    /// Figures of values in the order in which they were measured; none of none.
    ///
    /// `units` are the values that the confidence interval is made of: the values themselves, or means of those that
    /// are not independent of one another (the gaps of one answer).
    pub fn of(values: &[f64], units: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let mean = mean(values)?;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Self {
            count: count(values),
            mean,
            std: (squares / real(count(values))).sqrt(),
            min,
            p50: percentile(&sorted, 50.0),
            p90: percentile(&sorted, 90.0),
            p95: percentile(&sorted, 95.0),
            p99: percentile(&sorted, 99.0),
            max,
            ci95: confidence(units),
        })
    }
}

/// Mean; none of none.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / real(count(values)))
}

/// A percentile of ascending values, in a line between the two next to it (as NumPy); 0 of none.
pub fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = percent / 100.0 * real(u64::try_from(last).unwrap_or(0));
    let below = usize::try_from(floor_count(place)).unwrap_or(0).min(last);
    let above = (below + 1).min(last);
    let share = place - place.floor();
    sorted[below] + (sorted[above] - sorted[below]) * share
}

/// Batches of a long run: neighbours in time depend on one another, batches of them hardly do.
const BATCHES: usize = 20;
/// Student's t for 95 % and [`BATCHES`] − 1 degrees of freedom.
const T_19: f64 = 2.093;
/// Values from which on batches hold two each.
const FEWEST_FOR_BATCHES: usize = 2 * BATCHES;
/// Resamples of a short run.
const RESAMPLES: usize = 2000;
/// Fewer values say nothing about their spread.
const FEWEST_FOR_SPREAD: usize = 3;

/// 95 % confidence interval of the mean of values in the order of time: of batch means in a long run, which keeps the
/// dependence of neighbours in; resampled (a seeded bootstrap) in a short one.
pub fn confidence(values: &[f64]) -> Option<[f64; 2]> {
    if values.len() < FEWEST_FOR_SPREAD {
        return None;
    }
    if values.len() < FEWEST_FOR_BATCHES {
        return bootstrap(values);
    }
    let means = batch_means(values, BATCHES);
    let centre = mean(values)?;
    let middle = mean(&means)?;
    let squares: f64 = means.iter().map(|value| (value - middle).powi(2)).sum();
    let batches = real(count(&means));
    let half = T_19 * (squares / (batches - 1.0) / batches).sqrt();
    Some([centre - half, centre + half])
}

fn bootstrap(values: &[f64]) -> Option<[f64; 2]> {
    let mut dice = Dice::new(95);
    let mut means = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        let resampled: f64 = (0..values.len()).filter_map(|_| dice.pick(values)).sum();
        means.push(resampled / real(count(values)));
    }
    means.sort_by(f64::total_cmp);
    let centre = mean(values)?;
    // With few values resampling tells too small a spread, by this factor.
    let widen = (real(count(values)) / (real(count(values)) - 1.0)).sqrt();
    let low = centre - (centre - percentile(&means, 2.5)) * widen;
    let high = centre + (percentile(&means, 97.5) - centre) * widen;
    Some([low, high])
}

/// Means of neighbours, at most `batches` groups of nearly the same size.
pub fn batch_means(values: &[f64], batches: usize) -> Vec<f64> {
    let batches = batches.min(values.len()).max(1);
    (0..batches)
        .filter_map(|batch| {
            let from = batch * values.len() / batches;
            let to = (batch + 1) * values.len() / batches;
            mean(&values[from..to])
        })
        .collect()
}

/// How a series moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// Mann and Kendall's statistic: beyond ±1.96 a steady series is that uneven one time in twenty.
    pub z: f64,
    /// Change from beginning to end by Sen's slope, as a share of the median.
    pub change: f64,
}

/// Most points of a trend: a longer series is averaged down.
const TREND_POINTS: usize = 64;
/// Fewer points show no trend.
const FEWEST_FOR_TREND: usize = 8;

/// The trend of values in the order of time; none of too few.
pub fn trend(values: &[f64]) -> Option<Trend> {
    let points = batch_means(values, TREND_POINTS);
    if points.len() < FEWEST_FOR_TREND {
        return None;
    }
    let mut rises = 0_i32;
    let mut slopes = Vec::new();
    for (index, first) in points.iter().enumerate() {
        for (distance, later) in (1_u32..).zip(&points[index + 1..]) {
            let rise = later - first;
            rises += i32::from(rise > 0.0) - i32::from(rise < 0.0);
            slopes.push(rise / f64::from(distance));
        }
    }
    slopes.sort_by(f64::total_cmp);
    let n = real(count(&points));
    let deviation = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let mut sorted = points.clone();
    sorted.sort_by(f64::total_cmp);
    let median = percentile(&sorted, 50.0).abs().max(f64::MIN_POSITIVE);
    Some(Trend {
        z: f64::from(rises - rises.signum()) / deviation,
        change: percentile(&slopes, 50.0) * (n - 1.0) / median,
    })
}

fn count<T>(values: &[T]) -> u64 {
    u64::try_from(values.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
