use std::sync::Arc;

use approx::assert_relative_eq;

use super::{Index, measured_tokens, nearest};
use crate::operators::ContextTokens;
use crate::tables::Grid;

const PREFIXES: &[u32] = &[0, 1000, 4000];
const SEQUENCES: &[u32] = &[16, 1024, 4096];
const BATCHES: &[u32] = &[1, 4];

/// Scores cost what their pairs cost; four long prompts at once were not measured.
fn scores(at: &[u32]) -> Option<f64> {
    let [prefix, tokens, batch] = [at[0], at[1], at[2]].map(f64::from);
    (at[1] * at[2] <= 4096).then_some(batch * tokens * (prefix + tokens) / 1000.0)
}

/// A choice costs as much as there are tokens beyond 2048, and nothing up to there.
fn choice(factor: f64) -> impl Fn(&[u32]) -> Option<f64> {
    move |at| {
        let full = f64::from(at[0]) + f64::from(at[1]);
        (full > 2048.0).then_some(factor * full)
    }
}

fn index() -> Index {
    let axes: [&[u32]; 3] = [PREFIXES, SEQUENCES, BATCHES];
    let grid = |value: &dyn Fn(&[u32]) -> Option<f64>| Arc::new(Grid::of(&axes, value));
    let scores = grid(&scores);
    Index {
        measured: measured_tokens(&scores).unwrap(),
        scores,
        of_last: grid(&choice(1.0)),
        of_flat: grid(&choice(2.0)),
    }
}

fn replaced(prefix: u64, new_tokens: u64, batch: u64) -> Option<f64> {
    let tokens = ContextTokens {
        batch,
        new_tokens,
        prefix,
    };
    index().replaced(tokens, 4)
}

#[test]
fn a_share_is_replaced_by_a_share_of_all() {
    let expected = (4096.0 * 4096.0 / 4.0 - 1024.0 * 1024.0) / 1000.0 + 4096.0 / 4.0;
    assert_relative_eq!(replaced(0, 4096, 1).unwrap(), expected, max_relative = 1e-6);
    // With 1000 cached, 1024 new tokens choose nothing either; with 2500, half as much as with 4000.
    let scores = (4096.0 * (2500.0 + 4096.0) / 4.0 - 1024.0 * (2500.0 + 1024.0)) / 1000.0;
    let choices = (2500.0 + 4096.0) / 4.0 - 2.0 * (4000.0 + 1024.0) / 2.0;
    assert_relative_eq!(
        replaced(2500, 4096, 1).unwrap(),
        scores + choices,
        max_relative = 1e-6
    );
}

#[test]
fn a_longer_prefix_costs_what_the_longest_measured_one_costs() {
    assert_eq!(replaced(4000, 4096, 1), replaced(400_000, 4096, 1));
}

#[test]
fn the_nearest_measured_prompts_stand_for_others_but_not_for_longer_ones() {
    assert_eq!(replaced(0, 3000, 1), replaced(0, 4096, 1));
    assert_eq!(replaced(0, 1024, 3), replaced(0, 1024, 4));
    assert_eq!(replaced(0, 4097, 1), None);
    assert_eq!(replaced(0, 4096, 4), None, "not measured with four");
    assert_eq!(nearest([2, 4].into_iter(), 3), Some(0), "the smaller of two");
}
