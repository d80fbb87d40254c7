use approx::assert_relative_eq;
use dgdr_units::real;
use proptest::prelude::*;

use super::{EPSILON, hold, octaves};
use crate::tables::Grid;
use crate::{Axis, Source};

const AXES: [Axis; 3] = [Axis::Heads, Axis::Sequence, Axis::Batch];
const HEADS: &[u32] = &[1, 2, 4, 8];
const SEQUENCES: &[u32] = &[1, 16, 128, 1024];
const BATCHES: &[u32] = &[1, 4, 64];

fn roofline(at: [u64; 3]) -> f64 {
    real(at[0]) * real(at[1]) * real(at[2])
}

fn ragged(at: &[u32]) -> Option<f64> {
    let [heads, sequence, batch] = [at[0], at[1], at[2]].map(u64::from);
    let ms = 2.0 * roofline([heads, sequence, batch]) + real(heads) + 5.0;
    (sequence * batch <= 4096).then_some(ms)
}

/// The definition, word for word: all leaves sorted by distance, the first four kept, the fifth as radius.
fn by_definition(grid: &Grid, query: [u64; 3]) -> f64 {
    let mut leaves = Vec::new();
    for (cell, at) in HEADS
        .iter()
        .flat_map(|a| {
            SEQUENCES
                .iter()
                .flat_map(move |b| BATCHES.iter().map(move |c| [*a, *b, *c].map(u64::from)))
        })
        .enumerate()
    {
        let Some(ms) = grid.latency(cell) else { continue };
        let squared: f64 = at
            .iter()
            .zip(query)
            .map(|(x, q)| (octaves(*x) - octaves(q)).powi(2))
            .sum();
        leaves.push((squared.sqrt(), roofline(at) / ms));
    }
    leaves.sort_by(|a, b| a.0.total_cmp(&b.0));
    let radius = leaves[4].0;
    let weight = |d: f64| ((radius - d).max(0.0) / (radius * d + EPSILON)).powi(2);
    let total: f64 = leaves[..4].iter().map(|leaf| weight(leaf.0)).sum();
    let utilisation = if total > 0.0 {
        leaves[..4]
            .iter()
            .map(|leaf| weight(leaf.0) * leaf.1)
            .sum::<f64>()
            / total
    } else {
        leaves[..4].iter().map(|leaf| leaf.1).sum::<f64>() / 4.0
    };
    roofline(query) / utilisation
}

#[test]
fn a_lone_point_passes_on_its_utilisation() {
    let grid = Grid::of(&[&[2], &[16], &[4]], |_| Some(256.0));
    let held = hold(&grid, AXES, [4, 64, 4], &roofline).unwrap();
    assert_eq!(
        held.source,
        Source::extrapolated(Axis::Sequence, 16, 64),
        "the farthest axis"
    );
    assert_relative_eq!(held.ms, 8.0 * 256.0, max_relative = 1e-6);
    assert_eq!(hold(&grid, AXES, [4, 64, 4], &|_| 0.0), None);
}

proptest! {
    #[test]
    fn the_pruned_walk_finds_what_the_definition_finds(
        heads in 1_u64..64, sequence in 1_u64..100_000, batch in 1_u64..2_000,
    ) {
        let grid = Grid::of(&[HEADS, SEQUENCES, BATCHES], ragged);
        let found = hold(&grid, AXES, [heads, sequence, batch], &roofline).unwrap().ms;
        let expected = by_definition(&grid, [heads, sequence, batch]);
        prop_assert!((found / expected - 1.0).abs() < 1e-9, "{found} against {expected}");
    }
}
