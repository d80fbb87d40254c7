//! Multi-head latent attention: its kernels, whole attention blocks around them, and the batched products of decode.

use dgdr_perf_model::SystemSpec;

use super::{Part, Point, Repeated, TableSpec, text};
use crate::rows::{Columns, Rows};

const CONTEXT_AXES: &[&str] = &["heads", "sequence", "batch"];
const GENERATION_AXES: &[&str] = &["heads", "batch", "sequence"];
/// The columns of counts of the attention tables.
const NUMBERS: &[&str] = &["num_heads", "batch_size", "isl", "step"];

/// What the tables of this folder share; a model needs most of each table, which is one block.
const TEMPLATE: TableSpec = TableSpec {
    name: "",
    family: "mla",
    file: "",
    columns: &[],
    axes: &[],
    grouped: &[],
    ordered: false,
    repeated: Repeated::FirstStands,
    read: columns(&[]),
    point: |_, _, _| None,
};

/// The tables of this folder.
pub(super) static TABLES: [TableSpec; 7] = [
    TableSpec {
        name: "context_mla",
        file: "context_mla_perf.parquet",
        columns: &["mla_dtype", "kv_cache_dtype"],
        axes: CONTEXT_AXES,
        read: columns(&["mla_dtype", "kv_cache_dtype", "kernel_source"]),
        point: |rows, row, _| Some(context(rows, row, &["mla_dtype", "kv_cache_dtype"])),
        ..TEMPLATE
    },
    TableSpec {
        name: "generation_mla",
        file: "generation_mla_perf.parquet",
        columns: &["kv_cache_dtype"],
        axes: GENERATION_AXES,
        read: columns(&["kv_cache_dtype", "kernel_source"]),
        point: |rows, row, _| Some(generation(rows, row, &["kv_cache_dtype"])),
        ..TEMPLATE
    },
    TableSpec {
        name: "mla_context_module",
        file: "mla_context_module_perf.parquet",
        columns: &["mla_dtype", "kv_cache_dtype", "gemm_dtype"],
        axes: CONTEXT_AXES,
        read: columns(&["mla_dtype", "kv_cache_dtype", "gemm_type", "kernel_source"]),
        point: |rows, row, _| Some(context(rows, row, &["mla_dtype", "kv_cache_dtype", "gemm_type"])),
        ..TEMPLATE
    },
    TableSpec {
        name: "mla_generation_module",
        file: "mla_generation_module_perf.parquet",
        columns: &["kv_cache_dtype", "gemm_dtype"],
        axes: GENERATION_AXES,
        read: columns(&["kv_cache_dtype", "gemm_type", "kernel_source"]),
        point: |rows, row, _| Some(generation(rows, row, &["kv_cache_dtype", "gemm_type"])),
        ..TEMPLATE
    },
    TableSpec {
        name: "wideep_context_mla",
        file: "wideep_context_mla_perf.parquet",
        columns: &["kernel_source", "mla_dtype", "kv_cache_dtype"],
        axes: CONTEXT_AXES,
        read: columns(&["kernel_source", "mla_dtype", "kv_cache_dtype"]),
        point: |rows, row, _| {
            Some(context(
                rows,
                row,
                &["kernel_source", "mla_dtype", "kv_cache_dtype"],
            ))
        },
        ..TEMPLATE
    },
    TableSpec {
        name: "wideep_generation_mla",
        file: "wideep_generation_mla_perf.parquet",
        columns: &["kernel_source", "kv_cache_dtype"],
        axes: GENERATION_AXES,
        read: columns(&["kernel_source", "kv_cache_dtype"]),
        point: |rows, row, _| Some(generation(rows, row, &["kernel_source", "kv_cache_dtype"])),
        ..TEMPLATE
    },
    TableSpec {
        name: "mla_bmm",
        family: "mla_bmm",
        file: "mla_bmm_perf.parquet",
        columns: &["bmm_dtype", "op_name"],
        axes: &["heads", "tokens"],
        read: Columns {
            numbers: &["num_heads", "num_tokens"],
            texts: &["bmm_dtype", "op_name", "kernel_source"],
        },
        point: bmm,
        ..TEMPLATE
    },
];

/// Kernels of other engines are taken by name, so that the column of the kernel is always read.
const fn columns(texts: &'static [&'static str]) -> Columns {
    Columns {
        numbers: NUMBERS,
        texts,
    }
}

fn key(rows: &Rows, row: usize, columns: &[&str]) -> Vec<Part> {
    columns.iter().map(|column| text(rows, column, row)).collect()
}

fn context(rows: &Rows, row: usize, columns: &[&str]) -> Point {
    Point {
        key: key(rows, row, columns),
        at: ["num_heads", "isl", "batch_size"]
            .map(|column| rows.number(column, row))
            .to_vec(),
        ms: rows.latency(row),
    }
}

/// The sequence is what was cached before the step and the one new token.
fn generation(rows: &Rows, row: usize, columns: &[&str]) -> Point {
    let [heads, batch, new, cached] =
        ["num_heads", "batch_size", "isl", "step"].map(|column| rows.number(column, row));
    Point {
        key: key(rows, row, columns),
        at: vec![heads, batch, new + cached],
        ms: rows.latency(row),
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "readers of all tables have one signature, and most leave rows out"
)]
fn bmm(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    Some(Point {
        key: key(rows, row, &["bmm_dtype", "op_name"]),
        at: vec![rows.number("num_heads", row), rows.number("num_tokens", row)],
        ms: rows.latency(row),
    })
}
