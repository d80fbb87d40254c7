//! Drawings as PNG bytes.
//!
//! The only module that knows the painter (tiny-skia) and the encoder (png). Six pictures take a few tens of
//! milliseconds in all, which is why this is not a plotting library: those parse a whole font and compress slowly.

use tiny_skia::{
    Color, FillRule, Paint, Path, PathBuilder, Pixmap, PremultipliedColorU8, Stroke, StrokeDash, Transform,
};

use super::canvas::{
    Anchor, Area, Colour, Dash, Drawing, HEIGHT, Mark, Marker, Pen, Place, Run, Shape, Text, WIDTH, Weight,
};
use super::font::{Font, Outline};

/// Why a drawing could not be made into PNG bytes.
#[derive(Debug, thiserror::Error)]
#[error("the picture could not be encoded as PNG: {0}")]
pub struct PngError(#[from] png::EncodingError);

impl Drawing {
    /// The drawing as a PNG file of 1200 × 780 pixels. Equal drawings give equal bytes.
    ///
    /// # Errors
    /// [`PngError`] when the encoder fails, which in memory means a lack of it.
    pub fn png(&self) -> Result<Vec<u8>, PngError> {
        let mut bytes = Vec::new();
        let Some(mut page) = Pixmap::new(pixel(WIDTH), pixel(HEIGHT)) else {
            return Ok(bytes);
        };
        page.fill(Color::WHITE);
        let mut painter = Painter {
            page,
            regular: Font::new(Weight::Regular),
            bold: Font::new(Weight::Bold),
        };
        for mark in &self.marks {
            painter.paint(mark);
        }
        encode(&painter.page, &mut bytes)?;
        Ok(bytes)
    }
}

fn encode(page: &Pixmap, bytes: &mut Vec<u8>) -> Result<(), png::EncodingError> {
    // The paper is opaque, so no pixel is premultiplied by anything but one.
    let rgb: Vec<u8> = page
        .pixels()
        .iter()
        .flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()])
        .collect();
    let mut encoder = png::Encoder::new(bytes, page.width(), page.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&rgb)?;
    writer.finish()
}

struct Painter {
    page: Pixmap,
    regular: Font,
    bold: Font,
}

impl Painter {
    fn paint(&mut self, mark: &Mark) {
        match mark {
            Mark::Fill(area, colour) => self.fill(area, *colour),
            Mark::Line(places, pen) => {
                let mut path = PathBuilder::new();
                let mut places = places.iter();
                if let Some(first) = places.next() {
                    path.move_to(first.x, first.y);
                }
                for place in places {
                    path.line_to(place.x, place.y);
                }
                self.stroke(path.finish(), *pen);
            }
            Mark::Marker(marker) => {
                let outline = outline(marker);
                if let (Some(path), true) = (&outline, marker.shape != Shape::Ring) {
                    let paint = paint(marker.fill);
                    self.page
                        .fill_path(path, &paint, FillRule::Winding, Transform::identity(), None);
                }
                self.stroke(outline, marker.rim);
            }
            Mark::Text(text) => self.text(text),
        }
    }

    /// Fills whole pixels: neighbouring fills leave no seam, and opaque ones are plain writes.
    fn fill(&mut self, area: &Area, colour: Colour) {
        let [red, green, blue, opacity] = colour.0;
        let (width, height) = (self.page.width(), self.page.height());
        let [left, right] = [area.left, area.right].map(|x| index(pixel(x).min(width)));
        let [top, bottom] = [area.top, area.bottom].map(|y| index(pixel(y).min(height)));
        let width = index(width);
        let rows = self
            .page
            .pixels_mut()
            .chunks_exact_mut(width)
            .take(bottom)
            .skip(top);
        let opaque =
            PremultipliedColorU8::from_rgba(red, green, blue, opacity).filter(|_| opacity == u8::MAX);
        for row in rows {
            if let Some(colour) = opaque {
                row[left.min(right)..right].fill(colour);
                continue;
            }
            for under in row.iter_mut().take(right).skip(left) {
                let over = |under: u8, over: u8| {
                    let (under, over, opacity) = (u16::from(under), u16::from(over), u16::from(opacity));
                    u8::try_from((over * opacity + under * (255 - opacity)) / 255).unwrap_or(u8::MAX)
                };
                let [red, green, blue] = [
                    over(under.red(), red),
                    over(under.green(), green),
                    over(under.blue(), blue),
                ];
                *under = PremultipliedColorU8::from_rgba(red, green, blue, 255).unwrap_or(*under);
            }
        }
    }

    fn stroke(&mut self, path: Option<Path>, pen: Pen) {
        let dash = match pen.dash {
            Dash::Solid => None,
            Dash::Dashed => StrokeDash::new(vec![9.0, 6.0], 0.0),
            Dash::Dotted => StrokeDash::new(vec![2.0, 4.0], 0.0),
        };
        let stroke = Stroke {
            width: pen.width,
            dash,
            ..Stroke::default()
        };
        if let Some(path) = path {
            self.page
                .stroke_path(&path, &paint(pen.colour), &stroke, Transform::identity(), None);
        }
    }

    fn text(&mut self, text: &Text) {
        let font = match text.weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        };
        let mut path = GlyphPath(PathBuilder::new());
        font.outline(&text.words, text.size, &mut path);
        let width = font.width(&text.words, text.size);
        let shift = match text.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -width / 2.0,
            Anchor::End => -width,
        };
        let Place { x, y } = text.at;
        let turn = match text.run {
            Run::Right => Transform::from_translate(x + shift, y),
            Run::Upwards => Transform::from_row(0.0, -1.0, 1.0, 0.0, x, y - shift),
        };
        if let Some(path) = path.0.finish() {
            self.page
                .fill_path(&path, &paint(text.colour), FillRule::Winding, turn, None);
        }
    }
}

/// The outline of a marker.
fn outline(marker: &Marker) -> Option<Path> {
    let (Place { x, y }, r) = (marker.at, marker.radius);
    let corners: &[[f32; 2]] = match marker.shape {
        Shape::Disc | Shape::Ring => return PathBuilder::from_circle(x, y, r),
        Shape::Square => &[[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
        Shape::Triangle => &[[0.0, -1.15], [1.05, 0.75], [-1.05, 0.75]],
        Shape::Diamond => &[[0.0, -1.2], [1.2, 0.0], [0.0, 1.2], [-1.2, 0.0]],
    };
    let mut path = PathBuilder::new();
    for (index, [dx, dy]) in corners.iter().enumerate() {
        let (x, y) = (x + dx * r, y + dy * r);
        if index == 0 {
            path.move_to(x, y);
        } else {
            path.line_to(x, y);
        }
    }
    path.close();
    path.finish()
}

fn paint(colour: Colour) -> Paint<'static> {
    let [red, green, blue, opacity] = colour.0;
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, opacity);
    paint
}

/// The pixel that a coordinate falls in, the first one for negative coordinates.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and pages are far smaller than 2^32 pixels"
)]
fn pixel(coordinate: f32) -> u32 {
    coordinate.round() as u32
}

fn index(pixel: u32) -> usize {
    usize::try_from(pixel).unwrap_or(usize::MAX)
}

struct GlyphPath(PathBuilder);

impl Outline for GlyphPath {
    fn move_to(&mut self, x: f32, y: f32) {
        self.0.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.0.line_to(x, y);
    }

    fn quad_to(&mut self, [x1, y1]: [f32; 2], [x, y]: [f32; 2]) {
        self.0.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, [[x1, y1], [x2, y2]]: [[f32; 2]; 2], [x, y]: [f32; 2]) {
        self.0.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.0.close();
    }
}
