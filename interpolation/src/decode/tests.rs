use approx::assert_relative_eq;

use super::*;

fn point(kv_usage: f64, context_length: f64, itl_ms: f64) -> DecodePoint {
    DecodePoint {
        kv_usage: Fraction::new(kv_usage).expect("a fraction"),
        context_length,
        itl: Milliseconds::new(itl_ms).expect("a duration"),
        throughput_per_gpu: TokensPerSecond::new(kv_usage * 1e6 / context_length / itl_ms.max(1e-3) * 1e3)
            .expect("a rate"),
    }
}

fn place(kv_usage: f64, context_length: f64) -> DecodePlace {
    DecodePlace {
        kv_usage: Fraction::new(kv_usage).expect("a fraction"),
        context_length,
    }
}

const KV: Tokens = Tokens::new(100_000);

/// Two rows of different ranges: 0.01 to 0.9 at 1000 tokens, 0.04 to 0.8 at 4000 tokens.
fn ragged() -> DecodeSurface {
    DecodeSurface::new(
        KV,
        vec![
            point(0.01, 1000.0, 5.0),
            point(0.5, 1000.0, 20.0),
            point(0.9, 1000.0, 40.0),
            point(0.04, 4000.0, 6.0),
            point(0.8, 4000.0, 30.0),
        ],
    )
    .expect("two rows make a surface")
}

#[track_caller]
fn refused(points: Vec<DecodePoint>, expected: &str) {
    let error = DecodeSurface::new(KV, points).expect_err("these points make no surface");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn refuses_points_that_make_no_surface() {
    let need = "a decode surface needs one context length with at least 2 kv usages";
    let remedy = "measure more concurrencies at each context length";
    refused(
        vec![],
        &format!("{need}, got 0 point(s) over 0 context length(s): {remedy}"),
    );
    refused(
        vec![point(0.1, 1000.0, 5.0), point(0.2, 2000.0, 5.0)],
        &format!("{need}, got 2 point(s) over 2 context length(s): {remedy}"),
    );
    refused(
        vec![
            point(0.1, 1000.0, 5.0),
            point(0.2, 1000.0, 6.0),
            point(0.1, 1000.0, 5.1),
        ],
        "two points lie at kv usage 0.1: keep one of them",
    );
    refused(
        vec![point(0.1, 1000.0, 5.0), point(0.2, 1000.0, 0.0)],
        "itl of point 1 must be a finite number above 0, got 0: drop or repeat that measurement",
    );
    let mut endless = point(0.1, 1000.0, 5.0);
    endless.context_length = f64::INFINITY;
    refused(
        vec![endless],
        "context length of point 0 must be a finite number above 0, got inf: drop or repeat that measurement",
    );
    let error = DecodeSurface::new(Tokens::ZERO, vec![]).expect_err("no KV cache");
    assert_eq!(error, BuildError::NoKvCapacity);
}

#[test]
fn corners_are_exact() {
    let surface = ragged();
    for corner in surface.points() {
        let at = place(corner.kv_usage.get(), corner.context_length);
        let reading = surface.itl(at, OutOfRange::Refuse).expect("a point");
        assert_eq!(reading.source, Source::Point);
        assert!(reading.value.get().total_cmp(&corner.itl.get()).is_eq());
        let rate = surface
            .throughput_per_gpu(at, OutOfRange::Refuse)
            .expect("a point");
        assert!(
            rate.value
                .get()
                .total_cmp(&corner.throughput_per_gpu.get())
                .is_eq()
        );
    }
}

#[test]
fn the_range_of_usage_goes_over_from_row_to_row() {
    let (low, high) = ragged().usage_range(2500.0).into_inner();
    assert_relative_eq!(low, 0.025, epsilon = 1e-12);
    assert_relative_eq!(high, 0.85, epsilon = 1e-12);
    let edge = ragged()
        .itl(place(low, 2500.0), OutOfRange::Refuse)
        .expect("on the edge");
    // At 2500 tokens the reciprocal has gone 0.8 of its way from 1000 to 4000 tokens.
    assert_relative_eq!(edge.value.get(), 5.8, epsilon = 1e-9);
    let edge = ragged()
        .itl(place(high, 2500.0), OutOfRange::Refuse)
        .expect("on the edge");
    assert_relative_eq!(edge.value.get(), 32.0, epsilon = 1e-9);
}

#[test]
fn outside_the_range_it_refuses_on_the_right_axis() {
    let surface = ragged();
    let error = surface
        .itl(place(0.95, 1000.0), OutOfRange::Refuse)
        .expect_err("too full");
    assert_eq!(
        error.to_string(),
        "kv usage 0.95 lies outside the measured range 0.01 to 0.9: stay inside it or ask for extrapolation"
    );
    let error = surface
        .itl(place(0.5, 8000.0), OutOfRange::Refuse)
        .expect_err("too long");
    assert_eq!(
        error.to_string(),
        "context length 8000 lies outside the measured range 1000 to 4000: stay inside it or ask for extrapolation"
    );
    let error = surface
        .itl(place(0.5, f64::NAN), OutOfRange::Extrapolate)
        .expect_err("no number");
    assert!(matches!(
        error,
        QueryError::NotANumber {
            axis: Axis::ContextLength,
            ..
        }
    ));
}

#[test]
fn an_extrapolation_names_each_axis_and_distance() {
    let surface = ragged();
    let reading = surface
        .itl(place(0.9, 5000.0), OutOfRange::Extrapolate)
        .expect("asked for");
    let Source::Extrapolated { beyond } = reading.source else {
        panic!("{:?}", reading.source)
    };
    assert_eq!(beyond.len(), 2);
    assert_eq!(
        (beyond[0].axis, beyond[0].by, beyond[0].edge),
        (Axis::ContextLength, 1000.0, 4000.0)
    );
    assert_eq!((beyond[1].axis, beyond[1].edge), (Axis::KvUsage, 0.8));
    assert_relative_eq!(beyond[1].by, 0.1, epsilon = 1e-12);
}

#[test]
fn beyond_the_rows_their_trend_goes_on() {
    let rectangular = DecodeSurface::new(
        KV,
        vec![
            point(0.2, 1000.0, 10.0),
            point(0.8, 1000.0, 20.0),
            point(0.2, 2000.0, 12.0),
            point(0.8, 2000.0, 26.0),
        ],
    )
    .expect("a grid");
    let at = |usage, context| {
        rectangular
            .itl(place(usage, context), OutOfRange::Extrapolate)
            .expect("asked for")
            .value
            .get()
    };
    // Half way at 0.2 to 0.8 the rows have 15 and 19 ms, a slope of −8000 ms per reciprocal token.
    assert_relative_eq!(at(0.5, 1500.0), 23.0 - 8000.0 / 1500.0, epsilon = 1e-9);
    assert_relative_eq!(at(0.5, 4000.0), 23.0 - 8000.0 / 4000.0, epsilon = 1e-9);
    assert_relative_eq!(at(0.5, 800.0), 23.0 - 8000.0 / 800.0, epsilon = 1e-9);
    assert_relative_eq!(at(0.9, 2000.0), 26.0 + 14.0 / 6.0, epsilon = 1e-9);
}

#[test]
fn one_row_answers_for_its_context_only() {
    let row =
        DecodeSurface::new(KV, vec![point(0.2, 1000.0, 10.0), point(0.8, 1000.0, 20.0)]).expect("a row");
    assert!(row.itl(place(0.5, 1000.0), OutOfRange::Refuse).is_ok());
    assert!(row.itl(place(0.5, 1001.0), OutOfRange::Refuse).is_err());
    let held = row
        .itl(place(0.5, 3000.0), OutOfRange::Extrapolate)
        .expect("asked for");
    assert_relative_eq!(held.value.get(), 15.0, epsilon = 1e-9);
}

#[test]
fn a_row_of_one_point_closes_the_surface() {
    let surface = DecodeSurface::new(
        KV,
        vec![
            point(0.1, 1000.0, 10.0),
            point(0.9, 1000.0, 20.0),
            point(0.5, 50_000.0, 30.0),
        ],
    )
    .expect("a triangle");
    let tip = surface
        .itl(place(0.5, 50_000.0), OutOfRange::Refuse)
        .expect("the tip");
    assert_relative_eq!(tip.value.get(), 30.0);
    let near_tip = surface
        .itl(place(0.5, 49_999.0), OutOfRange::Refuse)
        .expect("near the tip");
    assert_relative_eq!(near_tip.value.get(), 30.0, epsilon = 1e-2);
    let load = surface
        .max_load(Milliseconds::new(20.0).expect("a duration"), 1100.0)
        .expect("a crossing");
    assert_eq!(load.bound, Bound::Limit);
}

#[test]
fn the_heaviest_load_counts_requests_in_flight() {
    let surface = ragged();
    let limit = Milliseconds::new(20.0).expect("a duration");
    let load = surface.max_load(limit, 1000.0).expect("5 ms is below 20 ms");
    assert_eq!((load.in_flight, load.bound), (50, Bound::Limit));
    assert_relative_eq!(load.kv_usage.get(), 0.5, epsilon = 1e-12);
    let load = surface
        .max_load(Milliseconds::new(99.0).expect("a duration"), 1000.0)
        .expect("never reached");
    assert_eq!((load.in_flight, load.bound), (90, Bound::MeasuredRange));
    let error = surface
        .max_load(Milliseconds::new(1.0).expect("a duration"), 1000.0)
        .expect_err("too low");
    assert!(
        matches!(
            error,
            QueryError::LimitTooLow {
                axis: Axis::KvUsage,
                ..
            }
        ),
        "{error}"
    );
    let error = surface.max_load(limit, 9000.0).expect_err("not measured");
    assert!(
        matches!(
            error,
            QueryError::OutOfRange {
                axis: Axis::ContextLength,
                ..
            }
        ),
        "{error}"
    );
}

/// ITL that rises above the limit, falls below it and rises again: only the first crossing is safe.
#[test]
fn the_first_crossing_counts() {
    let noisy = DecodeSurface::new(
        KV,
        vec![
            point(0.1, 1000.0, 10.0),
            point(0.3, 1000.0, 30.0),
            point(0.5, 1000.0, 15.0),
            point(0.9, 1000.0, 40.0),
        ],
    )
    .expect("a row");
    let load = noisy
        .max_load(Milliseconds::new(20.0).expect("a duration"), 1000.0)
        .expect("a crossing");
    assert!(load.kv_usage.get() < 0.3, "{load:?}");
}

#[test]
fn leave_one_out_looks_along_both_axes() {
    // What a step costs: a part for the cache that it reads, and one for the requests in flight.
    let step: Vec<DecodePoint> = (1..=3)
        .flat_map(|row| {
            (1..=4).map(move |column| {
                let (usage, context) = (0.2 * f64::from(column), 1000.0 * f64::from(row));
                point(usage, context, 5.0 + 20.0 * usage + 8000.0 * usage / context)
            })
        })
        .collect();
    let errors = DecodeSurface::new(KV, step).expect("a grid").leave_one_out();
    let along = |axis| errors.errors().iter().filter(|error| error.along == axis).count();
    assert_eq!((along(Axis::KvUsage), along(Axis::ContextLength)), (6, 4));
    assert_relative_eq!(errors.rms_relative().expect("inner points"), 0.0, epsilon = 1e-12);
}
