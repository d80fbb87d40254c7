//! Attention over a window of recent tokens and over older ones that are compressed block by block (DeepSeek-V4), with
//! the projections around it.

mod split;
mod top_k;

use super::grid_slice::{Axes, Blend, GridSlice};
use super::miss::{Measured, OperatorMiss};
use super::nccl::NcclCost;
use super::roofline;
use super::{ContextTokens, GenerationTokens};
use crate::graph::{Compression, Dsv4Shape};
use crate::tables::Directory;
use crate::{Axis, OperatorLatency, SystemSpec};

use split::Split;
use top_k::{Selector, TopKExcess};

impl Compression {
    /// Tokens of an entry.
    pub const fn ratio(self) -> u32 {
        match self {
            Self::Sparse => 4,
            Self::Heavy => 128,
        }
    }

    pub(crate) const fn context_table(self) -> &'static str {
        match self {
            Self::Sparse => "dsv4_csa_context",
            Self::Heavy => "dsv4_hca_context",
        }
    }

    pub(crate) const fn generation_table(self) -> &'static str {
        match self {
            Self::Sparse => "dsv4_csa_generation",
            Self::Heavy => "dsv4_hca_generation",
        }
    }
}

impl Dsv4Shape {
    fn wanted(&self, table: &str) -> String {
        let fmha = if table == self.compression.context_table() {
            format!("fmha_dtype {}, ", self.fmha.name())
        } else {
            String::new()
        };
        format!(
            "{fmha}kv_cache_dtype {}, gemm_dtype {}, model_heads {}, heads {}",
            self.kv.name(),
            self.gemm.name(),
            self.all_heads,
            self.heads
        )
    }

    /// The slice of a table for the formats `dtypes`: of this model and number of heads, or of the nearest ones.
    fn find(&self, directory: &Directory, dtypes: &[&str]) -> Option<usize> {
        let dtypes: Vec<u32> = dtypes
            .iter()
            .map(|name| directory.word(name))
            .collect::<Option<_>>()?;
        let keys = || {
            (0..directory.slices())
                .map(|slice| (slice, directory.key(slice)))
                .filter(|(_, key)| key.starts_with(&dtypes))
                .map(|(slice, key)| (slice, key[dtypes.len()], key[dtypes.len() + 1]))
        };
        let model_heads = nearest(keys().map(|(_, model_heads, _)| model_heads), self.all_heads)?;
        let of_model = || keys().filter(|(_, of, _)| *of == model_heads);
        let heads = nearest(of_model().map(|(.., heads)| heads), self.heads)?;
        of_model().find(|(.., of)| *of == heads).map(|(slice, ..)| slice)
    }
}

/// The largest of ascending `keys` that is not above `wanted`, or the smallest.
fn nearest(keys: impl Iterator<Item = u32>, wanted: u32) -> Option<u32> {
    let (mut below, mut smallest) = (None, None);
    for key in keys {
        smallest = Some(smallest.map_or(key, |least: u32| least.min(key)));
        if key <= wanted {
            below = below.max(Some(key));
        }
    }
    below.or(smallest)
}

const CONTEXT: Axes<3> = Axes {
    names: [Axis::Prefix, Axis::Sequence, Axis::Batch],
    blends: [Blend::Linear; 3],
};

const GENERATION: Axes<2> = Axes {
    names: [Axis::Batch, Axis::Sequence],
    blends: [Blend::Linear; 2],
};

/// Cost of prefill attention over compressed entries.
#[derive(Debug, Clone)]
pub struct ContextDsv4Cost {
    system: &'static SystemSpec,
    shape: Dsv4Shape,
    slice: GridSlice<3>,
    excess: Option<TopKExcess>,
    /// Where its prompts are split.
    split: Option<Box<Split>>,
    measured_on: String,
}

impl ContextDsv4Cost {
    /// `gather` is the all-gather between the ranks that a prompt is split over; none where it is not.
    pub(crate) fn resolve(
        measured: Measured<'_>,
        shape: Dsv4Shape,
        gather: Option<NcclCost>,
    ) -> Result<Self, OperatorMiss> {
        let table = shape.compression.context_table();
        let dtypes = [shape.fmha.name(), shape.kv.name(), shape.gemm.name()];
        let missing = || measured.not_measured(table, shape.wanted(table));
        let directory = measured.directory(table)?;
        let slice = shape.find(directory, &dtypes).ok_or_else(missing)?;
        let grid = measured.file.grid(directory, slice)?;
        Ok(Self {
            system: measured.system,
            shape,
            slice: GridSlice::whole(grid, CONTEXT).ok_or_else(missing)?,
            split: gather
                .map(|gather| Split::of(measured, &shape, gather).map(Box::new))
                .transpose()?,
            excess: TopKExcess::of(measured, &shape, Selector::Context)?,
            measured_on: measured.label(),
        })
    }

    /// Latency of one layer.
    ///
    /// # Errors
    /// [`OperatorMiss::OutOfReach`] for no tokens or no requests, and for split prompts that are longer than the
    /// measurements of the index.
    pub fn latency(&self, tokens: ContextTokens) -> Result<OperatorLatency, OperatorMiss> {
        let ContextTokens {
            batch,
            new_tokens,
            prefix,
        } = tokens;
        let at = [prefix, new_tokens, batch];
        let found = match &self.split {
            None => self.whole(at),
            Some(split) => self
                .whole([prefix, split.share(new_tokens), batch])
                .and_then(|share| split.added_to(share, &self.shape, at)),
        };
        found.ok_or_else(|| OperatorMiss::OutOfReach {
            operator: self.shape.compression.context_table(),
            wanted: format!("{tokens:?}"),
            measured_on: self.measured_on.clone(),
        })
    }

    /// Of prompts that are not split.
    fn whole(&self, at: [u64; 3]) -> Option<OperatorLatency> {
        let roofline = |at| roofline::context_dsv4(self.system, &self.shape, at);
        let found = self.slice.latency(at, &roofline)?;
        Some(without(found, self.excess.as_ref(), at))
    }
}

/// Cost of decode attention over compressed entries.
#[derive(Debug, Clone)]
pub struct GenerationDsv4Cost {
    system: &'static SystemSpec,
    shape: Dsv4Shape,
    slice: GridSlice<2>,
    excess: Option<TopKExcess>,
    measured_on: String,
}

impl GenerationDsv4Cost {
    pub(crate) fn resolve(measured: Measured<'_>, shape: Dsv4Shape) -> Result<Self, OperatorMiss> {
        let table = shape.compression.generation_table();
        let missing = || measured.not_measured(table, shape.wanted(table));
        let directory = measured.directory(table)?;
        let slice = shape
            .find(directory, &[shape.kv.name(), shape.gemm.name()])
            .ok_or_else(missing)?;
        let grid = measured.file.grid(directory, slice)?;
        Ok(Self {
            system: measured.system,
            shape,
            slice: GridSlice::whole(grid, GENERATION).ok_or_else(missing)?,
            excess: TopKExcess::of(measured, &shape, Selector::Generation)?,
            measured_on: measured.label(),
        })
    }

    /// Latency of one layer.
    ///
    /// # Errors
    /// [`OperatorMiss::OutOfReach`] for no requests.
    pub fn latency(&self, tokens: GenerationTokens) -> Result<OperatorLatency, OperatorMiss> {
        let GenerationTokens { batch, sequence } = tokens;
        let roofline = |at| roofline::generation_dsv4(self.system, &self.shape, at);
        let found =
            self.slice
                .latency([batch, sequence], &roofline)
                .ok_or_else(|| OperatorMiss::OutOfReach {
                    operator: self.shape.compression.generation_table(),
                    wanted: format!("{tokens:?}"),
                    measured_on: self.measured_on.clone(),
                })?;
        let at = [sequence.saturating_sub(1), 1, batch];
        Ok(without(found, self.excess.as_ref(), at))
    }
}

/// A measured latency less what measuring it added at (prefix, new tokens of each sequence, sequences).
fn without(found: OperatorLatency, excess: Option<&TopKExcess>, at: [u64; 3]) -> OperatorLatency {
    let excess = excess.map_or(0.0, |excess| excess.ms(at));
    OperatorLatency {
        ms: (found.ms - excess).max(0.0),
        ..found
    }
}
