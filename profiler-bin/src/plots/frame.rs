//! What all pictures share: title, axes, grid, legend.

use super::Subject;
use super::axis::{Axis, Tick};
use super::canvas::{
    Anchor, Area, Colour, Dash, Drawing, HEIGHT, Marker, Pen, Place, Run, Shape, Text, WIDTH, Weight, pixels,
};
use super::font::Font;
use super::palette::{FAINT, GRID, INK, LIMIT, Look, PAPER};

const TITLE_SIZE: f32 = 22.0;
const SUBTITLE_SIZE: f32 = 15.0;
const AXIS_SIZE: f32 = 16.0;
const TICK_SIZE: f32 = 14.0;
const LEGEND_SIZE: f32 = 14.0;
const LEFT: f32 = 110.0;
const RIGHT: f32 = WIDTH - 40.0;
const BOTTOM: f32 = HEIGHT - 80.0;
/// Base line of the first legend row above the plot.
const LEGEND_TOP: f32 = 102.0;
const LEGEND_ROW: f32 = 24.0;
/// Length of the piece of line before a legend entry.
const SAMPLE: f32 = 34.0;
/// Width of a legend beside the plot.
const SIDE_LEGEND: f32 = 250.0;
/// Entries that fit beside the plot.
const SIDE_ROWS: usize = 24;

/// Title and what it is about.
pub(super) struct Heading<'a> {
    pub(super) title: &'a str,
    pub(super) subject: &'a Subject,
    /// What else the reader has to know (`tp4`, `ISL 3,000` …).
    pub(super) details: Vec<String>,
}

/// One side of the plot.
pub(super) struct Side {
    pub(super) axis: Axis,
    pub(super) ticks: Vec<Tick>,
    /// Quantity and unit.
    pub(super) label: String,
}

impl Side {
    /// A side with round ticks.
    pub(super) fn new(axis: Axis, label: &str) -> Self {
        Self {
            axis,
            ticks: axis.ticks(8),
            label: label.to_owned(),
        }
    }
}

/// What stands before a legend entry.
#[derive(Clone, Copy)]
pub(super) enum Sample {
    Line(Pen),
    Marker(Look),
    LineAndMarker(Pen, Look),
    /// A measured point of a heat map.
    Dot,
    /// The mark of a pick.
    Pick,
    /// The mark of what came second.
    Second,
    /// A marker that is not filled.
    Hollow(Shape),
    /// Words alone.
    Nothing,
}

/// A line of the legend.
pub(super) struct Entry {
    pub(super) sample: Sample,
    pub(super) words: String,
}

/// Where a legend stands.
pub(super) enum Legend {
    /// In rows between the title and the plot: for a few entries.
    Above(Vec<Entry>),
    /// In a column beside the plot: for many.
    Beside(Vec<Entry>),
}

/// Whether to draw a grid.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Grid {
    Lines,
    Plain,
}

/// A page with title, legend and axes, ready for data.
pub(super) struct Frame {
    pub(super) drawing: Drawing,
    /// Where the data go.
    pub(super) area: Area,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) font: Font,
}

impl Frame {
    /// Draws title and legend, and leaves `right` pixels free beside the plot.
    pub(super) fn new(heading: &Heading<'_>, sides: [&Side; 2], legend: &Legend, right: f32) -> Self {
        let font = Font::new(Weight::Regular);
        let mut drawing = Drawing::new();
        title(&mut drawing, heading);
        let (rows, beside) = match legend {
            Legend::Above(entries) => (legend_above(&mut drawing, &font, entries), 0.0),
            Legend::Beside(entries) => {
                legend_beside(&mut drawing, &font, entries);
                (0.0, SIDE_LEGEND + 20.0)
            }
        };
        let area = Area {
            left: LEFT,
            top: LEGEND_TOP - 12.0 + rows * LEGEND_ROW,
            right: RIGHT - right - beside,
            bottom: BOTTOM,
        };
        Self {
            drawing,
            area,
            x: sides[0].axis,
            y: sides[1].axis,
            font,
        }
    }

    /// Where a pair of values stands.
    pub(super) fn place(&self, x: f64, y: f64) -> Place {
        Place {
            x: self.area.left + pixels(self.x.share(x)) * self.area.width(),
            y: self.area.bottom - pixels(self.y.share(y)) * self.area.height(),
        }
    }

    /// Draws the grid, ticks, labels and the lines of the axes.
    pub(super) fn axes(&mut self, sides: [&Side; 2], grid: Grid) {
        let area = self.area;
        let tick_pen = Pen::solid(INK, 1.0);
        for tick in &sides[0].ticks {
            let x = self.place(tick.value, self.y.low()).x.round() + 0.5;
            if grid == Grid::Lines {
                self.straight([x, area.top], [x, area.bottom], Pen::solid(GRID, 1.0));
            }
            self.straight([x, area.bottom], [x, area.bottom + 6.0], tick_pen);
            self.words(
                &tick.label,
                Place {
                    x,
                    y: area.bottom + 23.0,
                },
                Anchor::Middle,
            );
        }
        for tick in &sides[1].ticks {
            let y = self.place(self.x.low(), tick.value).y.round() + 0.5;
            if grid == Grid::Lines {
                self.straight([area.left, y], [area.right, y], Pen::solid(GRID, 1.0));
            }
            self.straight([area.left - 6.0, y], [area.left, y], tick_pen);
            self.words(
                &tick.label,
                Place {
                    x: area.left - 11.0,
                    y: y + 5.0,
                },
                Anchor::End,
            );
        }
        self.straight([area.left, area.bottom], [area.right, area.bottom], tick_pen);
        self.straight([area.left, area.top], [area.left, area.bottom], tick_pen);
        let middle = Place {
            x: f32::midpoint(area.left, area.right),
            y: HEIGHT - 24.0,
        };
        self.drawing.text(axis_label(&sides[0].label, middle, Run::Right));
        let middle = Place {
            x: 30.0,
            y: f32::midpoint(area.top, area.bottom),
        };
        self.drawing
            .text(axis_label(&sides[1].label, middle, Run::Upwards));
    }

    /// A straight line.
    pub(super) fn straight(&mut self, from: [f32; 2], to: [f32; 2], pen: Pen) {
        let places = [from, to].map(|[x, y]| Place { x, y });
        self.drawing.line(places.to_vec(), pen);
    }

    /// A level line of the y axis across the plot.
    pub(super) fn level(&mut self, y: f64, pen: Pen) {
        let y = self.place(self.x.low(), y).y;
        self.straight([self.area.left, y], [self.area.right, y], pen);
    }

    /// A line of the x axis from top to bottom.
    pub(super) fn upright(&mut self, x: f64, pen: Pen) {
        let x = self.place(x, self.y.low()).x;
        self.straight([x, self.area.top], [x, self.area.bottom], pen);
    }

    /// A line through pairs of values.
    pub(super) fn curve(&mut self, points: &[[f64; 2]], pen: Pen) {
        let places = points.iter().map(|[x, y]| self.place(*x, *y)).collect();
        self.drawing.line(places, pen);
    }

    /// A marker at a pair of values.
    pub(super) fn point(&mut self, [x, y]: [f64; 2], look: Look, radius: f32) {
        let at = self.place(x, y);
        self.drawing.marker(marker(at, look, radius));
    }

    /// A marker that is not filled at a pair of values.
    pub(super) fn hollow(&mut self, [x, y]: [f64; 2], look: Look, radius: f32) {
        let at = self.place(x, y);
        self.drawing.marker(hollow(at, look, radius));
    }

    /// The ring around the pick, with a halo so that it is seen on dark ground too.
    pub(super) fn pick(&mut self, [x, y]: [f64; 2]) {
        let at = self.place(x, y);
        for ring in pick_rings(at, 12.0) {
            self.drawing.marker(ring);
        }
    }

    /// The thin ring around what came second.
    pub(super) fn second(&mut self, [x, y]: [f64; 2]) {
        let at = self.place(x, y);
        self.drawing.marker(second_ring(at, 12.0));
    }

    /// A label on a plate of paper, so that lines below it do not run through it. Gives the area it takes.
    pub(super) fn plate(&mut self, words: &str, at: Place, anchor: Anchor) -> Area {
        let area = self.plate_area(words, at, anchor);
        self.drawing.fill(area, PAPER.with_opacity(215));
        self.words(words, at, anchor);
        area
    }

    /// The area that a label would take.
    pub(super) fn plate_area(&self, words: &str, at: Place, anchor: Anchor) -> Area {
        let width = self.font.width(words, TICK_SIZE);
        let left = match anchor {
            Anchor::Start => at.x,
            Anchor::Middle => at.x - width / 2.0,
            Anchor::End => at.x - width,
        };
        Area {
            left: left - 3.0,
            right: left + width + 3.0,
            top: at.y - 14.0,
            bottom: at.y + 5.0,
        }
    }

    fn words(&mut self, words: &str, at: Place, anchor: Anchor) {
        self.drawing.text(text(words, at, anchor, INK));
    }
}

/// The pen of an SLA line.
pub(super) const LIMIT_PEN: Pen = Pen {
    colour: LIMIT,
    width: 2.0,
    dash: Dash::Dashed,
};

/// Whether a limit is near enough to the data to be drawn: further away it would squeeze them to a line.
pub(super) fn is_near(limit: f64, values: impl IntoIterator<Item = f64>) -> bool {
    let (low, high) = values
        .into_iter()
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), value| {
            (low.min(value), high.max(value))
        });
    (low / 4.0..=high * 4.0).contains(&limit)
}

/// The legend entry of an SLA.
pub(super) fn limit_entry(name: &str, limit_ms: f64, near: bool) -> Entry {
    let beyond = if near { "" } else { " (beyond this picture)" };
    let words = format!("{name} SLA {} ms{beyond}", super::axis::exact(limit_ms));
    Entry {
        sample: Sample::Line(LIMIT_PEN),
        words,
    }
}

/// A marker of a series.
pub(super) fn marker(at: Place, look: Look, radius: f32) -> Marker {
    Marker {
        at,
        shape: look.shape,
        radius,
        fill: look.colour,
        rim: Pen::solid(PAPER, 1.0),
    }
}

/// A measured point on a heat map.
pub(super) fn dot(at: Place) -> Marker {
    let shape = Shape::Disc;
    Marker {
        at,
        shape,
        radius: 4.0,
        fill: PAPER,
        rim: Pen::solid(INK, 1.2),
    }
}

fn hollow(at: Place, look: Look, radius: f32) -> Marker {
    Marker {
        at,
        shape: look.shape,
        radius,
        fill: PAPER,
        rim: Pen::solid(look.colour, 1.4),
    }
}

fn ring(at: Place, radius: f32, rim: Pen) -> Marker {
    Marker {
        at,
        shape: Shape::Ring,
        radius,
        fill: PAPER.with_opacity(0),
        rim,
    }
}

fn pick_rings(at: Place, radius: f32) -> [Marker; 2] {
    [
        ring(at, radius, Pen::solid(PAPER, 5.0)),
        ring(at, radius, Pen::solid(INK, 2.5)),
    ]
}

fn second_ring(at: Place, radius: f32) -> Marker {
    ring(at, radius, Pen::solid(INK, 1.2))
}

fn text(words: &str, at: Place, anchor: Anchor, colour: Colour) -> Text {
    Text {
        at,
        words: words.to_owned(),
        size: TICK_SIZE,
        anchor,
        weight: Weight::Regular,
        run: Run::Right,
        colour,
    }
}

/// The label of an axis, centred at a place.
pub(super) fn axis_label(words: &str, at: Place, run: Run) -> Text {
    Text {
        size: AXIS_SIZE,
        run,
        ..text(words, at, Anchor::Middle, INK)
    }
}

fn title(drawing: &mut Drawing, heading: &Heading<'_>) {
    let at = Place { x: LEFT, y: 42.0 };
    let title = Text {
        size: TITLE_SIZE,
        weight: Weight::Bold,
        ..text(heading.title, at, Anchor::Start, INK)
    };
    drawing.text(title);
    let Subject {
        model,
        backend,
        system,
    } = heading.subject;
    let rest: Vec<&str> = [backend.as_str(), system]
        .into_iter()
        .chain(heading.details.iter().map(String::as_str))
        .collect();
    let rest = format!("  ·  {}", rest.join("  ·  "));
    let font = Font::new(Weight::Regular);
    let room = RIGHT - LEFT - font.width(&rest, SUBTITLE_SIZE);
    let words = format!("{}{rest}", font.shortened(model, SUBTITLE_SIZE, room));
    let at = Place { x: LEFT, y: 68.0 };
    drawing.text(Text {
        size: SUBTITLE_SIZE,
        ..text(&words, at, Anchor::Start, FAINT)
    });
}

/// Draws entries side by side and gives the number of rows that they take.
fn legend_above(drawing: &mut Drawing, font: &Font, entries: &[Entry]) -> f32 {
    let (mut x, mut rows) = (LEFT, 1.0);
    for entry in entries {
        let width = SAMPLE + 8.0 + font.width(&entry.words, LEGEND_SIZE);
        if x > LEFT && x + width > RIGHT {
            (x, rows) = (LEFT, rows + 1.0);
        }
        legend_entry(
            drawing,
            entry,
            Place {
                x,
                y: LEGEND_TOP + (rows - 1.0) * LEGEND_ROW,
            },
        );
        x += width + 28.0;
    }
    if entries.is_empty() { 0.0 } else { rows }
}

fn legend_beside(drawing: &mut Drawing, font: &Font, entries: &[Entry]) {
    let shown = if entries.len() > SIDE_ROWS {
        SIDE_ROWS - 1
    } else {
        entries.len()
    };
    let x = RIGHT - SIDE_LEGEND;
    let mut y = LEGEND_TOP;
    for entry in &entries[..shown] {
        let words = font.shortened(&entry.words, LEGEND_SIZE, SIDE_LEGEND - SAMPLE - 8.0);
        let entry = Entry {
            sample: entry.sample,
            words,
        };
        legend_entry(drawing, &entry, Place { x, y });
        y += LEGEND_ROW;
    }
    if shown < entries.len() {
        let words = format!("… and {} more", entries.len() - shown);
        drawing.text(text(
            &words,
            Place {
                x: x + SAMPLE + 8.0,
                y,
            },
            Anchor::Start,
            FAINT,
        ));
    }
}

fn legend_entry(drawing: &mut Drawing, entry: &Entry, at: Place) {
    let y = at.y - 5.0;
    let middle = Place {
        x: at.x + SAMPLE / 2.0,
        y,
    };
    let line = |pen: Pen| (vec![Place { x: at.x, y }, Place { x: at.x + SAMPLE, y }], pen);
    match entry.sample {
        Sample::Line(pen) => {
            let (places, pen) = line(pen);
            drawing.line(places, pen);
        }
        Sample::Marker(look) => drawing.marker(marker(middle, look, 6.0)),
        Sample::LineAndMarker(pen, look) => {
            let (places, pen) = line(pen);
            drawing.line(places, pen);
            drawing.marker(marker(middle, look, 5.0));
        }
        Sample::Dot => drawing.marker(dot(middle)),
        Sample::Pick => {
            for ring in pick_rings(middle, 8.0) {
                drawing.marker(ring);
            }
        }
        Sample::Second => drawing.marker(second_ring(middle, 8.0)),
        Sample::Hollow(shape) => {
            let look = Look {
                colour: FAINT,
                shape,
                dash: Dash::Solid,
            };
            drawing.marker(hollow(middle, look, 5.0));
        }
        Sample::Nothing => {}
    }
    let start = Place {
        x: at.x + SAMPLE + 8.0,
        y: at.y,
    };
    drawing.text(Text {
        size: LEGEND_SIZE,
        ..text(&entry.words, start, Anchor::Start, INK)
    });
}
