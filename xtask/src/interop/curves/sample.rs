//! What is compared: upstream's own measurements with each point left out, and engines whose cost is known.

use dgdr_interpolation::{DecodePoint, PrefillPoint, npz};
use dgdr_units::{Fraction, Milliseconds, Tokens, TokensPerSecond, floor_count, real};
use serde::Serialize;

/// Upstream's sweep of one H200; its origin is told beside it.
const PREFILL: &[u8] = include_bytes!("../../../../interpolation/tests/h200_tp1/prefill_raw_data.npz");
const DECODE: &[u8] = include_bytes!("../../../../interpolation/tests/h200_tp1/decode_raw_data.npz");

/// Cache of the engines whose cost is known: that of the measured one.
const KV_TOKENS: f64 = 945_029.0;
/// Noise of a measurement.
const NOISE: f64 = 0.05;
/// Places at which a known cost is compared.
const PLACES: u32 = 400;
/// Draws of noise, so that no comparison hangs on one.
const DRAWS: u32 = 10;

/// Points to learn from, and places with what is true there.
///
/// The numbers of a point are its position (input length; or KV usage and context length), then its latency.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Fold {
    pub(super) known: Vec<Vec<f64>>,
    pub(super) asked: Vec<Vec<f64>>,
}

/// Folds that make one line of the comparison.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Sample {
    pub(super) name: String,
    /// Positions are input lengths; else KV usage and context length.
    pub(super) is_prefill: bool,
    pub(super) folds: Vec<Fold>,
}

/// All that is compared.
pub(super) fn all() -> anyhow::Result<Vec<Sample>> {
    let mut samples = vec![measured_prefill()?];
    samples.extend(known_prefill());
    samples.push(measured_decode()?);
    for (layout, places) in [
        ("rows", rows()),
        ("rows by ratio", rows_by_ratio()),
        ("scattered", scattered()),
    ] {
        samples.extend(known_decode(layout, &places));
    }
    Ok(samples)
}

fn measured_prefill() -> anyhow::Result<Sample> {
    let curve = npz::read_prefill(PREFILL)?;
    let points: Vec<Vec<f64>> = curve
        .points()
        .iter()
        .map(|point| vec![real(point.isl.get()), point.ttft.get()])
        .collect();
    Ok(Sample {
        name: "TTFT of an H200, each point left out".to_owned(),
        is_prefill: true,
        // The ends would be extrapolated.
        folds: left_out(&points, 1..points.len() - 1),
    })
}

fn measured_decode() -> anyhow::Result<Sample> {
    let surface = npz::read_decode(DECODE)?;
    let points: Vec<Vec<f64>> = surface
        .points()
        .iter()
        .map(|point| vec![point.kv_usage.get(), point.context_length, point.itl.get()])
        .collect();
    let mut folds = left_out(&points, 0..points.len());
    let mut contexts: Vec<f64> = points.iter().map(|point| point[1]).collect();
    contexts.dedup_by(|a, b| a.total_cmp(b).is_eq());
    // The outer rows would be extrapolated.
    for context in &contexts[1..contexts.len() - 1] {
        let (asked, known) = points
            .iter()
            .cloned()
            .partition(|point: &Vec<f64>| point[1].total_cmp(context).is_eq());
        folds.push(Fold { known, asked });
    }
    Ok(Sample {
        name: "ITL of an H200, points and rows left out".to_owned(),
        is_prefill: false,
        folds,
    })
}

fn left_out(points: &[Vec<f64>], indices: std::ops::Range<usize>) -> Vec<Fold> {
    indices
        .map(|index| Fold {
            known: [&points[..index], &points[index + 1..]].concat(),
            asked: vec![points[index].clone()],
        })
        .collect()
}

/// Milliseconds of an input length.
type OfLength = fn(f64) -> f64;
/// Milliseconds of a KV usage with so many requests in flight.
type OfLoad = fn(f64, f64) -> f64;

/// A known cost.
struct Known<F> {
    name: &'static str,
    cost: F,
    /// Of the points to learn from.
    noise: f64,
}

const fn known<F: Copy>(name: &'static str, cost: F, noise: f64) -> Known<F> {
    Known { name, cost, noise }
}

/// How TTFT grows with the input length.
fn prefill_costs() -> [Known<OfLength>; 4] {
    let parabola = |isl: f64| 16.0 + 0.015 * isl + 4.2e-7 * isl * isl;
    let knee = |isl: f64| 20.0 + (isl / 2048.0).ceil() * 6.0 + 0.012 * isl;
    let power = |isl: f64| 12.0 + 4e-3 * isl.powf(1.2);
    [
        known("parabola", parabola, 0.0),
        known("power", power, 0.0),
        known("steps", knee, 0.0),
        known("parabola with noise", parabola, NOISE),
    ]
}

fn known_prefill() -> impl Iterator<Item = Sample> {
    prefill_costs().into_iter().map(|Known { name, cost, noise }| {
        let asked: Vec<Vec<f64>> = (1..=PLACES)
            .map(|index| (100.0 + 16_275.0 * halton(index, 2)).floor())
            .map(|isl| vec![isl, cost(isl)])
            .collect();
        let fold = |draw: u32| Fold {
            known: (0..16_u32)
                .map(|step| (step, 100.0 + 1085.0 * f64::from(step)))
                .map(|(step, isl)| vec![isl, cost(isl) * (1.0 + noise * normal([draw, step]))])
                .collect(),
            asked: asked.clone(),
        };
        Sample {
            name: format!("TTFT, {name}"),
            is_prefill: true,
            folds: draws(noise).map(fold).collect(),
        }
    })
}

/// One draw where there is no noise.
fn draws(noise: f64) -> std::ops::Range<u32> {
    0..if noise > 0.0 { DRAWS } else { 1 }
}

/// What a step costs at a KV usage with so many requests in flight.
fn decode_costs() -> [Known<OfLoad>; 5] {
    let linear = |usage: f64, requests: f64| 4.0 + 30.0 * usage + 0.02 * requests;
    let saturating = |usage: f64, requests: f64| 4.0 + 28.0 * usage + 12.0 * requests / (requests + 200.0);
    let knee = |usage: f64, requests: f64| 4.0 + 25.0 * usage + 0.03 * (requests - 256.0).max(0.0);
    let buckets = |usage: f64, requests: f64| 4.0 + 25.0 * usage + 0.8 * (requests / 64.0).ceil();
    [
        known("linear", linear, 0.0),
        known("saturating", saturating, 0.0),
        known("knee", knee, 0.0),
        known("batch buckets", buckets, 0.0),
        known("linear with noise", linear, NOISE),
    ]
}

fn known_decode(layout: &str, places: &[[f64; 2]]) -> impl Iterator<Item = Sample> {
    decode_costs()
        .into_iter()
        .map(move |Known { name, cost, noise }| {
            let at = |[usage, context]: [f64; 2]| cost(usage, usage * KV_TOKENS / context);
            let asked: Vec<Vec<f64>> = (1..=PLACES)
                .map(|index| inside([halton(index, 2), halton(index, 3)]))
                .map(|place| vec![place[0], place[1], at(place)])
                .collect();
            let fold = |draw: u32| Fold {
                known: (0..)
                    .zip(places)
                    .map(|(step, place)| {
                        vec![
                            place[0],
                            place[1],
                            at(*place) * (1.0 + noise * normal([draw, step])),
                        ]
                    })
                    .collect(),
                asked: asked.clone(),
            };
            Sample {
                name: format!("ITL, {name}, {layout}"),
                is_prefill: false,
                folds: draws(noise).map(fold).collect(),
            }
        })
}

/// As upstream's profiler measures: seven context lengths at equal steps, each with seven numbers of requests from one up
/// to a full cache.
fn rows() -> Vec<[f64; 2]> {
    let steps = || (0..7_u32).map(|step| f64::from(step) / 6.0);
    steps()
        .map(|step| 350.0 + step * 15_500.0)
        .flat_map(|context| steps().map(move |share| filled(context, share)))
        .collect()
}

/// As ours measures: context lengths by equal ratios, requests by cubes of equal steps.
fn rows_by_ratio() -> Vec<[f64; 2]> {
    let steps = || (0..7_u32).map(|step| f64::from(step) / 6.0);
    let mut places: Vec<[f64; 2]> = steps()
        .map(|step| (350.0 * (15_850.0_f64 / 350.0).powf(step)).round())
        .flat_map(|context| steps().map(move |share| filled(context, share.powi(3))))
        .collect();
    // On long contexts the first cubes are the same number of requests.
    places.dedup();
    places
}

/// Each point on a context length of its own.
fn scattered() -> Vec<[f64; 2]> {
    (1..=49)
        .map(|index| inside([halton(index, 5), halton(index, 7)]))
        .collect()
}

/// A place by shares of the range of context lengths and of requests.
fn inside([across, along]: [f64; 2]) -> [f64; 2] {
    filled((350.0 + across * 15_500.0).round(), along)
}

/// KV usage and context length, with a share of the requests that fit.
fn filled(context: f64, share: f64) -> [f64; 2] {
    let requests = (1.0 + share * (0.98 * KV_TOKENS / context - 1.0)).floor();
    [requests * context / KV_TOKENS, context]
}

/// Numbers of Halton's sequence: even over 0 to 1, without a pattern together with another base.
fn halton(mut index: u32, base: u32) -> f64 {
    let (mut share, mut number) = (1.0, 0.0);
    while index > 0 {
        share /= f64::from(base);
        number += share * f64::from(index % base);
        index /= base;
    }
    number
}

/// A number of mean zero and variance one, from the sum of three even ones.
fn normal([draw, step]: [u32; 2]) -> f64 {
    let index = draw * 1000 + step + 1;
    let sum: f64 = [11, 13, 17].map(|base| halton(index, base)).iter().sum();
    2.0 * sum - 3.0
}

/// The points of a fold as ours, of one GPU.
pub(super) fn prefill_points(fold: &Fold) -> anyhow::Result<Vec<PrefillPoint>> {
    let point = |numbers: &Vec<f64>| {
        Ok(PrefillPoint {
            isl: Tokens::new(floor_count(numbers[0])),
            ttft: Milliseconds::new(numbers[1])?,
            throughput_per_gpu: TokensPerSecond::new(numbers[0] * 1000.0 / numbers[1])?,
        })
    };
    fold.known.iter().map(point).collect()
}

/// The points of a fold as ours, of one GPU.
pub(super) fn decode_points(fold: &Fold) -> anyhow::Result<Vec<DecodePoint>> {
    let point = |numbers: &Vec<f64>| {
        let requests = numbers[0] * KV_TOKENS / numbers[1];
        Ok(DecodePoint {
            kv_usage: Fraction::new(numbers[0])?,
            context_length: numbers[1],
            itl: Milliseconds::new(numbers[2])?,
            throughput_per_gpu: TokensPerSecond::new(requests * 1000.0 / numbers[2])?,
        })
    };
    fold.known.iter().map(point).collect()
}
