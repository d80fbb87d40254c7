//! What the selection of entries costs, and what it cost more when layers were measured.
//!
//! Layers were measured on scores without contrast, among which entries are slow to select. The selection alone was
//! measured both ways, so that the difference can be taken off.

use super::super::curve::{Bracket, blend, bracket, fraction};
use super::super::miss::{Measured, OperatorMiss};
use crate::graph::{Compression, Dsv4Shape};
use crate::tables::Grid;

const TABLE: &str = "dsv4_top_k";

/// The kernel that selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selector {
    Context,
    Generation,
}

impl Selector {
    /// Its measurements on scores without contrast, and on scores as they are at work.
    const fn names(self) -> [&'static str; 2] {
        match self {
            Self::Context => ["v1_flat", "v1_top_last"],
            Self::Generation => ["v2_flat", "v2_top_last"],
        }
    }
}

/// The difference over sequences, new tokens of each, and prefix.
#[derive(Debug, Clone)]
pub(super) struct TopKExcess {
    batches: Sorted<Sorted<Sorted<f64>>>,
}

/// The selection alone, on scores as they are at work.
#[derive(Debug, Clone)]
pub(super) struct TopK {
    batches: Sorted<Sorted<Sorted<f64>>>,
}

/// Ascending coordinates with what belongs to each.
#[derive(Debug, Clone)]
struct Sorted<T> {
    keys: Box<[u64]>,
    values: Box<[T]>,
}

impl<T> Sorted<T> {
    fn new(of: Vec<(u64, T)>) -> Option<Self> {
        let (keys, values): (Vec<u64>, Vec<T>) = of.into_iter().unzip();
        (!keys.is_empty()).then(|| Self {
            keys: keys.into(),
            values: values.into(),
        })
    }

    /// Linear between coordinates, held beyond them.
    fn at(&self, coordinate: u64, ms: impl Fn(&T) -> f64) -> f64 {
        let last = self.keys.len() - 1;
        match bracket(&self.keys, coordinate) {
            Bracket::At(position) => ms(&self.values[position]),
            Bracket::Above(position) => {
                let weight = fraction(self.keys[position], coordinate, self.keys[position + 1]);
                let (low, high) = (ms(&self.values[position]), ms(&self.values[position + 1]));
                blend(low, high, weight)
            }
            Bracket::Outside if coordinate > self.keys[last] => ms(&self.values[last]),
            Bracket::Outside => ms(&self.values[0]),
        }
    }

    /// What belongs to the nearest coordinate, of two equally near ones the smaller.
    fn nearest(&self, coordinate: u64) -> &T {
        let above = self.keys.partition_point(|key| *key < coordinate);
        let position = match (above.checked_sub(1), self.keys.get(above)) {
            (Some(below), Some(high)) if coordinate - self.keys[below] <= high - coordinate => below,
            (Some(below), None) => below,
            (_, _) => above,
        };
        &self.values[position]
    }
}

impl TopKExcess {
    /// The difference for a layer that selects; none for another, and where it was not measured for the model.
    pub(super) fn of(
        measured: Measured<'_>,
        shape: &Dsv4Shape,
        selector: Selector,
    ) -> Result<Option<Self>, OperatorMiss> {
        let Some(directory) = measured
            .file
            .directory(TABLE)?
            .filter(|_| shape.compression == Compression::Sparse)
        else {
            return Ok(None);
        };
        let [flat, real] = selector.names().map(|name| {
            directory
                .word(name)
                .and_then(|name| directory.find(&[name, shape.all_heads]))
        });
        let (Some(flat), Some(real)) = (flat, real) else {
            return Ok(None);
        };
        let [flat, real] = [flat, real].map(|slice| measured.file.grid(directory, slice));
        let (flat, real) = (flat?, real?);
        let excess = |at| Some((point(&flat, at)? - point(&real, at)?).max(0.0));
        Ok(by_batch(&flat, &excess).map(|batches| Self { batches }))
    }

    /// Milliseconds at (prefix, new tokens of each sequence, sequences).
    pub(super) fn ms(&self, [prefix, tokens, batch]: [u64; 3]) -> f64 {
        self.batches.at(batch, |by_tokens| {
            by_tokens.at(tokens, |by_prefix| by_prefix.at(prefix, |ms| *ms))
        })
    }
}

impl TopK {
    /// The selection in prefill for a model; none where it was not measured.
    pub(super) fn of(measured: Measured<'_>, shape: &Dsv4Shape) -> Result<Option<Self>, OperatorMiss> {
        let Some(directory) = measured.file.directory(TABLE)? else {
            return Ok(None);
        };
        let [_, real] = Selector::Context.names();
        let slice = directory
            .word(real)
            .and_then(|name| directory.find(&[name, shape.all_heads]));
        let Some(slice) = slice else {
            return Ok(None);
        };
        let grid = measured.file.grid(directory, slice)?;
        Ok(by_batch(&grid, &|at| point(&grid, at)).map(|batches| Self { batches }))
    }

    /// Milliseconds at (prefix, new tokens of each sequence, sequences), for the nearest measured sequences and new
    /// tokens; none for more new tokens than were measured, whose cost no straight line follows.
    pub(super) fn ms(&self, [prefix, tokens, batch]: [u64; 3]) -> Option<f64> {
        let by_tokens = self.batches.nearest(batch);
        let most = *by_tokens.keys.last()?;
        (tokens <= most).then(|| by_tokens.nearest(tokens).at(prefix, |ms| *ms))
    }
}

/// The values at the coordinates of a grid over (prefix, new tokens, sequences), the last axis outermost.
fn by_batch(grid: &Grid, value: &impl Fn([u32; 3]) -> Option<f64>) -> Option<Sorted<Sorted<Sorted<f64>>>> {
    let [prefixes, tokens, batches] = grid.axes() else {
        return None;
    };
    let by_prefix = |tokens: u32, batch: u32| sorted(prefixes, |prefix| value([prefix, tokens, batch]));
    let by_tokens = |batch: u32| sorted(tokens, |tokens| by_prefix(tokens, batch));
    sorted(batches, by_tokens)
}

/// What there is at the coordinates of an axis.
fn sorted<T>(axis: &[u32], of: impl Fn(u32) -> Option<T>) -> Option<Sorted<T>> {
    let found = axis
        .iter()
        .filter_map(|coordinate| Some((u64::from(*coordinate), of(*coordinate)?)));
    Sorted::new(found.collect())
}

fn point(grid: &Grid, at: [u32; 3]) -> Option<f64> {
    let cell = grid
        .axes()
        .iter()
        .zip(at)
        .try_fold(0, |cell, (axis, coordinate)| {
            Some(cell * axis.len() + axis.binary_search(&coordinate).ok()?)
        })?;
    grid.latency(cell)
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::{TopK, TopKExcess, by_batch, point};
    use crate::tables::Grid;

    /// Over (prefix, new tokens, sequences); the selection of 64 tokens after 100 was not measured.
    fn grid(scale: f64) -> Grid {
        Grid::of(&[&[0, 100], &[1, 64], &[1, 8]], |at| {
            let [prefix, tokens, batch] = [at[0], at[1], at[2]].map(f64::from);
            (at[..2] != [100, 64]).then_some(scale * (prefix / 100.0 + tokens + 10.0 * batch))
        })
    }

    #[test]
    fn an_excess_is_interpolated_and_held_at_the_ends() {
        let (flat, real) = (grid(3.0), grid(1.0));
        let excess = |at| Some((point(&flat, at)? - point(&real, at)?).max(0.0));
        let batches = by_batch(&flat, &excess).unwrap();
        let excess = TopKExcess { batches };
        let close = |at, ms: f64| assert_relative_eq!(excess.ms(at), ms, max_relative = 1e-6);
        close([0, 1, 1], 22.0);
        close([50, 1, 1], 23.0);
        close([900, 1, 1], 24.0);
        close([0, 1, 4], 22.0 + 140.0 * 3.0 / 7.0);
        close([0, 900, 900], 2.0 * 144.0);
        // After 100 tokens only the selection of one was measured; of 64, what there is stands for all prefixes.
        close([100, 64, 8], 2.0 * 144.0);
    }

    #[test]
    fn a_selection_is_the_nearest_measured_one_and_never_beyond() {
        let real = grid(1.0);
        let top_k = TopK {
            batches: by_batch(&real, &|at| point(&real, at)).unwrap(),
        };
        let close = |at, ms: f64| assert_relative_eq!(top_k.ms(at).unwrap(), ms, max_relative = 1e-6);
        close([0, 1, 1], 11.0);
        close([50, 30, 4], 11.5);
        close([0, 40, 5], 144.0);
        close([0, 64, 900], 144.0);
        assert_eq!(top_k.ms([0, 65, 1]), None);
    }
}
