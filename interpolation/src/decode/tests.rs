use approx::assert_relative_eq;

use super::*;
use crate::{Half, Neighbours, Region, Third};

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
    // One request in flight at every length: all on one line through the plane of triangles.
    refused(
        [1000.0, 2000.0, 4000.0]
            .map(|context| point(context / 1e5, context, 5.0))
            .to_vec(),
        &format!("{need}, got 3 point(s) over 3 context length(s): {remedy}"),
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
    let grid = DecodeSurface::new(KV, step).expect("a grid");
    let errors = grid.leave_one_out();
    let along = |axis| {
        let neighbours = Neighbours::Along(axis);
        errors
            .errors()
            .iter()
            .filter(|error| error.neighbours == neighbours)
            .count()
    };
    assert_eq!((along(Axis::KvUsage), along(Axis::ContextLength)), (6, 4));
    assert_relative_eq!(errors.rms_relative().expect("inner points"), 0.0, epsilon = 1e-12);
}

/// Noise along KV usage, and a row without.
fn noisy() -> DecodeSurface {
    let usages = [0.1, 0.3, 0.5, 0.7, 0.9];
    let row = |context: f64, itl: [f64; 5]| {
        usages
            .into_iter()
            .zip(itl)
            .map(move |(usage, itl)| point(usage, context, itl))
    };
    let points = row(1000.0, [10.0, 30.0, 20.0, 28.0, 40.0])
        .chain(row(2000.0, [8.0, 14.0, 19.0, 26.0, 33.0]))
        .chain(row(4000.0, [7.0, 12.0, 17.0, 23.0, 28.0]));
    DecodeSurface::new(KV, points.collect()).expect("three rows")
}

#[test]
fn contradicting_neighbours_are_pooled_and_said_so() {
    let surface = noisy();
    let smoothed: Vec<(f64, f64, f64)> = surface
        .smoothed()
        .map(|point| {
            (
                point.measured.kv_usage.get(),
                point.measured.itl.get(),
                point.itl.get(),
            )
        })
        .collect();
    // 30, 20, 28 rise nowhere on the whole: 25 and 25, then 28.
    assert_eq!(smoothed, [(0.3, 30.0, 25.0), (0.5, 20.0, 25.0)]);
    let at = |usage, context| {
        surface
            .itl(place(usage, context), OutOfRange::Refuse)
            .expect("a point")
    };
    assert_eq!(
        (at(0.3, 1000.0).source, at(0.3, 1000.0).value.get()),
        (Source::Smoothed, 25.0)
    );
    assert_eq!(
        (at(0.7, 1000.0).source, at(0.7, 1000.0).value.get()),
        (Source::Point, 28.0)
    );
    // Throughput follows: the same requests in flight at another ITL.
    let measured = surface.points()[1];
    let read = surface
        .throughput_per_gpu(place(0.3, 1000.0), OutOfRange::Refuse)
        .expect("a point");
    assert_relative_eq!(
        read.value.get() * 25.0,
        measured.throughput_per_gpu.get() * measured.itl.get(),
        max_relative = 1e-12
    );
}

#[test]
fn between_points_the_requests_in_flight_stay() {
    let surface = ragged();
    for (usage, context) in [(0.2, 1000.0), (0.37, 1500.0), (0.6, 3900.0)] {
        let itl = surface
            .itl(place(usage, context), OutOfRange::Refuse)
            .expect("inside")
            .value;
        let rate = surface
            .throughput_per_gpu(place(usage, context), OutOfRange::Refuse)
            .expect("inside")
            .value;
        // The points of these tests have ten GPUs' worth of requests: `usage · 1e6 / context`.
        assert_relative_eq!(
            rate.get() * itl.get() / 1000.0,
            usage * 1e6 / context,
            max_relative = 1e-12
        );
    }
}

#[test]
fn a_reading_tells_the_error_of_its_region() {
    let surface = noisy();
    let regions = surface.leave_one_out().regions();
    let rms = |usage, context, neighbours| {
        regions
            .iter()
            .find(|error| error.region == Region::Loads { usage, context } && error.neighbours == neighbours)
            .map(|error| error.rms_relative)
    };
    let along = rms(Third::Middle, Half::Short, Neighbours::Along(Axis::KvUsage)).expect("inner points");
    let across =
        rms(Third::Middle, Half::Short, Neighbours::Along(Axis::ContextLength)).expect("an inner row");
    let expected = |usage, context| {
        surface
            .itl(place(usage, context), OutOfRange::Extrapolate)
            .expect("asked for")
            .expected_error
    };
    assert_relative_eq!(expected(0.52, 1000.0).expect("inside"), along);
    assert_relative_eq!(expected(0.52, 1500.0).expect("inside"), along.hypot(across));
    assert_eq!(expected(0.7, 1000.0), Some(0.0));
    assert_eq!(expected(0.52, 9000.0), None);
    // Noise is felt where it is: among short contexts, not among long ones.
    let long = rms(Third::Middle, Half::Long, Neighbours::Along(Axis::KvUsage)).expect("inner points");
    assert!(along > 4.0 * long, "{along} {long}");
}

#[test]
fn without_inner_points_nothing_tells_the_error() {
    let surface =
        DecodeSurface::new(KV, vec![point(0.2, 1000.0, 10.0), point(0.8, 1000.0, 20.0)]).expect("a row");
    let read = surface
        .itl(place(0.5, 1000.0), OutOfRange::Refuse)
        .expect("inside");
    assert_eq!(read.expected_error, None);
}

/// What a step costs: linear in the cache that it reads and in the requests in flight.
fn step(usage: f64, context: f64) -> f64 {
    5.0 + 20.0 * usage + 8000.0 * usage / context
}

fn scattered() -> DecodeSurface {
    let points = [
        (0.05, 500.0),
        (0.9, 600.0),
        (0.4, 900.0),
        (0.7, 1300.0),
        (0.2, 2100.0),
        (0.95, 2600.0),
        (0.5, 3300.0),
        (0.1, 4100.0),
        (0.8, 5000.0),
    ];
    let points = points.map(|(usage, context)| point(usage, context, step(usage, context)));
    DecodeSurface::new(KV, points.to_vec()).expect("triangles")
}

#[test]
fn points_without_rows_are_met_by_triangles() {
    let surface = scattered();
    assert!(!surface.is_in_rows());
    for corner in surface.points() {
        let at = place(corner.kv_usage.get(), corner.context_length);
        let read = surface.itl(at, OutOfRange::Refuse).expect("a point");
        assert_eq!(read.source, Source::Point);
        assert!(read.value.get().total_cmp(&corner.itl.get()).is_eq());
    }
    let (low, high) = surface.usage_range(1700.0).into_inner();
    assert!(low < 0.25 && high > 0.85, "{low} {high}");
    for share in [0.0, 0.1, 0.5, 0.8, 1.0] {
        let usage = low + share * (high - low);
        let read = surface
            .itl(place(usage, 1700.0), OutOfRange::Refuse)
            .expect("inside");
        assert_eq!(read.source, Source::Interpolated);
        assert_relative_eq!(read.value.get(), step(usage, 1700.0), max_relative = 1e-12);
        assert_relative_eq!(read.expected_error.expect("inner points"), 0.0, epsilon = 1e-12);
    }
    assert_eq!(surface.leave_one_out().errors()[0].neighbours, Neighbours::Around,);
}

#[test]
fn triangles_know_their_limits() {
    let surface = scattered();
    let error = surface
        .itl(place(0.99, 1700.0), OutOfRange::Refuse)
        .expect_err("too full");
    assert!(
        matches!(
            error,
            QueryError::OutOfRange {
                axis: Axis::KvUsage,
                ..
            }
        ),
        "{error}"
    );
    let error = surface
        .itl(place(0.5, 9000.0), OutOfRange::Refuse)
        .expect_err("too long");
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
    let beyond = surface
        .itl(place(0.99, 1700.0), OutOfRange::Extrapolate)
        .expect("asked for");
    assert_relative_eq!(beyond.value.get(), step(0.99, 1700.0), max_relative = 1e-12);
    let limit = Milliseconds::new(step(0.6, 1700.0)).expect("a duration");
    let load = surface.max_load(limit, 1700.0).expect("a crossing");
    assert_eq!(load.bound, Bound::Limit);
    assert_relative_eq!(load.kv_usage.get(), 0.6, max_relative = 1e-9);
}

/// A few points with a length of their own do not break up the rows of the others.
#[test]
fn stragglers_are_rows_of_their_own() {
    let mut points: Vec<DecodePoint> = ragged().points().to_vec();
    points.push(point(0.5, 2500.0, step(0.5, 2500.0)));
    assert!(DecodeSurface::new(KV, points).expect("rows").is_in_rows());
}
