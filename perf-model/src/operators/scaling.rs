//! What static scales spare an fp8 matrix multiplication.

use dgdr_units::real;

use super::curve::{Curve, blend, fraction};
use super::gemm::GemmShape;
use super::miss::{Measured, OperatorMiss};
use crate::tables::Grid;

/// The work of the dynamic kernel that a statically scaled one does not do, for one k.
#[derive(Debug, Clone)]
pub(super) struct StaticScaling {
    /// Finding the scale of the input.
    find_scale: Curve,
    /// Converting the input, where it arrives converted; with the factor by which k exceeds the measured range.
    convert: Option<(Curve, f64)>,
}

impl StaticScaling {
    pub(super) fn resolve(measured: Measured<'_>, shape: GemmShape) -> Result<Self, OperatorMiss> {
        let curve = |table| curve_at(measured, table, shape.k);
        Ok(Self {
            find_scale: curve("computescale")?.0,
            convert: shape
                .low_precision_input
                .then(|| curve("scale_matrix"))
                .transpose()?,
        })
    }

    /// Milliseconds spared for `m` tokens.
    pub(super) fn spared_ms(&self, m: u64) -> f64 {
        let (find_scale, _) = clamped(&self.find_scale, m);
        let convert = self.convert.as_ref().map_or(0.0, |(curve, beyond)| {
            let (ms, excess) = clamped(curve, m);
            ms * excess * beyond
        });
        find_scale + convert
    }
}

/// The latency at `m` clamped to the measured range, and the factor by which `m` was beyond it.
fn clamped(curve: &Curve, m: u64) -> (f64, f64) {
    let (first, last) = (curve.keys[0], curve.keys[curve.keys.len() - 1]);
    let within = m.clamp(first, last);
    let ms = curve.inside(within).map_or(0.0, |found| found.ms);
    (ms, real(m) / real(within))
}

/// The curve over m at `k` (clamped to the measured range), and the factor by which `k` was beyond it.
fn curve_at(measured: Measured<'_>, table: &'static str, k: u32) -> Result<(Curve, f64), OperatorMiss> {
    let directory = measured.directory(table)?;
    let missing = || measured.not_measured(table, "quant_dtype fp8".to_owned());
    let slice = directory
        .word("fp8")
        .and_then(|word| directory.find(&[word]))
        .ok_or_else(missing)?;
    let grid = measured.file.grid(directory, slice)?;
    let [ms, ks] = grid.axes() else {
        return Err(missing());
    };
    let (Some(first), Some(last)) = (ks.first(), ks.last()) else {
        return Err(missing());
    };
    let within = k.clamp(*first, *last);
    let points: Vec<(u64, f64)> = ms
        .iter()
        .enumerate()
        .filter_map(|(row, m)| Some((u64::from(*m), at_k(&grid, row, within)?)))
        .collect();
    if points.is_empty() {
        return Err(missing());
    }
    let curve = Curve {
        keys: points.iter().map(|(m, _)| *m).collect(),
        ms: points.iter().map(|(_, ms)| *ms).collect(),
    };
    Ok((curve, f64::from(k) / f64::from(within)))
}

/// One row of the grid at `k`, linear between measured ones.
fn at_k(grid: &Grid, row: usize, k: u32) -> Option<f64> {
    let ks = grid.axes().last()?;
    let start = row * ks.len();
    let above = ks.partition_point(|measured| *measured < k);
    let high = grid.latency(start + above)?;
    if ks[above] == k {
        return Some(high);
    }
    let low = grid.latency(start + above - 1)?;
    let weight = fraction(u64::from(ks[above - 1]), u64::from(k), u64::from(ks[above]));
    Some(blend(low, high, weight))
}
