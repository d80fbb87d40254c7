//! Routed experts.

use dgdr_perf_model::SystemSpec;

use super::{Part, Point, Repeated, TableSpec, text};
use crate::rows::{Columns, Rows};

/// The tables of this folder.
pub(super) static TABLES: [TableSpec; 2] = [
    TableSpec {
        name: "moe",
        point: usual,
        ..EXPERTS
    },
    TableSpec {
        name: "moe_low_latency",
        point: low_latency,
        ..EXPERTS
    },
];

const EXPERTS: TableSpec = TableSpec {
    name: "moe",
    family: "moe",
    file: "moe_perf.parquet",
    columns: &[
        "moe_dtype",
        "distribution",
        "topk",
        "num_experts",
        "hidden_size",
        "inter_size",
    ],
    axes: &["moe_tp", "moe_ep", "tokens"],
    grouped: &[0, 2, 3, 4, 5],
    ordered: false,
    repeated: Repeated::FirstStands,
    read: Columns {
        numbers: &[
            "num_tokens",
            "hidden_size",
            "inter_size",
            "topk",
            "num_experts",
            "moe_tp_size",
            "moe_ep_size",
        ],
        texts: &["moe_dtype", "distribution", "kernel_source"],
    },
    point: usual,
};

/// The kernel that TensorRT-LLM switches to for few tokens.
const LOW_LATENCY: &str = "moe_torch_flow_min_latency";

/// Kernels of SGLang that a format names, because the same weights were measured with another kernel too.
const OWN_FORMAT: [(&str, &str, &str); 2] = [
    (
        "w4a8_mxfp4_mxfp8",
        "sglang_mxfp4_flashinfer_trtllm_moe",
        "w4a8_mxfp4_mxfp8_trtllm",
    ),
    (
        "w4a16_mxfp4",
        "sglang_flashinfer_cutlass_moe",
        "w4a16_mxfp4_cutlass",
    ),
];

fn usual(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    (rows.text("kernel_source", row) != LOW_LATENCY).then(|| point(rows, row))
}

fn low_latency(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    (rows.text("kernel_source", row) == LOW_LATENCY).then(|| point(rows, row))
}

fn point(rows: &Rows, row: usize) -> Point {
    let measured = rows.text("moe_dtype", row);
    let kernel = rows.text("kernel_source", row);
    let format = OWN_FORMAT
        .iter()
        .find(|(format, by, _)| *format == measured && *by == kernel)
        .map_or(measured, |(.., own)| own);
    let mut key = vec![Part::Text(format.to_owned()), text(rows, "distribution", row)];
    key.extend(
        ["topk", "num_experts", "hidden_size", "inter_size"]
            .map(|column| Part::Number(rows.number(column, row))),
    );
    Point {
        key,
        at: ["moe_tp_size", "moe_ep_size", "num_tokens"]
            .map(|column| rows.number(column, row))
            .to_vec(),
        ms: rows.latency(row),
    }
}
