//! A prompt whose tokens are split over several ranks.
//!
//! Each rank computes its share of the tokens and attends to all of them. What the indexer does for a share of the
//! tokens is not a share of what it does for all, because later tokens see more; so its measured cost for a share is
//! replaced by a share of its cost for all. Formulas: those of AIConfigurator 0.12.

use std::sync::Arc;

use dgdr_units::real;

use super::super::context_attention::ContextTokens;
use super::super::curve::{blend, fraction};
use super::super::miss::{Measured, OperatorMiss};
use super::super::nccl::NcclCost;
use crate::graph::{DsaArchitecture, DsaShape};
use crate::tables::Grid;
use crate::{OperatorLatency, Source};

/// Elements of a token's key in the index, which all ranks gather.
const INDEX_KEY: u64 = 128;

/// Elements of a token's latent and rotary part, which all ranks gather.
const LATENT_KEY: u64 = 512 + 64;

/// What splitting a prompt adds to a rank's share of it.
#[derive(Debug, Clone)]
pub(super) struct Split {
    ranks: u64,
    gather: NcclCost,
    index: Index,
}

/// The additions to one layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Additions {
    /// To every layer.
    pub(super) all: OperatorLatency,
    /// To a layer with an indexer, besides.
    pub(super) choosing: OperatorLatency,
}

/// Kernels of the indexer over (prefix, new tokens, requests).
#[derive(Debug, Clone)]
struct Index {
    /// Scores of all pairs.
    scores: Arc<Grid>,
    /// The choice by the scores that the last tokens have; absent where there is nothing to choose.
    of_last: Arc<Grid>,
    /// The choice by the scores that blocks were measured with; absent where there is nothing to choose.
    of_flat: Arc<Grid>,
    /// New tokens that were measured with each number of requests, ascending.
    measured: Box<[Box<[u64]>]>,
}

/// New tokens and requests at which the indexer was measured.
#[derive(Debug, Clone, Copy)]
struct Site {
    tokens: u32,
    batch: u32,
}

impl Additions {
    /// Prompts are whole.
    pub(super) const NONE: Self = Self {
        all: OperatorLatency::ZERO,
        choosing: OperatorLatency::ZERO,
    };
}

impl Split {
    pub(super) fn resolve(
        measured: Measured<'_>,
        shape: DsaShape,
        gather: NcclCost,
    ) -> Result<Self, OperatorMiss> {
        Ok(Self {
            ranks: u64::from(shape.context_parallel),
            gather,
            index: Index::resolve(measured, shape)?,
        })
    }

    /// New tokens of each request on the busiest rank.
    pub(super) fn share(&self, tokens: u64) -> u64 {
        tokens.div_ceil(self.ranks)
    }

    /// What a rank does besides its share. None for prompts longer than the measurements of the indexer.
    pub(super) fn additions(&self, tokens: ContextTokens) -> Option<Additions> {
        let gathered = |elements: u64| {
            self.gather
                .latency(tokens.batch * tokens.new_tokens * elements)
                .ok()
        };
        let replaced = OperatorLatency {
            ms: self.index.replaced(tokens, self.ranks)?,
            source: Source::Interpolated,
        };
        Some(Additions {
            all: gathered(LATENT_KEY)?,
            choosing: gathered(INDEX_KEY)?.plus(replaced),
        })
    }
}

impl Index {
    fn resolve(measured: Measured<'_>, shape: DsaShape) -> Result<Self, OperatorMiss> {
        let [scores, choice] = match shape.architecture {
            DsaArchitecture::GlmMoeDsa => ["glm5_mqa_logits", "glm5_topk"],
            DsaArchitecture::DeepseekV32 => ["dsv32_mqa_logits", "dsv32_topk"],
        };
        let missing = |table| measured.not_measured(table, format!("heads {}", shape.heads));
        let grid = |table: &'static str, mode: Option<&str>| {
            let directory = measured.directory(table)?;
            let word = mode.map(|mode| directory.word(mode).ok_or_else(|| missing(table)));
            let key: Vec<u32> = [Ok(shape.heads)]
                .into_iter()
                .chain(word)
                .collect::<Result<_, _>>()?;
            let slice = directory.find(&key).ok_or_else(|| missing(table))?;
            Ok::<_, OperatorMiss>(measured.file.grid(directory, slice)?)
        };
        let table = scores;
        let scores = grid(table, None)?;
        Ok(Self {
            measured: measured_tokens(&scores).ok_or_else(|| missing(table))?,
            scores,
            of_last: grid(choice, Some("top_last"))?,
            of_flat: grid(choice, Some("flat"))?,
        })
    }

    /// The site nearest to a prefill, the smaller one of two equally near; none for prompts longer than all of them.
    fn site(&self, tokens: u64, batch: u64) -> Option<Site> {
        let [_, sequences, batches] = self.scores.axes() else {
            return None;
        };
        let batches: &[u32] = batches;
        let position = nearest(batches.iter().map(|batch| u64::from(*batch)), batch)?;
        let measured = self.measured.get(position)?;
        if measured.last().is_none_or(|longest| tokens > *longest) {
            return None;
        }
        let near = measured[nearest(measured.iter().copied(), tokens)?];
        let tokens = sequences.iter().copied().find(|key| u64::from(*key) == near)?;
        Some(Site {
            tokens,
            batch: batches[position],
        })
    }

    /// Milliseconds that the indexer takes for a share of all tokens beyond those for the tokens of a rank.
    fn replaced(&self, tokens: ContextTokens, ranks: u64) -> Option<f64> {
        let ContextTokens {
            batch,
            new_tokens,
            prefix,
        } = tokens;
        let all = self.site(new_tokens, batch)?;
        let part = self.site(new_tokens.div_ceil(ranks), batch)?;
        let score = |at: [u32; 3]| of(&self.scores, at);
        let scores = self.at(prefix, all, &score)? / real(ranks) - self.at(prefix, part, &score)?;
        let last = self.at(prefix, all, &|at| of(&self.of_last, at))?;
        let flat = self.at(prefix, part, &|at| of(&self.of_flat, at))?;
        Some(scores + last / real(ranks) - flat)
    }

    /// `kernel` at a site: linear between the measured prefixes, that of the nearest one beyond them.
    fn at(&self, prefix: u64, site: Site, kernel: &impl Fn([u32; 3]) -> f64) -> Option<f64> {
        let prefixes: &[u32] = self.scores.axes().first()?;
        let at = |position: usize| [prefixes[position], site.tokens, site.batch];
        let is_measured =
            |position: &usize| cell(&self.scores, at(*position)).is_some_and(|cell| self.scores.has(cell));
        let split = prefixes.partition_point(|measured| u64::from(*measured) < prefix);
        let below = (0..split).rev().find(is_measured);
        let above = (split..prefixes.len()).find(is_measured);
        match (below, above) {
            (Some(low), Some(high)) => {
                let [from, to] = [low, high].map(|position| kernel(at(position)));
                let [start, end] = [low, high].map(|position| u64::from(prefixes[position]));
                Some(blend(from, to, fraction(start, prefix, end)))
            }
            (Some(only), None) | (None, Some(only)) => Some(kernel(at(only))),
            (None, None) => None,
        }
    }
}

/// Position of the key nearest to `wanted`, the first of two equally near.
fn nearest(keys: impl Iterator<Item = u64>, wanted: u64) -> Option<usize> {
    keys.enumerate()
        .min_by_key(|(_, key)| key.abs_diff(wanted))
        .map(|(position, _)| position)
}

/// For each number of requests of a grid over (prefix, new tokens, requests), the new tokens that were measured.
fn measured_tokens(grid: &Grid) -> Option<Box<[Box<[u64]>]>> {
    let [prefixes, sequences, batches] = grid.axes() else {
        return None;
    };
    let of_batch = |batch: &u32| {
        let has = |sequence: &&u32| {
            prefixes
                .iter()
                .any(|prefix| cell(grid, [*prefix, **sequence, *batch]).is_some_and(|cell| grid.has(cell)))
        };
        sequences
            .iter()
            .filter(has)
            .map(|sequence| u64::from(*sequence))
            .collect()
    };
    Some(batches.iter().map(of_batch).collect())
}

fn cell(grid: &Grid, at: [u32; 3]) -> Option<usize> {
    grid.axes()
        .iter()
        .zip(at)
        .try_fold(0, |cell, (axis, coordinate)| {
            Some(cell * axis.len() + axis.binary_search(&coordinate).ok()?)
        })
}

/// Milliseconds at a coordinate; nothing where there was nothing to measure.
fn of(grid: &Grid, at: [u32; 3]) -> f64 {
    cell(grid, at).and_then(|cell| grid.latency(cell)).unwrap_or(0.0)
}

#[cfg(test)]
mod tests;
