use proptest::prelude::*;

use super::{MOST_ERROR, appearance, dense, encoded, put};
use crate::encode::Effort;
use crate::table::{Slice, Table, engine_tables};
use crate::verify::worst_error;

use super::{FileHeader, packed_file};

fn slice(points: &[([u32; 3], f64)]) -> Slice {
    let mut slice = Slice::default();
    for (at, ms) in points {
        if slice.points.insert(at.to_vec(), *ms).is_none() {
            slice.read.push(at.to_vec());
        }
    }
    slice
}

fn table(slice: Slice) -> Table {
    Table {
        spec: engine_tables().next().unwrap(),
        lanes: Vec::new(),
        words: vec!["bfloat16".to_owned()],
        sources: vec!["trtllm 1".to_owned()],
        slices: [(vec![0], slice)].into(),
    }
}

fn round_trip(slice: Slice) -> f64 {
    let header = FileHeader {
        system: "here".to_owned(),
        backend: "trtllm".to_owned(),
        version: "1".to_owned(),
        origin: "a test".to_owned(),
        effort: Effort::Fast,
    };
    let tables = [table(slice)];
    let (bytes, _) = packed_file(&header, &tables).unwrap();
    worst_error("test", &bytes, &tables).unwrap()
}

#[test]
fn integers_take_seven_bits_per_byte() {
    let written = |value| {
        let mut out = Vec::new();
        put(&mut out, value);
        out
    };
    assert_eq!(written(0), [0]);
    assert_eq!(written(127), [127]);
    assert_eq!(written(128), [0x80, 1]);
    assert_eq!(written(u32::MAX), [0xff, 0xff, 0xff, 0xff, 0x0f]);
}

#[test]
fn sites_appear_as_a_walk_by_m_then_n_then_k_meets_them() {
    // (n, k, m): m = 8 is read first, and within it n = 20 before n = 10.
    let slice = slice(&[
        ([20, 1, 8], 1.0),
        ([10, 2, 8], 1.0),
        ([20, 2, 4], 1.0),
        ([20, 2, 8], 1.0),
        ([10, 1, 4], 1.0),
    ]);
    // Cells are (n, k) of n {10, 20} × k {1, 2}.
    assert_eq!(
        appearance(&slice, &dense(&slice).unwrap().axes).unwrap(),
        [2, 3, 1, 0]
    );
}

#[test]
fn a_range_too_wide_for_two_planes_gets_a_third() {
    let points = [([1, 1, 1], 1e-6), ([1, 1, 2], 3e-3), ([1, 2, 1], 1e6)];
    assert_eq!(encoded(&slice(&points), false).unwrap().planes, 3);
    assert!(round_trip(slice(&points)) <= MOST_ERROR);
    assert_eq!(encoded(&slice(&points[..2]), false).unwrap().planes, 2);
}

#[test]
fn one_latency_everywhere_needs_no_range() {
    assert!(round_trip(slice(&[([1, 1, 1], 0.37), ([1, 2, 1], 0.37)])) < 1e-12);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_packed_reads_back_within_the_bound(
        points in proptest::collection::vec((([1_u32..9, 1_u32..9, 1_u32..70_000]), -12.0_f64..12.0), 1..200),
    ) {
        let points: Vec<([u32; 3], f64)> = points.into_iter().map(|(at, log)| (at, log.exp2())).collect();
        prop_assert!(round_trip(slice(&points)) <= MOST_ERROR);
    }
}
