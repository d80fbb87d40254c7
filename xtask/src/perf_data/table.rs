//! The tables: which columns make their keys and axes, and the merge of measurement files into one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use dgdr_perf_model::operators::roofline::{self, GemmWork, GenerationAttentionWork};
use dgdr_perf_model::{GemmQuant, KvQuant, SystemSpec};

use super::lanes::{self, Density, Policy};
use super::rows::{Columns, Rows};
use super::sources::Source;

/// What a table is made of.
#[derive(Debug)]
pub(super) struct TableSpec {
    /// Its name in the packed file.
    pub(super) name: &'static str,
    /// Folder of its measurement files.
    pub(super) family: &'static str,
    /// Name of its measurement files.
    pub(super) file: &'static str,
    /// Names of its key columns; one named `lane` holds the kernel.
    pub(super) columns: &'static [&'static str],
    /// Names of its axes, outermost first.
    pub(super) axes: &'static [&'static str],
    /// Positions of the key columns whose values share a block; a model touches few of the others' combinations.
    pub(super) grouped: &'static [usize],
    /// Whether the order of first appearance of the outer axes' cells is kept.
    pub(super) ordered: bool,
    read: Columns,
    point: fn(&Rows, usize, &SystemSpec) -> Option<Point>,
}

/// One measurement.
#[derive(Debug, Clone, PartialEq)]
struct Point {
    key: Vec<Part>,
    at: Vec<u32>,
    ms: f64,
}

/// One part of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u32),
    Text(String),
}

/// A merged table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) spec: &'static TableSpec,
    /// Kernels in the order in which they are tried; a key's `lane` is a position here.
    pub(super) lanes: Vec<String>,
    /// Texts that keys refer to by position.
    pub(super) words: Vec<String>,
    /// The files that it was merged from.
    pub(super) sources: Vec<String>,
    pub(super) slices: BTreeMap<Vec<u32>, Slice>,
}

/// The measurements of one key.
#[derive(Debug, Default, Clone)]
pub(super) struct Slice {
    /// Milliseconds by coordinates.
    pub(super) points: BTreeMap<Vec<u32>, f64>,
    /// Coordinates in the order in which they were first read.
    pub(super) read: Vec<Vec<u32>>,
}

const LANE: &str = "lane";

/// The tables of an engine.
pub(super) static ENGINE_TABLES: [TableSpec; 6] = [
    TableSpec {
        name: "gemm",
        family: "gemm",
        file: "gemm_perf.parquet",
        columns: &["gemm_dtype"],
        axes: &["n", "k", "m"],
        grouped: &[0],
        ordered: true,
        read: Columns {
            numbers: &["m", "n", "k"],
            texts: &["gemm_dtype", "kernel_source"],
        },
        point: gemm,
    },
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
    TableSpec {
        name: "custom_allreduce",
        family: "comm",
        file: "custom_allreduce_perf.parquet",
        columns: &["num_gpus"],
        axes: &["message_size"],
        grouped: &[],
        ordered: false,
        read: Columns {
            numbers: &["num_gpus", "message_size"],
            texts: &["kernel_source", "backend"],
        },
        point: custom_allreduce,
    },
    TableSpec {
        name: "computescale",
        family: "quantize",
        file: "computescale_perf.parquet",
        columns: &["quant_dtype"],
        axes: &["m", "k"],
        grouped: &[],
        ordered: false,
        read: SCALE_COLUMNS,
        point: scale,
    },
    TableSpec {
        name: "scale_matrix",
        family: "quantize",
        file: "scale_matrix_perf.parquet",
        columns: &["quant_dtype"],
        axes: &["m", "k"],
        grouped: &[],
        ordered: false,
        read: SCALE_COLUMNS,
        point: scale,
    },
];

const SCALE_COLUMNS: Columns = Columns {
    numbers: &["m", "k"],
    texts: &["quant_dtype", "kernel_source"],
};

/// The table of NCCL.
pub(super) static NCCL_TABLE: TableSpec = TableSpec {
    name: "nccl",
    family: "comm",
    file: "nccl_perf.parquet",
    columns: &["op_name", "num_gpus"],
    axes: &["message_size"],
    grouped: &[],
    ordered: false,
    read: Columns {
        numbers: &["num_gpus", "message_size"],
        texts: &["op_name", "nccl_dtype", "kernel_source"],
    },
    point: nccl,
};

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

/// Key-value heads as recorded in keys: 0 where every query head has its own.
fn kv_heads(rows: &Rows, row: usize) -> u32 {
    let kv_heads = rows.number("num_key_value_heads", row);
    if kv_heads == rows.number("num_heads", row) {
        0
    } else {
        kv_heads
    }
}

fn text(rows: &Rows, column: &str, row: usize) -> Part {
    Part::Text(rows.text(column, row).to_owned())
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

/// Engines that fuse the scale into another kernel are recorded with a latency of zero, which has no logarithm. One
/// nanosecond stands in: the number is only ever taken off a matrix product that is thousands of times longer.
const FUSED_MS: f64 = 1e-6;

#[expect(
    clippy::unnecessary_wraps,
    reason = "readers of all tables have one signature, and most leave rows out"
)]
fn scale(rows: &Rows, row: usize, _: &SystemSpec) -> Option<Point> {
    Some(Point {
        key: vec![text(rows, "quant_dtype", row)],
        at: vec![rows.number("m", row), rows.number("k", row)],
        ms: rows.latency(row).max(FUSED_MS),
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

type Merged = BTreeMap<Vec<Part>, Slice>;

impl Table {
    /// Merges measurement files: the first measurement of a coordinate stands, so that later files only fill holes.
    /// None where nothing was measured.
    pub(super) fn merge(
        spec: &'static TableSpec,
        sources: &[Source],
        system: &SystemSpec,
        policy: &Policy,
    ) -> anyhow::Result<Option<Self>> {
        let mut merged = Merged::new();
        let mut own = BTreeMap::new();
        let mut labels = Vec::new();
        for source in sources {
            let rows = Rows::read(&source.path, spec.read)?;
            let added = absorb(&mut merged, spec, source, &rows, system)?;
            if added > 0 {
                labels.push(source.label.clone());
            }
            if source.own {
                own = density(&merged);
            }
        }
        if merged.is_empty() {
            return Ok(None);
        }
        let has_lanes = spec.columns.first() == Some(&LANE);
        let lanes = if has_lanes {
            lanes::order(policy, &own, &density(&merged))
        } else {
            Vec::new()
        };
        let words: BTreeSet<String> = merged
            .keys()
            .flat_map(|key| key.iter().skip(usize::from(has_lanes)))
            .filter_map(|part| match part {
                Part::Text(text) => Some(text.clone()),
                Part::Number(_) => None,
            })
            .collect();
        let words: Vec<String> = words.into_iter().collect();
        let mut slices = BTreeMap::new();
        for (key, slice) in merged {
            let encoded = key
                .iter()
                .enumerate()
                .map(|(column, part)| match part {
                    Part::Number(number) => Ok(*number),
                    Part::Text(text) if has_lanes && column == 0 => position(&lanes, text),
                    Part::Text(text) => position(&words, text),
                })
                .collect::<anyhow::Result<Vec<u32>>>()?;
            slices.insert(encoded, slice);
        }
        Ok(Some(Self {
            spec,
            lanes,
            words,
            sources: labels,
            slices,
        }))
    }
}

/// Adds a file's rows; says how many coordinates were new.
fn absorb(
    merged: &mut Merged,
    spec: &TableSpec,
    source: &Source,
    rows: &Rows,
    system: &SystemSpec,
) -> anyhow::Result<usize> {
    let mut added = 0;
    for row in 0..rows.len() {
        let allowed = source.kernels.as_ref();
        if allowed.is_some_and(|kernels| !kernels.contains(rows.text("kernel_source", row))) {
            continue;
        }
        let Some(point) = (spec.point)(rows, row, system) else {
            continue;
        };
        ensure!(
            point.ms.is_finite() && point.ms > 0.0,
            "{}: row {row} has latency {}",
            source.path.display(),
            point.ms
        );
        let slice = merged.entry(point.key).or_default();
        if !slice.points.contains_key(&point.at) {
            slice.read.push(point.at.clone());
            slice.points.insert(point.at, point.ms);
            added += 1;
        }
    }
    Ok(added)
}

/// Slices and points by the first part of the key.
fn density(merged: &Merged) -> BTreeMap<String, Density> {
    let mut density: BTreeMap<String, Density> = BTreeMap::new();
    for (key, slice) in merged {
        if let Some(Part::Text(lane)) = key.first() {
            let entry = density.entry(lane.clone()).or_default();
            entry.slices += 1;
            entry.points += slice.points.len();
        }
    }
    density
}

fn position(words: &[String], text: &str) -> anyhow::Result<u32> {
    let position = words
        .iter()
        .position(|word| word == text)
        .with_context(|| format!("`{text}` got lost"))?;
    Ok(u32::try_from(position)?)
}
