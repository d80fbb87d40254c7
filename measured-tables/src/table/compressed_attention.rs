//! Attention over a compressed or selected part of the cache (DeepSeek-V4, MiniMax-M3), and DeepSeek-V4's
//! hyper-connections.

use dgdr_perf_model::SystemSpec;

use super::{Part, Point, Repeated, TableSpec, text};
use crate::rows::{Columns, Rows};

const SPARSE: &str = "sparse_attention";
const MSA: &str = "msa";

const DSV4_CONTEXT_KEY: &[&str] = &[
    "fmha_dtype",
    "kv_cache_dtype",
    "gemm_dtype",
    "model_heads",
    "heads",
];
const DSV4_GENERATION_KEY: &[&str] = &["kv_cache_dtype", "gemm_dtype", "model_heads", "heads"];
const CONTEXT_AXES: &[&str] = &["prefix", "tokens", "batch"];
const GENERATION_AXES: &[&str] = &["batch", "sequence"];

const MODULE_COLUMNS: Columns = Columns {
    numbers: &["num_heads", "tp_size", "batch_size", "isl", "step"],
    texts: &["mla_dtype", "kv_cache_dtype", "gemm_type", "kernel_source"],
};

const fn dsv4_context(name: &'static str, file: &'static str) -> TableSpec {
    TableSpec {
        name,
        family: SPARSE,
        file,
        columns: DSV4_CONTEXT_KEY,
        axes: CONTEXT_AXES,
        grouped: &[0, 1, 2, 3],
        ordered: false,
        repeated: Repeated::FirstStands,
        read: MODULE_COLUMNS,
        point: context_module,
    }
}

const fn dsv4_generation(name: &'static str, file: &'static str) -> TableSpec {
    TableSpec {
        name,
        family: SPARSE,
        file,
        columns: DSV4_GENERATION_KEY,
        axes: GENERATION_AXES,
        grouped: &[0, 1, 2],
        ordered: false,
        repeated: Repeated::FirstStands,
        read: MODULE_COLUMNS,
        point: generation_module,
    }
}

/// The tables of this folder.
pub(super) static TABLES: [TableSpec; 9] = [
    dsv4_context("dsv4_csa_context", "dsv4_csa_context_module_perf.parquet"),
    dsv4_context("dsv4_hca_context", "dsv4_hca_context_module_perf.parquet"),
    dsv4_generation("dsv4_csa_generation", "dsv4_csa_generation_module_perf.parquet"),
    dsv4_generation("dsv4_hca_generation", "dsv4_hca_generation_module_perf.parquet"),
    TableSpec {
        name: "dsv4_top_k",
        family: SPARSE,
        file: "dsv4_csa_topk_calib_perf.parquet",
        columns: &["op_name", "model_heads"],
        axes: CONTEXT_AXES,
        grouped: &[1],
        ordered: false,
        repeated: Repeated::FirstStands,
        read: Columns {
            numbers: &["num_heads", "batch_size", "isl", "step"],
            texts: &["score_mode", "kernel_source"],
        },
        point: top_k,
    },
    TableSpec {
        name: "dsv4_index_logits",
        family: SPARSE,
        file: "dsv4_paged_mqa_logits_module_perf.parquet",
        columns: &["model_heads"],
        axes: CONTEXT_AXES,
        grouped: &[0],
        ordered: false,
        repeated: Repeated::FirstStands,
        read: Columns {
            numbers: &["num_heads", "tp_size", "batch_size", "isl", "step"],
            texts: &["kernel_source"],
        },
        point: index_logits,
    },
    TableSpec {
        name: "mhc",
        family: "mhc",
        file: "mhc_module_perf.parquet",
        columns: &["op_name", "streams", "hidden"],
        axes: &["tokens"],
        grouped: &[],
        ordered: false,
        repeated: Repeated::FirstStands,
        read: Columns {
            numbers: &["num_tokens", "hc_mult", "hidden_size"],
            texts: &["op_name", "kernel_source"],
        },
        point: hyper_connection,
    },
    TableSpec {
        name: "msa_context",
        family: MSA,
        file: "msa_context_module_perf.parquet",
        columns: &["fmha_dtype", "kv_cache_dtype", "gemm_dtype"],
        axes: &["heads", "prefix", "tokens", "batch"],
        grouped: &[0, 1, 2],
        ordered: false,
        repeated: Repeated::FirstStands,
        read: MODULE_COLUMNS,
        point: msa_context,
    },
    TableSpec {
        name: "msa_generation",
        family: MSA,
        file: "msa_generation_module_perf.parquet",
        columns: &["kv_cache_dtype", "gemm_dtype"],
        axes: &["heads", "batch", "sequence"],
        grouped: &[0, 1],
        ordered: false,
        repeated: Repeated::FirstStands,
        read: MODULE_COLUMNS,
        point: msa_generation,
    },
];

/// A format of attention; engines name fp8 by its kind.
fn attention_dtype(rows: &Rows, column: &str, row: usize) -> Part {
    let name = rows.text(column, row);
    Part::Text(if name == "fp8_e4m3" { "fp8" } else { name }.to_owned())
}

/// The heads of a whole model, of which a row's are one GPU's share.
fn model_heads(rows: &Rows, row: usize) -> Part {
    Part::Number(rows.number("num_heads", row) * rows.number("tp_size", row).max(1))
}

fn numbers(rows: &Rows, row: usize, columns: &[&str]) -> Vec<u32> {
    columns.iter().map(|column| rows.number(column, row)).collect()
}

/// Cached tokens, new tokens of each sequence, sequences.
fn context_coordinates(rows: &Rows, row: usize) -> Vec<u32> {
    numbers(rows, row, &["step", "isl", "batch_size"])
}

fn sequence(rows: &Rows, row: usize) -> u32 {
    rows.number("isl", row) + rows.number("step", row)
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "readers of all tables have one signature, and most leave rows out"
)]
fn context_module(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    Some(Point {
        key: vec![
            attention_dtype(rows, "mla_dtype", row),
            attention_dtype(rows, "kv_cache_dtype", row),
            text(rows, "gemm_type", row),
            model_heads(rows, row),
            Part::Number(rows.number("num_heads", row)),
        ],
        at: context_coordinates(rows, row),
        ms: rows.latency(row),
    })
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "readers of all tables have one signature, and most leave rows out"
)]
fn generation_module(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    Some(Point {
        key: vec![
            attention_dtype(rows, "kv_cache_dtype", row),
            text(rows, "gemm_type", row),
            model_heads(rows, row),
            Part::Number(rows.number("num_heads", row)),
        ],
        at: vec![rows.number("batch_size", row), sequence(rows, row)],
        ms: rows.latency(row),
    })
}

/// Caches short enough to be attended to in full are recorded with a latency of zero, which has no logarithm. Only
/// differences of this table's latencies are used, so that one picosecond stands in.
const NOTHING_MS: f64 = 1e-9;

#[expect(
    clippy::unnecessary_wraps,
    reason = "readers of all tables have one signature, and most leave rows out"
)]
fn top_k(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    Some(Point {
        key: vec![
            text(rows, "score_mode", row),
            Part::Number(rows.number("num_heads", row)),
        ],
        at: context_coordinates(rows, row),
        ms: rows.latency(row).max(NOTHING_MS),
    })
}

/// The index does not depend on how attention's heads are shared; it was measured without sharing.
fn index_logits(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    (rows.number("tp_size", row) == 1).then(|| Point {
        key: vec![Part::Number(rows.number("num_heads", row))],
        at: context_coordinates(rows, row),
        ms: rows.latency(row),
    })
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "readers of all tables have one signature, and most leave rows out"
)]
fn hyper_connection(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    Some(Point {
        key: vec![
            text(rows, "op_name", row),
            Part::Number(rows.number("hc_mult", row)),
            Part::Number(rows.number("hidden_size", row)),
        ],
        at: vec![rows.number("num_tokens", row)],
        ms: rows.latency(row),
    })
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "readers of all tables have one signature, and most leave rows out"
)]
fn msa_context(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    Some(Point {
        key: vec![
            attention_dtype(rows, "mla_dtype", row),
            attention_dtype(rows, "kv_cache_dtype", row),
            text(rows, "gemm_type", row),
        ],
        at: numbers(rows, row, &["num_heads", "step", "isl", "batch_size"]),
        ms: rows.latency(row),
    })
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "readers of all tables have one signature, and most leave rows out"
)]
fn msa_generation(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    let [heads, batch] = ["num_heads", "batch_size"].map(|column| rows.number(column, row));
    Some(Point {
        key: vec![
            attention_dtype(rows, "kv_cache_dtype", row),
            text(rows, "gemm_type", row),
        ],
        at: vec![heads, batch, sequence(rows, row)],
        ms: rows.latency(row),
    })
}
