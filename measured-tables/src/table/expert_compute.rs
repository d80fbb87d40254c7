//! Routed experts under large expert parallelism.

use dgdr_perf_model::SystemSpec;

use super::{Part, Point, Repeated, TableSpec, text};
use crate::rows::{Columns, Rows};

/// One table, which SGLang measures for prefill and decode apart and TensorRT-LLM for both at once.
pub(super) static TABLES: [TableSpec; 4] = [
    TableSpec {
        file: "wideep_context_moe_perf.parquet",
        point: deepep_context,
        ..DEEPEP
    },
    TableSpec {
        file: "wideep_generation_moe_perf.parquet",
        point: deepep_generation,
        ..DEEPEP
    },
    TableSpec {
        point: tensorrt_context,
        ..TENSORRT
    },
    TableSpec {
        point: tensorrt_generation,
        ..TENSORRT
    },
];

const NUMBERS: [&str; 7] = [
    "num_tokens",
    "hidden_size",
    "inter_size",
    "topk",
    "num_experts",
    "moe_ep_size",
    "moe_tp_size",
];

const DEEPEP: TableSpec = TableSpec {
    name: "expert_compute",
    family: "moe",
    file: "wideep_context_moe_perf.parquet",
    columns: &[
        "kernel_source",
        "moe_dtype",
        "distribution",
        "phase",
        "topk",
        "num_experts",
        "slots",
        "hidden_size",
        "inter_size",
    ],
    axes: &["ep", "tokens"],
    grouped: &[0, 1, 5, 7, 8],
    ordered: false,
    repeated: Repeated::FirstStands,
    read: Columns {
        numbers: &NUMBERS,
        texts: &["moe_dtype", "distribution", "kernel_source"],
    },
    point: deepep_context,
};

const TENSORRT: TableSpec = TableSpec {
    file: "wideep_moe_perf.parquet",
    read: Columns {
        numbers: &[
            "num_tokens",
            "hidden_size",
            "inter_size",
            "topk",
            "num_experts",
            "num_slots",
            "moe_ep_size",
            "moe_tp_size",
        ],
        texts: &["moe_dtype", "distribution", "kernel_source"],
    },
    point: tensorrt_context,
    ..DEEPEP
};

fn deepep_context(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    deepep(rows, row, "context")
}

fn deepep_generation(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    deepep(rows, row, "generation")
}

fn tensorrt_context(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    tensorrt(rows, row, "context")
}

fn tensorrt_generation(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    tensorrt(rows, row, "generation")
}

/// Keys name DeepEP's experts as the reference's newer files do; these older ones spell them otherwise.
fn deepep(rows: &Rows, row: usize, phase: &str) -> Option<Point> {
    let kernel = Part::Text("deepep_moe".to_owned());
    point(rows, row, [kernel, Part::Text(phase.to_owned())], "num_experts")
}

fn tensorrt(rows: &Rows, row: usize, phase: &str) -> Option<Point> {
    let kernel = text(rows, "kernel_source", row);
    point(rows, row, [kernel, Part::Text(phase.to_owned())], "num_slots")
}

/// Experts are never cut where they are many, so that rows of cut ones are left out.
fn point(rows: &Rows, row: usize, [kernel, phase]: [Part; 2], slots: &str) -> Option<Point> {
    let mut key = vec![
        kernel,
        text(rows, "moe_dtype", row),
        text(rows, "distribution", row),
        phase,
    ];
    key.extend(
        ["topk", "num_experts", slots, "hidden_size", "inter_size"]
            .map(|column| Part::Number(rows.number(column, row))),
    );
    (rows.number("moe_tp_size", row) == 1).then(|| Point {
        key,
        at: ["moe_ep_size", "num_tokens"]
            .map(|column| rows.number(column, row))
            .to_vec(),
        ms: rows.latency(row),
    })
}
