use approx::assert_relative_eq;

use super::*;

fn point(isl: u64, ttft_ms: f64) -> PrefillPoint {
    PrefillPoint {
        isl: Tokens::new(isl),
        ttft: Milliseconds::new(ttft_ms).expect("a duration"),
        throughput_per_gpu: TokensPerSecond::new(real(isl) / ttft_ms.max(1e-3) * 1e3).expect("a rate"),
    }
}

fn curve() -> PrefillCurve {
    PrefillCurve::new(vec![
        point(2134, 50.0),
        point(100, 20.0),
        point(1117, 38.0),
        point(4168, 90.0),
    ])
    .expect("four points make a curve")
}

#[track_caller]
fn refused(points: Vec<PrefillPoint>, expected: &str) {
    let error = PrefillCurve::new(points).expect_err("these points make no curve");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn refuses_points_that_make_no_curve() {
    refused(
        vec![point(100, 20.0)],
        "a prefill curve needs at least 2 points with different input lengths, got 1: measure more input lengths",
    );
    refused(
        vec![point(100, 20.0), point(7, 3.0), point(100, 21.0)],
        "two points lie at input length 100: keep one of them",
    );
    refused(
        vec![point(100, 20.0), point(200, 0.0)],
        "ttft of point 1 must be a finite number above 0, got 0: drop or repeat that measurement",
    );
}

#[test]
fn points_may_come_in_any_order() {
    let lengths: Vec<u64> = curve().points().iter().map(|point| point.isl.get()).collect();
    assert_eq!(lengths, [100, 1117, 2134, 4168]);
}

#[test]
fn says_whether_a_value_is_a_point_or_lies_between() {
    let curve = curve();
    let at = |isl| {
        curve
            .ttft(Tokens::new(isl), OutOfRange::Refuse)
            .expect("inside the range")
    };
    for (isl, ttft) in [(100, 20.0), (1117, 38.0), (2134, 50.0), (4168, 90.0)] {
        let reading = at(isl);
        assert_eq!(reading.source, Source::Point);
        assert!(reading.value.get().total_cmp(&ttft).is_eq());
    }
    assert_eq!(at(101).source, Source::Interpolated);
}

#[test]
fn outside_the_range_it_refuses_or_says_by_how_far() {
    let curve = curve();
    let error = curve
        .ttft(Tokens::new(5000), OutOfRange::Refuse)
        .expect_err("beyond the range");
    assert_eq!(
        error.to_string(),
        "input length 5000 lies outside the measured range 100 to 4168: stay inside it or ask for extrapolation"
    );
    let reading = curve
        .ttft(Tokens::new(5000), OutOfRange::Extrapolate)
        .expect("asked for");
    assert_eq!(
        reading.source,
        Source::Extrapolated {
            beyond: vec![Beyond {
                axis: Axis::Isl,
                by: 832.0,
                edge: 4168.0
            }]
        }
    );
    assert!(reading.value.get() > 90.0);
    let reading = curve
        .ttft(Tokens::new(60), OutOfRange::Extrapolate)
        .expect("asked for");
    assert!(reading.value.get() > 0.0 && reading.value.get() < 20.0);
}

#[test]
fn an_extrapolation_below_zero_is_refused() {
    let steep = PrefillCurve::new(vec![point(1000, 10.0), point(2000, 100.0)]).expect("a line");
    let error = steep
        .ttft(Tokens::new(10), OutOfRange::Extrapolate)
        .expect_err("below zero");
    assert!(
        matches!(error, QueryError::Meaningless { value } if value < 0.0),
        "{error}"
    );
}

#[test]
fn the_longest_prompt_keeps_the_limit_and_the_next_one_breaks_it() {
    let curve = curve();
    let limit = Milliseconds::new(60.0).expect("a duration");
    let longest = curve.max_isl(limit).expect("20 ms is below 60 ms");
    assert_eq!(longest.bound, Bound::Limit);
    let ttft = |isl: u64| {
        curve
            .ttft(Tokens::new(isl), OutOfRange::Refuse)
            .expect("inside")
            .value
    };
    assert!(ttft(longest.isl.get()) <= limit);
    assert!(ttft(longest.isl.get() + 1) > limit);
}

#[test]
fn a_limit_outside_the_data_is_said_so() {
    let curve = curve();
    let longest = curve
        .max_isl(Milliseconds::new(1e6).expect("a duration"))
        .expect("never reached");
    assert_eq!(
        longest,
        LongestPrompt {
            isl: Tokens::new(4168),
            bound: Bound::MeasuredRange
        }
    );
    let error = curve
        .max_isl(Milliseconds::new(5.0).expect("a duration"))
        .expect_err("too low");
    assert_eq!(
        error.to_string(),
        "5 ms is below the 20 ms that input length 100 takes, the smallest one measured: raise the limit or use more GPUs"
    );
}

#[test]
fn a_line_leaves_no_error_and_a_spike_shows() {
    let line: Vec<PrefillPoint> = (1..=6).map(|k| point(k * 1000, 10.0 + real(k) * 20.0)).collect();
    let line_errors = PrefillCurve::new(line[..4].to_vec()).expect("a curve");
    let line_errors = line_errors.leave_one_out();
    assert_eq!(line_errors.errors().len(), 2);
    assert_relative_eq!(
        line_errors.rms_relative().expect("inner points"),
        0.0,
        epsilon = 1e-12
    );

    let mut spiked = line;
    spiked[3].ttft = Milliseconds::new(180.0).expect("a duration");
    let curve = PrefillCurve::new(spiked).expect("a curve");
    let errors = curve.leave_one_out();
    let spike = errors
        .errors()
        .iter()
        .find(|error| error.at == [(Axis::Isl, 4000.0)])
        .expect("an inner point");
    assert_relative_eq!(spike.relative(), -0.5, epsilon = 1e-12);
    // Its neighbour, predicted from the spike, is off by even more of its own value.
    assert_eq!(errors.worst().expect("inner points").at, [(Axis::Isl, 3000.0)]);
}

fn of_ttft(ttft: &[f64]) -> PrefillCurve {
    let points = ttft
        .iter()
        .zip(1..)
        .map(|(ttft, k)| point(k * 1000, *ttft))
        .collect();
    PrefillCurve::new(points).expect("a curve")
}

fn parabola(k: u32) -> f64 {
    20.0 + 12.0 * f64::from(k) + 2.0 * f64::from(k * k)
}

/// A parabola with noise of 10 % up and down, without a pattern.
fn noisy_parabola() -> Vec<f64> {
    const UP: [bool; 12] = [
        true, false, false, true, false, true, true, false, true, true, false, false,
    ];
    (1..=12)
        .zip(UP)
        .map(|(k, is_up)| parabola(k) * if is_up { 1.1 } else { 0.9 })
        .collect()
}

#[test]
fn a_parabola_answers_where_points_are_noisy() {
    let curve = of_ttft(&noisy_parabola());
    let choice = curve.fit();
    assert_eq!(
        (choice.fit, choice.reason),
        (PrefillFit::Quadratic, FitReason::PredictsBetter)
    );
    assert!(choice.quadratic_error < choice.cubic_error);
    assert_eq!(
        choice.to_string(),
        "quadratic: predicts left-out points better (26.75 ms instead of 28.41 ms)"
    );
    let parabola = curve.quadratic().expect("enough points");
    for isl in [1000, 3000, 5555, 12_000] {
        let read = curve.ttft(Tokens::new(isl), OutOfRange::Refuse).expect("inside");
        assert_relative_eq!(read.value.get(), parabola.at(real(isl)), max_relative = 1e-12);
        assert_eq!(
            read.source,
            if isl == 5555 {
                Source::Interpolated
            } else {
                Source::Smoothed
            }
        );
        assert!(read.expected_error.is_some_and(|error| error > 0.01));
        // The throughput of the same curve: these tests have one GPU that takes one prompt after the other.
        let rate = curve
            .throughput_per_gpu(Tokens::new(isl), OutOfRange::Refuse)
            .expect("inside")
            .value;
        assert_relative_eq!(
            rate.get() * read.value.get() / 1000.0,
            real(isl),
            max_relative = 1e-12
        );
    }
    let limit = Milliseconds::new(parabola.at(7000.5)).expect("a duration");
    assert_eq!(
        curve.max_isl(limit).expect("above the shortest").isl,
        Tokens::new(7000)
    );
    assert!(
        curve.points()[3]
            .ttft
            .get()
            .total_cmp(&noisy_parabola()[3])
            .is_eq()
    );
}

#[test]
fn a_parabola_is_no_candidate_where_it_cannot_be_ttft() {
    let reason = |ttft: &[f64]| {
        let choice = of_ttft(ttft).fit();
        assert_eq!(choice.fit, PrefillFit::MonotoneCubic);
        choice.reason
    };
    assert_eq!(reason(&[1.0, 2.0, 3.0, 4.0]), FitReason::TooFewPoints);
    assert_eq!(
        reason(&[10.0, 30.0, 42.0, 48.0, 50.0, 49.5, 51.0]),
        FitReason::QuadraticFalls
    );
    assert_eq!(
        reason(&[1.0, 1.0, 90.0, 110.0, 190.0, 200.0, 310.0]),
        FitReason::QuadraticNotPositive
    );
    // Without noise a bend of another form is the cubic's: here both ends and the middle lie on one side.
    let power = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(|k| 100.0 + f64::from(k).powi(3));
    assert_eq!(reason(&power), FitReason::QuadraticFalls);
    let knee = [
        10.0, 11.0, 12.0, 13.0, 14.0, 34.0, 54.0, 74.0, 94.0, 114.0, 134.0, 154.0,
    ];
    let choice = of_ttft(&knee).fit();
    assert_eq!(choice.fit, PrefillFit::MonotoneCubic, "{choice}");
}

#[test]
fn what_is_a_parabola_is_answered_by_one() {
    let exact: Vec<f64> = (1..=16).map(parabola).collect();
    let choice = of_ttft(&exact).fit();
    assert_eq!(choice.fit, PrefillFit::Quadratic, "{choice}");
}

/// Steps of a kernel, sampled twice a step, alternate about the parabola: nothing is smoothed away.
#[test]
fn steps_are_no_noise() {
    let steps: Vec<f64> = (1..=12)
        .map(|k| parabola(k) + if k % 2 == 0 { 9.0 } else { -9.0 })
        .collect();
    let choice = of_ttft(&steps).fit();
    assert_eq!(
        (choice.fit, choice.reason),
        (PrefillFit::MonotoneCubic, FitReason::QuadraticMisfits)
    );
}

#[test]
fn a_line_of_queries_has_to_rise_within_the_range() {
    use crate::prefill::rising_within;
    let check = |queries: &[f64]| rising_within(crate::Axis::Isl, queries, [1.0, 9.0]);
    assert!(check(&[]).is_ok());
    assert!(check(&[1.0, 4.0, 4.0, 9.0]).is_ok());
    let error = check(&[4.0, 3.0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "input length has to rise from query to query, but 3 follows a larger one: sort the queries"
    );
    for outside in [[0.0, 4.0], [4.0, 10.0], [4.0, f64::NAN]] {
        assert!(matches!(
            check(&outside),
            Err(crate::QueryError::OutOfRange { .. })
        ));
    }
}
