//! What every engine offers: user speed against throughput, and against cost.

use super::Subject;
use super::axis::{Axis, count, short};
use super::canvas::{Area, Drawing, Pen, Shape};
use super::frame::{Entry, Frame, Grid, Heading, LIMIT_PEN, Legend, Sample, Side, is_near};
use super::labels::Labels;
use super::palette::{LIMIT, Look, look};

/// A configuration that no other one of its engine beats in both speed and throughput.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrontPoint {
    /// Tokens per second that one user sees.
    pub user_speed: f64,
    /// Generated tokens per second and GPU of the whole budget.
    pub throughput: f64,
    /// What 1,000 requests cost, in the unit of [`Fronts::cost_label`]; none when it completes no request.
    pub cost: Option<f64>,
    /// Whether it keeps the SLA.
    pub meets_sla: bool,
}

/// The front of one engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Front {
    /// Its name.
    pub backend: String,
    /// Its points, fastest for the user first.
    pub points: Vec<FrontPoint>,
}

/// A configuration with a name in the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct FrontPick {
    /// Index of its engine.
    pub front: usize,
    /// Where it stands.
    pub point: FrontPoint,
    /// What it is (`TP2, batch 56`).
    pub words: String,
}

/// What `pareto.png` and `cost_sla.png` show.
#[derive(Debug, Clone, PartialEq)]
pub struct Fronts {
    /// What the run is about.
    pub subject: Subject,
    /// Input length in tokens.
    pub isl: u64,
    /// Output length in tokens.
    pub osl: u64,
    /// One front each engine.
    pub fronts: Vec<Front>,
    /// The SLA in words, where one was given.
    pub sla: Option<String>,
    /// The user speed that an ITL SLA asks for.
    pub least_user_speed: Option<f64>,
    /// Quantity and unit of the cost.
    pub cost_label: String,
    /// The unit of the cost alone.
    pub cost_unit: &'static str,
    /// What was picked.
    pub pick: Option<FrontPick>,
    /// What came second.
    pub runner_up: Option<FrontPick>,
}

/// `pareto.png`: throughput per GPU over user speed.
pub fn pareto(fronts: &Fronts) -> Drawing {
    draw(
        fronts,
        &Quantity {
            title: "Throughput against user speed",
            label: "throughput (tokens/s per GPU of the budget)",
            unit: "tok/s/GPU",
            of: |point| Some(point.throughput),
        },
    )
}

/// `cost_sla.png`: what 1,000 requests cost over user speed.
pub fn cost_sla(fronts: &Fronts) -> Drawing {
    draw(
        fronts,
        &Quantity {
            title: "Cost against user speed",
            label: &fronts.cost_label,
            unit: fronts.cost_unit,
            of: |point| point.cost,
        },
    )
}

/// What stands over the user speed.
struct Quantity<'a> {
    title: &'static str,
    label: &'a str,
    unit: &'static str,
    of: fn(&FrontPoint) -> Option<f64>,
}

impl Quantity<'_> {
    /// Where a point stands, when it can be drawn.
    fn place(&self, point: &FrontPoint) -> Option<[f64; 2]> {
        let value = (self.of)(point)?;
        (point.user_speed.is_finite() && value.is_finite()).then_some([point.user_speed, value])
    }
}

fn draw(fronts: &Fronts, quantity: &Quantity<'_>) -> Drawing {
    let named = || [&fronts.runner_up, &fronts.pick].into_iter().flatten();
    let places: Vec<[f64; 2]> = fronts
        .fronts
        .iter()
        .flat_map(|front| &front.points)
        .chain(named().map(|named| &named.point))
        .filter_map(|point| quantity.place(point))
        .collect();
    let speeds = || places.iter().map(|[speed, _]| *speed);
    let limit = fronts.least_user_speed.filter(|limit| limit.is_finite());
    let near = limit.filter(|limit| is_near(*limit, speeds()));
    let x = Side::new(
        Axis::even_around(speeds().chain(near)),
        "user speed (tokens/s/user, faster to the right)",
    );
    let y = Side::new(
        Axis::around(places.iter().map(|[_, value]| *value)),
        quantity.label,
    );
    let heading = Heading {
        title: quantity.title,
        subject: &fronts.subject,
        details: vec![
            format!("ISL {}", count(fronts.isl)),
            format!("OSL {}", count(fronts.osl)),
        ],
    };
    let legend = Legend::Above(entries(fronts, limit.is_some(), near.is_some()));
    let mut frame = Frame::new(&heading, [&x, &y], &legend, 0.0);
    if let Some(limit) = near {
        let right = frame.place(limit, frame.y.low()).x;
        let broken = Area { right, ..frame.area };
        frame.drawing.fill(broken, LIMIT.with_opacity(16));
    }
    frame.axes([&x, &y], Grid::Lines);
    if let Some(limit) = near {
        frame.upright(limit, LIMIT_PEN);
    }
    for (series, front) in fronts.fronts.iter().enumerate() {
        draw_front(&mut frame, quantity, (series, front));
    }
    draw_named(&mut frame, quantity, (fronts, &places));
    frame.drawing
}

/// A line through a front, its points filled where they keep the SLA.
fn draw_front(frame: &mut Frame, quantity: &Quantity<'_>, (series, front): (usize, &Front)) {
    let Look { colour, dash, .. } = look(series);
    let points: Vec<([f64; 2], bool)> = front
        .points
        .iter()
        .filter_map(|point| Some((quantity.place(point)?, point.meets_sla)))
        .collect();
    let line: Vec<[f64; 2]> = points.iter().map(|(place, _)| *place).collect();
    let pen = Pen {
        colour: colour.with_opacity(150),
        width: 1.8,
        dash,
    };
    frame.curve(&line, pen);
    for (place, meets_sla) in points {
        if meets_sla {
            frame.point(place, look(series), 5.0);
        } else {
            frame.hollow(place, look(series), 4.0);
        }
    }
}

/// Ring, second ring and the words beside them; the pick is last, so that nothing covers it, and labelled first.
fn draw_named(frame: &mut Frame, quantity: &Quantity<'_>, (fronts, places): (&Fronts, &[[f64; 2]])) {
    let named: Vec<(&FrontPick, [f64; 2], &str)> =
        [(&fronts.runner_up, "runner-up"), (&fronts.pick, "picked")]
            .into_iter()
            .filter_map(|(named, role)| {
                let named = named.as_ref()?;
                Some((named, quantity.place(&named.point)?, role))
            })
            .collect();
    for (named, place, role) in &named {
        frame.point(*place, look(named.front), 6.5);
        if *role == "picked" {
            frame.pick(*place);
        } else {
            frame.second(*place);
        }
    }
    let mut labels = Labels::new(frame, places.iter().copied());
    for (named, place, role) in named.iter().rev() {
        let [_, value] = *place;
        let engine = if fronts.fronts.len() > 1 {
            fronts
                .fronts
                .get(named.front)
                .map_or(String::new(), |front| format!("{} ", front.backend))
        } else {
            String::new()
        };
        let words = format!(
            "{role}: {engine}{}: {} {}",
            named.words,
            short(value),
            quantity.unit
        );
        labels.add_wide(frame, *place, &words);
    }
}

fn entries(fronts: &Fronts, has_line: bool, near: bool) -> Vec<Entry> {
    let mut entries: Vec<Entry> = fronts
        .fronts
        .iter()
        .enumerate()
        .map(|(series, front)| {
            let Look { colour, dash, .. } = look(series);
            let pen = Pen {
                colour,
                width: 1.8,
                dash,
            };
            Entry {
                sample: Sample::LineAndMarker(pen, look(series)),
                words: front.backend.clone(),
            }
        })
        .collect();
    if fronts
        .fronts
        .iter()
        .flat_map(|front| &front.points)
        .any(|point| !point.meets_sla)
    {
        entries.push(Entry {
            sample: Sample::Hollow(Shape::Disc),
            words: "misses the SLA".to_owned(),
        });
    }
    if let Some(words) = &fronts.sla {
        let beyond = if has_line && !near {
            " (beyond this picture)"
        } else {
            ""
        };
        entries.push(Entry {
            sample: if has_line {
                Sample::Line(LIMIT_PEN)
            } else {
                Sample::Nothing
            },
            words: format!("SLA: {words}{beyond}"),
        });
    }
    entries.extend(fronts.pick.iter().map(|_| Entry {
        sample: Sample::Pick,
        words: "picked".to_owned(),
    }));
    entries.extend(fronts.runner_up.iter().map(|_| Entry {
        sample: Sample::Second,
        words: "runner-up".to_owned(),
    }));
    entries
}
