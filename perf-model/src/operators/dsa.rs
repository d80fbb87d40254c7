//! Attention blocks of `DeepSeek` sparse attention (DSA): `DeepSeek` V3.2 and GLM 5.

use std::sync::Arc;

use super::context_attention::ContextTokens;
use super::generation_attention::GenerationTokens;
use super::grid_slice::{Axes, Blend, GridSlice};
use super::miss::{Measured, OperatorMiss};
use super::roofline::{self, DsaDimensions, DsaWork};
use crate::graph::{DsaArchitecture, DsaShape, IndexerLayers};
use crate::tables::Grid;
use crate::{Axis, OperatorLatency, SystemSpec};

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

/// A pair of tables: of layers that choose, and of layers that follow.
#[derive(Debug, Clone, Copy)]
struct Tables<const N: usize> {
    choosing: &'static str,
    following: &'static str,
    axes: Axes<N>,
}

const CONTEXT: Tables<4> = Tables {
    choosing: "dsa_context_module",
    following: "dsa_context_module_skip_indexer",
    axes: Axes::AFTER_PREFIX,
};

const GENERATION: Tables<3> = Tables {
    choosing: "dsa_generation_module",
    following: "dsa_generation_module_skip_indexer",
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

impl<const N: usize> Block<N> {
    fn resolve(measured: Measured<'_>, shape: DsaShape, tables: Tables<N>) -> Result<Self, OperatorMiss> {
        let slice = |table: &'static str| {
            let missing = || measured.not_measured(table, shape.wanted());
            let grid = first_kernel(measured, table, shape)?.ok_or_else(missing)?;
            GridSlice::new(grid, u64::from(shape.heads), tables.axes).ok_or_else(missing)
        };
        let follows = shape.indexer.choosing < shape.indexer.all
            && measured.file.directory(tables.following)?.is_some();
        let chooses = shape.indexer.choosing > 0 || !follows;
        Ok(Self {
            system: measured.system,
            shape,
            table: tables.choosing,
            choosing: chooses.then(|| slice(tables.choosing)).transpose()?,
            following: follows.then(|| slice(tables.following)).transpose()?,
            measured_on: measured.label(),
        })
    }

    /// The mean over the layers; `roofline` is that of a layer that chooses or does not.
    fn latency(
        &self,
        query: [u64; N],
        roofline: &impl Fn([u64; N], bool) -> f64,
    ) -> Result<OperatorLatency, OperatorMiss> {
        let of = |slice: &GridSlice<N>, indexer: bool| {
            slice
                .latency(query, &|at| roofline(at, indexer))
                .ok_or_else(|| OperatorMiss::OutOfReach {
                    operator: self.table,
                    wanted: format!("{}, {query:?}", self.shape.wanted()),
                    measured_on: self.measured_on.clone(),
                })
        };
        let share = self.shape.indexer.share();
        match (&self.choosing, &self.following) {
            (Some(choosing), None) => of(choosing, true),
            (None, Some(following)) => of(following, false),
            (Some(choosing), Some(following)) => Ok(of(choosing, true)?
                .times(share)
                .plus(of(following, false)?.times(1.0 - share))),
            (None, None) => Ok(OperatorLatency::ZERO),
        }
    }
}

fn first_kernel(
    measured: Measured<'_>,
    table: &'static str,
    shape: DsaShape,
) -> Result<Option<Arc<Grid>>, OperatorMiss> {
    for kernel in KERNELS {
        let words = [
            shape.architecture.name(),
            shape.fmha.name(),
            shape.kv.name(),
            shape.gemm.name(),
            kernel,
        ];
        if let Some(grid) = measured.grid(table, &words)? {
            return Ok(Some(grid));
        }
    }
    Ok(None)
}

impl DsaContextCost {
    pub(crate) fn resolve(measured: Measured<'_>, shape: DsaShape) -> Result<Self, OperatorMiss> {
        Ok(Self {
            block: Block::resolve(measured, shape, CONTEXT)?,
        })
    }

    /// Latency of one layer.
    ///
    /// # Errors
    /// [`OperatorMiss::OutOfReach`] for no tokens or no requests.
    pub fn latency(&self, tokens: ContextTokens) -> Result<OperatorLatency, OperatorMiss> {
        let work = DsaWork::context(&self.block.shape, tokens);
        let system = self.block.system;
        let query = [work.heads, tokens.prefix, tokens.new_tokens, tokens.batch];
        self.block
            .latency(query, &|[heads, prefix, sequence, batch], indexer| {
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
        self.block.latency(query, &|[heads, batch, sequence], _| {
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
