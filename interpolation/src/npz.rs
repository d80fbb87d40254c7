//! `raw_data.npz` in upstream's layout, as bytes.
//!
//! # Shape
//! * prefill: `prefill_isl` (int64), `prefill_ttft` (float64, ms), `prefill_thpt_per_gpu` (float64, tokens/s/GPU);
//! * decode: `x_kv_usage` (0 to 1), `y_context_length` (tokens), `z_itl` (ms), `z_thpt_per_gpu` (tokens/s/GPU), all
//!   float64, and `max_kv_tokens` (int64, one element).
//!
//! The arrays have one dimension and, within a file, one length. Written files are stored without compression and carry
//! a fixed date, so equal data give equal bytes. Read files may be compressed and hold 32- or 64-bit integers or floats of
//! either byte order, since NumPy users write all of these.
//!
//! **Source**: `profile_prefill.py` and `profile_decode.py` of ai-dynamo 1.6.1 write these names; `perf_metrics.py` of its
//! planner reads them.

use std::io::{Cursor, Read, Write};

use dgdr_units::{Tokens, real};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::format::{
    CONTEXT_LENGTH, Columns, ITL, KV_USAGE, MAX_KV_TOKENS, PREFILL_ISL, PREFILL_THROUGHPUT, PREFILL_TTFT,
    THROUGHPUT,
};
use crate::{DecodeSurface, FormatError, PrefillCurve, format};

mod mocker;
mod npy;

pub use mocker::write_mocker;
pub use npy::ArrayProblem;

/// Bytes of one array that are read at most: far more than any sweep writes, and no memory for a zip bomb.
const MAX_ENTRY_BYTES: u64 = 64 << 20;

/// Writes a prefill curve.
///
/// # Errors
/// [`FormatError`] when an array cannot be stored (lengths beyond the format's limits).
pub fn write_prefill(curve: &PrefillCurve) -> Result<Vec<u8>, FormatError> {
    let points = curve.points();
    let mut archive = Archive::new();
    archive.whole(PREFILL_ISL, points.iter().map(|point| point.isl))?;
    archive.real(PREFILL_TTFT, points.iter().map(|point| point.ttft.get()))?;
    archive.real(
        PREFILL_THROUGHPUT,
        points.iter().map(|point| point.throughput_per_gpu.get()),
    )?;
    archive.finish()
}

/// Writes a decode surface.
///
/// # Errors
/// As [`write_prefill`].
pub fn write_decode(surface: &DecodeSurface) -> Result<Vec<u8>, FormatError> {
    let points = surface.points();
    let mut archive = Archive::new();
    archive.real(KV_USAGE, points.iter().map(|point| point.kv_usage.get()))?;
    archive.real(CONTEXT_LENGTH, points.iter().map(|point| point.context_length))?;
    archive.real(ITL, points.iter().map(|point| point.itl.get()))?;
    archive.real(
        THROUGHPUT,
        points.iter().map(|point| point.throughput_per_gpu.get()),
    )?;
    archive.whole(MAX_KV_TOKENS, [surface.max_kv_tokens()])?;
    archive.finish()
}

/// Reads a prefill curve.
///
/// # Errors
/// [`FormatError`] when the bytes are no such archive, or the points make no curve.
pub fn read_prefill(bytes: &[u8]) -> Result<PrefillCurve, FormatError> {
    format::prefill(&mut ZipArchive::new(Cursor::new(bytes))?)
}

/// Reads a decode surface.
///
/// # Errors
/// [`FormatError`] when the bytes are no such archive, or the points make no surface.
pub fn read_decode(bytes: &[u8]) -> Result<DecodeSurface, FormatError> {
    format::decode(&mut ZipArchive::new(Cursor::new(bytes))?)
}

impl Columns for ZipArchive<Cursor<&[u8]>> {
    fn column(&mut self, array: &'static str) -> Result<Vec<f64>, FormatError> {
        let entry = match self.by_name(&format!("{array}.npy")) {
            Ok(entry) => entry,
            Err(ZipError::FileNotFound) => return Err(FormatError::Missing { array }),
            Err(other) => return Err(FormatError::Zip(other)),
        };
        let mut bytes = Vec::new();
        entry
            .take(MAX_ENTRY_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|source| FormatError::Entry { array, source })?;
        npy::read(&bytes).map_err(|problem| FormatError::Array { array, problem })
    }
}

/// An archive that is being written.
struct Archive {
    zip: ZipWriter<Cursor<Vec<u8>>>,
}

impl Archive {
    fn new() -> Self {
        Self {
            zip: ZipWriter::new(Cursor::new(Vec::new())),
        }
    }

    fn real(
        &mut self,
        array: &'static str,
        numbers: impl IntoIterator<Item = f64>,
    ) -> Result<(), FormatError> {
        self.entry(array, &npy::write_real(numbers))
    }

    /// Rows of equal length.
    fn table(&mut self, array: &'static str, rows: &[Vec<f64>]) -> Result<(), FormatError> {
        self.entry(array, &npy::write_table(rows))
    }

    fn whole(
        &mut self,
        array: &'static str,
        counts: impl IntoIterator<Item = Tokens>,
    ) -> Result<(), FormatError> {
        let counts: Vec<i64> = counts
            .into_iter()
            .enumerate()
            .map(|(index, tokens)| {
                i64::try_from(tokens.get()).map_err(|_| FormatError::NotWhole {
                    array,
                    index,
                    value: real(tokens.get()),
                })
            })
            .collect::<Result<_, _>>()?;
        self.entry(array, &npy::write_whole(&counts))
    }

    fn entry(&mut self, array: &'static str, bytes: &[u8]) -> Result<(), FormatError> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::DEFAULT);
        self.zip.start_file(format!("{array}.npy"), options)?;
        self.zip
            .write_all(bytes)
            .map_err(|source| FormatError::Entry { array, source })
    }

    fn finish(self) -> Result<Vec<u8>, FormatError> {
        Ok(self.zip.finish()?.into_inner())
    }
}

#[cfg(test)]
mod tests;
