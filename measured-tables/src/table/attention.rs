//! Attention of dense models.

use dgdr_perf_model::operators::roofline::{self, GenerationAttentionWork};
use dgdr_perf_model::{KvQuant, SystemSpec};

use super::{LANE, Part, Point, Repeated, TableSpec, text};
use crate::rows::{Columns, Rows};

/// The tables of this folder.
pub(super) static TABLES: [TableSpec; 2] = [
    TableSpec {
        name: "context_attention",
        family: "attention",
        file: "context_attention_perf.parquet",
        columns: &[
            LANE,
            "attn_dtype",
            "kv_cache_dtype",
            "kv_heads",
            "head_dim",
            "window",
        ],
        axes: &["heads", "sequence", "batch"],
        grouped: &[0, 1, 2, 4, 5],
        ordered: false,
        repeated: Repeated::FirstStands,
        read: Columns {
            numbers: &[
                "batch_size",
                "isl",
                "num_heads",
                "num_key_value_heads",
                "head_dim",
                "window_size",
            ],
            texts: &["attn_dtype", "kv_cache_dtype", "kernel_source"],
        },
        point: context_attention,
    },
    TableSpec {
        name: "generation_attention",
        family: "attention",
        file: "generation_attention_perf.parquet",
        columns: &[LANE, "kv_cache_dtype", "kv_heads", "head_dim", "window"],
        axes: &["heads", "batch", "sequence"],
        grouped: &[0, 1, 3, 4],
        ordered: false,
        repeated: Repeated::FirstStands,
        read: Columns {
            numbers: &[
                "batch_size",
                "isl",
                "step",
                "num_heads",
                "num_key_value_heads",
                "head_dim",
                "window_size",
            ],
            texts: &["kv_cache_dtype", "kernel_source"],
        },
        point: generation_attention,
    },
];

/// Key-value heads as recorded in keys: 0 where every query head has its own.
fn kv_heads(rows: &Rows, row: usize) -> u32 {
    let kv_heads = rows.number("num_key_value_heads", row);
    if kv_heads == rows.number("num_heads", row) {
        0
    } else {
        kv_heads
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "readers of all tables have one signature, and most leave rows out"
)]
fn context_attention(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    Some(Point {
        key: vec![
            text(rows, "kernel_source", row),
            text(rows, "attn_dtype", row),
            text(rows, "kv_cache_dtype", row),
            Part::Number(kv_heads(rows, row)),
            Part::Number(rows.number("head_dim", row)),
            Part::Number(rows.number("window_size", row)),
        ],
        at: ["num_heads", "isl", "batch_size"]
            .map(|column| rows.number(column, row))
            .to_vec(),
        ms: rows.latency(row),
    })
}

/// A latency below the roofline is a glitch of the clock and raised to it.
fn generation_attention(rows: &Rows, row: usize, system: &SystemSpec) -> Option<Point> {
    let kv = KvQuant::from_name(rows.text("kv_cache_dtype", row))?;
    let sequence = rows.number("isl", row) + rows.number("step", row);
    let [heads, batch, head_dim, window] =
        ["num_heads", "batch_size", "head_dim", "window_size"].map(|column| rows.number(column, row));
    let work = GenerationAttentionWork {
        batch: u64::from(batch),
        sequence: u64::from(sequence),
        heads: u64::from(heads),
        kv_heads: u64::from(rows.number("num_key_value_heads", row)),
        head_dim: u64::from(head_dim),
        window: u64::from(window),
        kv,
    };
    Some(Point {
        key: vec![
            text(rows, "kernel_source", row),
            Part::Text(kv.name().to_owned()),
            Part::Number(kv_heads(rows, row)),
            Part::Number(head_dim),
            Part::Number(window),
        ],
        at: vec![heads, batch, sequence],
        ms: rows
            .latency(row)
            .max(roofline::generation_attention(system, work)),
    })
}
