//! Reads a packed file back and compares every latency with the measured one.

use std::borrow::Cow;

use anyhow::{Context as _, ensure};
use dgdr_perf_model::tables::PackedFile;

use crate::encode::MOST_ERROR;
use crate::table::Table;

/// The largest relative error of a packed file.
///
/// # Errors
/// A file that does not read back, points that are missing or added, an error above the bound.
pub(crate) fn worst_error(name: &str, bytes: &[u8], tables: &[Table]) -> anyhow::Result<f64> {
    let file = PackedFile::parse(name, Cow::Owned(bytes.to_vec()))?;
    let mut worst = 0.0_f64;
    for table in tables {
        let directory = file.directory(table.spec.name)?.context("the table got lost")?;
        ensure!(
            directory.slices() == table.slices.len(),
            "{}: slices got lost",
            table.spec.name
        );
        for (key, slice) in &table.slices {
            let found = directory
                .find(key)
                .with_context(|| format!("slice {key:?} got lost"))?;
            let grid = file.grid(directory, found)?;
            let measured = (0..grid.cells()).filter(|cell| grid.has(*cell)).count();
            ensure!(
                measured == slice.points.len(),
                "slice {key:?} has {measured} points"
            );
            for (at, ms) in &slice.points {
                let cell = grid
                    .axes()
                    .iter()
                    .zip(at)
                    .try_fold(0, |cell, (axis, coordinate)| {
                        axis.binary_search(coordinate)
                            .ok()
                            .map(|position| cell * axis.len() + position)
                    });
                let read = cell
                    .and_then(|cell| grid.latency(cell))
                    .with_context(|| format!("slice {key:?} lost {at:?}"))?;
                worst = worst.max((read / ms - 1.0).abs());
            }
        }
    }
    ensure!(
        worst <= MOST_ERROR,
        "{name}: the worst error is {worst:.2e}, above {MOST_ERROR:.0e}"
    );
    Ok(worst)
}
