//! Matrix products.

use dgdr_perf_model::operators::roofline::{self, GemmWork};
use dgdr_perf_model::{GemmQuant, SystemSpec};

use super::{Part, Point, Repeated, TableSpec};
use crate::rows::{Columns, Rows};

/// The tables of this folder.
pub(super) static TABLES: [TableSpec; 1] = [TableSpec {
    name: "gemm",
    family: "gemm",
    file: "gemm_perf.parquet",
    columns: &["gemm_dtype"],
    axes: &["n", "k", "m"],
    grouped: &[0],
    ordered: true,
    repeated: Repeated::FirstStands,
    read: Columns {
        numbers: &["m", "n", "k"],
        texts: &["gemm_dtype", "kernel_source"],
    },
    point: gemm,
}];

/// Formats that no model uses are left out; a latency below the roofline is a glitch of the clock and raised to it.
fn gemm(rows: &Rows, row: usize, system: &SystemSpec) -> Option<Point> {
    let quant = GemmQuant::from_name(rows.text("gemm_dtype", row))?;
    let [m, n, k] = ["m", "n", "k"].map(|column| rows.number(column, row));
    let work = GemmWork {
        m: u64::from(m),
        n: u64::from(n),
        k: u64::from(k),
        quant,
    };
    Some(Point {
        key: vec![Part::Text(quant.name().to_owned())],
        at: vec![n, k, m],
        ms: rows.latency(row).max(roofline::gemm(system, work)),
    })
}
