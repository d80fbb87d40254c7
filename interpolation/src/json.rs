//! `prefill_raw_data.json` and `decode_raw_data.json` in the layout of upstream's planner, as bytes.
//!
//! # Shape
//! The names of `raw_data.npz` with lists of numbers, but `max_kv_tokens` is a plain number (the planner's reader fails
//! on a list). We add `provenance` (text keys and values) and `valid_range` (per axis `[low, high]`); the planner takes
//! the keys that it knows and ignores the rest.
//!
//! **Source**: `planner/monitoring/perf_metrics.py` of ai-dynamo 1.6.1.

use std::collections::BTreeMap;

use dgdr_units::Tokens;
use serde::{Deserialize, Serialize};

use crate::format::{
    CONTEXT_LENGTH, Columns, ITL, KV_USAGE, MAX_KV_TOKENS, PREFILL_ISL, PREFILL_THROUGHPUT, PREFILL_TTFT,
    THROUGHPUT,
};
use crate::{DecodeSurface, FormatError, PrefillCurve, Provenance, format};

/// Data as read, with where it came from.
#[derive(Debug, Clone)]
pub struct Stored<T> {
    /// The curve or surface.
    pub data: T,
    /// Where it came from; empty in files that upstream wrote.
    pub provenance: Provenance,
}

/// Writes a prefill curve.
///
/// # Errors
/// [`FormatError::Json`] when a number cannot be written (which the checks at build rule out).
pub fn write_prefill(curve: &PrefillCurve, provenance: &Provenance) -> Result<Vec<u8>, FormatError> {
    let points = curve.points();
    let (shortest, longest) = curve.isl_range().into_inner();
    let file = PrefillFile {
        prefill_isl: points.iter().map(|point| point.isl).collect(),
        prefill_ttft: points.iter().map(|point| point.ttft.get()).collect(),
        prefill_thpt_per_gpu: points
            .iter()
            .map(|point| point.throughput_per_gpu.get())
            .collect(),
        valid_range: PrefillRange {
            prefill_isl: [shortest, longest],
        },
        provenance,
    };
    text(&file)
}

/// Writes a decode surface.
///
/// # Errors
/// As [`write_prefill`].
pub fn write_decode(surface: &DecodeSurface, provenance: &Provenance) -> Result<Vec<u8>, FormatError> {
    let points = surface.points();
    let usages = || points.iter().map(|point| point.kv_usage.get());
    let (shortest, longest) = surface.context_range().into_inner();
    let file = DecodeFile {
        max_kv_tokens: surface.max_kv_tokens(),
        x_kv_usage: usages().collect(),
        y_context_length: points.iter().map(|point| point.context_length).collect(),
        z_itl: points.iter().map(|point| point.itl.get()).collect(),
        z_thpt_per_gpu: points
            .iter()
            .map(|point| point.throughput_per_gpu.get())
            .collect(),
        valid_range: DecodeRange {
            x_kv_usage: [usages().fold(1.0, f64::min), usages().fold(0.0, f64::max)],
            y_context_length: [shortest, longest],
        },
        provenance,
    };
    text(&file)
}

/// Reads a prefill curve.
///
/// # Errors
/// [`FormatError`] when the bytes are no such JSON, or the points make no curve.
pub fn read_prefill(bytes: &[u8]) -> Result<Stored<PrefillCurve>, FormatError> {
    let mut file: AnyFile = serde_json::from_slice(bytes)?;
    Ok(Stored {
        data: format::prefill(&mut file)?,
        provenance: file.provenance,
    })
}

/// Reads a decode surface; `max_kv_tokens` may also be a list of one number.
///
/// # Errors
/// [`FormatError`] when the bytes are no such JSON, or the points make no surface.
pub fn read_decode(bytes: &[u8]) -> Result<Stored<DecodeSurface>, FormatError> {
    let mut file: AnyFile = serde_json::from_slice(bytes)?;
    Ok(Stored {
        data: format::decode(&mut file)?,
        provenance: file.provenance,
    })
}

fn text(file: &impl Serialize) -> Result<Vec<u8>, FormatError> {
    let mut bytes = serde_json::to_vec(file)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[derive(Serialize)]
struct PrefillFile<'a> {
    prefill_isl: Vec<Tokens>,
    prefill_ttft: Vec<f64>,
    prefill_thpt_per_gpu: Vec<f64>,
    valid_range: PrefillRange,
    provenance: &'a Provenance,
}

#[derive(Serialize)]
struct PrefillRange {
    prefill_isl: [Tokens; 2],
}

#[derive(Serialize)]
struct DecodeFile<'a> {
    max_kv_tokens: Tokens,
    x_kv_usage: Vec<f64>,
    y_context_length: Vec<f64>,
    z_itl: Vec<f64>,
    z_thpt_per_gpu: Vec<f64>,
    valid_range: DecodeRange,
    provenance: &'a Provenance,
}

#[derive(Serialize)]
struct DecodeRange {
    x_kv_usage: [f64; 2],
    y_context_length: [f64; 2],
}

/// Either file as read; keys that nobody knows are skipped.
#[derive(Deserialize)]
struct AnyFile {
    prefill_isl: Option<Vec<f64>>,
    prefill_ttft: Option<Vec<f64>>,
    prefill_thpt_per_gpu: Option<Vec<f64>>,
    max_kv_tokens: Option<OneOrList>,
    x_kv_usage: Option<Vec<f64>>,
    y_context_length: Option<Vec<f64>>,
    z_itl: Option<Vec<f64>>,
    z_thpt_per_gpu: Option<Vec<f64>>,
    #[serde(default)]
    provenance: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrList {
    One(f64),
    List(Vec<f64>),
}

impl Columns for AnyFile {
    fn column(&mut self, array: &'static str) -> Result<Vec<f64>, FormatError> {
        let column = match array {
            PREFILL_ISL => self.prefill_isl.take(),
            PREFILL_TTFT => self.prefill_ttft.take(),
            PREFILL_THROUGHPUT => self.prefill_thpt_per_gpu.take(),
            MAX_KV_TOKENS => self.max_kv_tokens.take().map(|capacity| match capacity {
                OneOrList::One(capacity) => vec![capacity],
                OneOrList::List(list) => list,
            }),
            KV_USAGE => self.x_kv_usage.take(),
            CONTEXT_LENGTH => self.y_context_length.take(),
            ITL => self.z_itl.take(),
            THROUGHPUT => self.z_thpt_per_gpu.take(),
            _ => None,
        };
        column.ok_or(FormatError::Missing { array })
    }
}

#[cfg(test)]
mod tests;
