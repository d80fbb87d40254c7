//! Multi-head latent attention with the projections around it, measured as one block.

use super::context_attention::ContextTokens;
use super::generation_attention::GenerationTokens;
use super::grid_slice::{Axes, GridSlice};
use super::miss::{Measured, OperatorMiss};
use super::mla::LatentPrefill;
use super::roofline::{self, MlaGenerationWork};
use crate::graph::{ContextMlaModuleShape, GenerationMlaModuleShape};
use crate::{OperatorLatency, SystemSpec};

const CONTEXT_TABLE: &str = "mla_context_module";
const GENERATION_TABLE: &str = "mla_generation_module";

/// Cost of a prefill of the block for one shape.
#[derive(Debug, Clone)]
pub struct ContextMlaModuleCost {
    shape: ContextMlaModuleShape,
    latent: LatentPrefill,
    measured_on: String,
}

/// Cost of a decode step of the block for one shape.
#[derive(Debug, Clone)]
pub struct GenerationMlaModuleCost {
    system: &'static SystemSpec,
    shape: GenerationMlaModuleShape,
    slice: GridSlice<3>,
    measured_on: String,
}

impl ContextMlaModuleShape {
    fn wanted(self) -> String {
        format!(
            "mla_dtype {}, kv_cache_dtype {}, gemm_dtype {}",
            self.fmha.name(),
            self.kv.name(),
            self.gemm.name()
        )
    }
}

impl ContextMlaModuleCost {
    pub(crate) fn resolve(
        measured: Measured<'_>,
        shape: ContextMlaModuleShape,
    ) -> Result<Self, OperatorMiss> {
        let words = [shape.fmha.name(), shape.kv.name(), shape.gemm.name()];
        let missing = || measured.not_measured(CONTEXT_TABLE, shape.wanted());
        let grid = measured.grid(CONTEXT_TABLE, &words)?.ok_or_else(missing)?;
        let slice = GridSlice::new(grid, u64::from(shape.heads), Axes::CONTEXT).ok_or_else(missing)?;
        Ok(Self {
            shape,
            latent: LatentPrefill {
                system: measured.system,
                slice,
                heads: shape.heads,
                kv: shape.kv,
                fmha: shape.fmha,
            },
            measured_on: measured.label(),
        })
    }

    /// Latency of one layer; a prefix is taken off the whole block as it is off the attention.
    ///
    /// # Errors
    /// [`OperatorMiss::OutOfReach`] for no tokens or no requests.
    pub fn latency(&self, tokens: ContextTokens) -> Result<OperatorLatency, OperatorMiss> {
        self.latent
            .latency(tokens)
            .ok_or_else(|| OperatorMiss::OutOfReach {
                operator: CONTEXT_TABLE,
                wanted: format!("{}, {tokens:?}", self.shape.wanted()),
                measured_on: self.measured_on.clone(),
            })
    }
}

impl GenerationMlaModuleShape {
    fn wanted(self) -> String {
        format!(
            "kv_cache_dtype {}, gemm_dtype {}",
            self.kv.name(),
            self.gemm.name()
        )
    }
}

impl GenerationMlaModuleCost {
    pub(crate) fn resolve(
        measured: Measured<'_>,
        shape: GenerationMlaModuleShape,
    ) -> Result<Self, OperatorMiss> {
        let words = [shape.kv.name(), shape.gemm.name()];
        let missing = || measured.not_measured(GENERATION_TABLE, shape.wanted());
        let grid = measured.grid(GENERATION_TABLE, &words)?.ok_or_else(missing)?;
        let slice = GridSlice::new(grid, u64::from(shape.heads), Axes::GENERATION).ok_or_else(missing)?;
        Ok(Self {
            system: measured.system,
            shape,
            slice,
            measured_on: measured.label(),
        })
    }

    /// Latency of one layer.
    ///
    /// # Errors
    /// [`OperatorMiss::OutOfReach`] for no requests.
    pub fn latency(&self, tokens: GenerationTokens) -> Result<OperatorLatency, OperatorMiss> {
        let query = [u64::from(self.shape.heads), tokens.batch, tokens.sequence];
        self.slice
            .latency(query, &|at| self.roofline(at))
            .ok_or_else(|| OperatorMiss::OutOfReach {
                operator: GENERATION_TABLE,
                wanted: format!("{}, {tokens:?}", self.shape.wanted()),
                measured_on: self.measured_on.clone(),
            })
    }

    /// At (heads, batch, sequence).
    fn roofline(&self, at: [u64; 3]) -> f64 {
        let [heads, batch, sequence] = at;
        let work = MlaGenerationWork {
            batch,
            sequence,
            heads,
            kv: self.shape.kv,
        };
        roofline::mla_generation_module(self.system, work, self.shape.gemm)
    }
}
