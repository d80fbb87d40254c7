//! Exchanges of tokens among the ranks of large expert parallelism.
#![expect(
    clippy::unnecessary_wraps,
    reason = "readers of all tables have one signature, and most leave rows out"
)]

use dgdr_perf_model::SystemSpec;

use super::{Part, Point, Repeated, TableSpec, text};
use crate::rows::{Columns, Rows};

/// One table, whose measurements come in files of a current form and of three older ones.
pub(super) static TABLES: [TableSpec; 6] = [
    EXCHANGE,
    TableSpec {
        point: deepep_normal_dispatch,
        ..DEEPEP_NORMAL
    },
    TableSpec {
        point: deepep_normal_combine,
        ..DEEPEP_NORMAL
    },
    TableSpec {
        point: deepep_low_latency_dispatch,
        ..DEEPEP_LOW_LATENCY
    },
    TableSpec {
        point: deepep_low_latency_combine,
        ..DEEPEP_LOW_LATENCY
    },
    TableSpec {
        file: "trtllm_alltoall_perf.parquet",
        read: Columns {
            numbers: &["num_tokens", "hidden_size", "topk", "num_experts", "moe_ep_size"],
            texts: &["op_name", "moe_dtype", "kernel_source"],
        },
        point: nvlink,
        ..EXCHANGE
    },
];

const EXCHANGE: TableSpec = TableSpec {
    name: "moe_a2a",
    family: "comm",
    file: "moe_a2a_perf.parquet",
    columns: &[
        "comm_backend",
        "phase",
        "comm_dtype",
        "ep",
        "nodes",
        "hidden_size",
        "topk",
        "num_experts",
    ],
    axes: &["sms", "tokens"],
    grouped: &[0],
    ordered: false,
    repeated: Repeated::FirstStands,
    read: Columns {
        numbers: &[
            "ep_size",
            "node_num",
            "hidden_size",
            "topk",
            "num_experts",
            "num_tokens",
            "sms",
        ],
        texts: &["comm_backend", "phase", "comm_dtype", "kernel_source"],
    },
    point: unified,
};

const DEEPEP_NORMAL: TableSpec = TableSpec {
    file: "wideep_deepep_normal_perf.parquet",
    read: Columns {
        numbers: &[
            "node_num",
            "hidden_size",
            "num_topk",
            "num_experts",
            "num_token",
            "dispatch_sms",
            "combine_sms",
        ],
        texts: &["kernel_source"],
    },
    ..EXCHANGE
};

const DEEPEP_LOW_LATENCY: TableSpec = TableSpec {
    file: "wideep_deepep_ll_perf.parquet",
    read: Columns {
        numbers: &["node_num", "hidden_size", "num_topk", "num_experts", "num_token"],
        texts: &["kernel_source"],
    },
    ..EXCHANGE
};

/// DeepEP was measured on nodes of eight GPUs.
const DEEPEP_NODE: u32 = 8;

/// Latencies of exchanges are recorded in microseconds, but for the oldest of TensorRT-LLM's.
const MICROSECOND: f64 = 1e-3;

fn unified(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    let mut key: Vec<Part> = ["comm_backend", "phase", "comm_dtype"]
        .map(|column| text(rows, column, row))
        .to_vec();
    key.extend(
        ["ep_size", "node_num", "hidden_size", "topk", "num_experts"]
            .map(|column| Part::Number(rows.number(column, row))),
    );
    Some(Point {
        key,
        at: ["sms", "num_tokens"]
            .map(|column| rows.number(column, row))
            .to_vec(),
        ms: rows.latency(row) * MICROSECOND,
    })
}

fn deepep_normal_dispatch(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    let us = rows.real("dispatch_transmit_us", row) + rows.real("dispatch_notify_us", row);
    let sms = rows.number("dispatch_sms", row);
    Some(deepep(rows, row, ["deepep_ht", "dispatch"], sms, us))
}

fn deepep_normal_combine(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    let us = rows.real("combine_transmit_us", row) + rows.real("combine_notify_us", row);
    let sms = rows.number("combine_sms", row);
    Some(deepep(rows, row, ["deepep_ht", "combine"], sms, us))
}

fn deepep_low_latency_dispatch(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    let us = rows.real("dispatch_avg_t_us", row);
    Some(deepep(rows, row, ["deepep_ll", "dispatch"], 0, us))
}

fn deepep_low_latency_combine(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    let us = rows.real("combine_avg_t_us", row);
    Some(deepep(rows, row, ["deepep_ll", "combine"], 0, us))
}

fn deepep(rows: &Rows, row: usize, [backend, phase]: [&str; 2], sms: u32, us: f64) -> Point {
    let nodes = rows.number("node_num", row);
    let mut key: Vec<Part> = [backend, phase, "default"]
        .map(|text| Part::Text(text.to_owned()))
        .to_vec();
    key.extend([DEEPEP_NODE * nodes, nodes].map(Part::Number));
    key.extend(
        ["hidden_size", "num_topk", "num_experts"].map(|column| Part::Number(rows.number(column, row))),
    );
    Point {
        key,
        at: vec![sms, rows.number("num_token", row)],
        ms: us * MICROSECOND,
    }
}

fn nvlink(rows: &Rows, row: usize, system: &SystemSpec) -> Option<Point> {
    let backend = match rows.text("kernel_source", row) {
        "NVLinkTwoSided" => "nvlink_two_sided",
        "NVLinkOneSided" => "nvlink_one_sided",
        _ => return None,
    };
    let format = rows.text("moe_dtype", row);
    let (phase, format) = match rows.text("op_name", row) {
        "alltoall_prepare" => ("prepare", format),
        "alltoall_dispatch" => ("dispatch", format),
        "alltoall_combine" => ("combine", format),
        // The low precision is the message's, not that of the experts.
        "alltoall_combine_low_precision" => ("combine", "fp4"),
        _ => return None,
    };
    let gpus = rows.number("moe_ep_size", row);
    let mut key: Vec<Part> = [backend, phase, format]
        .map(|text| Part::Text(text.to_owned()))
        .to_vec();
    key.extend([gpus, gpus.div_ceil(system.gpus_per_node)].map(Part::Number));
    key.extend(["hidden_size", "topk", "num_experts"].map(|column| Part::Number(rows.number(column, row))));
    Some(Point {
        key,
        at: vec![0, rows.number("num_tokens", row)],
        ms: rows.latency(row),
    })
}
