//! What both file formats share: columns of numbers, and what can be wrong with them.

use std::collections::BTreeMap;

use dgdr_units::{Fraction, Milliseconds, Tokens, TokensPerSecond, UnitError, floor_count};

use crate::{BuildError, DecodePoint, DecodeSurface, PrefillCurve, PrefillPoint};

/// Where the data came from, as free keys and values (`source`, `model`, `system`, `backend`, `mapping` …).
pub type Provenance = BTreeMap<String, String>;

pub(crate) const PREFILL_ISL: &str = "prefill_isl";
pub(crate) const PREFILL_TTFT: &str = "prefill_ttft";
pub(crate) const PREFILL_THROUGHPUT: &str = "prefill_thpt_per_gpu";
pub(crate) const MAX_KV_TOKENS: &str = "max_kv_tokens";
pub(crate) const KV_USAGE: &str = "x_kv_usage";
pub(crate) const CONTEXT_LENGTH: &str = "y_context_length";
pub(crate) const ITL: &str = "z_itl";
pub(crate) const THROUGHPUT: &str = "z_thpt_per_gpu";

/// Why bytes are not interpolation data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// An array is missing.
    #[error("array {array} is missing: is this the raw data of the other phase?")]
    Missing {
        /// Its name.
        array: &'static str,
    },
    /// An array is longer or shorter than its neighbours.
    #[error("array {array} has {found} numbers, expected {expected}: the file is damaged or was edited")]
    Length {
        /// Its name.
        array: &'static str,
        /// Numbers expected.
        expected: usize,
        /// Numbers found.
        found: usize,
    },
    /// A number is not a value of its unit.
    #[error("{array}[{index}]: {source}")]
    Value {
        /// Name of the array.
        array: &'static str,
        /// Index in it.
        index: usize,
        /// Why.
        source: UnitError,
    },
    /// A count is not a whole number.
    #[error("{array}[{index}] must be a whole number of tokens, got {value}")]
    NotWhole {
        /// Name of the array.
        array: &'static str,
        /// Index in it.
        index: usize,
        /// The number.
        value: f64,
    },
    /// The points make no curve or surface.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A curve has no value where a table needs one.
    #[error("no table can be made: {0}")]
    Table(#[from] crate::QueryError),
    /// The bytes are not a zip archive.
    #[cfg(feature = "npz")]
    #[error("not a readable npz archive: {0}")]
    Zip(#[from] zip::result::ZipError),
    /// An entry of the archive cannot be read or written.
    #[cfg(feature = "npz")]
    #[error("array {array}: {source}")]
    Entry {
        /// Its name.
        array: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// An entry of the archive is not a numeric array of one dimension.
    #[cfg(feature = "npz")]
    #[error("array {array}: {problem}: save it as a one-dimensional array of numbers")]
    Array {
        /// Its name.
        array: &'static str,
        /// What is wrong.
        problem: crate::npz::ArrayProblem,
    },
    /// The bytes are not JSON of the expected shape.
    #[cfg(feature = "json")]
    #[error("not readable as raw data JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// A source of named columns.
pub(crate) trait Columns {
    /// The numbers of a column.
    fn column(&mut self, array: &'static str) -> Result<Vec<f64>, FormatError>;
}

/// Reads a curve from its three columns.
pub(crate) fn prefill(columns: &mut impl Columns) -> Result<PrefillCurve, FormatError> {
    let isl = columns.column(PREFILL_ISL)?;
    let ttft = column_of(columns, PREFILL_TTFT, isl.len())?;
    let throughput = column_of(columns, PREFILL_THROUGHPUT, isl.len())?;
    let point = |index: usize| {
        Ok(PrefillPoint {
            isl: whole(PREFILL_ISL, index, isl[index])?,
            ttft: Milliseconds::new(ttft[index]).map_err(value_error(PREFILL_TTFT, index))?,
            throughput_per_gpu: TokensPerSecond::new(throughput[index])
                .map_err(value_error(PREFILL_THROUGHPUT, index))?,
        })
    };
    let points = (0..isl.len()).map(point).collect::<Result<_, FormatError>>()?;
    Ok(PrefillCurve::new(points)?)
}

/// Reads a surface from its five columns.
pub(crate) fn decode(columns: &mut impl Columns) -> Result<DecodeSurface, FormatError> {
    let max_kv = column_of(columns, MAX_KV_TOKENS, 1)?;
    let max_kv_tokens = whole(MAX_KV_TOKENS, 0, max_kv[0])?;
    let usage = columns.column(KV_USAGE)?;
    let context = column_of(columns, CONTEXT_LENGTH, usage.len())?;
    let itl = column_of(columns, ITL, usage.len())?;
    let throughput = column_of(columns, THROUGHPUT, usage.len())?;
    let point = |index: usize| {
        Ok(DecodePoint {
            kv_usage: Fraction::new(usage[index]).map_err(value_error(KV_USAGE, index))?,
            context_length: context[index],
            itl: Milliseconds::new(itl[index]).map_err(value_error(ITL, index))?,
            throughput_per_gpu: TokensPerSecond::new(throughput[index])
                .map_err(value_error(THROUGHPUT, index))?,
        })
    };
    let points = (0..usage.len()).map(point).collect::<Result<_, FormatError>>()?;
    Ok(DecodeSurface::new(max_kv_tokens, points)?)
}

fn column_of(
    columns: &mut impl Columns,
    array: &'static str,
    expected: usize,
) -> Result<Vec<f64>, FormatError> {
    let numbers = columns.column(array)?;
    let found = numbers.len();
    if found == expected {
        Ok(numbers)
    } else {
        Err(FormatError::Length {
            array,
            expected,
            found,
        })
    }
}

fn value_error(array: &'static str, index: usize) -> impl FnOnce(UnitError) -> FormatError {
    move |source| FormatError::Value { array, index, source }
}

fn whole(array: &'static str, index: usize, value: f64) -> Result<Tokens, FormatError> {
    /// Whole numbers are exact up to here.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if (0.0..=EXACT).contains(&value) && value.trunc().total_cmp(&value).is_eq() {
        Ok(Tokens::new(floor_count(value)))
    } else {
        Err(FormatError::NotWhole { array, index, value })
    }
}
