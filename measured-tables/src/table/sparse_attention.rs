//! Attention blocks of `DeepSeek` sparse attention (DSA).

use super::{Part, Point, Repeated, TableSpec, text};
use crate::rows::{Columns, Rows};

const NUMBERS: &[&str] = &["num_heads", "batch_size", "isl", "step"];

/// What the tables of this folder share; a model reads few of the combinations of architecture and formats.
const TEMPLATE: TableSpec = TableSpec {
    name: "",
    family: "sparse_attention",
    file: "",
    columns: &[
        "architecture",
        "mla_dtype",
        "kv_cache_dtype",
        "gemm_dtype",
        "kernel",
    ],
    axes: &[],
    grouped: &[0, 1, 2, 3],
    ordered: false,
    repeated: Repeated::LastOfAFileStands,
    read: Columns {
        numbers: NUMBERS,
        texts: &[
            "op_name",
            "architecture",
            "mla_dtype",
            "kv_cache_dtype",
            "gemm_type",
            "kernel_source",
        ],
    },
    point: |_, _, _| None,
};

const CONTEXT: TableSpec = TableSpec {
    file: "dsa_context_module_perf.parquet",
    columns: &[
        "architecture",
        "mla_dtype",
        "kv_cache_dtype",
        "gemm_dtype",
        "kernel",
    ],
    axes: &["heads", "prefix", "sequence", "batch"],
    ..TEMPLATE
};

const GENERATION: TableSpec = TableSpec {
    file: "dsa_generation_module_perf.parquet",
    axes: &["heads", "batch", "sequence"],
    ..TEMPLATE
};

/// A kernel of the indexer alone, measured for splitting prompts among GPUs.
const PART: TableSpec = TableSpec {
    axes: &["prefix", "sequence", "batch"],
    grouped: &[],
    repeated: Repeated::FirstStands,
    ..TEMPLATE
};

/// The tables of this folder. Layers that take the choice of tokens over from the layer before them have tables of
/// their own.
pub(super) static TABLES: [TableSpec; 8] = [
    TableSpec {
        name: "dsa_context_module",
        point: |rows, row, _| (!skips_indexer(rows, row)).then(|| context(rows, row)),
        ..CONTEXT
    },
    TableSpec {
        name: "dsa_context_module_skip_indexer",
        point: |rows, row, _| skips_indexer(rows, row).then(|| context(rows, row)),
        ..CONTEXT
    },
    TableSpec {
        name: "dsa_context_module_dense",
        point: |rows, row, _| (is_dense(rows, row) && !skips_indexer(rows, row)).then(|| context(rows, row)),
        ..CONTEXT
    },
    TableSpec {
        name: "dsa_context_module_dense_skip_indexer",
        point: |rows, row, _| (is_dense(rows, row) && skips_indexer(rows, row)).then(|| context(rows, row)),
        ..CONTEXT
    },
    TableSpec {
        name: "dsa_generation_module",
        point: |rows, row, _| (!skips_indexer(rows, row)).then(|| generation(rows, row)),
        ..GENERATION
    },
    TableSpec {
        name: "dsa_generation_module_skip_indexer",
        point: |rows, row, _| skips_indexer(rows, row).then(|| generation(rows, row)),
        ..GENERATION
    },
    TableSpec {
        name: "glm5_mqa_logits",
        file: "glm5_mqa_logits_module_perf.parquet",
        columns: &["heads"],
        read: Columns {
            numbers: NUMBERS,
            texts: &["kernel_source"],
        },
        point: |rows, row, _| Some(part(rows, row, Vec::new())),
        ..PART
    },
    TableSpec {
        name: "glm5_topk",
        file: "glm5_topk_module_perf.parquet",
        columns: &["heads", "op_name"],
        read: Columns {
            numbers: NUMBERS,
            texts: &["score_mode", "kernel_source"],
        },
        point: |rows, row, _| {
            chooses(rows, row).then(|| part(rows, row, vec![text(rows, "score_mode", row)]))
        },
        ..PART
    },
];

/// Tokens that are chosen; a sequence of no more is not measured, because nothing has to be chosen.
const CHOSEN: u32 = 2048;

fn chooses(rows: &Rows, row: usize) -> bool {
    rows.number("isl", row) + rows.number("step", row) > CHOSEN
}

/// One kernel of the indexer.
fn part(rows: &Rows, row: usize, key: Vec<Part>) -> Point {
    let heads = Part::Number(rows.number("num_heads", row));
    Point {
        key: [heads].into_iter().chain(key).collect(),
        at: ["step", "isl", "batch_size"]
            .map(|column| rows.number(column, row))
            .to_vec(),
        ms: rows.latency(row),
    }
}

fn skips_indexer(rows: &Rows, row: usize) -> bool {
    rows.text("op_name", row).contains("skip_indexer")
}

/// Whether TensorRT-LLM's dense kernel computed a short prompt with an fp8 cache, which it does in every configuration;
/// in a configuration without other `trtllm` kernels these rows are all there is.
fn is_dense(rows: &Rows, row: usize) -> bool {
    rows.text("kv_cache_dtype", row) != "bfloat16"
        && rows.text("kernel_source", row) == "sglang_dsa_dense_mha_trtllm_ragged"
}

/// The configured kernel that a row belongs to. `trtllm` is asked first, so that rows of both (a bfloat16 cache, and
/// short prompts, which every configuration computes densely) are kept as its own.
fn kernel(rows: &Rows, row: usize) -> Part {
    let of_trtllm =
        rows.text("kv_cache_dtype", row) == "bfloat16" || rows.text("kernel_source", row).contains("trtllm");
    Part::Text(if of_trtllm { "trtllm" } else { "flashmla_kv" }.to_owned())
}

fn key(rows: &Rows, row: usize) -> Vec<Part> {
    ["architecture", "mla_dtype", "kv_cache_dtype", "gemm_type"]
        .iter()
        .map(|column| text(rows, column, row))
        .chain([kernel(rows, row)])
        .collect()
}

fn context(rows: &Rows, row: usize) -> Point {
    Point {
        key: key(rows, row),
        at: ["num_heads", "step", "isl", "batch_size"]
            .map(|column| rows.number(column, row))
            .to_vec(),
        ms: rows.latency(row),
    }
}

/// The sequence is what was cached before the step and the one new token.
fn generation(rows: &Rows, row: usize) -> Point {
    let [heads, batch, new, cached] =
        ["num_heads", "batch_size", "isl", "step"].map(|column| rows.number(column, row));
    Point {
        key: key(rows, row),
        at: vec![heads, batch, new + cached],
        ms: rows.latency(row),
    }
}
