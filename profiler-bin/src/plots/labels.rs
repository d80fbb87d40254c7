//! Labels beside points.

use super::canvas::{Anchor, Area, Pen, Place};
use super::frame::Frame;
use super::palette::FAINT;

/// A place beside a point: pixels to the right and down, and which end of the text stands there.
type Spot = (f32, f32, Anchor);

/// Beside a marker.
const NEAR: [Spot; 8] = [
    (17.0, 5.0, Anchor::Start),
    (-17.0, 5.0, Anchor::End),
    (0.0, -19.0, Anchor::Middle),
    (0.0, 31.0, Anchor::Middle),
    (14.0, -12.0, Anchor::Start),
    (14.0, 22.0, Anchor::Start),
    (-14.0, -12.0, Anchor::End),
    (-14.0, 22.0, Anchor::End),
];

/// Where there is room beside a crowd of markers.
const FAR: [Spot; 14] = [
    (40.0, -40.0, Anchor::Start),
    (40.0, 50.0, Anchor::Start),
    (-40.0, -40.0, Anchor::End),
    (-40.0, 50.0, Anchor::End),
    (60.0, -90.0, Anchor::Start),
    (-60.0, 100.0, Anchor::End),
    (60.0, 100.0, Anchor::Start),
    (-60.0, -90.0, Anchor::End),
    (90.0, 170.0, Anchor::Start),
    (-90.0, 170.0, Anchor::End),
    (150.0, -30.0, Anchor::Start),
    (150.0, 40.0, Anchor::Start),
    (150.0, 110.0, Anchor::Start),
    (150.0, -100.0, Anchor::Start),
];

/// From this distance on a line joins label and point.
const LEADER_FROM: f32 = 35.0;

/// Labels beside points, none over another label or another point.
pub(super) struct Labels {
    points: Vec<Area>,
    labels: Vec<Area>,
}

impl Labels {
    pub(super) fn new(frame: &Frame, points: impl IntoIterator<Item = [f64; 2]>) -> Self {
        const HALF: f32 = 9.0;
        let points = points
            .into_iter()
            .map(|[x, y]| frame.place(x, y))
            .map(|Place { x, y }| Area {
                left: x - HALF,
                right: x + HALF,
                top: y - HALF,
                bottom: y + HALF,
            })
            .collect();
        Self {
            points,
            labels: Vec::new(),
        }
    }

    /// Puts a label at the first free place around a point, or leaves it out when there is none.
    pub(super) fn add(&mut self, frame: &mut Frame, point: [f64; 2], words: &str) {
        if let Some(spot) = self.free(frame, (point, words), &NEAR) {
            self.put(frame, (point, words), spot);
        }
    }

    /// Puts a label that must not be left out: near its point, further away with a line to it, or over points, but never
    /// over another label while there is any other place.
    pub(super) fn add_wide(&mut self, frame: &mut Frame, point: [f64; 2], words: &str) {
        let spot = self
            .free(frame, (point, words), &NEAR)
            .or_else(|| self.free(frame, (point, words), &FAR))
            .or_else(|| self.clear_of_labels(frame, (point, words)))
            .or_else(|| FAR.into_iter().find(|spot| fits(frame, (point, words), *spot)))
            .unwrap_or(FAR[0]);
        if is_far(spot) {
            let [from, to] = leader(frame, point, spot);
            frame.straight(from, to, Pen::solid(FAINT, 1.0));
        }
        self.put(frame, (point, words), spot);
    }

    fn free(&self, frame: &Frame, label: ([f64; 2], &str), spots: &[Spot]) -> Option<Spot> {
        spots.iter().copied().find(|spot| {
            let area = area(frame, label, *spot);
            fits(frame, label, *spot)
                && self.misses_labels(frame, label, *spot)
                && !self.points.iter().any(|taken| taken.overlaps(&area))
        })
    }

    /// A far place that covers points, but no label.
    fn clear_of_labels(&self, frame: &Frame, label: ([f64; 2], &str)) -> Option<Spot> {
        FAR.into_iter()
            .find(|spot| fits(frame, label, *spot) && self.misses_labels(frame, label, *spot))
    }

    /// Whether neither a label nor the line to it meets another label.
    fn misses_labels(&self, frame: &Frame, label: ([f64; 2], &str), spot: Spot) -> bool {
        let own = area(frame, label, spot);
        let line = is_far(spot).then(|| leader(frame, label.0, spot));
        !self
            .labels
            .iter()
            .any(|taken| taken.overlaps(&own) || line.is_some_and(|line| crosses(line, taken)))
    }

    fn put(&mut self, frame: &mut Frame, (point, words): ([f64; 2], &str), spot: Spot) {
        let at = at(frame, point, spot);
        self.labels.push(frame.plate(words, at, spot.2));
    }
}

fn at(frame: &Frame, [x, y]: [f64; 2], (dx, dy, _): Spot) -> Place {
    let point = frame.place(x, y);
    Place {
        x: point.x + dx,
        y: point.y + dy,
    }
}

fn area(frame: &Frame, (point, words): ([f64; 2], &str), spot: Spot) -> Area {
    frame.plate_area(words, at(frame, point, spot), spot.2)
}

/// Whether a label stays within the plot.
fn fits(frame: &Frame, label: ([f64; 2], &str), spot: Spot) -> bool {
    let area = area(frame, label, spot);
    area.left >= frame.area.left
        && area.right <= frame.area.right
        && area.top >= frame.area.top
        && area.bottom <= frame.area.bottom
}

fn is_far((dx, dy, _): Spot) -> bool {
    dx.abs() > LEADER_FROM || dy.abs() > LEADER_FROM
}

/// Both ends of the line from the ring around a point to its label.
fn leader(frame: &Frame, [x, y]: [f64; 2], (dx, dy, _): Spot) -> [[f32; 2]; 2] {
    const RING: f32 = 13.0;
    let Place { x, y } = frame.place(x, y);
    let [left, up] = [dx, dy].map(|part| part * RING / dx.hypot(dy));
    [[x + left, y + up], [x + dx, y + dy - 4.0]]
}

fn crosses([from, to]: [[f32; 2]; 2], area: &Area) -> bool {
    (0..=20_u8).map(|step| f32::from(step) / 20.0).any(|share| {
        let [x, y] = [0, 1].map(|axis| from[axis] + share * (to[axis] - from[axis]));
        (area.left..=area.right).contains(&x) && (area.top..=area.bottom).contains(&y)
    })
}
