//! The bundled font: widths and outlines of texts.

use ttf_parser::{Face, OutlineBuilder};

use super::canvas::Weight;

const REGULAR: &[u8] = include_bytes!("fonts/DejaVuSans.ttf");
const BOLD: &[u8] = include_bytes!("fonts/DejaVuSans-Bold.ttf");

/// The font of a weight.
pub(super) struct Font {
    face: Option<Face<'static>>,
}

impl Font {
    /// Opens a bundled font, which reads only its table of contents.
    pub(super) fn new(weight: Weight) -> Self {
        let bytes = match weight {
            Weight::Regular => REGULAR,
            Weight::Bold => BOLD,
        };
        // The bundled files parse (a test says so); without one, texts would be missing and the picture still there.
        Self {
            face: Face::parse(bytes, 0).ok(),
        }
    }

    /// Width of a text in pixels.
    pub(super) fn width(&self, words: &str, size: f32) -> f32 {
        let Some(face) = &self.face else { return 0.0 };
        let units: u32 = words.chars().map(|letter| u32::from(advance(face, letter))).sum();
        crate::plots::canvas::pixels(f64::from(units)) * scale(face, size)
    }

    /// Whether the font has every letter of a text.
    #[cfg(test)]
    pub(super) fn has(&self, words: &str) -> bool {
        self.face
            .as_ref()
            .is_some_and(|face| words.chars().all(|letter| face.glyph_index(letter).is_some()))
    }

    /// Draws the outline of a text that starts at the origin, `y` downwards.
    pub(super) fn outline(&self, words: &str, size: f32, path: &mut impl Outline) {
        let Some(face) = &self.face else { return };
        let scale = scale(face, size);
        let mut pen = 0.0;
        for letter in words.chars() {
            let glyph = glyph(face, letter);
            face.outline_glyph(
                glyph,
                &mut Placed {
                    path,
                    scale,
                    left: pen,
                },
            );
            pen += f32::from(face.glyph_hor_advance(glyph).unwrap_or(0)) * scale;
        }
    }

    /// A text cut in its middle to fit a width.
    pub(super) fn shortened(&self, words: &str, size: f32, width: f32) -> String {
        if self.width(words, size) <= width {
            return words.to_owned();
        }
        let letters: Vec<char> = words.chars().collect();
        (1..letters.len())
            .rev()
            .map(|keep| {
                let head: String = letters[..keep.div_ceil(2)].iter().collect();
                let tail: String = letters[letters.len() - keep / 2..].iter().collect();
                format!("{head}…{tail}")
            })
            .find(|short| self.width(short, size) <= width)
            .unwrap_or_else(|| "…".to_owned())
    }
}

/// What draws an outline.
pub(super) trait Outline {
    fn move_to(&mut self, x: f32, y: f32);
    fn line_to(&mut self, x: f32, y: f32);
    fn quad_to(&mut self, control: [f32; 2], end: [f32; 2]);
    fn curve_to(&mut self, controls: [[f32; 2]; 2], end: [f32; 2]);
    fn close(&mut self);
}

fn glyph(face: &Face<'_>, letter: char) -> ttf_parser::GlyphId {
    face.glyph_index(letter).unwrap_or_default()
}

fn advance(face: &Face<'_>, letter: char) -> u16 {
    face.glyph_hor_advance(glyph(face, letter)).unwrap_or(0)
}

fn scale(face: &Face<'_>, size: f32) -> f32 {
    size / f32::from(face.units_per_em())
}

/// Moves a glyph to its place and turns it upside down: fonts count `y` upwards.
struct Placed<'a, P> {
    path: &'a mut P,
    scale: f32,
    left: f32,
}

impl<P> Placed<'_, P> {
    fn at(&self, x: f32, y: f32) -> [f32; 2] {
        [self.left + x * self.scale, -y * self.scale]
    }
}

impl<P: Outline> OutlineBuilder for Placed<'_, P> {
    fn move_to(&mut self, x: f32, y: f32) {
        let [x, y] = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let [x, y] = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let (control, end) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(control, end);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let (controls, end) = ([self.at(x1, y1), self.at(x2, y2)], self.at(x, y));
        self.path.curve_to(controls, end);
    }

    fn close(&mut self) {
        self.path.close();
    }
}
