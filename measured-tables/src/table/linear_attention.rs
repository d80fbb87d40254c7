//! Layers whose state does not grow with the sequence: gated delta nets, Mamba2 and Kimi delta attention.

use dgdr_perf_model::SystemSpec;

use super::{Part, Point, Repeated, TableSpec, text};
use crate::rows::{Columns, Rows};

const FAMILY: &str = "linear_attention";
const GDN_FILE: &str = "gdn_perf.parquet";
const KDA_FAMILY: &str = "kda";
const KDA_FILE: &str = "kda_perf.parquet";

const DELTA_KEY: &[&str] = &[
    "kernel_source",
    "hidden",
    "conv_width",
    "key_heads",
    "key_dim",
    "value_heads",
    "value_dim",
];

const DELTA_COLUMNS: Columns = Columns {
    numbers: &[
        "batch_size",
        "seq_len",
        "d_model",
        "d_conv",
        "num_k_heads",
        "head_k_dim",
        "num_v_heads",
        "head_v_dim",
    ],
    texts: &["kernel_source", "phase"],
};

/// What a model's tables have in common with no other model's: the width of its tokens.
const HIDDEN: &[usize] = &[1];

/// The tables of this folder.
pub(super) static TABLES: [TableSpec; 6] = [
    TableSpec {
        name: "gdn_context",
        family: FAMILY,
        file: GDN_FILE,
        columns: DELTA_KEY,
        axes: &["batch", "tokens"],
        grouped: HIDDEN,
        ordered: false,
        repeated: Repeated::FirstStands,
        read: DELTA_COLUMNS,
        point: gdn_context,
    },
    TableSpec {
        name: "gdn_generation",
        family: FAMILY,
        file: GDN_FILE,
        columns: DELTA_KEY,
        axes: &["batch"],
        grouped: HIDDEN,
        ordered: false,
        repeated: Repeated::FirstStands,
        read: DELTA_COLUMNS,
        point: gdn_generation,
    },
    TableSpec {
        name: "mamba2_context",
        family: FAMILY,
        file: "mamba2_perf.parquet",
        columns: &[
            "kernel_source",
            "hidden",
            "state",
            "conv_width",
            "heads",
            "head_dim",
            "groups",
            "chunk",
        ],
        axes: &["batch", "tokens"],
        grouped: HIDDEN,
        ordered: false,
        repeated: Repeated::FirstStands,
        read: Columns {
            numbers: &[
                "batch_size",
                "seq_len",
                "d_model",
                "d_state",
                "d_conv",
                "nheads",
                "head_dim",
                "n_groups",
                "chunk_size",
            ],
            texts: &["kernel_source", "phase"],
        },
        point: mamba2_context,
    },
    TableSpec {
        name: "kda_context",
        family: KDA_FAMILY,
        file: KDA_FILE,
        columns: DELTA_KEY,
        axes: &["batch", "tokens"],
        grouped: HIDDEN,
        ordered: false,
        repeated: Repeated::FirstStands,
        read: DELTA_COLUMNS,
        point: kda_context,
    },
    TableSpec {
        name: "kda_generation",
        family: KDA_FAMILY,
        file: KDA_FILE,
        columns: DELTA_KEY,
        axes: &["batch"],
        grouped: HIDDEN,
        ordered: false,
        repeated: Repeated::FirstStands,
        read: DELTA_COLUMNS,
        point: kda_generation,
    },
    TableSpec {
        name: "kda_verify",
        family: KDA_FAMILY,
        file: KDA_FILE,
        columns: DELTA_KEY,
        axes: &["batch", "tokens"],
        grouped: HIDDEN,
        ordered: false,
        repeated: Repeated::FirstStands,
        read: DELTA_COLUMNS,
        point: kda_verify,
    },
];

/// Decode kernels of the gated delta net that do the same under other names.
const DECODE_NAMES: [&str; 2] = [
    "fused_recurrent_gated_delta_rule",
    "fused_recurrent_gated_delta_rule_packed_decode",
];
const DECODE: &str = "fused_sigmoid_gating_delta_rule_update";

fn gdn_kernel(rows: &Rows, row: usize) -> Part {
    let kernel = rows.text("kernel_source", row);
    let kernel = if DECODE_NAMES.contains(&kernel) {
        DECODE
    } else {
        kernel
    };
    Part::Text(kernel.to_owned())
}

/// A measurement of `phase`, where the row is one.
fn delta(rows: &Rows, row: usize, phase: &str, kernel: Part) -> Option<Point> {
    if rows.text("phase", row) != phase {
        return None;
    }
    let mut key = vec![kernel];
    key.extend(
        [
            "d_model",
            "d_conv",
            "num_k_heads",
            "head_k_dim",
            "num_v_heads",
            "head_v_dim",
        ]
        .map(|column| Part::Number(rows.number(column, row))),
    );
    Some(Point {
        key,
        at: coordinates(rows, row, phase),
        ms: rows.latency(row),
    })
}

/// A decode step costs the same however long its sequences are.
fn coordinates(rows: &Rows, row: usize, phase: &str) -> Vec<u32> {
    let batch = rows.number("batch_size", row);
    if phase == "generation" {
        vec![batch]
    } else {
        vec![batch, rows.number("seq_len", row)]
    }
}

fn gdn_context(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    delta(rows, row, "context", gdn_kernel(rows, row))
}

fn gdn_generation(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    delta(rows, row, "generation", gdn_kernel(rows, row))
}

fn kda_context(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    delta(rows, row, "context", text(rows, "kernel_source", row))
}

fn kda_generation(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    delta(rows, row, "generation", text(rows, "kernel_source", row))
}

/// A target model that checks drafts, where a row's sequence is the drafted tokens.
fn kda_verify(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    delta(rows, row, "verify", text(rows, "kernel_source", row))
}

/// Decode is left out: nothing is priced from it (see the cost of Mamba2).
fn mamba2_context(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    if rows.text("phase", row) != "context" {
        return None;
    }
    let mut key = vec![text(rows, "kernel_source", row)];
    key.extend(
        [
            "d_model",
            "d_state",
            "d_conv",
            "nheads",
            "head_dim",
            "n_groups",
            "chunk_size",
        ]
        .map(|column| Part::Number(rows.number(column, row))),
    );
    Some(Point {
        key,
        at: coordinates(rows, row, "context"),
        ms: rows.latency(row),
    })
}
