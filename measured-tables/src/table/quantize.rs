//! Conversions of activations.

use dgdr_perf_model::SystemSpec;

use super::{Point, Repeated, TableSpec, text};
use crate::rows::{Columns, Rows};

const SCALE_COLUMNS: Columns = Columns {
    numbers: &["m", "k"],
    texts: &["quant_dtype", "kernel_source"],
};

/// The tables of this folder.
pub(super) static TABLES: [TableSpec; 2] = [
    TableSpec {
        name: "computescale",
        family: "quantize",
        file: "computescale_perf.parquet",
        columns: &["quant_dtype"],
        axes: &["m", "k"],
        grouped: &[],
        ordered: false,
        repeated: Repeated::FirstStands,
        read: SCALE_COLUMNS,
        point: scale,
    },
    TableSpec {
        name: "scale_matrix",
        family: "quantize",
        file: "scale_matrix_perf.parquet",
        columns: &["quant_dtype"],
        axes: &["m", "k"],
        grouped: &[],
        ordered: false,
        repeated: Repeated::FirstStands,
        read: SCALE_COLUMNS,
        point: scale,
    },
];

/// Engines that fuse the scale into another kernel are recorded with a latency of zero, which has no logarithm. One
/// nanosecond stands in: the number is only ever taken off a matrix product that is thousands of times longer.
const FUSED_MS: f64 = 1e-6;

#[expect(
    clippy::unnecessary_wraps,
    reason = "readers of all tables have one signature, and most leave rows out"
)]
fn scale(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    Some(Point {
        key: vec![text(rows, "quant_dtype", row)],
        at: vec![rows.number("m", row), rows.number("k", row)],
        ms: rows.latency(row).max(FUSED_MS),
    })
}
