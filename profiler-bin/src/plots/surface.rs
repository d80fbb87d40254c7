//! The fitted decode surface of the picked mapping, as a heat map.

use dgdr_interpolation::{Bound, DecodePlace, DecodePoint, DecodeSurface, OutOfRange};
use dgdr_units::{Fraction, Milliseconds};

use super::Subject;
use super::axis::{Axis, exact, short};
use super::canvas::{Anchor, Area, Colour, Drawing, Pen, Place, Run, pixels};
use super::frame::{Entry, Frame, Grid, Heading, Legend, Sample, Side, axis_label, dot};
use super::palette::{INK, LIMIT, PAPER, UNKNOWN, heat};

/// Pixels that the colour bar and its labels take.
const BAR_ROOM: f32 = 130.0;
/// Half the height of the strip that a single context length gets.
const STRIP: f32 = 12.0;
/// Cells of the heat map along either side.
const CELLS: u16 = 96;

/// What both pictures of a decode surface need.
#[derive(Debug, Clone, Copy)]
pub struct DecodePicture<'a> {
    /// What the run is about.
    pub subject: &'a Subject,
    /// Short name of the picked mapping.
    pub mapping: &'a str,
    /// What the points are (`simulated points`).
    pub points: &'a str,
    /// The surface.
    pub surface: &'a DecodeSurface,
    /// ITL SLA in milliseconds.
    pub itl_limit_ms: Option<f64>,
    /// Where the picked load lies.
    pub pick: Option<DecodePlace>,
}

/// `decode_itl_interpolation.png`: ITL over KV usage and context length.
pub fn decode_itl(picture: &DecodePicture<'_>) -> Drawing {
    draw(
        picture,
        &Quantity {
            title: "Decode: inter-token latency over KV usage and context length",
            label: "inter-token latency (ms)",
            unit: "ms",
            of_point: |point| point.itl.get(),
            at: |surface, place| Some(surface.itl(place, OutOfRange::Refuse).ok()?.value.get()),
        },
    )
}

/// `decode_throughput_interpolation.png`: throughput per GPU over KV usage and context length.
pub fn decode_throughput(picture: &DecodePicture<'_>) -> Drawing {
    draw(
        picture,
        &Quantity {
            title: "Decode: throughput per GPU over KV usage and context length",
            label: "decode throughput (tokens/s/GPU)",
            unit: "tok/s/GPU",
            of_point: |point| point.throughput_per_gpu.get(),
            at: |surface, place| {
                Some(
                    surface
                        .throughput_per_gpu(place, OutOfRange::Refuse)
                        .ok()?
                        .value
                        .get(),
                )
            },
        },
    )
}

/// One number of a surface, and what it is called.
struct Quantity {
    title: &'static str,
    label: &'static str,
    unit: &'static str,
    of_point: fn(&DecodePoint) -> f64,
    at: fn(&DecodeSurface, DecodePlace) -> Option<f64>,
}

fn draw(picture: &DecodePicture<'_>, quantity: &Quantity) -> Drawing {
    let surface = picture.surface;
    let points = surface.points();
    let colours = Axis::tight(points.iter().map(quantity.of_point));
    let x = Side::new(Axis::tight([0.0, 1.0]), "share of the KV cache in use");
    let y = Side::new(
        Axis::even_around(points.iter().map(|point| point.context_length)),
        "context length (tokens)",
    );
    let limit = picture
        .itl_limit_ms
        .filter(|limit| limit.is_finite() && *limit > 0.0);
    let contour = limit.map(|limit| contour(surface, limit)).unwrap_or_default();
    let heading = Heading {
        title: quantity.title,
        subject: picture.subject,
        details: vec![
            picture.mapping.to_owned(),
            "decode without prefill beside it".to_owned(),
        ],
    };
    let legend = Legend::Above(entries(picture, limit, &contour));
    let mut frame = Frame::new(&heading, [&x, &y], &legend, BAR_ROOM);
    frame.drawing.fill(frame.area, UNKNOWN);
    heat_map(&mut frame, surface, |place| {
        Some(heat(colours.share((quantity.at)(surface, place)?)))
    });
    frame.axes([&x, &y], Grid::Plain);
    for pen in [Pen::solid(PAPER, 5.0), Pen::solid(LIMIT, 2.5)] {
        draw_contour(&mut frame, &contour, pen);
    }
    for point in points {
        let at = frame.place(point.kv_usage.get(), point.context_length);
        frame.drawing.marker(dot(at));
    }
    if let Some(place) = picture.pick {
        frame.pick([place.kv_usage.get(), place.context_length]);
        if let Some(value) = (quantity.at)(surface, place) {
            let at = frame.place(place.kv_usage.get(), place.context_length);
            let words = format!("{} {}", short(value), quantity.unit);
            frame.plate(
                &words,
                Place {
                    x: at.x,
                    y: at.y - 22.0,
                },
                Anchor::Middle,
            );
        }
    }
    colour_bar(&mut frame, colours, quantity.label);
    frame.drawing
}

fn entries(picture: &DecodePicture<'_>, limit: Option<f64>, contour: &[Vec<[f64; 2]>]) -> Vec<Entry> {
    let mut entries = vec![Entry {
        sample: Sample::Dot,
        words: picture.points.to_owned(),
    }];
    entries.extend(limit.map(|limit| {
        let nowhere = if contour.is_empty() {
            " (not crossed in the measured range)"
        } else {
            ""
        };
        let words = format!("ITL SLA {} ms{nowhere}", exact(limit));
        Entry {
            sample: Sample::Line(Pen::solid(LIMIT, 2.5)),
            words,
        }
    }));
    entries.extend(picture.pick.map(|_| Entry {
        sample: Sample::Pick,
        words: "picked load".to_owned(),
    }));
    entries
}

/// Fills the measured range, and covers what lies beside it row by row of pixels, so that its edge is smooth.
fn heat_map(frame: &mut Frame, surface: &DecodeSurface, colour: impl Fn(DecodePlace) -> Option<Colour>) {
    let (shortest, longest) = surface.context_range().into_inner();
    // A single context length is a line; it gets some height to be seen.
    let (rows, height) = if longest > shortest {
        (CELLS, 0.0)
    } else {
        (1, STRIP)
    };
    let at = |cell: f64, cells: u16| shortest + cell / f64::from(cells) * (longest - shortest);
    for row in (0..rows).map(f64::from) {
        let context_length = at(row + 0.5, rows);
        let (low, high) = surface.usage_range(context_length).into_inner();
        let usage = |cell: f64| low + cell / f64::from(CELLS) * (high - low);
        let top = frame.place(low, at(row + 1.0, rows)).y - height;
        let bottom = frame.place(low, at(row, rows)).y + height;
        for column in (0..CELLS).map(f64::from) {
            let [mut left, mut right] =
                [column, column + 1.0].map(|cell| frame.place(usage(cell), context_length).x);
            if column < 0.5 {
                left = frame.area.left;
            }
            if column > f64::from(CELLS) - 1.5 {
                right = frame.area.right;
            }
            let place = Fraction::new(usage(column + 0.5))
                .ok()
                .map(|kv_usage| DecodePlace {
                    kv_usage,
                    context_length,
                });
            if let Some(colour) = place.and_then(&colour) {
                frame.drawing.fill(
                    Area {
                        left,
                        top,
                        right,
                        bottom,
                    },
                    colour,
                );
            }
        }
    }
    let lowest = frame.place(0.0, shortest).y + height;
    let mut top = frame.place(0.0, longest).y - height;
    while top < lowest {
        let bottom = top + 1.0;
        let context_length = frame
            .y
            .value(f64::from((frame.area.bottom - top - 0.5) / frame.area.height()));
        let (low, high) = surface.usage_range(context_length).into_inner();
        let [left, right] = [low, high].map(|usage| frame.place(usage, context_length).x);
        frame.drawing.fill(
            Area {
                top,
                bottom,
                right: left,
                ..frame.area
            },
            UNKNOWN,
        );
        frame.drawing.fill(
            Area {
                top,
                bottom,
                left: right,
                ..frame.area
            },
            UNKNOWN,
        );
        top = bottom;
    }
}

/// Draws the contour; on a single context length, where it is a place, as a stroke across the strip.
fn draw_contour(frame: &mut Frame, contour: &[Vec<[f64; 2]>], pen: Pen) {
    for line in contour {
        let places = [line.first(), line.last()].map(|end| end.map(|[x, y]| frame.place(*x, *y)));
        match places {
            [Some(from), Some(to)] if (from.y - to.y).abs() < 1.0 => {
                frame.straight([from.x, from.y - STRIP], [from.x, from.y + STRIP], pen);
            }
            _ => frame.curve(line, pen),
        }
    }
}

/// Where the ITL crosses a limit: pieces of a line over the context lengths.
fn contour(surface: &DecodeSurface, limit_ms: f64) -> Vec<Vec<[f64; 2]>> {
    let Ok(limit) = Milliseconds::new(limit_ms) else {
        return Vec::new();
    };
    let (shortest, longest) = surface.context_range().into_inner();
    let crossings: Vec<Option<[f64; 2]>> = (0..=CELLS)
        .map(|index| f64::from(index) / f64::from(CELLS))
        .map(|share| (shortest * (1.0 - share) + longest * share).clamp(shortest, longest))
        .map(|context_length| {
            let load = surface.max_load(limit, context_length).ok()?;
            (load.bound == Bound::Limit).then(|| [load.kv_usage.get(), context_length])
        })
        .collect();
    crossings
        .chunk_by(|a, b| a.is_some() && b.is_some())
        .map(|piece| piece.iter().flatten().copied().collect::<Vec<_>>())
        .filter(|piece| piece.len() > 1)
        .collect()
}

/// The scale of colours beside the plot.
fn colour_bar(frame: &mut Frame, colours: Axis, label: &str) {
    let area = Area {
        left: frame.area.right + 24.0,
        right: frame.area.right + 46.0,
        ..frame.area
    };
    let height = area.height();
    let steps = 128_u16;
    for step in 0..steps {
        let [low, high] = [step, step + 1].map(|step| f64::from(step) / f64::from(steps));
        let strip = Area {
            top: area.bottom - pixels(high) * height,
            bottom: area.bottom - pixels(low) * height,
            ..area
        };
        frame.drawing.fill(strip, heat(f64::midpoint(low, high)));
    }
    for tick in colours.ticks(8) {
        let y = area.bottom - pixels(colours.share(tick.value)) * height;
        frame.straight([area.right, y], [area.right + 5.0, y], Pen::solid(INK, 1.0));
        frame.plate(
            &tick.label,
            Place {
                x: area.right + 10.0,
                y: y + 5.0,
            },
            Anchor::Start,
        );
    }
    let middle = Place {
        x: area.right + 92.0,
        y: f32::midpoint(area.top, area.bottom),
    };
    frame.drawing.text(axis_label(label, middle, Run::Upwards));
}
