//! A drawing: a list of marks on a page of pixels.

/// Width of every picture in pixels.
pub(super) const WIDTH: f32 = 1200.0;
/// Height of every picture in pixels.
pub(super) const HEIGHT: f32 = 780.0;

/// A place on the page, in pixels from the top left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    pub(super) x: f32,
    pub(super) y: f32,
}

/// A rectangle on the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub(super) left: f32,
    pub(super) top: f32,
    pub(super) right: f32,
    pub(super) bottom: f32,
}

impl Area {
    pub(super) fn width(&self) -> f32 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f32 {
        self.bottom - self.top
    }

    /// Whether two areas share more than an edge.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

/// A colour; the last number is the opacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colour(pub(super) [u8; 4]);

impl Colour {
    pub(super) const fn rgb(red: u8, green: u8, blue: u8) -> Self {
        Self([red, green, blue, 255])
    }

    pub(super) const fn with_opacity(self, opacity: u8) -> Self {
        let [red, green, blue, _] = self.0;
        Self([red, green, blue, opacity])
    }
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pen {
    pub(super) colour: Colour,
    pub(super) width: f32,
    pub(super) dash: Dash,
}

impl Pen {
    pub(super) const fn solid(colour: Colour, width: f32) -> Self {
        Self {
            colour,
            width,
            dash: Dash::Solid,
        }
    }
}

/// Pattern of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dash {
    Solid,
    Dashed,
    Dotted,
}

/// Shape of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Disc,
    Square,
    Triangle,
    Diamond,
    /// A circle that is not filled.
    Ring,
}

/// A marker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Marker {
    pub(super) at: Place,
    pub(super) shape: Shape,
    /// Distance from the middle to the rim.
    pub(super) radius: f32,
    pub(super) fill: Colour,
    pub(super) rim: Pen,
}

/// Where a text stands in relation to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Thickness of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Bold,
}

/// Which way a text runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    Right,
    Upwards,
}

/// A line of text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    /// Left, middle or right end of the base line.
    pub(super) at: Place,
    pub(super) words: String,
    pub(super) size: f32,
    pub(super) anchor: Anchor,
    pub(super) weight: Weight,
    pub(super) run: Run,
    pub(super) colour: Colour,
}

/// One mark.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mark {
    Fill(Area, Colour),
    Line(Vec<Place>, Pen),
    Marker(Marker),
    Text(Text),
}

/// A finished picture, before it is made into bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawing {
    pub(super) marks: Vec<Mark>,
}

impl Drawing {
    pub(super) fn new() -> Self {
        Self { marks: Vec::new() }
    }

    pub(super) fn fill(&mut self, area: Area, colour: Colour) {
        self.marks.push(Mark::Fill(area, colour));
    }

    pub(super) fn line(&mut self, places: Vec<Place>, pen: Pen) {
        self.marks.push(Mark::Line(places, pen));
    }

    pub(super) fn marker(&mut self, marker: Marker) {
        self.marks.push(Mark::Marker(marker));
    }

    pub(super) fn text(&mut self, text: Text) {
        self.marks.push(Mark::Text(text));
    }
}

/// A number as a pixel coordinate or a size.
#[expect(
    clippy::cast_possible_truncation,
    reason = "pixels need no more than the 24 bits of an f32"
)]
pub(super) fn pixels(number: f64) -> f32 {
    number as f32
}
