use std::convert::Infallible;

use proptest::prelude::*;

use super::{Predictor, absent, unzigzag, zigzag};

fn residuals(predictor: &Predictor, codes: &[u32]) -> Vec<i64> {
    let mut residuals = Vec::new();
    let mut seen = vec![0; codes.len()];
    predictor
        .fill(&mut seen, |cell, prediction| {
            residuals.push(i64::from(codes[cell]) - prediction);
            Ok::<_, Infallible>(codes[cell])
        })
        .unwrap();
    assert_eq!(seen, codes);
    residuals
}

#[test]
fn a_plane_is_predicted_exactly_but_for_its_edges() {
    let codes: Vec<u32> = (0..3 * 4 * 5)
        .map(|cell| 100 + 7 * (cell / 20) + 11 * (cell / 5 % 4) + 3 * (cell % 5))
        .collect();
    let residuals = residuals(&Predictor::new(&[3, 4, 5], 0b111), &codes);
    let wrong = residuals.iter().filter(|residual| **residual != 0).count();
    // The first cell and the first step along each axis.
    assert_eq!(wrong, 1 + 2 + 3 + 4, "{residuals:?}");
}

#[test]
fn a_predictor_without_its_axis_falls_back_to_the_innermost_neighbour() {
    let residuals = residuals(&Predictor::new(&[2, 3], 0b01), &[10, 11, 12, 20, 21, 22]);
    assert_eq!(residuals, [10, 1, 1, 10, 10, 10]);
}

#[test]
fn absent_cells_stay_within_the_code_range() {
    assert_eq!(absent(-5, 16), 0);
    assert_eq!(absent(70_000, 16), 65_535);
    assert_eq!(absent(70_000, 24), 70_000);
}

proptest! {
    #[test]
    fn zigzag_is_undone(code in 0_u32..65_536, prediction in -200_000_i64..200_000) {
        let folded = zigzag(code, prediction, 16);
        prop_assert!(folded < 65_536);
        prop_assert_eq!(unzigzag(folded, prediction, 16), code);
    }
}
