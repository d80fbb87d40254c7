//! Efficiency over the amount of work.

use std::collections::BTreeMap;

use dgdr_units::{floor_count, real};
use serde::{Deserialize, Serialize};

/// An octave with fewer observations than this says nothing.
const LEAST_OBSERVATIONS: usize = 4;

/// The latency that work takes, over the least that it could take: both in octaves of milliseconds, linear between
/// knots that are one octave apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// log2 of the speed-of-light latency, in milliseconds, at the first knot.
    pub(super) first_octave: i32,
    /// Speed-of-light latency over measured latency at each knot, of which there is at least one.
    pub(super) efficiency: Vec<f64>,
}

impl Curve {
    /// Milliseconds of work that takes `limit` milliseconds at the speed of light. Less work than was ever measured
    /// costs what the least measured does, because that is a launch; more runs at the efficiency of the most.
    pub fn latency(&self, limit: f64) -> f64 {
        if limit <= 0.0 {
            return 0.0;
        }
        let at = limit.log2() - f64::from(self.first_octave);
        let last = self.efficiency.len().saturating_sub(1);
        let knot = |position: usize| real_index(position) - self.efficiency[position].log2();
        let octaves = if at <= 0.0 {
            knot(0)
        } else if at >= real_index(last) {
            at - self.efficiency[last].log2()
        } else {
            let below = index(at);
            let (low, high) = (knot(below), knot(below + 1));
            (high - low).mul_add(at - real_index(below), low)
        };
        (octaves + f64::from(self.first_octave)).exp2()
    }

    /// The curve through observations of (speed-of-light latency, latency): the median of each octave, octaves without
    /// observations between their neighbours, and latency never falling as work grows. None without observations.
    pub(super) fn through(observations: &[(f64, f64)]) -> Option<Self> {
        let mut octaves: BTreeMap<i32, Vec<f64>> = BTreeMap::new();
        for (limit, ms) in observations {
            let inefficiency = ms.log2() - limit.log2();
            octaves
                .entry(nearest_octave(*limit)?)
                .or_default()
                .push(inefficiency);
        }
        octaves.retain(|_, observed| observed.len() >= LEAST_OBSERVATIONS);
        let (first_octave, last_octave) = (*octaves.keys().next()?, *octaves.keys().next_back()?);
        let medians: Vec<Block> = octaves
            .iter_mut()
            .filter_map(|(octave, observed)| {
                let weight = real_index(observed.len());
                Some(Block {
                    first: *octave,
                    last: *octave,
                    latency: median(observed)? + f64::from(*octave),
                    weight,
                })
            })
            .collect();
        let latencies = never_falling(medians);
        let efficiency = (first_octave..=last_octave)
            .map(|octave| rounded((f64::from(octave) - latency_at(&latencies, octave)).exp2()))
            .collect();
        Some(Self {
            first_octave,
            efficiency,
        })
    }
}

/// Neighbouring octaves of one latency.
#[derive(Debug, Clone, Copy)]
struct Block {
    first: i32,
    last: i32,
    /// log2 of milliseconds.
    latency: f64,
    weight: f64,
}

/// The nearest latencies that never fall, by least squares: octaves that fall below an earlier one share its mean.
fn never_falling(medians: Vec<Block>) -> Vec<Block> {
    let mut kept: Vec<Block> = Vec::new();
    for mut block in medians {
        while let Some(before) = kept.pop_if(|before| before.latency > block.latency) {
            let weight = before.weight + block.weight;
            block = Block {
                first: before.first,
                last: block.last,
                latency: (before.latency * before.weight + block.latency * block.weight) / weight,
                weight,
            };
        }
        kept.push(block);
    }
    kept
}

/// log2 of the latency at an octave, linear between blocks.
fn latency_at(blocks: &[Block], octave: i32) -> f64 {
    let above = blocks.partition_point(|block| block.last < octave);
    match (
        above.checked_sub(1).and_then(|below| blocks.get(below)),
        blocks.get(above),
    ) {
        (Some(low), Some(high)) if octave < high.first => {
            let share = f64::from(octave - low.last) / f64::from(high.first - low.last);
            (high.latency - low.latency).mul_add(share, low.latency)
        }
        (_, Some(block)) | (Some(block), None) => block.latency,
        (None, None) => f64::INFINITY,
    }
}

/// Four significant digits: the file is read by people, too.
fn rounded(value: f64) -> f64 {
    let scale = 10_f64.powf(3.0 - value.log10().floor());
    (value * scale).round() / scale
}

fn real_index(position: usize) -> f64 {
    u64::try_from(position).map_or(f64::INFINITY, real)
}

/// The knot at or below a position.
fn index(at: f64) -> usize {
    usize::try_from(floor_count(at)).unwrap_or(usize::MAX)
}

/// log2 of a latency, rounded; none for what is not a positive number of a sane size.
fn nearest_octave(ms: f64) -> Option<i32> {
    let octave = ms.log2().round();
    (-40..40).find(|candidate| (f64::from(*candidate) - octave).abs() < 0.25)
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
