//! A prompt whose tokens are split over several ranks.
//!
//! Each rank computes its share of the tokens and sees all entries. What an index does for a share of the tokens is not
//! a share of what it does for all of them, because later tokens see more; so its measured cost for a share is replaced
//! by a share of its cost for all.

use dgdr_units::real;

use super::super::grid_slice::GridSlice;
use super::super::miss::{Measured, OperatorMiss};
use super::super::nccl::NcclCost;
use super::CONTEXT;
use super::top_k::TopK;
use crate::graph::{Compression, Dsv4Shape};
use crate::{OperatorLatency, Source};

const LOGITS_TABLE: &str = "dsv4_index_logits";

/// Engines compute longer prompts in pieces of this many tokens, which is as far as the index was measured.
const PIECE: u64 = 8192;

/// What splitting a prompt adds to a rank's share of it.
#[derive(Debug, Clone)]
pub(super) struct Split {
    ranks: u64,
    gather: NcclCost,
    /// Of a layer that selects.
    index: Option<Index>,
}

/// The index of a layer that selects entries.
#[derive(Debug, Clone)]
struct Index {
    logits: GridSlice<3>,
    top_k: TopK,
}

impl Split {
    pub(super) fn of(
        measured: Measured<'_>,
        shape: &Dsv4Shape,
        gather: NcclCost,
    ) -> Result<Self, OperatorMiss> {
        let index = match shape.compression {
            Compression::Sparse => Some(Index::of(measured, shape)?),
            Compression::Heavy => None,
        };
        Ok(Self {
            ranks: u64::from(shape.context_parallel),
            gather,
            index,
        })
    }

    /// New tokens of each sequence on the busiest rank.
    pub(super) fn share(&self, tokens: u64) -> u64 {
        tokens.div_ceil(self.ranks).max(1)
    }

    /// The latency of a rank's `share` with what splitting adds, at (prefix, new tokens of each sequence, sequences).
    /// None where the index was not measured that far.
    pub(super) fn added_to(
        &self,
        share: OperatorLatency,
        shape: &Dsv4Shape,
        at: [u64; 3],
    ) -> Option<OperatorLatency> {
        let [prefix, tokens, batch] = at;
        let mut ms = share.ms;
        let mut source = share.source.worse(Source::Interpolated);
        let head_dim = u64::from(shape.head_dim);
        // Keys that each rank computed and all need: of the index, or of the window.
        let keys = match &self.index {
            Some(index) => {
                let all = index.latency(at)?;
                let part = index.latency([prefix, self.share(tokens), batch])?;
                ms += all.ms / real(self.ranks) - part.ms;
                source = source.worse(all.source).worse(part.source);
                tokens * u64::from(shape.index_dim)
            }
            None if shape.window > 0 => tokens.min(u64::from(shape.window)) * head_dim,
            None => tokens * head_dim,
        };
        let entries = tokens / u64::from(shape.compression.ratio()) * head_dim;
        for elements in [keys, entries] {
            let gathered = self.gather.latency(batch * elements).ok()?;
            ms += gathered.ms;
            source = source.worse(gathered.source);
        }
        Some(OperatorLatency { ms, source })
    }
}

impl Index {
    fn of(measured: Measured<'_>, shape: &Dsv4Shape) -> Result<Self, OperatorMiss> {
        let missing = |table| measured.not_measured(table, format!("model_heads {}", shape.all_heads));
        let directory = measured.directory(LOGITS_TABLE)?;
        let slice = directory
            .find(&[shape.all_heads])
            .ok_or_else(|| missing(LOGITS_TABLE))?;
        let grid = measured.file.grid(directory, slice)?;
        Ok(Self {
            logits: GridSlice::whole(grid, CONTEXT).ok_or_else(|| missing(LOGITS_TABLE))?,
            top_k: TopK::of(measured, shape)?.ok_or_else(|| missing("dsv4_top_k"))?,
        })
    }

    /// Scores of all pairs, piece by piece, and the selection by them.
    fn latency(&self, at: [u64; 3]) -> Option<OperatorLatency> {
        let [prefix, tokens, batch] = at;
        let mut total = OperatorLatency {
            ms: self.top_k.ms(at)?,
            source: Source::Measured,
        };
        let mut start = 0;
        while start < tokens {
            let piece = [prefix + start, PIECE.min(tokens - start), batch];
            let found = self.logits.latency(piece, &pairs)?;
            total.ms += found.ms;
            total.source = total.source.worse(found.source);
            start += PIECE;
        }
        Some(total)
    }
}

/// Pairs of a new token and one before it, which scoring is proportional to.
fn pairs([prefix, tokens, batch]: [u64; 3]) -> f64 {
    real(batch) * real(tokens) * (real(prefix) + real(tokens) / 2.0)
}
