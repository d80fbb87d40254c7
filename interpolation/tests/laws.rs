//! Laws of every curve and surface, on random data.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use dgdr_interpolation::{
    Bound, DecodePlace, DecodePoint, DecodeSurface, OutOfRange, PrefillCurve, PrefillFit, PrefillPoint,
    Source,
};
use dgdr_units::{Fraction, Milliseconds, Tokens, TokensPerSecond, floor_count, real};
use proptest::prelude::*;

fn ms(value: f64) -> Milliseconds {
    Milliseconds::new(value).expect("a duration")
}

fn rate(value: f64) -> TokensPerSecond {
    TokensPerSecond::new(value).expect("a rate")
}

/// Rising input lengths with random TTFT.
fn prefill_points() -> impl Strategy<Value = Vec<PrefillPoint>> {
    prop::collection::vec((1_u64..5000, 0.5_f64..1000.0, 1.0_f64..1e5), 2..20).prop_map(|steps| {
        let mut isl = 0;
        steps
            .into_iter()
            .map(|(step, ttft, throughput)| {
                isl += step;
                PrefillPoint {
                    isl: Tokens::new(isl),
                    ttft: ms(ttft),
                    throughput_per_gpu: rate(throughput),
                }
            })
            .collect()
    })
}

/// The same, with TTFT sorted.
fn rising_prefill_points() -> impl Strategy<Value = Vec<PrefillPoint>> {
    prefill_points().prop_map(|mut points| {
        let mut ttft: Vec<Milliseconds> = points.iter().map(|point| point.ttft).collect();
        ttft.sort_by(Milliseconds::total_cmp);
        for (point, ttft) in points.iter_mut().zip(ttft) {
            point.ttft = ttft;
        }
        points
    })
}

/// A ragged grid: each row has a context length and a range of KV usage of its own. With `rising`, ITL rises along
/// each row.
fn decode_points(rising: bool) -> impl Strategy<Value = Vec<DecodePoint>> {
    let row = (
        1.0_f64..5000.0,
        prop::collection::vec((0.01_f64..1.0, 0.5_f64..200.0), 2..8),
    );
    prop::collection::vec(row, 1..6).prop_map(move |rows| {
        let mut context_length = 0.0;
        let mut points = Vec::new();
        for (step, cells) in rows {
            context_length += step;
            let whole: f64 = cells.iter().map(|(width, _)| width).sum();
            let mut itl: Vec<f64> = cells.iter().map(|(_, itl)| *itl).collect();
            if rising {
                itl.sort_by(f64::total_cmp);
            }
            let mut usage = 0.0;
            for ((width, _), itl) in cells.iter().zip(itl) {
                usage += width / whole * 0.95;
                points.push(DecodePoint {
                    kv_usage: Fraction::new(usage).expect("a fraction"),
                    context_length,
                    itl: ms(itl),
                    throughput_per_gpu: rate(usage * 1e4),
                });
            }
        }
        points
    })
}

/// Points here and there, no two of one context length.
fn scattered_points() -> impl Strategy<Value = Vec<DecodePoint>> {
    prop::collection::vec((1.0_f64..2000.0, 0.01_f64..0.95, 0.5_f64..200.0), 5..30).prop_map(|steps| {
        let mut context_length = 100.0;
        steps
            .into_iter()
            .map(|(step, usage, itl)| {
                context_length += step;
                DecodePoint {
                    kv_usage: Fraction::new(usage).expect("a fraction"),
                    context_length,
                    itl: ms(itl),
                    throughput_per_gpu: rate(usage * 1e4),
                }
            })
            .collect()
    })
}

fn surface(points: Vec<DecodePoint>) -> DecodeSurface {
    DecodeSurface::new(Tokens::new(1_000_000), points).expect("rows of two and more points")
}

/// A place inside the range, by shares of it.
fn inside(surface: &DecodeSurface, [across, along]: [f64; 2]) -> DecodePlace {
    let (shortest, longest) = surface.context_range().into_inner();
    let context_length = (shortest + across * (longest - shortest)).min(longest);
    let (low, high) = surface.usage_range(context_length).into_inner();
    let usage = (low + along * (high - low)).clamp(low, high);
    DecodePlace {
        kv_usage: Fraction::new(usage).expect("a fraction"),
        context_length,
    }
}

fn itl(surface: &DecodeSurface, place: DecodePlace) -> f64 {
    surface
        .itl(place, OutOfRange::Refuse)
        .expect("inside the range")
        .value
        .get()
}

proptest! {
    #[test]
    fn a_cubic_curve_is_exact_at_its_points(points in prefill_points()) {
        let curve = PrefillCurve::new(points.clone()).expect("rising input lengths");
        prop_assume!(curve.fit().fit == PrefillFit::MonotoneCubic);
        for point in points {
            let reading = curve.ttft(point.isl, OutOfRange::Refuse).expect("a point");
            prop_assert_eq!(reading.source, Source::Point);
            prop_assert!(reading.value.total_cmp(&point.ttft).is_eq());
            let throughput = curve.throughput_per_gpu(point.isl, OutOfRange::Refuse).expect("a point").value;
            prop_assert!(throughput.total_cmp(&point.throughput_per_gpu).is_eq());
        }
    }

    #[test]
    fn a_cubic_curve_stays_between_its_neighbours(points in prefill_points(), share in 0.0_f64..1.0) {
        let curve = PrefillCurve::new(points.clone()).expect("rising input lengths");
        prop_assume!(curve.fit().fit == PrefillFit::MonotoneCubic);
        for pair in points.windows(2) {
            let [a, b] = [pair[0].isl.get(), pair[1].isl.get()];
            let isl = Tokens::new(a + dgdr_units::floor_count(share * real(b - a)));
            let ttft = curve.ttft(isl, OutOfRange::Refuse).expect("inside").value;
            prop_assert!(ttft >= pair[0].ttft.min(pair[1].ttft) && ttft <= pair[0].ttft.max(pair[1].ttft));
        }
    }

    #[test]
    fn a_curve_rises_where_the_data_rise(points in rising_prefill_points(), shares in [0.0_f64..1.0, 0.0_f64..1.0]) {
        let curve = PrefillCurve::new(points).expect("rising input lengths");
        let (low, high) = curve.isl_range().into_inner();
        let mut lengths = shares
            .map(|share| low.get() + dgdr_units::floor_count(share * real(high.get() - low.get())));
        lengths.sort_unstable();
        let [a, b] = lengths
            .map(|isl| curve.ttft(Tokens::new(isl), OutOfRange::Refuse).expect("inside").value.get());
        prop_assert!(a <= b * (1.0 + 1e-12), "{a} at {} and {b} at {}", lengths[0], lengths[1]);
    }

    #[test]
    fn a_line_of_queries_is_what_they_are_one_by_one(
        prompts in prefill_points(), loads in decode_points(false),
        across in 0.0_f64..1.0, mut shares in prop::collection::vec(0.0_f64..=1.0, 0..40),
    ) {
        shares.sort_by(f64::total_cmp);
        let curve = PrefillCurve::new(prompts).expect("points are fine");
        let (shortest, longest) = curve.isl_range().into_inner();
        let [shortest, longest] = [shortest, longest].map(|isl| real(isl.get()));
        let lengths: Vec<f64> =
            shares.iter().map(|share| (shortest + share * (longest - shortest)).floor()).collect();
        let line = curve.ttft_along(&lengths).expect("lengths are measured");
        for (isl, found) in lengths.iter().zip(line) {
            let alone = curve.ttft(Tokens::new(floor_count(*isl)), OutOfRange::Refuse).expect("measured");
            prop_assert_eq!(found.to_bits(), alone.value.get().to_bits());
        }
        let surface = surface(loads);
        let context = inside(&surface, [across, 0.0]).context_length;
        let (low, high) = surface.usage_range(context).into_inner();
        let usages: Vec<f64> =
            shares.iter().map(|share| (low + share * (high - low)).clamp(low, high)).collect();
        let line = surface.itl_along(context, &usages).expect("loads are measured");
        for (usage, found) in usages.iter().zip(line) {
            let place = DecodePlace { kv_usage: Fraction::new(*usage).expect("a share"), context_length: context };
            prop_assert_eq!(found.to_bits(), itl(&surface, place).to_bits());
        }
    }

    #[test]
    fn the_longest_prompt_is_the_last_one_under_the_limit(points in rising_prefill_points(), limit in 0.5_f64..1000.0) {
        let curve = PrefillCurve::new(points).expect("rising input lengths");
        let ttft = |isl| curve.ttft(Tokens::new(isl), OutOfRange::Refuse).expect("inside").value.get();
        let shortest = curve.isl_range().start().get();
        match curve.max_isl(ms(limit)) {
            Err(_) => prop_assert!(ttft(shortest) > limit),
            Ok(longest) => {
                prop_assert!(ttft(longest.isl.get()) <= limit * (1.0 + 1e-12));
                match longest.bound {
                    Bound::Limit => prop_assert!(ttft(longest.isl.get() + 1) > limit * (1.0 - 1e-12)),
                    Bound::MeasuredRange => prop_assert_eq!(longest.isl, *curve.isl_range().end()),
                    Bound::Optimum => prop_assert!(false, "a longest prompt has no optimum"),
                }
            }
        }
    }

    #[test]
    fn a_surface_is_exact_at_the_points_of_rising_rows(points in decode_points(true)) {
        let surface = surface(points.clone());
        for point in points {
            let place = DecodePlace { kv_usage: point.kv_usage, context_length: point.context_length };
            let reading = surface.itl(place, OutOfRange::Refuse).expect("a point");
            prop_assert_eq!(reading.source, Source::Point);
            prop_assert!(reading.value.total_cmp(&point.itl).is_eq());
        }
    }

    #[test]
    fn a_surface_stays_between_its_extremes_in_two_rows(points in decode_points(false), shares in [0.0_f64..1.0, 0.0_f64..1.0]) {
        let surface = surface(points.clone());
        let place = inside(&surface, shares);
        let below = points.iter().map(|p| p.context_length).filter(|c| *c <= place.context_length).fold(0.0, f64::max);
        let above = points
            .iter()
            .map(|p| p.context_length)
            .filter(|c| *c >= place.context_length)
            .fold(f64::INFINITY, f64::min);
        let corners = || points.iter().filter(|p| (below..=above).contains(&p.context_length)).map(|p| p.itl.get());
        let value = itl(&surface, place);
        prop_assert!(value >= corners().fold(f64::INFINITY, f64::min));
        prop_assert!(value <= corners().fold(0.0, f64::max));
    }

    #[test]
    fn a_surface_rises_with_usage_however_noisy(points in decode_points(false), across in 0.0_f64..1.0, along in [0.0_f64..1.0, 0.0_f64..1.0]) {
        let surface = surface(points);
        let mut along = along;
        along.sort_by(f64::total_cmp);
        let [a, b] = along.map(|along| itl(&surface, inside(&surface, [across, along])));
        prop_assert!(a <= b * (1.0 + 1e-9), "{a} > {b}");
    }

    /// Just below and just above each inner row the surface has the row's value.
    #[test]
    fn a_surface_has_no_jump_at_a_row(points in decode_points(false), along in 0.0_f64..1.0) {
        let surface = surface(points.clone());
        let (shortest, longest) = surface.context_range().into_inner();
        for row in points.iter().map(|p| p.context_length).filter(|c| *c > shortest && *c < longest) {
            let across = |context: f64| (context - shortest) / (longest - shortest);
            let [below, on, above] =
                [row * (1.0 - 1e-11), row, row * (1.0 + 1e-11)].map(|c| itl(&surface, inside(&surface, [across(c), along])));
            prop_assert!((below - on).abs() < 1e-4 && (above - on).abs() < 1e-4, "{below} {on} {above}");
        }
    }

    #[test]
    fn the_heaviest_load_is_the_last_one_under_the_limit(points in decode_points(true), across in 0.0_f64..1.0, limit in 0.5_f64..200.0) {
        let surface = surface(points);
        let lightest = inside(&surface, [across, 0.0]);
        let heaviest = inside(&surface, [across, 1.0]);
        match surface.max_load(ms(limit), lightest.context_length) {
            Err(_) => prop_assert!(itl(&surface, lightest) > limit * (1.0 - 1e-9)),
            Ok(load) => {
                let place = DecodePlace { kv_usage: load.kv_usage, ..lightest };
                let reached = itl(&surface, place);
                prop_assert!(reached <= limit * (1.0 + 1e-9), "{reached} > {limit}");
                match load.bound {
                    Bound::Limit => {
                        let further = load.kv_usage.get() + 1e-6;
                        if further < heaviest.kv_usage.get() {
                            let place = DecodePlace { kv_usage: Fraction::new(further).expect("a fraction"), ..lightest };
                            prop_assert!(itl(&surface, place) > limit * (1.0 - 1e-9));
                        }
                    }
                    Bound::MeasuredRange => prop_assert!(itl(&surface, heaviest) <= limit * (1.0 + 1e-9)),
                    Bound::Optimum => prop_assert!(false, "a heaviest load has no optimum"),
                }
            }
        }
    }

    #[test]
    fn triangles_are_exact_at_their_points(points in scattered_points()) {
        let surface = surface(points.clone());
        prop_assert!(!surface.is_in_rows());
        prop_assert_eq!(surface.smoothed().count(), 0);
        for point in points {
            let place = DecodePlace { kv_usage: point.kv_usage, context_length: point.context_length };
            let reading = surface.itl(place, OutOfRange::Refuse).expect("a point");
            prop_assert_eq!(reading.source, Source::Point);
            prop_assert!(reading.value.total_cmp(&point.itl).is_eq());
        }
    }

    #[test]
    fn triangles_stay_between_their_extremes(points in scattered_points(), shares in [0.0_f64..1.0, 0.0_f64..1.0]) {
        let value = itl(&surface(points.clone()), inside(&surface(points.clone()), shares));
        let all = || points.iter().map(|point| point.itl.get());
        prop_assert!(value >= all().fold(f64::INFINITY, f64::min));
        prop_assert!(value <= all().fold(0.0, f64::max));
    }

    /// A small step along KV usage or across context lengths is a small step of ITL, inside the hull.
    #[test]
    fn triangles_have_no_jumps(points in scattered_points(), shares in [0.1_f64..0.9, 0.1_f64..0.9]) {
        let surface = surface(points);
        let here = inside(&surface, shares);
        let value = itl(&surface, here);
        let (low, high) = surface.usage_range(here.context_length).into_inner();
        prop_assume!(high - low > 1e-3);
        for step in [1e-9, -1e-9] {
            let along = Fraction::new(here.kv_usage.get() * (1.0 + step)).expect("a fraction");
            let along = itl(&surface, DecodePlace { kv_usage: along, ..here });
            let across = itl(&surface, DecodePlace { context_length: here.context_length * (1.0 + step), ..here });
            prop_assert!((along - value).abs() < 1e-2 && (across - value).abs() < 1e-2, "{along} {value} {across}");
        }
    }

    /// Pooling keeps the mean of a row, so noise that averages out is not turned into a bias.
    #[test]
    fn pooling_keeps_the_mean(points in decode_points(false)) {
        let surface = surface(points);
        let (measured, fitted) = surface
            .smoothed()
            .fold((0.0, 0.0), |(measured, fitted), point| (measured + point.measured.itl.get(), fitted + point.itl.get()));
        prop_assert!((measured - fitted).abs() <= 1e-9 * measured, "{measured} {fitted}");
    }
}
