//! The fitted prefill curve of the picked mapping.

use dgdr_interpolation::{OutOfRange, PrefillCurve, PrefillPoint};
use dgdr_units::{Tokens, floor_count, real};

use super::Subject;
use super::axis::{Axis, count, short};
use super::canvas::{Dash, Drawing, Pen};
use super::frame::{Entry, Frame, Grid, Heading, LIMIT_PEN, Legend, Sample, Side, is_near, limit_entry};
use super::palette::{INK, look};

/// What both pictures of a prefill curve need.
#[derive(Debug, Clone, Copy)]
pub struct PrefillPicture<'a> {
    /// What the run is about.
    pub subject: &'a Subject,
    /// Short name of the picked mapping.
    pub mapping: &'a str,
    /// What the points are (`simulated points`).
    pub points: &'a str,
    /// The curve.
    pub curve: &'a PrefillCurve,
    /// TTFT SLA in milliseconds.
    pub ttft_limit_ms: Option<f64>,
    /// The workload's input length in tokens.
    pub isl: Option<u64>,
}

/// `prefill_ttft_interpolation.png`: TTFT over the input length.
pub fn prefill_ttft(picture: &PrefillPicture<'_>) -> Drawing {
    draw(
        picture,
        &Curve {
            title: "Prefill: time to first token over input length",
            label: "time to first token (ms)",
            unit: "ms",
            of_point: |point| point.ttft.get(),
            at: |curve, isl| Some(curve.ttft(isl, OutOfRange::Refuse).ok()?.value.get()),
            limit_ms: picture.ttft_limit_ms.filter(|limit| limit.is_finite()),
        },
    )
}

/// `prefill_throughput_interpolation.png`: throughput per GPU over the input length.
pub fn prefill_throughput(picture: &PrefillPicture<'_>) -> Drawing {
    draw(
        picture,
        &Curve {
            title: "Prefill: throughput per GPU over input length",
            label: "prefill throughput (tokens/s/GPU)",
            unit: "tok/s/GPU",
            of_point: |point| point.throughput_per_gpu.get(),
            at: |curve, isl| {
                Some(
                    curve
                        .throughput_per_gpu(isl, OutOfRange::Refuse)
                        .ok()?
                        .value
                        .get(),
                )
            },
            limit_ms: None,
        },
    )
}

/// One number of a curve, and what it is called.
struct Curve {
    title: &'static str,
    label: &'static str,
    unit: &'static str,
    of_point: fn(&PrefillPoint) -> f64,
    at: fn(&PrefillCurve, Tokens) -> Option<f64>,
    limit_ms: Option<f64>,
}

fn draw(picture: &PrefillPicture<'_>, kind: &Curve) -> Drawing {
    let points: Vec<[f64; 2]> = picture
        .curve
        .points()
        .iter()
        .map(|point| [real(point.isl.get()), (kind.of_point)(point)])
        .collect();
    let values = || points.iter().map(|[_, value]| *value);
    let near = kind.limit_ms.filter(|limit| is_near(*limit, values()));
    let x = Side::new(
        Axis::even_around(points.iter().map(|[isl, _]| *isl)),
        "input sequence length (tokens)",
    );
    let y = Side::new(Axis::even_around(values().chain(near)), kind.label);
    let style = look(0);
    let fit = Pen::solid(style.colour, 2.2);
    let mut entries = vec![
        Entry {
            sample: Sample::Marker(style),
            words: picture.points.to_owned(),
        },
        Entry {
            sample: Sample::Line(fit),
            words: format!("fit ({})", picture.curve.fit().fit),
        },
    ];
    let isl_pen = Pen {
        colour: INK,
        width: 1.5,
        dash: Dash::Dotted,
    };
    let workload = picture.isl.map(Tokens::new);
    let reading = workload.and_then(|isl| Some((isl, (kind.at)(picture.curve, isl)?)));
    entries.extend(workload.map(|isl| {
        let value = reading.map_or_else(
            || "outside the measured range".to_owned(),
            |(_, value)| format!("{} {}", short(value), kind.unit),
        );
        let words = format!("workload ISL {}: {value}", count(isl.get()));
        Entry {
            sample: Sample::Line(isl_pen),
            words,
        }
    }));
    entries.extend(
        kind.limit_ms
            .map(|limit| limit_entry("TTFT", limit, near.is_some())),
    );

    let heading = Heading {
        title: kind.title,
        subject: picture.subject,
        details: vec![
            picture.mapping.to_owned(),
            "one prompt on an idle engine".to_owned(),
        ],
    };
    let mut frame = Frame::new(&heading, [&x, &y], &Legend::Above(entries), 0.0);
    frame.axes([&x, &y], Grid::Lines);
    if let Some(limit) = near {
        frame.level(limit, LIMIT_PEN);
    }
    if let Some((isl, _)) = reading {
        frame.upright(real(isl.get()), isl_pen);
    }
    frame.curve(&sampled(picture.curve, kind.at), fit);
    for point in &points {
        frame.point(*point, style, 6.0);
    }
    if let Some((isl, value)) = reading {
        frame.pick([real(isl.get()), value]);
    }
    frame.drawing
}

/// The curve at even distances and at its points.
fn sampled(curve: &PrefillCurve, at: fn(&PrefillCurve, Tokens) -> Option<f64>) -> Vec<[f64; 2]> {
    const SAMPLES: u32 = 240;
    let (low, high) = curve.isl_range().into_inner();
    let width = real(high.saturating_sub(low).get());
    let mut lengths: Vec<u64> = (0..=SAMPLES)
        .map(|index| low.get() + floor_count(width * f64::from(index) / f64::from(SAMPLES)))
        .chain(curve.points().iter().map(|point| point.isl.get()))
        .collect();
    lengths.sort_unstable();
    lengths.dedup();
    lengths
        .into_iter()
        .filter_map(|isl| Some([real(isl), at(curve, Tokens::new(isl))?]))
        .collect()
}
