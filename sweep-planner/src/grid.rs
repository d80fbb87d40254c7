//! Where the picked workers are measured in depth: the profiler guide's step 5.
//!
//! Prefill is measured over prompt lengths at batch 1, decode over KV usage × context length. A grid always has at
//! least three distinct points on it, or says why it cannot.

use std::collections::BTreeSet;

use dgdr_units::{Fraction, Tokens, floor_count, real};
use serde::Serialize;

use crate::PlannerError;

/// Shortest prompt that is measured, in tokens: below it fixed costs dominate, upstream starts here too.
const SHORTEST_PROMPT: u64 = 100;

/// How many points a grid has on each axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granularity {
    /// Prompt lengths of the prefill curve.
    pub prefill: u32,
    /// Points on each axis of the decode surface.
    pub decode: u32,
}

impl Default for Granularity {
    /// 16 prompt lengths, 6 × 6 decode points, as upstream.
    fn default() -> Self {
        Self {
            prefill: 16,
            decode: 6,
        }
    }
}

/// A point of the decode surface.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DecodePoint {
    /// Prompt tokens of each request.
    pub isl: Tokens,
    /// Generated tokens of each request.
    pub osl: Tokens,
    /// Requests in flight on the worker.
    pub in_flight: u64,
    /// Mean tokens of a request in the KV cache: `isl + osl / 2`.
    pub context_length: Tokens,
    /// Share of the worker's KV cache in use: `in_flight × context_length / kv_capacity`.
    pub kv_usage: Fraction,
}

/// What the decode surface spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeRange {
    /// Tokens that the worker's KV cache holds.
    pub kv_capacity: Tokens,
    /// Longest request, prompt and generated tokens together.
    pub max_context: Tokens,
    /// Prompt tokens of a typical request: one row of the surface lies on its context length, where the range holds it.
    pub isl: Tokens,
    /// Generated tokens of each request.
    pub osl: Tokens,
}

/// Prompt lengths of the prefill curve, ascending and distinct, from 100 tokens to the longest.
///
/// # Errors
/// [`PlannerError::GridTooSmall`] when fewer than three distinct lengths fit.
pub fn prefill_grid(longest: Tokens, granularity: Granularity) -> Result<Vec<Tokens>, PlannerError> {
    let low = SHORTEST_PROMPT.min(longest.get().div_ceil(8)).max(1);
    let lengths = spread(low, longest.get(), u64::from(granularity.prefill));
    enough(
        lengths.len(),
        PlannerError::GridTooSmall {
            axis: "prefill ISL",
            low,
            high: longest.get(),
            points: lengths.len(),
            remedy: "raise the longest context, or the prefill granularity to at least 3",
        },
    )?;
    Ok(lengths.into_iter().map(Tokens::new).collect())
}

/// Points of the decode surface, by context length, then by requests in flight, all distinct.
///
/// Every point fits into the KV cache, so its usage is at most 1.
///
/// # Spacing
/// Context lengths are spread by equal ratios on either side of the typical request's own, requests in flight by cubes
/// of equal steps. Both lie closest where a step's cost bends most: few tokens of context mean that many requests fit,
/// and among few requests each next one counts. Over 200 random places each on surfaces of five models (simulated, H200)
/// this leaves 1.5 to 4 % between the points, even spacing 4 to 25 % (root mean square of relative errors).
///
/// # Errors
/// [`PlannerError::GridTooSmall`] when fewer than three points fit, with the reason: too short a context or too
/// small a KV cache.
pub fn decode_grid(range: DecodeRange, granularity: Granularity) -> Result<Vec<DecodePoint>, PlannerError> {
    let osl = range.osl.get();
    let capacity = range.kv_capacity.get();
    let steps = u64::from(granularity.decode);
    let longest = range.max_context.get().min(capacity).saturating_sub(osl);
    let low = SHORTEST_PROMPT.min(longest.div_ceil(8)).max(1);
    let mut points = Vec::new();
    for isl in around(range.isl.get(), [low, longest], (steps, osl / 2)) {
        let most = capacity / (isl + osl);
        let context_length = isl + osl / 2;
        for in_flight in by_cubes(most, steps) {
            points.push(DecodePoint {
                isl: Tokens::new(isl),
                osl: range.osl,
                in_flight,
                context_length: Tokens::new(context_length),
                kv_usage: Fraction::new(real(in_flight * context_length) / real(capacity))?,
            });
        }
    }
    let remedy = if range.max_context.get() <= osl + 2 {
        "raise the longest context well above workload.osl"
    } else if capacity <= osl + 2 {
        "the KV cache cannot hold one request: use more GPUs per worker, or shorter requests"
    } else {
        "raise the decode granularity to at least 2, or use a worker with a larger KV cache"
    };
    enough(
        points.len(),
        PlannerError::GridTooSmall {
            axis: "decode KV usage × context length",
            low,
            high: longest,
            points: points.len(),
            remedy,
        },
    )?;
    Ok(points)
}

fn enough(points: usize, error: PlannerError) -> Result<(), PlannerError> {
    if points < 3 { Err(error) } else { Ok(()) }
}

/// At most `count` distinct whole numbers, evenly spread from `low` to `high`, both included.
fn spread(low: u64, high: u64, count: u64) -> BTreeSet<u64> {
    if high < low || count == 0 {
        return BTreeSet::new();
    }
    let last = count.saturating_sub(1).max(1);
    (0..count)
        .map(|step| {
            low + (u128::from(high - low) * u128::from(step) / u128::from(last))
                .try_into()
                .unwrap_or(0)
        })
        .collect()
}

/// At most `count` distinct prompt lengths from `low` to `high`, both included, and `typical` where it lies between them:
/// on either side of it their context lengths, `generated` tokens longer, grow by equal ratios.
fn around(typical: u64, [low, high]: [u64; 2], (count, generated): (u64, u64)) -> BTreeSet<u64> {
    if high <= low || count < 3 || typical <= low || typical >= high {
        return by_ratio([low, high], (count, generated));
    }
    let context = |isl: u64| real(isl + generated);
    let share = (context(typical) / context(low)).ln() / (context(high) / context(low)).ln();
    let below = floor_count(share * real(count - 1) + 0.5).clamp(1, count - 2);
    let mut lengths = by_ratio([low, typical], (below + 1, generated));
    lengths.extend(by_ratio([typical, high], (count - below, generated)));
    lengths
}

/// At most `count` distinct prompt lengths from `low` to `high`, both included, whose context lengths grow by equal
/// ratios.
fn by_ratio([low, high]: [u64; 2], (count, generated): (u64, u64)) -> BTreeSet<u64> {
    if high < low || count == 0 {
        return BTreeSet::new();
    }
    let [first, last] = [low, high].map(|isl| real(isl + generated));
    (0..count)
        .map(|step| {
            let context = first * (last / first).powf(real(step) / real(count.saturating_sub(1).max(1)));
            floor_count(context + 0.5)
                .saturating_sub(generated)
                .clamp(low, high)
        })
        .collect()
}

/// At most `count` distinct numbers of requests from 1 to `most`, both included; all of them where no more fit.
fn by_cubes(most: u64, count: u64) -> BTreeSet<u64> {
    if most <= count {
        return (1..=most).collect();
    }
    (0..count)
        .map(|step| {
            let share = real(step) / real(count.saturating_sub(1).max(1));
            // Rounding lets the first cubes coincide.
            (1 + floor_count(real(most - 1) * share.powi(3) + 0.5)).max(step + 1)
        })
        .collect()
}

#[cfg(test)]
mod tests;
