//! What was tried for prefill: every mapping against the TTFT SLA.

use std::collections::BTreeSet;

use super::Subject;
use super::axis::{Axis, Tick, count, short};
use super::canvas::Drawing;
use super::frame::{Entry, Frame, Grid, Heading, LIMIT_PEN, Legend, Sample, Side, is_near, limit_entry};
use super::labels::Labels;
use super::palette::{Look, look};

/// Distance of two kinds within a column, as a share of the distance of two columns.
const LANE: f64 = 0.18;

/// One prefill mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct PrefillCandidate {
    /// Short name, kind first (`tp4`, `dep8`): mappings whose names start with the same letters share a colour.
    pub mapping: String,
    /// GPUs of one worker.
    pub gpus: u32,
    /// Time to first token at the workload's input length, in milliseconds.
    pub ttft_ms: f64,
    /// Input tokens per second and GPU.
    pub throughput_per_gpu: f64,
}

/// `prefill_performance.png`.
#[derive(Debug, Clone, PartialEq)]
pub struct PrefillPerformance {
    /// What the run is about.
    pub subject: Subject,
    /// Input length in tokens.
    pub isl: u64,
    /// Measured mappings.
    pub candidates: Vec<PrefillCandidate>,
    /// TTFT SLA in milliseconds.
    pub ttft_limit_ms: Option<f64>,
    /// Index of the picked candidate.
    pub pick: Option<usize>,
    /// Index of the candidate that came second.
    pub runner_up: Option<usize>,
}

/// TTFT of each prefill mapping over the GPUs that it takes, with its throughput per GPU.
pub fn prefill_performance(performance: &PrefillPerformance) -> Drawing {
    let columns = Columns::new(&performance.candidates);
    let ttft = || columns.candidates.iter().map(|(_, candidate)| candidate.ttft_ms);
    let limit = performance.ttft_limit_ms.filter(|limit| limit.is_finite());
    let near = limit.filter(|limit| is_near(*limit, ttft()));
    let x = columns.side();
    let y = Side::new(Axis::around(ttft().chain(near)), "time to first token (ms)");
    let mut entries = columns.entries();
    entries.extend(performance.pick.map(|_| Entry {
        sample: Sample::Pick,
        words: "picked".to_owned(),
    }));
    entries.extend(performance.runner_up.map(|_| Entry {
        sample: Sample::Second,
        words: "runner-up".to_owned(),
    }));
    entries.extend(limit.map(|limit| limit_entry("TTFT", limit, near.is_some())));
    let heading = Heading {
        title: "Prefill: time to first token by parallel mapping",
        subject: &performance.subject,
        details: vec![
            format!("ISL {}", count(performance.isl)),
            "one prompt at a time".to_owned(),
        ],
    };
    let mut frame = Frame::new(&heading, [&x, &y], &Legend::Above(entries), 0.0);
    frame.axes([&x, &y], Grid::Lines);
    if let Some(limit) = near {
        frame.level(limit, LIMIT_PEN);
    }
    // The pick comes last, so that nothing covers it, and is labelled first, so that it has its label.
    let mut ordered = columns.candidates.clone();
    ordered.sort_by_key(|(index, _)| Some(*index) == performance.pick);
    for (index, candidate) in &ordered {
        frame.point(columns.place(candidate), columns.look(candidate), 7.0);
        if Some(*index) == performance.pick {
            frame.pick(columns.place(candidate));
        } else if Some(*index) == performance.runner_up {
            frame.second(columns.place(candidate));
        }
    }
    let mut labels = Labels::new(
        &frame,
        ordered.iter().map(|(_, candidate)| columns.place(candidate)),
    );
    for (_, candidate) in ordered.iter().rev() {
        let words = format!(
            "{}: {} tok/s/GPU",
            candidate.mapping,
            short(candidate.throughput_per_gpu)
        );
        labels.add(&mut frame, columns.place(candidate), &words);
    }
    frame.drawing
}

/// The candidates that can be drawn, in columns by GPUs and colours by kind.
struct Columns<'a> {
    /// With their index as given.
    candidates: Vec<(usize, &'a PrefillCandidate)>,
    sizes: BTreeSet<u32>,
    kinds: BTreeSet<&'a str>,
}

impl<'a> Columns<'a> {
    fn new(candidates: &'a [PrefillCandidate]) -> Self {
        let candidates: Vec<(usize, &PrefillCandidate)> = candidates
            .iter()
            .enumerate()
            .filter(|(_, candidate)| candidate.ttft_ms.is_finite())
            .collect();
        let sizes = candidates.iter().map(|(_, candidate)| candidate.gpus).collect();
        let kinds = candidates
            .iter()
            .map(|(_, candidate)| kind(&candidate.mapping))
            .collect();
        Self {
            candidates,
            sizes,
            kinds,
        }
    }

    fn side(&self) -> Side {
        let last = self.sizes.last().map_or(0.0, |gpus| nth(&self.sizes, gpus));
        Side {
            axis: Axis::tight([-0.5, last + 0.5]),
            ticks: self
                .sizes
                .iter()
                .map(|gpus| Tick {
                    value: nth(&self.sizes, gpus),
                    label: gpus.to_string(),
                })
                .collect(),
            label: "GPUs of one worker".to_owned(),
        }
    }

    fn entries(&self) -> Vec<Entry> {
        self.kinds
            .iter()
            .enumerate()
            .map(|(index, kind)| Entry {
                sample: Sample::Marker(look(index)),
                words: if *kind == MIXED {
                    MIXED.to_owned()
                } else {
                    kind.to_uppercase()
                },
            })
            .collect()
    }

    fn look(&self, candidate: &PrefillCandidate) -> Look {
        look(self.kinds.range(..kind(&candidate.mapping)).count())
    }

    /// Kinds stand side by side within the column of their GPUs.
    fn place(&self, candidate: &PrefillCandidate) -> [f64; 2] {
        let rivals: BTreeSet<&str> = self
            .candidates
            .iter()
            .filter(|(_, rival)| rival.gpus == candidate.gpus)
            .map(|(_, rival)| kind(&rival.mapping))
            .collect();
        let lanes = rivals.last().map_or(0.0, |last| nth(&rivals, last));
        let shift = LANE * (nth(&rivals, &kind(&candidate.mapping)) - lanes / 2.0);
        [nth(&self.sizes, &candidate.gpus) + shift, candidate.ttft_ms]
    }
}

/// How many of a set come before a member.
fn nth<T: Ord>(set: &BTreeSet<T>, member: &T) -> f64 {
    set.range(..member)
        .zip(1_u32..)
        .last()
        .map_or(0.0, |(_, count)| f64::from(count))
}

/// Mappings that spread attention and experts in ways of their own.
const MIXED: &str = "mixed";

/// The letters that a mapping's name starts with, unless it mixes widths.
fn kind(mapping: &str) -> &str {
    if mapping.contains('×') {
        return MIXED;
    }
    mapping
        .split(|letter: char| !letter.is_alphabetic())
        .next()
        .unwrap_or(mapping)
}
