//! Multi-head latent attention (`DeepSeek` V3, Kimi K2): the attention kernels alone.

use dgdr_units::real;

use super::context_attention::ContextTokens;
use super::generation_attention::GenerationTokens;
use super::grid_slice::{Axes, GridSlice};
use super::miss::{Measured, OperatorMiss};
use super::roofline::{self, MlaContextWork, MlaGenerationWork};
use crate::graph::{ContextMlaShape, GenerationMlaShape};
use crate::{FmhaQuant, KvQuant, OperatorLatency, SystemSpec};

const CONTEXT_TABLE: &str = "context_mla";
const GENERATION_TABLE: &str = "generation_mla";

/// Cost of prefill attention for one shape.
#[derive(Debug, Clone)]
pub struct ContextMlaCost {
    shape: ContextMlaShape,
    latent: LatentPrefill,
    measured_on: String,
}

/// Cost of decode attention for one shape.
#[derive(Debug, Clone)]
pub struct GenerationMlaCost {
    system: &'static SystemSpec,
    shape: GenerationMlaShape,
    slice: GridSlice<3>,
    measured_on: String,
}

/// Measured prefills, extrapolated by the roofline of their attention.
#[derive(Debug, Clone)]
pub(super) struct LatentPrefill {
    pub(super) system: &'static SystemSpec,
    pub(super) slice: GridSlice<3>,
    pub(super) heads: u32,
    pub(super) kv: KvQuant,
    pub(super) fmha: FmhaQuant,
}

impl LatentPrefill {
    /// A prefix costs what the full sequence costs less the triangle that the prefix already paid.
    pub(super) fn latency(&self, tokens: ContextTokens) -> Option<OperatorLatency> {
        let full = tokens.new_tokens + tokens.prefix;
        let query = [u64::from(self.heads), full, tokens.batch];
        let whole = self.slice.latency(query, &|at| self.roofline(at))?;
        let (full, prefix) = (real(full), real(tokens.prefix));
        Some(whole.times((full * full - prefix * prefix) / (full * full)))
    }

    /// At (heads, full sequence, batch).
    fn roofline(&self, at: [u64; 3]) -> f64 {
        let [heads, sequence, batch] = at;
        roofline::mla_context(
            self.system,
            MlaContextWork {
                batch,
                sequence,
                heads,
                kv: self.kv,
                fmha: self.fmha,
            },
        )
    }
}

impl ContextMlaShape {
    fn wanted(&self) -> String {
        format!(
            "mla_dtype {}, kv_cache_dtype {}",
            self.fmha.name(),
            self.kv.name()
        )
    }
}

impl ContextMlaCost {
    pub(crate) fn resolve(measured: Measured<'_>, shape: ContextMlaShape) -> Result<Self, OperatorMiss> {
        let words = [shape.fmha.name(), shape.kv.name()];
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

    /// Latency of one layer.
    ///
    /// Where prompts are split, both pieces of a rank are priced as prefills after what comes before them.
    ///
    /// # Errors
    /// [`OperatorMiss::OutOfReach`] for no tokens or no requests.
    pub fn latency(&self, tokens: ContextTokens) -> Result<OperatorLatency, OperatorMiss> {
        let out_of_reach = || OperatorMiss::OutOfReach {
            operator: CONTEXT_TABLE,
            wanted: format!("{}, {tokens:?}", self.shape.wanted()),
            measured_on: self.measured_on.clone(),
        };
        if self.shape.context_parallel <= 1 {
            return self.latent.latency(tokens).ok_or_else(out_of_reach);
        }
        let [first, last] = tokens
            .pieces(self.shape.context_parallel)
            .map(|piece| self.latent.latency(piece));
        match (first, last) {
            (Some(first), Some(last)) => Ok(first.plus(last)),
            _ => Err(out_of_reach()),
        }
    }
}

impl GenerationMlaShape {
    fn wanted(self) -> String {
        format!("kv_cache_dtype {}", self.kv.name())
    }
}

impl GenerationMlaCost {
    pub(crate) fn resolve(measured: Measured<'_>, shape: GenerationMlaShape) -> Result<Self, OperatorMiss> {
        let missing = || measured.not_measured(GENERATION_TABLE, shape.wanted());
        let grid = measured
            .grid(GENERATION_TABLE, &[shape.kv.name()])?
            .ok_or_else(missing)?;
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
        roofline::mla_generation(
            self.system,
            MlaGenerationWork {
                batch,
                sequence,
                heads,
                kv: self.shape.kv,
            },
        )
    }
}
