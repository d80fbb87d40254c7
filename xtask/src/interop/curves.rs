//! Our curves beside scipy's, on the same points: errors at held-out places, and time per query.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use dgdr_interpolation::{DecodePlace, DecodeSurface, OutOfRange, PrefillCurve};
use dgdr_units::{Fraction, Tokens, floor_count, real};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Bench;
use super::script::{self, Finding, Script};

mod sample;

use sample::{Fold, Sample};

/// Queries of a timing: enough to hide what a call of NumPy costs, few enough to be done between two other programs.
const QUERIES: u32 = 20_000;
/// Rounds of which the fastest counts.
const ROUNDS: u32 = 50;
/// Lines of the surface that the queries lie on, as a picture of it asks.
const LINES: u32 = 20;
/// Lengths that the curve is asked for at once: one for each column of a picture.
const LENGTHS: u32 = 1_000;
/// So many times faster than scipy a query has to be: one by one beside a call for each, and along lines beside calls with
/// all queries at once. Beside triangles that were built before, which `griddata` cannot use, figures are only told.
const TIMES_FASTER: f64 = 10.0;
/// Cache of the decode samples, tokens; it only says what KV usage means.
const KV_TOKENS: u64 = 945_029;

/// What scipy answers.
#[derive(Debug, Deserialize)]
struct Answer {
    /// For each sample, what each method says at each asked place; nothing outside its hull.
    samples: Vec<BTreeMap<String, Vec<Option<f64>>>>,
    /// What a query takes.
    nanoseconds: BTreeMap<String, f64>,
}

/// Points and queries of the timing.
#[derive(Debug, Serialize)]
struct Speed {
    prefill: Vec<Vec<f64>>,
    isl: Vec<f64>,
    decode: Vec<Vec<f64>>,
    places: Vec<[f64; 2]>,
    rounds: u32,
}

/// Asks both, and compares.
pub(super) fn check(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let samples = sample::all()?;
    let speed = speed(&samples)?;
    let script = Script {
        name: "curves",
        text: include_str!("curves.py"),
    };
    let question = json!({ "samples": samples, "speed": speed });
    let answer: Answer = script::ask(&bench.peer, &bench.folder, script, &question)?;
    let mut findings = Vec::new();
    for (sample, theirs) in samples.iter().zip(&answer.samples) {
        let ours = predict(sample)?;
        findings.push(compare(sample, &ours, theirs));
    }
    findings.extend(race(&speed, &answer.nanoseconds)?);
    Ok(findings)
}

/// What ours says at each asked place; nothing outside its range.
fn predict(sample: &Sample) -> anyhow::Result<Vec<Option<f64>>> {
    let mut all = Vec::new();
    for fold in &sample.folds {
        if sample.is_prefill {
            let curve = PrefillCurve::new(sample::prefill_points(fold)?)?;
            all.extend(fold.asked.iter().map(|asked| {
                let isl = Tokens::new(floor_count(asked[0]));
                Some(curve.ttft(isl, OutOfRange::Refuse).ok()?.value.get())
            }));
        } else {
            let surface = surface(fold)?;
            for asked in &fold.asked {
                let place = place([asked[0], asked[1]])?;
                all.push(
                    surface
                        .itl(place, OutOfRange::Refuse)
                        .ok()
                        .map(|read| read.value.get()),
                );
            }
        }
    }
    Ok(all)
}

fn surface(fold: &Fold) -> anyhow::Result<DecodeSurface> {
    Ok(DecodeSurface::new(
        Tokens::new(KV_TOKENS),
        sample::decode_points(fold)?,
    )?)
}

fn place([usage, context_length]: [f64; 2]) -> anyhow::Result<DecodePlace> {
    Ok(DecodePlace {
        kv_usage: Fraction::new(usage)?,
        context_length,
    })
}

/// Errors where all answer, and how many places each answers at all.
fn compare(sample: &Sample, ours: &[Option<f64>], theirs: &BTreeMap<String, Vec<Option<f64>>>) -> Finding {
    /// Equal but for rounding counts as equal.
    const ROUNDING: f64 = 1e-9;
    let truth: Vec<f64> = sample
        .folds
        .iter()
        .flat_map(|fold| &fold.asked)
        .filter_map(|asked| asked.last().copied())
        .collect();
    let common: Vec<usize> = (0..truth.len())
        .filter(|index| ours[*index].is_some() && theirs.values().all(|values| values[*index].is_some()))
        .collect();
    let rmse = |values: &[Option<f64>]| {
        let sum: f64 = common
            .iter()
            .filter_map(|index| Some((values[*index]? - truth[*index]).powi(2)))
            .sum();
        (sum / real(count(common.len()).max(1))).sqrt()
    };
    let answered = |values: &[Option<f64>]| values.iter().flatten().count();
    let our_error = rmse(ours);
    let is_no_worse = |error: f64| our_error <= error * (1.0 + ROUNDING) + ROUNDING;
    let mut passed = !common.is_empty();
    let mut methods = Vec::new();
    for (method, values) in theirs {
        let error = rmse(values);
        passed &= is_no_worse(error);
        methods.push(format!("{method} {error:.3}, answers {}", answered(values)));
    }
    let detail = format!(
        "RMSE {our_error:.3} ms at {} places, answers {}; {}",
        common.len(),
        answered(ours),
        methods.join("; ")
    );
    Finding {
        subject: sample.name.clone(),
        passed,
        detail,
    }
}

/// The same points and queries for both.
fn speed(samples: &[Sample]) -> anyhow::Result<Speed> {
    let points = |is_prefill: bool| {
        let sample = samples.iter().find(|sample| sample.is_prefill == is_prefill);
        let fold = sample.and_then(|sample| sample.folds.first());
        fold.map(|fold| fold.known.clone())
            .ok_or_else(|| anyhow::anyhow!("there is no sample to time"))
    };
    let decode = points(false)?;
    let shape = DecodeSurface::new(
        Tokens::new(KV_TOKENS),
        sample::decode_points(&Fold {
            known: decode.clone(),
            asked: Vec::new(),
        })?,
    )?;
    let (shortest, longest) = shape.context_range().into_inner();
    let on_line = QUERIES / LINES;
    let places = (0..QUERIES)
        .map(|index| {
            let line = f64::from(index / on_line) / f64::from(LINES);
            let context = shortest + line * (longest - shortest);
            let (low, high) = shape.usage_range(context).into_inner();
            let along = f64::from(index % on_line) / f64::from(on_line);
            [low + along * (high - low), context]
        })
        .collect();
    Ok(Speed {
        prefill: points(true)?,
        isl: (0..LENGTHS)
            .map(|index| (200.0 + 16_000.0 * f64::from(index) / f64::from(LENGTHS)).floor())
            .collect(),
        decode,
        places,
        rounds: ROUNDS,
    })
}

/// Time per query, beside each of scipy's ways.
fn race(speed: &Speed, theirs: &BTreeMap<String, f64>) -> anyhow::Result<Vec<Finding>> {
    let fold = |known: &[Vec<f64>]| Fold {
        known: known.to_vec(),
        asked: Vec::new(),
    };
    let curve = PrefillCurve::new(sample::prefill_points(&fold(&speed.prefill))?)?;
    let lengths: Vec<Tokens> = speed
        .isl
        .iter()
        .map(|isl| Tokens::new(floor_count(*isl)))
        .collect();
    let prefill = nanoseconds(&lengths, |isl| {
        black_box(curve.ttft(*isl, OutOfRange::Refuse)).is_ok()
    });
    let surface = surface(&fold(&speed.decode))?;
    let places = speed
        .places
        .iter()
        .map(|at| place(*at))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let decode = nanoseconds(&places, |place| {
        black_box(surface.itl(*place, OutOfRange::Refuse)).is_ok()
    });
    let prefill_along = fastest(speed.isl.len(), || curve.ttft_along(&speed.isl).is_ok());
    let lines: Vec<(f64, Vec<f64>)> = speed
        .places
        .chunk_by(|one, next| one[1].total_cmp(&next[1]).is_eq())
        .map(|line| (line[0][1], line.iter().map(|place| place[0]).collect()))
        .collect();
    let decode_along = fastest(speed.places.len(), || {
        lines
            .iter()
            .all(|(context, usages)| black_box(surface.itl_along(*context, usages)).is_ok())
    });
    Ok(theirs
        .iter()
        .map(|(name, scipy)| {
            let ours = match (name.starts_with("Pchip"), name.ends_with("one query a call")) {
                (true, true) => prefill,
                (true, false) => prefill_along,
                (false, true) => decode,
                (false, false) => decode_along,
            };
            let times = scipy / ours;
            Finding {
                subject: format!("time per query: {name}"),
                passed: times >= TIMES_FASTER || name.ends_with("built before"),
                detail: format!("ours {ours:.1} ns, scipy {scipy:.1} ns: {times:.1} times faster"),
            }
        })
        .collect())
}

/// Per query, the fastest round.
fn nanoseconds<T>(queries: &[T], ask: impl Fn(&T) -> bool) -> f64 {
    fastest(queries.len(), || queries.iter().all(&ask))
}

/// Per query of a round, the fastest round.
fn fastest(queries: usize, round: impl Fn() -> bool) -> f64 {
    (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            black_box(round());
            start.elapsed().as_secs_f64() * 1e9 / real(count(queries).max(1))
        })
        .fold(f64::INFINITY, f64::min)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
