//! Communication.

use dgdr_perf_model::SystemSpec;

use super::{Part, Point, Repeated, TableSpec, text};
use crate::rows::{Columns, Rows};

/// The tables of this folder.
pub(super) static TABLES: [TableSpec; 1] = [TableSpec {
    name: "custom_allreduce",
    family: "comm",
    file: "custom_allreduce_perf.parquet",
    columns: &["num_gpus"],
    axes: &["message_size"],
    grouped: &[],
    ordered: false,
    repeated: Repeated::FirstStands,
    read: Columns {
        numbers: &["num_gpus", "message_size"],
        texts: &["kernel_source", "backend"],
    },
    point: custom_allreduce,
}];

/// Engines run their steps as CUDA graphs, so that eager measurements do not speak for them.
fn custom_allreduce(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    let eager = ["kernel_source", "backend"]
        .into_iter()
        .any(|column| rows.text(column, row).ends_with("_eager"));
    (!eager).then(|| Point {
        key: vec![Part::Number(rows.number("num_gpus", row))],
        at: vec![rows.number("message_size", row)],
        ms: rows.latency(row),
    })
}

/// Activations travel as 16-bit elements; nothing asks for another width.
fn nccl(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    (rows.text("nccl_dtype", row) == "half").then(|| Point {
        key: vec![
            text(rows, "op_name", row),
            Part::Number(rows.number("num_gpus", row)),
        ],
        at: vec![rows.number("message_size", row)],
        ms: rows.latency(row),
    })
}

/// The table of NCCL.
pub(crate) static NCCL_TABLE: TableSpec = TableSpec {
    name: "nccl",
    family: "comm",
    file: "nccl_perf.parquet",
    columns: &["op_name", "num_gpus"],
    axes: &["message_size"],
    grouped: &[],
    ordered: false,
    repeated: Repeated::FirstStands,
    read: Columns {
        numbers: &["num_gpus", "message_size"],
        texts: &["op_name", "nccl_dtype", "kernel_source"],
    },
    point: nccl,
};
