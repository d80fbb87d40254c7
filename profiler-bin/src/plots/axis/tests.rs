use super::*;

#[track_caller]
fn ticks(axis: Axis, expected: &[&str]) {
    let labels: Vec<String> = axis.ticks(8).into_iter().map(|tick| tick.label).collect();
    assert_eq!(labels, expected);
}

#[test]
fn even_ticks_are_round_and_as_precise_as_needed() {
    ticks(Axis::tight([0.0, 16_372.0]), &["0", "5,000", "10,000", "15,000"]);
    ticks(
        Axis::tight([0.0, 1.0]),
        &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"],
    );
    ticks(Axis::tight([-0.5, 0.5]), &["−0.4", "−0.2", "0.0", "0.2", "0.4"]);
    ticks(
        Axis::tight([19.98, 20.03]),
        &["19.98", "19.99", "20.00", "20.01", "20.02", "20.03"],
    );
}

#[test]
fn log_ticks_thin_out_as_the_range_grows() {
    ticks(Axis::tight([20.0, 900.0]), &["20", "50", "100", "200", "500"]);
    ticks(
        Axis::tight([1.0, 5000.0]),
        &["1", "3", "10", "30", "100", "300", "1,000", "3,000"],
    );
    ticks(
        Axis::tight([1e-2, 1e5]),
        &["0.01", "0.1", "1", "10", "100", "1,000", "10,000", "100,000"],
    );
    assert!(Axis::tight([1e-30, 1e30]).ticks(8).len() <= 8);
}

#[test]
fn an_axis_starts_at_zero_unless_the_data_are_far_from_it() {
    assert!(Axis::even_around([40.0, 90.0]).low().abs() < 1e-12);
    assert!(Axis::even_around([80.0, 90.0]).low() > 79.0);
}

#[test]
fn share_and_value_are_inverse() {
    for axis in [Axis::around([3.0, 80.0]), Axis::around([3.0, 8000.0])] {
        for share in [0.0, 0.3, 1.0] {
            assert!((axis.share(axis.value(share)) - share).abs() < 1e-12);
        }
    }
}

#[test]
fn equal_and_missing_values_get_a_range() {
    for axis in [
        Axis::around([5.0]),
        Axis::around([0.0, 0.0]),
        Axis::around([]),
        Axis::around([f64::NAN]),
    ] {
        assert!(axis.value(1.0) > axis.value(0.0));
        assert!(!axis.ticks(8).is_empty());
    }
}

#[test]
fn numbers_are_grouped_and_short() {
    assert_eq!(
        [31.25, 2000.0, 0.1 + 0.2, 100.0].map(super::exact),
        ["31.25", "2,000", "0.3", "100"]
    );
    assert_eq!(
        [1234.4, 999.6, 17.0, 20.46, 0.034, 0.005_678, 0.0, -1500.0].map(short),
        ["1,234", "1,000", "17", "20.5", "0.034", "0.00568", "0", "−1,500"]
    );
    assert_eq!(count(1_000_000), "1,000,000");
}
