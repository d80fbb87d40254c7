use dgdr_units::Tokens;
use proptest::prelude::*;

use super::{DecodeRange, Granularity, decode_grid, prefill_grid};

fn range(kv_capacity: u64, max_context: u64, osl: u64) -> DecodeRange {
    DecodeRange {
        kv_capacity: Tokens::new(kv_capacity),
        max_context: Tokens::new(max_context),
        isl: Tokens::new(3000),
        osl: Tokens::new(osl),
    }
}

#[test]
fn the_usual_grids_have_the_guides_sizes() {
    let lengths = prefill_grid(Tokens::new(16_384), Granularity::default()).unwrap();
    assert_eq!(lengths.len(), 16);
    assert_eq!(lengths[0], Tokens::new(100));
    assert_eq!(lengths[15], Tokens::new(16_384));
    let points = decode_grid(range(400_000, 16_384, 1000), Granularity::default()).unwrap();
    assert_eq!(points.len(), 36);
}

/// The row of the typical request is measured, not interpolated; both ends are; and rows are closest among short
/// contexts, points of a row among few requests.
#[test]
fn a_row_lies_on_the_typical_request() {
    let points = decode_grid(range(400_000, 40_960, 1000), Granularity::default()).unwrap();
    let rows: Vec<Vec<u64>> = points
        .chunk_by(|a, b| a.isl == b.isl)
        .map(|row| row.iter().map(|point| point.in_flight).collect())
        .collect();
    let lengths: Vec<u64> = points
        .chunk_by(|a, b| a.isl == b.isl)
        .map(|row| row[0].isl.get())
        .collect();
    assert_eq!(lengths, [100, 949, 3000, 7414, 17_394, 39_960]);
    assert_eq!(rows[2], [1, 2, 7, 22, 52, 100]);
    assert_eq!(rows[5], [1, 2, 3, 4, 5, 9]);
}

#[test]
fn a_typical_request_outside_the_range_moves_nothing() {
    let mut outside = range(400_000, 4096, 1000);
    let lengths = |range| -> Vec<u64> {
        decode_grid(range, Granularity::default())
            .unwrap()
            .chunk_by(|a, b| a.isl == b.isl)
            .map(|row| row[0].isl.get())
            .collect()
    };
    outside.isl = Tokens::new(9000);
    assert_eq!(lengths(outside), [100, 358, 728, 1257, 2014, 3096]);
    outside.isl = Tokens::new(3096);
    assert_eq!(lengths(outside), [100, 358, 728, 1257, 2014, 3096]);
}

#[test]
fn a_cache_without_room_says_so() {
    let error = decode_grid(range(900, 16_384, 1000), Granularity::default()).unwrap_err();
    assert!(error.to_string().contains("cannot hold one request"), "{error}");
    let error = decode_grid(range(400_000, 1000, 1000), Granularity::default()).unwrap_err();
    assert!(error.to_string().contains("workload.osl"), "{error}");
    let error = prefill_grid(
        Tokens::new(4000),
        Granularity {
            prefill: 2,
            decode: 6,
        },
    )
    .unwrap_err();
    assert!(error.to_string().contains("at least 3"), "{error}");
}

proptest! {
    /// Every grid has three distinct points or is an error, and no point overfills the cache.
    #[test]
    fn grids_are_usable_or_refused(
        capacity in 1_u64..2_000_000,
        context in 1_u64..200_000,
        osl in 1_u64..4000,
        granularity in 1_u32..20,
    ) {
        let granularity = Granularity { prefill: granularity, decode: granularity };
        if let Ok(points) = decode_grid(range(capacity, context, osl), granularity) {
            prop_assert!(points.len() >= 3);
            prop_assert!(points.len() <= usize::try_from(granularity.decode.pow(2)).unwrap());
            let longest = context.min(capacity) - osl;
            if granularity.decode >= 3 && (101..=longest).contains(&3000) {
                prop_assert!(points.iter().any(|point| point.isl == Tokens::new(3000)));
            }
            let mut keys: Vec<_> = points.iter().map(|p| (p.context_length, p.in_flight)).collect();
            keys.sort_unstable();
            keys.dedup();
            prop_assert_eq!(keys.len(), points.len());
            for point in points {
                prop_assert!(point.in_flight * (point.isl.get() + osl) <= capacity);
                prop_assert!(point.isl.get() + osl <= context);
            }
        }
        if let Ok(lengths) = prefill_grid(Tokens::new(context), granularity) {
            prop_assert!(lengths.len() >= 3);
            prop_assert!(lengths.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(lengths.last(), Some(&Tokens::new(context)));
        }
    }
}
