//! Colours that everyone can tell apart.

use super::canvas::{Colour, Dash, Shape};

pub(super) const INK: Colour = Colour::rgb(33, 33, 33);
pub(super) const FAINT: Colour = Colour::rgb(110, 110, 110);
pub(super) const GRID: Colour = Colour::rgb(228, 228, 228);
pub(super) const PAPER: Colour = Colour::rgb(255, 255, 255);
/// What lies outside the measured range.
pub(super) const UNKNOWN: Colour = Colour::rgb(240, 240, 240);
/// The SLA: vermilion of the Okabe–Ito palette, kept out of the series.
pub(super) const LIMIT: Colour = Colour::rgb(213, 94, 0);

/// Five colours of the Okabe–Ito palette (without its yellow, too light on paper, its black, the ink, and its vermilion,
/// the SLA), then two of Tol's muted scheme, which stay apart from them in brightness.
///
/// **Source**: M. Okabe and K. Ito, "Color Universal Design", 2008; P. Tol, "Colour Schemes", 2021.
const SERIES: [Colour; 7] = [
    Colour::rgb(0, 114, 178),
    Colour::rgb(230, 159, 0),
    Colour::rgb(0, 158, 115),
    Colour::rgb(204, 121, 167),
    Colour::rgb(86, 180, 233),
    Colour::rgb(136, 34, 85),
    Colour::rgb(153, 153, 51),
];
const SHAPES: [Shape; 4] = [Shape::Disc, Shape::Square, Shape::Triangle, Shape::Diamond];
const DASHES: [Dash; 3] = [Dash::Solid, Dash::Dashed, Dash::Dotted];

/// How one series looks: the first 28 differ in colour and shape, 84 with the pattern of the line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) colour: Colour,
    pub(super) shape: Shape,
    pub(super) dash: Dash,
}

/// The look of the series with a number.
pub(super) fn look(series: usize) -> Look {
    Look {
        colour: SERIES[series % SERIES.len()],
        shape: SHAPES[series % SHAPES.len()],
        dash: DASHES[series / (SERIES.len() * SHAPES.len()) % DASHES.len()],
    }
}

/// The colour of a share from 0 to 1: viridis, which rises evenly in brightness, so it also reads in grey and with any
/// colour blindness.
///
/// **Source**: S. van der Walt and N. Smith, matplotlib's `viridis` (CC0), every sixteenth entry.
pub(super) fn heat(share: f64) -> Colour {
    const STOPS: [[u8; 3]; 17] = [
        [68, 1, 84],
        [72, 24, 106],
        [71, 45, 123],
        [66, 64, 134],
        [59, 82, 139],
        [51, 99, 141],
        [44, 114, 142],
        [38, 130, 142],
        [33, 145, 140],
        [31, 160, 136],
        [40, 174, 128],
        [63, 188, 115],
        [94, 201, 98],
        [132, 212, 75],
        [173, 220, 48],
        [216, 226, 25],
        [253, 231, 37],
    ];
    let place = share.clamp(0.0, 1.0) * 16.0;
    let (below, rest) = STOPS
        .windows(2)
        .zip(0_u8..)
        .map(|(pair, index)| (pair, place - f64::from(index)))
        .find(|(_, rest)| *rest <= 1.0)
        .unwrap_or_else(|| (&STOPS[15..], 1.0));
    let mixed = [0, 1, 2].map(|channel| {
        let [from, to] = [below[0][channel], below[1][channel]].map(f64::from);
        u8::try_from(dgdr_units::floor_count(from + rest * (to - from) + 0.5)).unwrap_or(u8::MAX)
    });
    Colour::rgb(mixed[0], mixed[1], mixed[2])
}
