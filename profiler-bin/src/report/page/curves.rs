//! The curves that the planner scales by, as charts and as tables.

use std::collections::BTreeMap;

use dgdr_interpolation::{DecodePlace, DecodePoint, DecodeSurface, LeaveOneOut, OutOfRange, PrefillCurve};
use dgdr_sweep_planner::{Goal, Sla};
use dgdr_units::{Fraction, Tokens, floor_count, real};
use maud::{Markup, html};

use super::answer::rounded;
use super::chart::{Bound, Chart, Direction, Dot, Series, Side, Worse};
use super::{Subject, number};
use crate::plots::axis::{Axis, count, exact, short};

/// Places at which a fitted line is drawn.
const SAMPLES: u32 = 80;

pub(super) fn section(subject: &Subject<'_>) -> Markup {
    let prefill = &subject.run.prefill;
    let decode = &subject.run.decode;
    let failed = &subject.run.record.failed_curve_points;
    html! {
        p { "Latencies of one engine by itself, without queueing: the planner adds the queue that it sees. Points are "
            (prefill.provenance.get("source").map_or("given", String::as_str)) ", lines are fitted through them." }
        h3 { "Prefill " (prefill.provenance.get("mapping").map_or("", String::as_str)) }
        div.charts {
            (prefill_chart(subject, Reading::Latency))
            (prefill_chart(subject, Reading::Throughput))
        }
        p.small { "Fit: " (prefill.data.fit()) ". " (left_out(prefill.data.leave_one_out())) }
        (prefill_table(&prefill.data))
        h3 { "Decode " (decode.provenance.get("mapping").map_or("", String::as_str)) ", room for " (count(decode.data.max_kv_tokens().get())) " tokens" }
        div.charts {
            (decode_chart(subject, Reading::Latency))
            (decode_chart(subject, Reading::Throughput))
        }
        p.small { (left_out(decode.data.leave_one_out())) }
        (decode_table(&decode.data))
        @if !failed.is_empty() {
            details {
                summary { "Points without a number: " (failed.len()) }
                ul { @for point in failed { li { (point.point) } } }
            }
        }
    }
}

/// How well points are predicted from the others.
fn left_out(errors: &LeaveOneOut) -> Markup {
    let percent = |share: f64| format!("{} %", short(share.abs() * 100.0));
    html! {
        @if let (Some(typical), Some(worst)) = (errors.rms_relative(), errors.worst()) {
            "Each point is predicted from the others to " (percent(typical)) " (root mean square), the worst to "
            (percent(worst.relative())) "."
        }
    }
}

/// Which number of a curve is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Latency,
    Throughput,
}

/// The bound of a latency.
#[derive(Clone, Copy)]
enum Latency {
    Ttft,
    Itl,
}

fn bound(subject: &Subject<'_>, latency: Latency, values: &[f64]) -> Option<Bound> {
    let Goal::Sla(Sla::TokenLatency { ttft, itl }) = subject.engine.problem.goal else {
        return None;
    };
    let (name, at) = match latency {
        Latency::Ttft => ("TTFT", ttft.get()),
        Latency::Itl => ("ITL", itl.get()),
    };
    let highest = values.iter().copied().fold(0.0, f64::max);
    (at <= 2.0 * highest).then(|| Bound {
        at,
        direction: Direction::Level,
        words: format!("{name} target {} ms", exact(at)),
        worse: Some(Worse::Above),
    })
}

fn prefill_chart(subject: &Subject<'_>, reading: Reading) -> Markup {
    let curve = &subject.run.prefill.data;
    let dots: Vec<Dot> = curve
        .points()
        .iter()
        .map(|point| {
            let (ttft, throughput) = (point.ttft.get(), point.throughput_per_gpu.get());
            Dot {
                at: [
                    real(point.isl.get()),
                    if reading == Reading::Latency {
                        ttft
                    } else {
                        throughput
                    },
                ],
                tip: format!(
                    "{} tokens in\nTTFT {} ms\n{} tokens/s per GPU",
                    count(point.isl.get()),
                    short(ttft),
                    short(throughput)
                ),
                hollow: false,
            }
        })
        .collect();
    let values: Vec<f64> = dots.iter().map(|dot| dot.at[1]).collect();
    let limit = (reading == Reading::Latency)
        .then(|| bound(subject, Latency::Ttft, &values))
        .flatten();
    let isl = f64::from(subject.engine.problem.workload.isl);
    let (title, label) = match reading {
        Reading::Latency => ("Time to first token over input length", "TTFT, ms"),
        Reading::Throughput => ("Prefill throughput over input length", "tokens/s per GPU"),
    };
    Chart {
        title: title.to_owned(),
        x: Side {
            axis: Axis::even_around(dots.iter().map(|dot| dot.at[0])),
            label: "input length (ISL), tokens".to_owned(),
        },
        y: Side {
            axis: Axis::even_around(values.iter().copied().chain(limit.as_ref().map(|bound| bound.at))),
            label: label.to_owned(),
        },
        series: vec![Series {
            name: "points".to_owned(),
            line: sampled(curve, reading),
            dots,
        }],
        bounds: limit
            .into_iter()
            .chain([Bound {
                at: isl,
                direction: Direction::Upright,
                words: format!("this workload: {} tokens", rounded(isl)),
                worse: None,
            }])
            .collect(),
        named: Vec::new(),
        hollow: None,
    }
    .markup()
}

/// The fitted line.
fn sampled(curve: &PrefillCurve, reading: Reading) -> Vec<[f64; 2]> {
    let (low, high) = curve.isl_range().into_inner();
    let width = real(high.saturating_sub(low).get());
    (0..=SAMPLES)
        .filter_map(|index| {
            let isl = low.get() + floor_count(width * f64::from(index) / f64::from(SAMPLES));
            let at = Tokens::new(isl);
            let value = match reading {
                Reading::Latency => curve.ttft(at, OutOfRange::Refuse).ok()?.value.get(),
                Reading::Throughput => curve.throughput_per_gpu(at, OutOfRange::Refuse).ok()?.value.get(),
            };
            Some([real(isl), value])
        })
        .collect()
}

/// Points of one context length, in tokens.
fn rows(surface: &DecodeSurface) -> BTreeMap<u64, Vec<&DecodePoint>> {
    let mut rows: BTreeMap<u64, Vec<&DecodePoint>> = BTreeMap::new();
    for point in surface.points() {
        rows.entry(floor_count(point.context_length.round()))
            .or_default()
            .push(point);
    }
    rows
}

fn decode_chart(subject: &Subject<'_>, reading: Reading) -> Markup {
    let surface = &subject.run.decode.data;
    let series: Vec<Series> = rows(surface)
        .into_iter()
        .map(|(context, points)| Series {
            name: format!("{} tokens", count(context)),
            line: decode_line(surface, &points, reading),
            dots: points.iter().map(|point| decode_dot(point, reading)).collect(),
        })
        .collect();
    let values: Vec<f64> = series
        .iter()
        .flat_map(|series| &series.dots)
        .map(|dot| dot.at[1])
        .collect();
    let limit = (reading == Reading::Latency)
        .then(|| bound(subject, Latency::Itl, &values))
        .flatten();
    let (title, label) = match reading {
        Reading::Latency => ("Time between tokens over KV usage, by context length", "ITL, ms"),
        Reading::Throughput => (
            "Decode throughput over KV usage, by context length",
            "tokens/s per GPU",
        ),
    };
    Chart {
        title: title.to_owned(),
        x: Side {
            axis: Axis::even_around([0.0, 1.0]),
            label: "share of the KV cache in use".to_owned(),
        },
        y: Side {
            axis: Axis::around(values.iter().copied().chain(limit.as_ref().map(|bound| bound.at))),
            label: label.to_owned(),
        },
        series,
        bounds: limit.into_iter().collect(),
        named: Vec::new(),
        hollow: None,
    }
    .markup()
}

fn decode_dot(point: &DecodePoint, reading: Reading) -> Dot {
    let (itl, throughput) = (point.itl.get(), point.throughput_per_gpu.get());
    Dot {
        at: [
            point.kv_usage.get(),
            if reading == Reading::Latency {
                itl
            } else {
                throughput
            },
        ],
        tip: format!(
            "{} % of the KV cache, {} tokens of context\nITL {} ms\n{} tokens/s per GPU",
            short(point.kv_usage.get() * 100.0),
            rounded(point.context_length),
            short(itl),
            short(throughput)
        ),
        hollow: false,
    }
}

/// The fitted line at one context length.
fn decode_line(surface: &DecodeSurface, points: &[&DecodePoint], reading: Reading) -> Vec<[f64; 2]> {
    let Some(first) = points.first() else {
        return Vec::new();
    };
    let context_length = first.context_length;
    let usages = || points.iter().map(|point| point.kv_usage.get());
    let (low, high) = (usages().fold(1.0, f64::min), usages().fold(0.0, f64::max));
    let samples = SAMPLES / 2;
    (0..=samples)
        .filter_map(|index| {
            let usage = (low + (high - low) * f64::from(index) / f64::from(samples)).clamp(low, high);
            let place = DecodePlace {
                kv_usage: Fraction::new(usage).ok()?,
                context_length,
            };
            let value = match reading {
                Reading::Latency => surface.itl(place, OutOfRange::Refuse).ok()?.value.get(),
                Reading::Throughput => surface
                    .throughput_per_gpu(place, OutOfRange::Refuse)
                    .ok()?
                    .value
                    .get(),
            };
            Some([usage, value])
        })
        .collect()
}

fn prefill_table(curve: &PrefillCurve) -> Markup {
    html! {
        details {
            summary { "Prefill as a table" }
            div.scroll { table.sortable {
                thead { tr { th.number { "ISL, tokens" } th.number { "TTFT, ms" } th.number { "Tokens/s per GPU" } } }
                tbody { @for point in curve.points() {
                    tr {
                        td.number data-value=(point.isl.get()) { (count(point.isl.get())) }
                        (number(point.ttft.get()))
                        (number(point.throughput_per_gpu.get()))
                    }
                } }
            } }
        }
    }
}

fn decode_table(surface: &DecodeSurface) -> Markup {
    html! {
        details {
            summary { "Decode as a table" }
            div.scroll { table.sortable {
                thead { tr { th.number { "KV usage" } th.number { "Context, tokens" } th.number { "ITL, ms" } th.number { "Tokens/s per GPU" } } }
                tbody { @for point in surface.points() {
                    tr {
                        td.number data-value=(point.kv_usage.get()) { (format!("{:.3}", point.kv_usage.get())) }
                        td.number data-value=(point.context_length) { (rounded(point.context_length)) }
                        (number(point.itl.get()))
                        (number(point.throughput_per_gpu.get()))
                    }
                } }
            } }
        }
    }
}
