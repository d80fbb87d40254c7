//! Attention with grouped queries over the blocks of tokens that an index selects (MiniMax-M3), with the projections
//! around it.

use super::grid_slice::{Axes, Blend, GridSlice};
use super::miss::{Measured, OperatorMiss};
use super::roofline;
use super::{ContextTokens, GenerationTokens};
use crate::graph::MsaShape;
use crate::{Axis, OperatorLatency, SystemSpec};

const CONTEXT_TABLE: &str = "msa_context";
const GENERATION_TABLE: &str = "msa_generation";

const CONTEXT: Axes<4> = Axes {
    names: [Axis::Heads, Axis::Prefix, Axis::Sequence, Axis::Batch],
    blends: [Blend::Linear; 4],
};

/// A slice of a table for the formats `dtypes`, seen from the shape's heads.
fn slice<const N: usize>(
    measured: Measured<'_>,
    shape: &MsaShape,
    table: &'static str,
    axes: Axes<N>,
) -> Result<GridSlice<N>, OperatorMiss> {
    let named = [
        ("fmha_dtype", shape.fmha.name()),
        ("kv_cache_dtype", shape.kv.name()),
        ("gemm_dtype", shape.gemm.name()),
    ];
    // Decode attention computes in the format of its cache.
    let named = if table == CONTEXT_TABLE {
        &named[..]
    } else {
        &named[1..]
    };
    let missing = || {
        let wanted: Vec<String> = named.iter().map(|(name, of)| format!("{name} {of}")).collect();
        measured.not_measured(table, wanted.join(", "))
    };
    let directory = measured.directory(table)?;
    let key: Option<Vec<u32>> = named.iter().map(|(_, of)| directory.word(of)).collect();
    let found = key.and_then(|key| directory.find(&key)).ok_or_else(missing)?;
    let grid = measured.file.grid(directory, found)?;
    GridSlice::new(grid, u64::from(shape.heads), axes).ok_or_else(missing)
}

/// Cost of prefill attention over selected blocks.
#[derive(Debug, Clone)]
pub struct ContextMsaCost {
    system: &'static SystemSpec,
    shape: MsaShape,
    slice: GridSlice<4>,
    measured_on: String,
}

impl ContextMsaCost {
    pub(crate) fn resolve(measured: Measured<'_>, shape: MsaShape) -> Result<Self, OperatorMiss> {
        Ok(Self {
            system: measured.system,
            shape,
            slice: slice(measured, &shape, CONTEXT_TABLE, CONTEXT)?,
            measured_on: measured.label(),
        })
    }

    /// Latency of one layer.
    ///
    /// # Errors
    /// [`OperatorMiss::OutOfReach`] for no tokens or no requests.
    pub fn latency(&self, tokens: ContextTokens) -> Result<OperatorLatency, OperatorMiss> {
        let ContextTokens {
            batch,
            new_tokens,
            prefix,
        } = tokens;
        let at = [u64::from(self.shape.heads), prefix, new_tokens, batch];
        let roofline = |at| roofline::context_msa(self.system, &self.shape, at);
        self.slice
            .latency(at, &roofline)
            .ok_or_else(|| OperatorMiss::OutOfReach {
                operator: CONTEXT_TABLE,
                wanted: format!("{tokens:?}"),
                measured_on: self.measured_on.clone(),
            })
    }
}

/// Cost of decode attention over selected blocks.
#[derive(Debug, Clone)]
pub struct GenerationMsaCost {
    system: &'static SystemSpec,
    shape: MsaShape,
    slice: GridSlice<3>,
    measured_on: String,
}

impl GenerationMsaCost {
    pub(crate) fn resolve(measured: Measured<'_>, shape: MsaShape) -> Result<Self, OperatorMiss> {
        Ok(Self {
            system: measured.system,
            shape,
            slice: slice(measured, &shape, GENERATION_TABLE, Axes::GENERATION)?,
            measured_on: measured.label(),
        })
    }

    /// Latency of one layer.
    ///
    /// # Errors
    /// [`OperatorMiss::OutOfReach`] for no requests.
    pub fn latency(&self, tokens: GenerationTokens) -> Result<OperatorLatency, OperatorMiss> {
        let at = [u64::from(self.shape.heads), tokens.batch, tokens.sequence];
        let roofline = |at| roofline::generation_msa(self.system, &self.shape, at);
        self.slice
            .latency(at, &roofline)
            .ok_or_else(|| OperatorMiss::OutOfReach {
                operator: GENERATION_TABLE,
                wanted: format!("{tokens:?}"),
                measured_on: self.measured_on.clone(),
            })
    }
}
