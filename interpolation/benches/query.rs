//! What a question to a curve or a surface costs: 1024 questions that wander over the whole range.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dgdr_interpolation::{DecodePlace, DecodePoint, DecodeSurface, OutOfRange, PrefillCurve, npz};
use dgdr_units::{Fraction, Tokens, floor_count, real};

/// Upstream's sweep of one H200; its origin is told beside it.
const PREFILL: &[u8] = include_bytes!("../tests/h200_tp1/prefill_raw_data.npz");
const DECODE: &[u8] = include_bytes!("../tests/h200_tp1/decode_raw_data.npz");
const QUESTIONS: u32 = 1024;

fn share(index: u32, step: u32) -> f64 {
    f64::from(index * step % QUESTIONS) / f64::from(QUESTIONS)
}

fn lengths() -> Vec<Tokens> {
    (0..QUESTIONS)
        .map(|index| Tokens::new(100 + floor_count(16_000.0 * share(index, 389))))
        .collect()
}

fn places(surface: &DecodeSurface) -> Vec<DecodePlace> {
    let (shortest, longest) = surface.context_range().into_inner();
    (0..QUESTIONS)
        .filter_map(|index| {
            let context_length = shortest + share(index, 389) * (longest - shortest);
            let (low, high) = surface.usage_range(context_length).into_inner();
            let kv_usage = Fraction::new(low + share(index, 233) * (high - low)).ok()?;
            Some(DecodePlace {
                kv_usage,
                context_length,
            })
        })
        .collect()
}

/// The same points, each on a context length of its own.
fn scattered(surface: &DecodeSurface) -> Option<DecodeSurface> {
    let points = surface
        .points()
        .iter()
        .zip(0_u32..)
        .map(|(point, index)| DecodePoint {
            context_length: point.context_length + f64::from(index),
            ..*point
        });
    DecodeSurface::new(surface.max_kv_tokens(), points.collect()).ok()
}

fn prefill(criterion: &mut Criterion, curve: &PrefillCurve) {
    let lengths = lengths();
    let mut group = criterion.benchmark_group("query");
    group.throughput(Throughput::Elements(u64::from(QUESTIONS)));
    group.bench_function("ttft", |bencher| {
        bencher.iter(|| {
            for isl in &lengths {
                let _ = black_box(curve.ttft(*isl, OutOfRange::Refuse));
            }
        });
    });
    let mut rising: Vec<f64> = lengths.iter().map(|isl| real(isl.get())).collect();
    rising.sort_by(f64::total_cmp);
    group.bench_function("ttft, along", |bencher| {
        bencher.iter(|| black_box(curve.ttft_along(&rising)));
    });
    group.finish();
}

fn decode(criterion: &mut Criterion, name: &str, surface: &DecodeSurface) {
    let places = places(surface);
    let mut group = criterion.benchmark_group("query");
    group.throughput(Throughput::Elements(u64::from(QUESTIONS)));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            for place in &places {
                let _ = black_box(surface.itl(*place, OutOfRange::Refuse));
            }
        });
    });
    let context = places[places.len() / 2].context_length;
    let (low, high) = surface.usage_range(context).into_inner();
    let usages: Vec<f64> = (0..QUESTIONS)
        .map(|index| low + f64::from(index) / f64::from(QUESTIONS) * (high - low))
        .collect();
    group.bench_function(format!("{name}, along"), |bencher| {
        bencher.iter(|| black_box(surface.itl_along(context, &usages)));
    });
    group.finish();
}

fn all(criterion: &mut Criterion) {
    let (Ok(curve), Ok(surface)) = (npz::read_prefill(PREFILL), npz::read_decode(DECODE)) else {
        return;
    };
    prefill(criterion, &curve);
    decode(criterion, "itl", &surface);
    if let Some(scattered) = scattered(&surface) {
        decode(criterion, "itl, scattered", &scattered);
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
