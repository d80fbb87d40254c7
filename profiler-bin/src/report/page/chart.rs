//! Charts as inline SVG: points with a title each, lines, bounds, and rings with words beside them.

use std::fmt::Write;

use maud::{Markup, html};

use crate::plots::axis::{Axis, Tick};

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = HEIGHT - 54.0;
/// Radius of a marker.
const MARKER: f64 = 4.0;
/// Width of a letter, about: enough to keep words inside the chart.
const LETTER: f64 = 7.4;

/// One side of a chart.
pub(super) struct Side {
    pub(super) axis: Axis,
    /// Quantity and unit.
    pub(super) label: String,
}

/// A point with what is said when it is pointed at.
pub(super) struct Dot {
    pub(super) at: [f64; 2],
    pub(super) tip: String,
    /// Whether it is drawn hollow.
    pub(super) hollow: bool,
}

/// Points and lines of one colour.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) dots: Vec<Dot>,
    pub(super) line: Vec<[f64; 2]>,
}

/// A bound across the chart.
pub(super) struct Bound {
    pub(super) at: f64,
    pub(super) direction: Direction,
    pub(super) words: String,
    /// Which side of it is worse, when one is.
    pub(super) worse: Option<Worse>,
}

impl Bound {
    /// A bound that nothing breaks is but a place to look at.
    const fn class(&self) -> &'static str {
        if self.worse.is_some() { "bound" } else { "place" }
    }
}

/// Which axis a bound stands on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// A value of the x axis.
    Upright,
    /// A value of the y axis.
    Level,
}

/// Which side of a bound breaks it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Worse {
    /// Values below.
    Below,
    /// Values above.
    Above,
}

/// A point that has a ring and a name.
pub(super) struct Named {
    pub(super) at: [f64; 2],
    pub(super) words: String,
    /// `pick` or `second`: how strong the ring is.
    pub(super) class: &'static str,
}

/// A chart.
pub(super) struct Chart {
    /// What it shows, for those who do not see it.
    pub(super) title: String,
    pub(super) x: Side,
    pub(super) y: Side,
    pub(super) series: Vec<Series>,
    pub(super) bounds: Vec<Bound>,
    /// The least important first.
    pub(super) named: Vec<Named>,
    /// What hollow points are, where there are any.
    pub(super) hollow: Option<&'static str>,
}

impl Chart {
    /// The figure with its legend.
    pub(super) fn markup(&self) -> Markup {
        html! {
            figure {
                figcaption { (self.title) }
                (self.legend())
                div.scroll {
                    svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(self.title) tabindex="0" {
                        (self.shades())
                        (self.grid())
                        (self.lines())
                        @for (index, series) in self.series.iter().enumerate() {
                            g class={ "s" (index % COLOURS) } {
                                @for dot in &series.dots { (self.dot(dot, index)) }
                            }
                        }
                        (self.names())
                    }
                }
            }
        }
    }

    fn legend(&self) -> Markup {
        let has_hollow = self
            .series
            .iter()
            .flat_map(|series| &series.dots)
            .any(|dot| dot.hollow);
        html! {
            ul.legend {
                @if self.series.len() > 1 || has_hollow {
                    @for (index, series) in self.series.iter().enumerate() {
                        li {
                            svg class={ "key s" (index % COLOURS) } viewBox="-8 -8 16 16" aria-hidden="true" {
                                path.dot d=(shape(index, [0.0, 0.0])) {}
                            }
                            (series.name)
                        }
                    }
                }
                @if let (true, Some(words)) = (has_hollow, self.hollow) {
                    li {
                        svg.key viewBox="-8 -8 16 16" aria-hidden="true" { path.dot.hollow d=(shape(0, [0.0, 0.0])) {} }
                        (words)
                    }
                }
                @for bound in &self.bounds {
                    li {
                        svg.key.wide viewBox="-12 -8 24 16" aria-hidden="true" { path class=(bound.class()) d="M-12 0H12" {} }
                        (bound.words)
                    }
                }
            }
        }
    }

    fn place(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [
            LEFT + self.x.axis.share(x) * (RIGHT - LEFT),
            BOTTOM - self.y.axis.share(y) * (BOTTOM - TOP),
        ]
    }

    fn grid(&self) -> Markup {
        let ticks = |axis: &Axis| -> Vec<Tick> { axis.ticks(7) };
        html! {
            @for tick in ticks(&self.x.axis) {
                @let x = coordinate(self.place([tick.value, self.y.axis.low()])[0]);
                path.grid d={ "M" (x) " " (TOP) "V" (BOTTOM) } {}
                text.tick x=(x) y=(BOTTOM + 18.0) text-anchor="middle" { (tick.label) }
            }
            @for tick in ticks(&self.y.axis) {
                @let y = coordinate(self.place([self.x.axis.low(), tick.value])[1]);
                path.grid d={ "M" (LEFT) " " (y) "H" (RIGHT) } {}
                text.tick x=(LEFT - 8.0) y=(y) dy="0.35em" text-anchor="end" { (tick.label) }
            }
            path.axis d={ "M" (LEFT) " " (TOP) "V" (BOTTOM) "H" (RIGHT) } {}
            text.label x=(f64::midpoint(LEFT, RIGHT)) y=(HEIGHT - 10.0) text-anchor="middle" { (self.x.label) }
            text.label transform={ "translate(14 " (f64::midpoint(TOP, BOTTOM)) ") rotate(-90)" } text-anchor="middle" {
                (self.y.label)
            }
        }
    }

    /// The broken side of each bound.
    fn shades(&self) -> Markup {
        html! {
            @for bound in &self.bounds {
                @if let Some(worse) = bound.worse {
                    @let [x, y] = self.place([bound.at, bound.at]).map(coordinate);
                    @match (bound.direction, worse) {
                        (Direction::Upright, Worse::Below) => { path.shade d={ "M" (LEFT) " " (TOP) "H" (x) "V" (BOTTOM) "H" (LEFT) "Z" } {} }
                        (Direction::Upright, Worse::Above) => { path.shade d={ "M" (x) " " (TOP) "H" (RIGHT) "V" (BOTTOM) "H" (x) "Z" } {} }
                        (Direction::Level, Worse::Below) => { path.shade d={ "M" (LEFT) " " (y) "H" (RIGHT) "V" (BOTTOM) "H" (LEFT) "Z" } {} }
                        (Direction::Level, Worse::Above) => { path.shade d={ "M" (LEFT) " " (TOP) "H" (RIGHT) "V" (y) "H" (LEFT) "Z" } {} }
                    }
                }
            }
        }
    }

    fn lines(&self) -> Markup {
        html! {
            @for bound in &self.bounds {
                @let [x, y] = self.place([bound.at, bound.at]).map(coordinate);
                @match bound.direction {
                    Direction::Upright => { path class=(bound.class()) d={ "M" (x) " " (TOP) "V" (BOTTOM) } {} }
                    Direction::Level => { path class=(bound.class()) d={ "M" (LEFT) " " (y) "H" (RIGHT) } {} }
                }
            }
            @for (index, series) in self.series.iter().enumerate() {
                @if series.line.len() > 1 {
                    path class={ "line s" (index % COLOURS) } d=(self.path(&series.line)) {}
                }
            }
        }
    }

    fn path(&self, points: &[[f64; 2]]) -> String {
        let mut path = String::new();
        for (index, point) in points.iter().enumerate() {
            let [x, y] = self.place(*point).map(coordinate);
            let verb = if index == 0 { 'M' } else { 'L' };
            // Writing to a string cannot fail.
            let _infallible = write!(path, "{verb}{x} {y}");
        }
        path
    }

    fn dot(&self, dot: &Dot, series: usize) -> Markup {
        html! {
            path class=(if dot.hollow { "dot hollow" } else { "dot" }) d=(shape(series, self.place(dot.at))) {
                title { (dot.tip) }
            }
        }
    }

    /// Rings, and words that stand clear of each other and of all points, joined by a line where they are far.
    fn names(&self) -> Markup {
        let mut taken: Vec<Area> = self
            .series
            .iter()
            .flat_map(|series| &series.dots)
            .map(|dot| Area::around(self.place(dot.at), MARKER + 2.0))
            .chain(
                self.named
                    .iter()
                    .map(|named| Area::around(self.place(named.at), RING)),
            )
            .collect();
        let mut placed = Vec::new();
        for named in self.named.iter().rev() {
            let from = self.place(named.at);
            let spot = free(&taken, from, &named.words);
            let at = [from[0] + spot.0, from[1] + spot.1];
            taken.push(Area::of(at, spot.2, &named.words));
            placed.push((named, from.map(coordinate), at.map(coordinate), spot));
        }
        html! {
            @for (named, [x, y], at, spot) in placed.iter().rev() {
                @if spot.1.abs() > NEAR {
                    @let share = RING / spot.0.hypot(spot.1);
                    @let start = [x + share * spot.0, y + share * spot.1].map(coordinate);
                    path.leader d={ "M" (start[0]) " " (start[1]) "L" (at[0]) " " (at[1] - 4.0) } {}
                }
                circle class={ "ring " (named.class) } cx=(x) cy=(y) r=(RING) {}
                text.name x=(at[0]) y=(at[1]) text-anchor=(if spot.2 { "end" } else { "start" }) { (named.words) }
            }
        }
    }
}

/// Radius of a ring.
const RING: f64 = 8.0;
/// From this distance up or down on a line joins words and ring.
const NEAR: f64 = 25.0;

/// A place beside a point: pixels to the right and down, and whether the words end there.
type Spot = (f64, f64, bool);

/// The spots of words, the nearest first.
const SPOTS: [Spot; 16] = [
    (12.0, -10.0, false),
    (12.0, 18.0, false),
    (-12.0, -10.0, true),
    (-12.0, 18.0, true),
    (24.0, -30.0, false),
    (24.0, 40.0, false),
    (-24.0, -30.0, true),
    (-24.0, 40.0, true),
    (40.0, -60.0, false),
    (40.0, 70.0, false),
    (-40.0, -60.0, true),
    (-40.0, 70.0, true),
    (60.0, -90.0, false),
    (60.0, 110.0, false),
    (80.0, -130.0, false),
    (80.0, 150.0, false),
];

/// The first spot where words stand clear; the first one when there is none.
fn free(taken: &[Area], [x, y]: [f64; 2], words: &str) -> Spot {
    SPOTS
        .into_iter()
        .find(|(dx, dy, end)| {
            let area = Area::of([x + dx, y + dy], *end, words);
            area.is_inside() && !taken.iter().any(|other| area.overlaps(other))
        })
        .unwrap_or(SPOTS[0])
}

/// A rectangle of the chart.
#[derive(Debug, Clone, Copy)]
struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Area {
    fn around([x, y]: [f64; 2], radius: f64) -> Self {
        Self {
            left: x - radius,
            top: y - radius,
            right: x + radius,
            bottom: y + radius,
        }
    }

    /// What words take that start or end at a place.
    fn of([x, y]: [f64; 2], end: bool, words: &str) -> Self {
        let letters = u32::try_from(words.chars().count()).unwrap_or(u32::MAX);
        let width = f64::from(letters) * LETTER;
        let left = if end { x - width } else { x };
        Self {
            left,
            top: y - 12.0,
            right: left + width,
            bottom: y + 4.0,
        }
    }

    fn is_inside(&self) -> bool {
        self.left >= LEFT && self.right <= RIGHT && self.top >= TOP && self.bottom <= BOTTOM
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

/// Colours of the style sheet.
const COLOURS: usize = 7;

/// A coordinate to a tenth of a pixel.
fn coordinate(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The outline of a series' marker: disc, square, triangle or diamond, so that colours need not be told apart.
fn shape(series: usize, [x, y]: [f64; 2]) -> String {
    let [x, y] = [x, y].map(coordinate);
    let r = MARKER;
    match series % 4 {
        0 => format!(
            "M{} {y}a{r} {r} 0 1 0 {} 0a{r} {r} 0 1 0 -{} 0Z",
            coordinate(x - r),
            2.0 * r,
            2.0 * r
        ),
        1 => format!("M{} {}h7v7h-7Z", coordinate(x - 3.5), coordinate(y - 3.5)),
        2 => format!("M{x} {}l4.5 8h-9Z", coordinate(y - 5.0)),
        _ => format!("M{x} {}l5 5l-5 5l-5 -5Z", coordinate(y - 5.0)),
    }
}
