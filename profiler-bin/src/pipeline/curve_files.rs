//! Curves in both of upstream's formats.

use std::collections::BTreeMap;

use super::curves::{CurveOrigins, Curves};
use crate::artifacts::{
    DECODE_JSON_FILE, DECODE_NPZ_FILE, OutputDirectory, PREFILL_JSON_FILE, PREFILL_NPZ_FILE,
};
use crate::error::ProfilerError;

/// The curves as JSON by file name: what the planner reads.
///
/// # Errors
/// [`ProfilerError`] for what has no JSON form.
pub(super) fn curve_files(
    curves: &Curves,
    origins: &CurveOrigins,
) -> Result<BTreeMap<&'static str, String>, ProfilerError> {
    let prefill = dgdr_interpolation::json::write_prefill(&curves.prefill, &origins.prefill)?;
    let decode = dgdr_interpolation::json::write_decode(&curves.decode, &origins.decode)?;
    [(PREFILL_JSON_FILE, prefill), (DECODE_JSON_FILE, decode)]
        .into_iter()
        .map(|(name, bytes)| match String::from_utf8(bytes) {
            Ok(text) => Ok((name, text)),
            Err(error) => Err(ProfilerError::Encode {
                what: name,
                problem: error.to_string(),
            }),
        })
        .collect()
}

/// Both formats of both curves.
///
/// # Errors
/// [`ProfilerError`] for what cannot be encoded or written.
pub(super) fn write_curves(
    directory: &OutputDirectory,
    curves: &Curves,
    files: &BTreeMap<&'static str, String>,
) -> Result<(), ProfilerError> {
    directory.write(
        PREFILL_NPZ_FILE,
        &dgdr_interpolation::npz::write_prefill(&curves.prefill)?,
    )?;
    directory.write(
        DECODE_NPZ_FILE,
        &dgdr_interpolation::npz::write_decode(&curves.decode)?,
    )?;
    for (name, text) in files {
        directory.write(name, text.as_bytes())?;
    }
    Ok(())
}
