//! Attention blocks of `DeepSeek` sparse attention (DSA): `DeepSeek` V3.2 and GLM 5.

mod split;

use std::sync::Arc;

use super::context_attention::ContextTokens;
use super::generation_attention::GenerationTokens;
use super::grid_slice::{Axes, Blend, GridSlice};
use super::miss::{Measured, OperatorMiss};
use super::nccl::NcclCost;
use super::roofline::{self, DsaDimensions, DsaWork};
use crate::graph::{DsaArchitecture, DsaShape, IndexerLayers};
use crate::tables::Grid;
use crate::{Axis, OperatorLatency, SystemSpec};
use split::{Additions, Split};

/// Measured kernels in the order in which they are tried.
const KERNELS: [&str; 2] = ["trtllm", "flashmla_kv"];

impl Axes<4> {
    /// Prefill with what was cached before it as an axis of its own.
    const AFTER_PREFIX: Self = Self {
        names: [Axis::Heads, Axis::Prefix, Axis::Sequence, Axis::Batch],
        blends: [Blend::Linear; 4],
    };
}

/// Cost of a prefill of the block, the mean over all layers.
#[derive(Debug, Clone)]
pub struct DsaContextCost {
    block: Block<4>,
    /// Where its prompts are split.
    split: Option<Box<Split>>,
}

/// Cost of a decode step of the block, the mean over all layers.
#[derive(Debug, Clone)]
pub struct DsaGenerationCost {
    block: Block<3>,
}

/// The layers with an indexer and those without, measured.
#[derive(Debug, Clone)]
struct Block<const N: usize> {
    system: &'static SystemSpec,
    shape: DsaShape,
    table: &'static str,
    choosing: Option<GridSlice<N>>,
    following: Option<GridSlice<N>>,
    measured_on: String,
}

/// Tables of layers that choose, and of layers that follow, each in the order in which they are tried.
#[derive(Debug, Clone, Copy)]
struct Tables<const N: usize> {
    choosing: &'static [&'static str],
    following: &'static [&'static str],
    axes: Axes<N>,
}

const CONTEXT: Tables<4> = Tables {
    choosing: &["dsa_context_module"],
    following: &["dsa_context_module_skip_indexer"],
    axes: Axes::AFTER_PREFIX,
};

/// AIConfigurator prices a rank's share of a split prompt in the configuration without `trtllm` kernels; kept, to
/// predict as it does, although on Blackwell with an fp8 cache only its dense kernel for short prompts was measured.
const SPLIT_CONTEXT: Tables<4> = Tables {
    choosing: &["dsa_context_module_dense", "dsa_context_module"],
    following: &[
        "dsa_context_module_dense_skip_indexer",
        "dsa_context_module_skip_indexer",
    ],
    ..CONTEXT
};

const GENERATION: Tables<3> = Tables {
    choosing: &["dsa_generation_module"],
    following: &["dsa_generation_module_skip_indexer"],
    axes: Axes::GENERATION,
};

impl DsaArchitecture {
    /// The name in model configurations and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DeepseekV32 => "DeepseekV32ForCausalLM",
            Self::GlmMoeDsa => "GlmMoeDsaForCausalLM",
        }
    }

    /// Sizes of the model.
    pub const fn dimensions(self) -> DsaDimensions {
        match self {
            Self::DeepseekV32 => DsaDimensions {
                hidden: 7168.0,
                query_latent: 1536.0,
                query_head: 128.0,
                value_head: 128.0,
                index_heads: 64.0,
            },
            Self::GlmMoeDsa => DsaDimensions {
                hidden: 6144.0,
                query_latent: 2048.0,
                query_head: 192.0,
                value_head: 256.0,
                index_heads: 32.0,
            },
        }
    }
}

impl IndexerLayers {
    fn share(self) -> f64 {
        f64::from(self.choosing) / f64::from(self.all)
    }
}

impl DsaShape {
    fn wanted(&self) -> String {
        format!(
            "architecture {}, mla_dtype {}, kv_cache_dtype {}, gemm_dtype {}",
            self.architecture.name(),
            self.fmha.name(),
            self.kv.name(),
            self.gemm.name()
        )
    }
}

impl<const N: usize> Tables<N> {
    /// How errors name them.
    fn name(&self) -> &'static str {
        self.choosing.last().copied().unwrap_or_default()
    }
}

impl<const N: usize> Block<N> {
    fn resolve(measured: Measured<'_>, shape: DsaShape, tables: Tables<N>) -> Result<Self, OperatorMiss> {
        let slice = |candidates: &[&'static str]| {
            let grid = first_slice(measured, candidates, shape)?;
            GridSlice::new(grid, u64::from(shape.heads), tables.axes)
                .ok_or_else(|| measured.not_measured(tables.name(), shape.wanted()))
        };
        let follows = shape.indexer.choosing < shape.indexer.all
            && match tables.following.last() {
                Some(table) => measured.file.directory(table)?.is_some(),
                None => false,
            };
        let chooses = shape.indexer.choosing > 0 || !follows;
        Ok(Self {
            system: measured.system,
            shape,
            table: tables.name(),
            choosing: chooses.then(|| slice(tables.choosing)).transpose()?,
            following: follows.then(|| slice(tables.following)).transpose()?,
            measured_on: measured.label(),
        })
    }

    /// The mean over the layers; `roofline` is that of a layer that chooses or does not.
    fn latency(
        &self,
        query: [u64; N],
        additions: Additions,
        roofline: &impl Fn([u64; N], bool) -> f64,
    ) -> Result<OperatorLatency, OperatorMiss> {
        let of = |slice: &Option<GridSlice<N>>, indexer: bool| match slice {
            Some(slice) => slice
                .latency(query, &|at| roofline(at, indexer))
                .map(|found| found.plus(additions.all))
                .ok_or_else(|| self.out_of_reach(query))
                .map(Some),
            None => Ok(None),
        };
        let choosing = of(&self.choosing, true)?.map(|found| found.plus(additions.choosing));
        let following = of(&self.following, false)?;
        let share = self.shape.indexer.share();
        Ok(match (choosing, following) {
            (Some(choosing), Some(following)) => choosing.times(share).plus(following.times(1.0 - share)),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => OperatorLatency::ZERO,
        })
    }

    fn out_of_reach(&self, query: impl std::fmt::Debug) -> OperatorMiss {
        OperatorMiss::OutOfReach {
            operator: self.table,
            wanted: format!("{}, {query:?}", self.shape.wanted()),
            measured_on: self.measured_on.clone(),
        }
    }
}

/// The slice of the first of `tables`, and of the first kernel in it, that was measured for a shape.
fn first_slice(
    measured: Measured<'_>,
    tables: &[&'static str],
    shape: DsaShape,
) -> Result<Arc<Grid>, OperatorMiss> {
    for table in tables {
        if measured.file.directory(table)?.is_none() {
            continue;
        }
        for kernel in KERNELS {
            let words = [
                shape.architecture.name(),
                shape.fmha.name(),
                shape.kv.name(),
                shape.gemm.name(),
                kernel,
            ];
            if let Some(grid) = measured.grid(table, &words)? {
                return Ok(grid);
            }
        }
    }
    let table = tables.last().copied().unwrap_or_default();
    Err(measured.not_measured(table, shape.wanted()))
}

impl DsaContextCost {
    /// `gather` is the all-gather between the ranks that a prompt is split over; none where it is not.
    pub(crate) fn resolve(
        measured: Measured<'_>,
        shape: DsaShape,
        gather: Option<NcclCost>,
    ) -> Result<Self, OperatorMiss> {
        let tables = if gather.is_some() { SPLIT_CONTEXT } else { CONTEXT };
        Ok(Self {
            block: Block::resolve(measured, shape, tables)?,
            split: gather
                .map(|gather| Split::resolve(measured, shape, gather).map(Box::new))
                .transpose()?,
        })
    }

    /// Latency of one layer.
    ///
    /// # Errors
    /// [`OperatorMiss::OutOfReach`] for no tokens or no requests, and for split prompts that are longer than the
    /// measurements of the indexer.
    pub fn latency(&self, tokens: ContextTokens) -> Result<OperatorLatency, OperatorMiss> {
        let (additions, tokens) = match &self.split {
            None => (Additions::NONE, tokens),
            Some(split) => {
                let additions = split
                    .additions(tokens)
                    .ok_or_else(|| self.block.out_of_reach(tokens))?;
                let share = ContextTokens {
                    new_tokens: split.share(tokens.new_tokens),
                    ..tokens
                };
                (additions, share)
            }
        };
        let work = DsaWork::context(&self.block.shape, tokens);
        let system = self.block.system;
        let query = [work.heads, tokens.prefix, tokens.new_tokens, tokens.batch];
        self.block
            .latency(query, additions, &|[heads, prefix, sequence, batch], indexer| {
                roofline::dsa_context(
                    system,
                    DsaWork {
                        batch,
                        sequence,
                        prefix,
                        heads,
                        indexer,
                        ..work
                    },
                )
            })
    }
}

impl DsaGenerationCost {
    pub(crate) fn resolve(measured: Measured<'_>, shape: DsaShape) -> Result<Self, OperatorMiss> {
        Ok(Self {
            block: Block::resolve(measured, shape, GENERATION)?,
        })
    }

    /// Latency of one layer.
    ///
    /// # Errors
    /// [`OperatorMiss::OutOfReach`] for no requests.
    pub fn latency(&self, tokens: GenerationTokens) -> Result<OperatorLatency, OperatorMiss> {
        let work = DsaWork::generation(&self.block.shape, tokens);
        let system = self.block.system;
        let query = [work.heads, tokens.batch, tokens.sequence];
        // AIConfigurator extrapolates decode as if every layer had an indexer; kept, to predict as it does.
        self.block
            .latency(query, Additions::NONE, &|[heads, batch, sequence], _| {
                roofline::dsa_generation(
                    system,
                    DsaWork {
                        batch,
                        sequence,
                        heads,
                        ..work
                    },
                )
            })
    }
}
