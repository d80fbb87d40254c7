use std::sync::Arc;

use approx::assert_relative_eq;
use dgdr_units::real;
use proptest::prelude::*;

use super::{AttentionSlice, MiddleBlend};
use crate::tables::Grid;
use crate::{Axis, Source};

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

fn slice(heads: u64, blend: MiddleBlend) -> AttentionSlice {
    AttentionSlice::new(
        Arc::new(Grid::of(&[HEADS, MIDDLE, INNER], staircase)),
        heads,
        blend,
    )
}

#[test]
fn a_measured_point_is_returned_as_measured() {
    let found = slice(4, MiddleBlend::Linear).latency([16, 8], &roofline).unwrap();
    assert_relative_eq!(found.ms, 513.0, max_relative = 1e-6);
    assert_eq!(found.source, Source::Measured);
}

#[test]
fn square_roots_are_blended_on_the_middle_axis_only() {
    let found = slice(2, MiddleBlend::SquareRoot)
        .latency([40, 2], &roofline)
        .unwrap();
    let expected = f64::midpoint(65.0_f64.sqrt(), 257.0_f64.sqrt()).powi(2);
    assert_relative_eq!(found.ms, expected, max_relative = 1e-6);
    let found = slice(2, MiddleBlend::SquareRoot)
        .latency([16, 5], &roofline)
        .unwrap();
    assert_relative_eq!(found.ms, f64::midpoint(65.0, 257.0), max_relative = 1e-6);
    assert_eq!(found.source, Source::Interpolated);
}

#[test]
fn at_a_step_of_the_staircase_the_surviving_end_is_scaled() {
    // 64 × 8 was measured, 256 × 8 was not.
    let found = slice(2, MiddleBlend::SquareRoot)
        .latency([128, 8], &roofline)
        .unwrap();
    assert_relative_eq!(found.ms, 1025.0 * 2.0, max_relative = 1e-6);
    assert_eq!(found.source, Source::extrapolated(Axis::Sequence, 64, 128));
}

#[test]
fn beyond_everything_the_nearest_utilisation_is_held() {
    let found = slice(2, MiddleBlend::Linear)
        .latency([100_000, 32], &roofline)
        .unwrap();
    assert_relative_eq!(found.ms, roofline([2, 100_000, 32]), max_relative = 0.01);
    assert_eq!(found.source.beyond().unwrap().axis(), Axis::Batch);
    assert!(
        slice(100, MiddleBlend::Linear)
            .latency([16, 8], &roofline)
            .is_some()
    );
}

proptest! {
    #[test]
    fn inside_a_cell_a_value_stays_within_its_corners(
        heads in 2_u64..=8, middle in 1_u64..=32, inner in 1_u64..=32,
        blend in prop_oneof![Just(MiddleBlend::Linear), Just(MiddleBlend::SquareRoot)],
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
        prop_assert!(found.source <= Source::Interpolated);
    }
}
