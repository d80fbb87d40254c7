use approx::assert_relative_eq;
use dgdr_units::Milliseconds;

use super::*;
use crate::{Axis, BuildError, LeaveOneOut, OutOfRange};

/// The sample of ai-dynamo 1.6.1, `planner/tests/data/profiling_results/H200_TP1P_TP1D` (Apache-2.0).
const PREFILL: &[u8] = include_bytes!("../../tests/h200_tp1/prefill_raw_data.npz");
const DECODE: &[u8] = include_bytes!("../../tests/h200_tp1/decode_raw_data.npz");

/// The points scatter by 5 %, so a parabola predicts them better; TTFT as `numpy.polyfit` 2.4.6 gives it on the same file.
#[test]
fn reads_a_curve_that_upstream_wrote() {
    let curve = read_prefill(PREFILL).expect("upstream's file");
    assert_eq!(curve.points().len(), 17);
    assert_eq!(
        curve.fit().to_string(),
        "quadratic: predicts left-out points better (6.29 ms instead of 8.05 ms)"
    );
    let oracle = [
        (101, 18.039_246_856),
        (500, 24.198_392_940),
        (1600, 41.872_680_088),
        (2999, 65.823_014_668),
        (4167, 87.080_981_921),
        (9000, 187.253_263_664),
        (12_345, 268.100_771_268),
        (16_371, 377.901_231_967),
    ];
    for (isl, ttft) in oracle {
        let reading = curve.ttft(Tokens::new(isl), OutOfRange::Refuse).expect("inside");
        assert_relative_eq!(reading.value.get(), ttft, max_relative = 1e-9);
    }
    let longest = curve
        .max_isl(Milliseconds::new(200.0).expect("a duration"))
        .expect("a crossing");
    assert!((9253..10_270).contains(&longest.isl.get()), "{longest:?}");
}

#[test]
fn reads_a_surface_that_upstream_wrote() {
    let surface = read_decode(DECODE).expect("upstream's file");
    assert_eq!(surface.points().len(), 41);
    assert_eq!(surface.max_kv_tokens(), Tokens::new(945_029));
    // 33 requests were in flight at the second point of the row of 5644 tokens (10.13 ms), 53 at the third (15.12 ms).
    let load = surface
        .max_load(Milliseconds::new(12.0).expect("a duration"), 5644.0)
        .expect("a crossing");
    assert!((27..53).contains(&load.in_flight), "{load:?}");
}

/// Root of the mean squared relative errors along one axis.
fn rms_along(errors: &LeaveOneOut, axis: Axis) -> f64 {
    let squares: Vec<f64> = errors
        .errors()
        .iter()
        .filter(|error| error.neighbours == crate::Neighbours::Along(axis))
        .map(|error| error.relative().powi(2))
        .collect();
    let count = u32::try_from(squares.len()).expect("a few");
    (squares.iter().sum::<f64>() / f64::from(count)).sqrt()
}

/// On this sample a fit that is linear in the context length itself leaves 26 % across it.
#[test]
fn the_error_between_the_points_of_a_real_sweep_is_small() {
    let prefill = read_prefill(PREFILL).expect("upstream's file");
    let prefill = prefill.leave_one_out();
    assert!(rms_along(prefill, Axis::Isl) < 0.06, "{prefill:?}");
    let decode = read_decode(DECODE).expect("upstream's file");
    let decode = decode.leave_one_out();
    assert!(rms_along(decode, Axis::KvUsage) < 0.06, "{:?}", decode.worst());
    assert!(
        rms_along(decode, Axis::ContextLength) < 0.10,
        "{:?}",
        decode.worst()
    );
}

#[test]
fn what_was_written_is_read_back_and_writes_the_same_bytes() {
    let curve = read_prefill(PREFILL).expect("upstream's file");
    let bytes = write_prefill(&curve).expect("written");
    let again = read_prefill(&bytes).expect("read back");
    assert_eq!(again.points(), curve.points());
    assert_eq!(write_prefill(&again).expect("written"), bytes);

    let surface = read_decode(DECODE).expect("upstream's file");
    let bytes = write_decode(&surface).expect("written");
    let again = read_decode(&bytes).expect("read back");
    assert_eq!(again.points(), surface.points());
    assert_eq!(write_decode(&again).expect("written"), bytes);
}

/// Each array of upstream's prefill file, byte for byte.
#[test]
fn the_arrays_are_those_that_numpy_writes() {
    let ours = write_prefill(&read_prefill(PREFILL).expect("upstream's file")).expect("written");
    for array in [PREFILL_ISL, PREFILL_TTFT, PREFILL_THROUGHPUT] {
        let [ours, theirs] = [&ours[..], PREFILL].map(|bytes| {
            let mut zip = ZipArchive::new(Cursor::new(bytes)).expect("an archive");
            let mut entry = zip.by_name(&format!("{array}.npy")).expect("the array");
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("stored");
            bytes
        });
        assert_eq!(ours, theirs, "{array}");
    }
}

#[test]
fn says_what_is_wrong_with_a_file() {
    let error = read_prefill(b"no archive").expect_err("no archive");
    assert!(
        error.to_string().starts_with("not a readable npz archive: "),
        "{error}"
    );
    let error = read_prefill(DECODE).expect_err("the other phase");
    assert_eq!(
        error.to_string(),
        "array prefill_isl is missing: is this the raw data of the other phase?"
    );

    let mut archive = Archive::new();
    archive.real(PREFILL_ISL, [100.5, 200.0]).expect("written");
    archive.real(PREFILL_TTFT, [1.0, 2.0]).expect("written");
    archive.real(PREFILL_THROUGHPUT, [1.0, 2.0]).expect("written");
    let error = read_prefill(&archive.finish().expect("written")).expect_err("half a token");
    assert_eq!(
        error.to_string(),
        "prefill_isl[0] must be a whole number of tokens, got 100.5"
    );

    let mut archive = Archive::new();
    archive.real(PREFILL_ISL, [100.0, 200.0]).expect("written");
    archive.real(PREFILL_TTFT, [1.0]).expect("written");
    let error = read_prefill(&archive.finish().expect("written")).expect_err("one TTFT");
    assert_eq!(
        error.to_string(),
        "array prefill_ttft has 1 numbers, expected 2: the file is damaged or was edited"
    );

    let mut archive = Archive::new();
    archive.real(PREFILL_ISL, [100.0, 100.0]).expect("written");
    archive.real(PREFILL_TTFT, [1.0, 2.0]).expect("written");
    archive.real(PREFILL_THROUGHPUT, [1.0, 2.0]).expect("written");
    let error = read_prefill(&archive.finish().expect("written")).expect_err("twice the same");
    assert!(
        matches!(error, FormatError::Build(BuildError::Duplicate { .. })),
        "{error}"
    );
}
