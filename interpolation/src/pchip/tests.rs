use approx::assert_relative_eq;

use super::*;

/// Values and slopes of `scipy.interpolate.PchipInterpolator` 1.17.1 on the same knots, which include a flat cell, an
/// extremum and unequal widths.
#[test]
fn agrees_with_scipy() {
    let fit = Pchip::new(
        vec![0.0, 1.0, 3.0, 4.0, 7.0, 8.0],
        vec![1.0, 2.0, 2.0, 5.0, 3.0, 3.5],
    );
    let oracle = [
        (0.0, 1.0, 1.333_333_333_333_333_3),
        (0.3, 1.412, 1.353_333_333_333_333_5),
        (1.0, 2.0, 0.0),
        (2.0, 2.0, 0.0),
        (3.5, 3.5, 4.5),
        (3.9, 4.916, 1.620_000_000_000_002_8),
        (5.0, 4.481_481_481_481_481, -0.888_888_888_888_888_8),
        (6.5, 3.148_148_148_148_149, -0.555_555_555_555_555_4),
        (7.2, 3.026_666_666_666_667, 0.258_333_333_333_333_5),
        (8.0, 3.5, 0.791_666_666_666_666_6),
    ];
    for (x, value, slope) in oracle {
        assert_relative_eq!(fit.at(x), value, epsilon = 1e-12);
        assert_relative_eq!(fit.slope_at(x), slope, epsilon = 1e-12);
    }
}

#[test]
fn goes_on_straight_beyond_its_ends() {
    let fit = Pchip::new(
        vec![0.0, 1.0, 3.0, 4.0, 7.0, 8.0],
        vec![1.0, 2.0, 2.0, 5.0, 3.0, 3.5],
    );
    assert_relative_eq!(fit.at(-0.3), 1.0 - 0.4, epsilon = 1e-12);
    assert_relative_eq!(fit.at(9.2), 3.5 + 1.2 * 0.791_666_666_666_666_6, epsilon = 1e-12);
}

#[test]
fn one_knot_is_a_constant_and_two_are_a_line() {
    let constant = Pchip::new(vec![2.0], vec![5.0]);
    let line = Pchip::new(vec![2.0, 4.0], vec![5.0, 9.0]);
    for x in [0.0, 2.0, 3.0, 4.0, 10.0] {
        assert_relative_eq!(constant.at(x), 5.0);
        assert_relative_eq!(line.at(x), 1.0 + 2.0 * x);
    }
    assert_eq!(constant.cells().count(), 0);
}

/// An S-shaped bump: the end is below the limit, the inside is not.
#[test]
fn a_crossing_inside_a_segment_is_found() {
    let bump = Cubic {
        start: 10.0,
        end: 14.0,
        values: [1.0, 0.9],
        slopes: [1.0, 0.2],
    };
    let crossing = bump.first_above(1.5).expect("the bump rises above 1.5");
    assert!(crossing > 10.0 && crossing < 12.0, "{crossing}");
    assert_relative_eq!(
        bump.at_share((crossing - bump.start) / (bump.end - bump.start)),
        1.5,
        epsilon = 1e-12
    );
    assert_eq!(bump.first_above(3.0), None);
}
