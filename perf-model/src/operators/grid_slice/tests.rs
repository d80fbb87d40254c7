use std::sync::Arc;

use approx::assert_relative_eq;
use dgdr_units::real;
use proptest::prelude::*;

use super::{Axes, Blend, GridSlice};
use crate::tables::Grid;
use crate::{Axis, OperatorLatency, Source, SourceKind};

const HEADS: &[u32] = &[2, 4, 8];
const MIDDLE: &[u32] = &[1, 16, 64, 256];
const INNER: &[u32] = &[1, 2, 8, 32];

fn roofline(at: [u64; 3]) -> f64 {
    real(at[0]) * real(at[1]) * real(at[2])
}

/// Nothing is measured above 1024 tokens, so the plane is a staircase.
fn staircase(at: &[u32]) -> Option<f64> {
    (at[1] * at[2] <= 1024).then(|| 1.0 + f64::from(at[0]) * f64::from(at[1]) * f64::from(at[2]))
}

const FOUR: Axes<4> = Axes {
    names: [Axis::Heads, Axis::Prefix, Axis::Sequence, Axis::Batch],
    blends: [Blend::Linear; 4],
};

struct Seen(GridSlice<3>);

impl Seen {
    fn latency(&self, at: [u64; 2], roofline: &impl Fn([u64; 3]) -> f64) -> Option<OperatorLatency> {
        self.0.latency([0, at[0], at[1]], roofline)
    }
}

fn slice(heads: u64, blend: Blend) -> Seen {
    let grid = Arc::new(Grid::of(&[HEADS, MIDDLE, INNER], staircase));
    let axes = Axes {
        blends: [Blend::Linear, blend, Blend::Linear],
        ..Axes::CONTEXT
    };
    Seen(GridSlice::new(grid, heads, axes).unwrap())
}

#[test]
fn a_grid_of_other_axes_is_no_slice() {
    let grid = Arc::new(Grid::of(&[HEADS, MIDDLE, INNER], staircase));
    assert_eq!(GridSlice::new(grid, 2, FOUR), None);
}

#[test]
fn four_axes_are_blended_one_after_the_other() {
    let product = |at: &[u32]| (at[1] < 4 || at[2] < 3).then(|| at.iter().map(|x| f64::from(*x)).product());
    let grid = Arc::new(Grid::of(&[&[2, 4], &[1, 4], &[1, 2, 3], &[1, 5]], product));
    let slice = GridSlice::new(grid, 3, FOUR).unwrap();
    let roofline = |at: [u64; 4]| at.into_iter().map(real).product::<f64>().powi(2);
    let found = slice.latency([3, 2, 2, 3], &roofline).unwrap();
    assert_relative_eq!(found.ms, 3.0 * 2.0 * 2.0 * 3.0, max_relative = 1e-6);
    assert_eq!(found.source, Source::Interpolated);
    // 3 on the third axis was measured with 1 on the second only: from there, by the square.
    let found = slice.latency([3, 2, 3, 5], &roofline).unwrap();
    assert_relative_eq!(found.ms, 3.0 * 3.0 * 5.0 * 4.0, max_relative = 1e-6);
    assert_eq!(found.source, Source::extrapolated(Axis::Prefix, 1, 2));
}

#[test]
fn a_measured_point_is_returned_as_measured() {
    let found = slice(4, Blend::Linear).latency([16, 8], &roofline).unwrap();
    assert_relative_eq!(found.ms, 513.0, max_relative = 1e-6);
    assert_eq!(found.source, Source::Measured);
}

#[test]
fn square_roots_are_blended_on_the_middle_axis_only() {
    let found = slice(2, Blend::SquareRoot).latency([40, 2], &roofline).unwrap();
    let expected = f64::midpoint(65.0_f64.sqrt(), 257.0_f64.sqrt()).powi(2);
    assert_relative_eq!(found.ms, expected, max_relative = 1e-6);
    let found = slice(2, Blend::SquareRoot).latency([16, 5], &roofline).unwrap();
    assert_relative_eq!(found.ms, f64::midpoint(65.0, 257.0), max_relative = 1e-6);
    assert_eq!(found.source, Source::Interpolated);
}

#[test]
fn at_a_step_of_the_staircase_the_surviving_end_is_scaled() {
    // 64 × 8 was measured, 256 × 8 was not.
    let found = slice(2, Blend::SquareRoot).latency([128, 8], &roofline).unwrap();
    assert_relative_eq!(found.ms, 1025.0 * 2.0, max_relative = 1e-6);
    assert_eq!(found.source, Source::extrapolated(Axis::Sequence, 64, 128));
}

#[test]
fn beyond_everything_the_nearest_utilisation_is_held() {
    let found = slice(2, Blend::Linear).latency([100_000, 32], &roofline).unwrap();
    assert_relative_eq!(found.ms, roofline([2, 100_000, 32]), max_relative = 0.01);
    assert_eq!(found.source.beyond().unwrap().axis(), Axis::Sequence);
    assert!(slice(100, Blend::Linear).latency([16, 8], &roofline).is_some());
}

proptest! {
    #[test]
    fn inside_a_cell_a_value_stays_within_its_corners(
        heads in 2_u64..=8, middle in 1_u64..=32, inner in 1_u64..=32,
        blend in prop_oneof![Just(Blend::Linear), Just(Blend::SquareRoot)],
    ) {
        let found = slice(heads, blend).latency([middle, inner], &roofline);
        let corners = |axis: &[u32], at: u64| {
            let above = axis.iter().position(|key| u64::from(*key) >= at).unwrap();
            let below = if u64::from(axis[above]) == at { above } else { above - 1 };
            [axis[below], axis[above]]
        };
        let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
        let mut complete = true;
        for a in corners(HEADS, heads) {
            for b in corners(MIDDLE, middle) {
                for c in corners(INNER, inner) {
                    match staircase(&[a, b, c]) {
                        Some(ms) => { least = least.min(ms); most = most.max(ms); }
                        None => complete = false,
                    }
                }
            }
        }
        prop_assume!(complete);
        let found = found.unwrap();
        prop_assert!(found.ms >= least * (1.0 - 1e-6) && found.ms <= most * (1.0 + 1e-6));
        prop_assert!(found.source.kind() <= SourceKind::Interpolated);
    }
}

proptest! {
    /// Walking along the last axis gives what asking point by point gives, inside the measurements and beyond.
    #[test]
    fn a_sum_is_what_its_parts_are(middle in 1_u64..400, start in 1_u64..60, lengths in prop::collection::vec(0_u64..9, 1..6)) {
        let slice = slice(4, Blend::Linear).0;
        let coordinates: Vec<u64> = lengths
            .iter()
            .scan(start, |at, length| { *at += length; Some(*at) })
            .collect();
        let parts: Vec<OperatorLatency> = coordinates
            .iter()
            .map(|inner| slice.latency([4, middle, *inner], &roofline).unwrap())
            .collect();
        let expected = parts.iter().fold(OperatorLatency::ZERO, |total, part| total.plus(*part));
        let found = slice.sum([4, middle, 1], &coordinates, &roofline).unwrap();
        prop_assert_eq!(found.ms.to_bits(), expected.ms.to_bits());
        prop_assert_eq!(found.source, expected.source);
    }
}
