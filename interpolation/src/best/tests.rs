use approx::assert_relative_eq;

use super::*;
use crate::{DecodePoint, PrefillPoint};

fn ms(value: f64) -> Milliseconds {
    Milliseconds::new(value).expect("a duration")
}

fn rate(value: f64) -> TokensPerSecond {
    TokensPerSecond::new(value).expect("a rate")
}

/// One GPU: 10 ms and 20 ms per 1000 tokens.
fn prefill() -> PrefillCurve {
    let point = |isl: u64| PrefillPoint {
        isl: Tokens::new(isl),
        ttft: ms(10.0 + real(isl) / 50.0),
        throughput_per_gpu: rate(real(isl) * 1000.0 / (10.0 + real(isl) / 50.0)),
    };
    PrefillCurve::new([500, 1000, 2000, 4000].map(point).to_vec()).expect("a curve")
}

/// Two GPUs, a cache of 100 000 tokens; ITL as `cost` has it for requests in flight.
fn decode(cost: impl Fn(f64) -> f64) -> DecodeSurface {
    let points = [1000.0, 2000.0, 4000.0].into_iter().flat_map(|context: f64| {
        let cost = &cost;
        [1.0, 0.2, 0.4, 0.6, 0.8, 1.0]
            .into_iter()
            .enumerate()
            .map(move |(index, share)| {
                let in_flight = if index == 0 {
                    1.0
                } else {
                    share * 100_000.0 / context
                };
                DecodePoint {
                    kv_usage: Fraction::new(in_flight * context / 100_000.0).expect("a fraction"),
                    context_length: context,
                    itl: ms(cost(in_flight)),
                    throughput_per_gpu: rate(in_flight * 1000.0 / cost(in_flight) / 2.0),
                }
            })
    });
    DecodeSurface::new(Tokens::new(100_000), points.collect()).expect("a surface")
}

fn level(ttft: f64, itl: f64) -> ServiceLevel {
    ServiceLevel {
        isl: Tokens::new(1500),
        osl: Tokens::new(1000),
        ttft: ms(ttft),
        itl: ms(itl),
    }
}

#[test]
fn both_phases_keep_each_other_busy() {
    // 2000 tokens of context and at most 15 ms: 50 requests in flight.
    let best = best_throughput(&prefill(), &decode(|n| 5.0 + 0.2 * n), level(50.0, 15.0)).expect("met");
    assert_eq!((best.load.in_flight, best.load.bound), (50, Bound::MeasuredRange));
    assert_relative_eq!(best.ttft.value.get(), 40.0, max_relative = 1e-9);
    assert_relative_eq!(
        best.decode_per_gpu.value.get(),
        50.0 / 0.015 / 2.0,
        max_relative = 1e-9
    );
    let [prefill_work, decode_work] = [1500.0 / (1500.0 / 0.04), 1000.0 / (50.0 / 0.015 / 2.0)];
    assert_relative_eq!(
        best.output_per_gpu.get(),
        1000.0 / (prefill_work + decode_work),
        max_relative = 1e-9
    );
    assert_relative_eq!(
        best.prefill_share.get(),
        prefill_work / (prefill_work + decode_work),
        max_relative = 1e-9
    );

    let tighter = best_throughput(&prefill(), &decode(|n| 5.0 + 0.2 * n), level(50.0, 10.0)).expect("met");
    assert_eq!((tighter.load.in_flight, tighter.load.bound), (25, Bound::Limit));
    assert!(tighter.output_per_gpu < best.output_per_gpu);
}

/// Past 20 requests a step costs so much more that throughput falls, long before the limit.
#[test]
fn the_heaviest_load_need_not_be_the_best() {
    let cost = |n: f64| if n <= 20.0 { 5.0 } else { 5.0 + (n - 20.0) };
    let best = best_throughput(&prefill(), &decode(cost), level(50.0, 100.0)).expect("met");
    assert_eq!(best.load.bound, Bound::Optimum);
    assert!((15..=25).contains(&best.load.in_flight), "{:?}", best.load);
    assert_relative_eq!(best.itl.value.get(), 5.0, max_relative = 0.2);
}

#[test]
fn what_nothing_meets_is_refused() {
    let refused =
        |level| best_throughput(&prefill(), &decode(|n| 5.0 + 0.2 * n), level).expect_err("not met");
    assert_eq!(
        refused(level(30.0, 15.0)).to_string(),
        "30 ms is below the 40.00 ms that input length 1500 takes on an idle engine: raise the limit, shorten the \
         prompts or use more GPUs per engine"
    );
    let error = refused(level(50.0, 5.0));
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
    let long = ServiceLevel {
        isl: Tokens::new(9000),
        ..level(500.0, 15.0)
    };
    let error = refused(long);
    assert!(
        matches!(error, QueryError::OutOfRange { axis: Axis::Isl, .. }),
        "{error}"
    );
}
