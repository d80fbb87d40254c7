//! The table that simulated engines (`dynamo.mocker --planner-profile-data FILE.npz`) read.
//!
//! # Shape
//! `prefill_isl` (tokens) and `prefill_ttft_ms`, one length; `decode_active_kv_tokens`, `decode_context_length` and
//! `decode_itl` (ms), a row for each number of tokens and a column for each context length; all float64. The simulator
//! interpolates linearly between neighbours (looked at with a table of two points an axis), so the axes are finer than
//! the measured points.
//!
//! A directory of raw data would do too, but the simulator then fits straight lines through it: the TTFT of a model
//! whose attention bends the curve comes out at less than half.
//!
//! **Source**: `planner_profiler_perf_data_converter.py` of ai-dynamo 1.6.1.

use std::num::NonZeroU32;

use dgdr_units::{Fraction, Tokens, real};

use super::Archive;
use crate::{DecodePlace, DecodeSurface, FormatError, OutOfRange, PrefillCurve, QueryError};

/// Parts of each stretch between two measured points.
const PARTS: u32 = 4;
/// Rows of KV usage: the light loads by doubling, the others by equal steps.
const DOUBLINGS: u32 = 6;
const STEPS: u32 = 32;

/// Writes curves of an engine as the table of one of its `copies` of attention, each of which is simulated with its own
/// scheduler and its share of the KV cache.
///
/// Loads that were not measured take the value of the nearest that was.
///
/// # Errors
/// [`FormatError`] when a curve has no value at a point, or an array cannot be stored.
pub fn write_mocker(
    prefill: &PrefillCurve,
    decode: &DecodeSurface,
    copies: NonZeroU32,
) -> Result<Vec<u8>, FormatError> {
    let mut archive = Archive::new();
    let lengths = prefill_axis(prefill);
    let ttft: Vec<f64> = lengths
        .iter()
        .map(|isl| Ok(prefill.ttft(*isl, OutOfRange::Refuse)?.value.get()))
        .collect::<Result<_, QueryError>>()?;
    archive.real("prefill_isl", lengths.iter().map(|isl| real(isl.get())))?;
    archive.real("prefill_ttft_ms", ttft)?;
    let usages = usage_axis();
    let contexts = context_axis(decode);
    let capacity = real(decode.max_kv_tokens().get()) / f64::from(copies.get());
    archive.real(
        "decode_active_kv_tokens",
        usages.iter().map(|usage| usage * capacity),
    )?;
    archive.real("decode_context_length", contexts.iter().copied())?;
    let itl: Vec<Vec<f64>> = usages
        .iter()
        .map(|usage| {
            contexts
                .iter()
                .map(|context| itl(decode, *usage, *context))
                .collect()
        })
        .collect::<Result<_, FormatError>>()?;
    archive.table("decode_itl", &itl)?;
    archive.finish()
}

/// The measured lengths and some between them.
fn prefill_axis(curve: &PrefillCurve) -> Vec<Tokens> {
    let measured: Vec<u64> = curve.points().iter().map(|point| point.isl.get()).collect();
    let mut axis: Vec<u64> = measured
        .windows(2)
        .flat_map(|pair| {
            let step = (pair[1] - pair[0]).div_ceil(u64::from(PARTS)).max(1);
            (pair[0]..pair[1]).step_by(usize::try_from(step).unwrap_or(usize::MAX))
        })
        .collect();
    axis.extend(measured.last());
    axis.into_iter().map(Tokens::new).collect()
}

/// Shares of the KV cache.
fn usage_axis() -> Vec<f64> {
    let step = 1.0 / f64::from(STEPS);
    let light = (0..DOUBLINGS).map(|index| step / f64::from(1_u32 << (DOUBLINGS - index)));
    let even = (1..=STEPS).map(|index| f64::from(index) * step);
    [0.0].into_iter().chain(light).chain(even).collect()
}

/// Context lengths: the measured ones, and between two of them some at equal ratios, since ITL goes with the reciprocal.
fn context_axis(surface: &DecodeSurface) -> Vec<f64> {
    let mut measured: Vec<f64> = surface
        .points()
        .iter()
        .map(|point| point.context_length)
        .collect();
    measured.sort_by(f64::total_cmp);
    measured.dedup();
    let mut axis: Vec<f64> = measured
        .windows(2)
        .flat_map(|pair| {
            let ratio = (pair[1] / pair[0]).powf(1.0 / f64::from(PARTS));
            let start = pair[0];
            (0..PARTS).map(move |index| start * ratio.powf(f64::from(index)))
        })
        .collect();
    axis.extend(measured.last());
    axis
}

/// ITL at the nearest measured load.
fn itl(surface: &DecodeSurface, usage: f64, context_length: f64) -> Result<f64, FormatError> {
    let range = surface.usage_range(context_length);
    let usage = usage.clamp(*range.start(), *range.end());
    let kv_usage = Fraction::new(usage).map_err(|_| QueryError::Meaningless { value: usage })?;
    let place = DecodePlace {
        kv_usage,
        context_length,
    };
    Ok(surface.itl(place, OutOfRange::Extrapolate)?.value.get())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use dgdr_units::Tokens;
    use zip::ZipArchive;

    use super::{OutOfRange, context_axis, prefill_axis, usage_axis, write_mocker};
    use crate::format::Columns as _;
    use crate::npz;

    fn column(bytes: &[u8], name: &'static str) -> Vec<f64> {
        let mut archive = ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
        archive.column(name).unwrap()
    }

    #[test]
    fn a_table_holds_the_measured_points_and_rises_along_its_axes() {
        let curve = npz::read_prefill(include_bytes!("../../tests/h200_tp1/prefill_raw_data.npz")).unwrap();
        let surface = npz::read_decode(include_bytes!("../../tests/h200_tp1/decode_raw_data.npz")).unwrap();
        let one = write_mocker(&curve, &surface, NonZeroU32::MIN).unwrap();
        let (isl, ttft) = (column(&one, "prefill_isl"), column(&one, "prefill_ttft_ms"));
        assert_eq!(isl.len(), ttft.len());
        for point in curve.points() {
            let index = isl
                .iter()
                .position(|isl| isl.to_bits() == dgdr_units::real(point.isl.get()).to_bits());
            assert_eq!(
                ttft[index.unwrap()].to_bits(),
                curve
                    .ttft(point.isl, OutOfRange::Refuse)
                    .unwrap()
                    .value
                    .get()
                    .to_bits(),
                "{:?}",
                point.isl
            );
        }
        let axes = [isl, usage_axis(), context_axis(&surface)];
        for axis in &axes {
            assert!(axis.windows(2).all(|pair| pair[0] < pair[1]), "{axis:?}");
        }
        assert!(prefill_axis(&curve).contains(&Tokens::new(curve.points()[1].isl.get())));
    }

    #[test]
    fn a_copy_has_its_share_of_the_cache_and_the_same_latencies() {
        let curve = npz::read_prefill(include_bytes!("../../tests/h200_tp1/prefill_raw_data.npz")).unwrap();
        let surface = npz::read_decode(include_bytes!("../../tests/h200_tp1/decode_raw_data.npz")).unwrap();
        let one = write_mocker(&curve, &surface, NonZeroU32::MIN).unwrap();
        let four = write_mocker(&curve, &surface, NonZeroU32::new(4).unwrap()).unwrap();
        let whole = column(&one, "decode_active_kv_tokens");
        let share = column(&four, "decode_active_kv_tokens");
        assert_eq!(
            whole.last().copied(),
            Some(dgdr_units::real(surface.max_kv_tokens().get()))
        );
        for (whole, share) in whole.iter().zip(&share) {
            assert!((whole / 4.0 - share).abs() < 1e-9);
        }
        assert_eq!(column(&one, "prefill_ttft_ms"), column(&four, "prefill_ttft_ms"));
    }
}
