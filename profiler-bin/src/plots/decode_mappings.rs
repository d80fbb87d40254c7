//! What was tried for decode: every mapping and load against the ITL SLA.

use super::Subject;
use super::axis::{Axis, count, short};
use super::canvas::{Area, Colour, Drawing, Pen};
use super::frame::{Entry, Frame, Grid, Heading, LIMIT_PEN, Legend, Sample, Side, is_near, limit_entry};
use super::labels::Labels;
use super::palette::{LIMIT, Look, look};

/// One load of a decode mapping.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecodeLoad {
    /// Requests in flight.
    pub in_flight: u64,
    /// Inter-token latency in milliseconds.
    pub itl_ms: f64,
    /// Output tokens per second and GPU.
    pub throughput_per_gpu: f64,
}

/// One decode mapping with its loads.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodeCandidate {
    /// Short name (`tp4`, `dep8`).
    pub mapping: String,
    /// GPUs of one worker.
    pub gpus: u32,
    /// Measured loads, in any order.
    pub loads: Vec<DecodeLoad>,
}

/// The picked mapping and load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodePick {
    /// Index of the candidate.
    pub candidate: usize,
    /// Index of the load in it.
    pub load: usize,
}

/// `decode_performance.png`.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodePerformance {
    /// What the run is about.
    pub subject: Subject,
    /// Input length in tokens.
    pub isl: u64,
    /// Output length in tokens.
    pub osl: u64,
    /// Measured mappings.
    pub candidates: Vec<DecodeCandidate>,
    /// ITL SLA in milliseconds.
    pub itl_limit_ms: Option<f64>,
    /// What was picked.
    pub pick: Option<DecodePick>,
    /// What came second.
    pub runner_up: Option<DecodePick>,
}

/// Throughput per GPU of each decode mapping over the ITL that it costs.
pub fn decode_performance(performance: &DecodePerformance) -> Drawing {
    let loads = || {
        performance
            .candidates
            .iter()
            .flat_map(|candidate| &candidate.loads)
    };
    let itl = || loads().map(|load| load.itl_ms);
    let limit = performance.itl_limit_ms.filter(|limit| limit.is_finite());
    let near = limit.filter(|limit| is_near(*limit, itl()));
    let x = Side::new(Axis::around(itl().chain(near)), "inter-token latency (ms)");
    let throughput = Axis::even_around(loads().map(|load| load.throughput_per_gpu));
    let y = Side::new(throughput, "decode throughput (tokens/s/GPU)");
    let picked = load_at(performance, performance.pick);
    let second = load_at(performance, performance.runner_up);
    let mut entries: Vec<Entry> = Vec::new();
    entries.extend(limit.map(|limit| limit_entry("ITL", limit, near.is_some())));
    entries.extend(picked.map(|_| Entry {
        sample: Sample::Pick,
        words: "picked".to_owned(),
    }));
    entries.extend(second.map(|(candidate, load)| Entry {
        sample: Sample::Second,
        words: format!(
            "runner-up: {}, {} in flight",
            candidate.mapping,
            count(load.in_flight)
        ),
    }));
    let ranks = Ranks::new(performance);
    entries.extend(ranks.entries(performance));
    let heading = Heading {
        title: "Decode: throughput against inter-token latency by parallel mapping",
        subject: &performance.subject,
        details: details(performance),
    };
    let mut frame = Frame::new(&heading, [&x, &y], &Legend::Beside(entries), 0.0);
    if let Some(limit) = near {
        let left = frame.place(limit, frame.y.low()).x;
        let broken = Area { left, ..frame.area };
        frame.drawing.fill(broken, LIMIT.with_opacity(16));
    }
    frame.axes([&x, &y], Grid::Lines);
    if let Some(limit) = near {
        frame.upright(limit, LIMIT_PEN);
    }
    for series in &ranks.others {
        frame.curve(&line(&performance.candidates[*series]), OTHERS_PEN);
    }
    for series in ranks.named_pick_first(performance).into_iter().rev() {
        let points = line(&performance.candidates[series]);
        frame.curve(&points, ranks.pen(performance, series));
        for point in points {
            frame.point(point, ranks.look(series), 5.0);
        }
    }
    if let Some((_, load)) = second {
        frame.second([load.itl_ms, load.throughput_per_gpu]);
    }
    if let Some((_, load)) = picked {
        frame.pick([load.itl_ms, load.throughput_per_gpu]);
    }
    in_flight(&mut frame, performance, &ranks);
    frame.drawing
}

/// Mappings that are drawn in colour and named; more than these nobody tells apart.
const NAMED: usize = 14;

/// The line of a mapping without a name.
const OTHERS_PEN: Pen = Pen::solid(Colour::rgb(205, 205, 205), 1.2);

/// Which mappings are named.
struct Ranks {
    /// In the order of the candidates, so that looks do not depend on the ranks.
    named: Vec<usize>,
    others: Vec<usize>,
}

impl Ranks {
    /// The pick, the runner-up, then those of the highest throughput within the limit.
    fn new(performance: &DecodePerformance) -> Self {
        let is = |pick: Option<DecodePick>, series: usize| pick.is_some_and(|pick| pick.candidate == series);
        let best = |series: usize| {
            let limit = performance.itl_limit_ms.unwrap_or(f64::INFINITY);
            performance.candidates[series]
                .loads
                .iter()
                .filter(|load| can_be_drawn(load) && load.itl_ms <= limit)
                .map(|load| load.throughput_per_gpu)
                .fold(0.0, f64::max)
        };
        let mut order: Vec<usize> = (0..performance.candidates.len()).collect();
        order.sort_by(|one, other| {
            let first = |series: usize| (!is(performance.pick, series), !is(performance.runner_up, series));
            first(*one)
                .cmp(&first(*other))
                .then(best(*other).total_cmp(&best(*one)))
        });
        let (named, others) = order.split_at(order.len().min(NAMED));
        let (mut named, others) = (named.to_vec(), others.to_vec());
        named.sort_unstable();
        Self { named, others }
    }

    /// The picked mapping comes first in the legend, and so last on the plot, where nothing covers it.
    fn named_pick_first(&self, performance: &DecodePerformance) -> Vec<usize> {
        let mut order = self.named.clone();
        order.sort_by_key(|series| !is_picked(performance, *series));
        order
    }

    fn look(&self, series: usize) -> Look {
        look(self.named.partition_point(|named| *named < series))
    }

    fn pen(&self, performance: &DecodePerformance, series: usize) -> Pen {
        let Look { colour, dash, .. } = self.look(series);
        Pen {
            colour,
            dash,
            width: if is_picked(performance, series) { 3.5 } else { 1.8 },
        }
    }

    fn entries(&self, performance: &DecodePerformance) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self
            .named_pick_first(performance)
            .into_iter()
            .map(|series| {
                let DecodeCandidate {
                    mapping,
                    gpus,
                    loads: _,
                } = &performance.candidates[series];
                // Long names say their widths, from which the GPUs follow.
                let words = if mapping.chars().count() > LONG_NAME {
                    mapping.clone()
                } else {
                    format!("{mapping} ({})", dgdr_units::Gpus::new(*gpus))
                };
                Entry {
                    sample: Sample::LineAndMarker(self.pen(performance, series), self.look(series)),
                    words,
                }
            })
            .collect();
        if !self.others.is_empty() {
            entries.push(Entry {
                sample: Sample::Line(OTHERS_PEN),
                words: format!("{} others", self.others.len()),
            });
        }
        if !entries.is_empty() {
            entries.push(Entry {
                sample: Sample::Nothing,
                words: "numbers: requests in flight".to_owned(),
            });
        }
        entries
    }
}

/// From this length on a name leaves no room for anything beside it.
const LONG_NAME: usize = 14;

/// Requests in flight beside points: those of the picked mapping first, then the ends of the others, each where there is
/// room.
fn in_flight(frame: &mut Frame, performance: &DecodePerformance, ranks: &Ranks) {
    let place = |load: &DecodeLoad| [load.itl_ms, load.throughput_per_gpu];
    let all = performance
        .candidates
        .iter()
        .flat_map(|candidate| &candidate.loads);
    let mut labels = Labels::new(frame, all.filter(|load| can_be_drawn(load)).map(place));
    for series in ranks.named_pick_first(performance) {
        let loads = drawn(&performance.candidates[series]);
        let shown = if is_picked(performance, series) {
            &loads[..]
        } else {
            &loads[loads.len().saturating_sub(1)..]
        };
        for load in shown.iter().rev() {
            labels.add(frame, place(load), &count(load.in_flight));
        }
    }
}

fn details(performance: &DecodePerformance) -> Vec<String> {
    let mut details = vec![
        format!("ISL {}", count(performance.isl)),
        format!("OSL {}", count(performance.osl)),
    ];
    details.extend(load_at(performance, performance.pick).map(|(candidate, load)| {
        let DecodeLoad {
            in_flight,
            itl_ms,
            throughput_per_gpu,
        } = *load;
        let rates = format!("{} ms, {} tok/s/GPU", short(itl_ms), short(throughput_per_gpu));
        format!(
            "picked {} with {} in flight: {rates}",
            candidate.mapping,
            count(in_flight)
        )
    }));
    details
}

fn is_picked(performance: &DecodePerformance, series: usize) -> bool {
    performance.pick.is_some_and(|pick| pick.candidate == series)
}

/// The line of a mapping, from its lightest load.
fn line(candidate: &DecodeCandidate) -> Vec<[f64; 2]> {
    drawn(candidate)
        .iter()
        .map(|load| [load.itl_ms, load.throughput_per_gpu])
        .collect()
}

/// The loads of a mapping that can be drawn, the lightest first.
fn drawn(candidate: &DecodeCandidate) -> Vec<&DecodeLoad> {
    let mut loads: Vec<&DecodeLoad> = candidate.loads.iter().filter(|load| can_be_drawn(load)).collect();
    loads.sort_by_key(|load| load.in_flight);
    loads
}

const fn can_be_drawn(load: &DecodeLoad) -> bool {
    load.itl_ms.is_finite() && load.throughput_per_gpu.is_finite()
}

/// A mapping and load, when both exist and can be drawn.
fn load_at(
    performance: &DecodePerformance,
    pick: Option<DecodePick>,
) -> Option<(&DecodeCandidate, &DecodeLoad)> {
    let pick = pick?;
    let candidate = performance.candidates.get(pick.candidate)?;
    let load = candidate.loads.get(pick.load)?;
    can_be_drawn(load).then_some((candidate, load))
}
