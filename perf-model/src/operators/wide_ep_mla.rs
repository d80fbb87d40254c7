//! Latent attention as `SGLang` runs it beside experts that exchange tokens (WideEP): a block with all of its
//! projections but the first, in fp8 blocks.

use super::context_attention::ContextTokens;
use super::generation_attention::GenerationTokens;
use super::grid_slice::{Axes, GridSlice};
use super::miss::{Measured, OperatorMiss};
use super::roofline::{self, WideEpMlaContextWork, WideEpMlaGenerationWork};
use crate::graph::{WideEpContextMlaShape, WideEpGenerationMlaShape};
use crate::{KvQuant, OperatorLatency, SystemSpec};

const CONTEXT_TABLE: &str = "wideep_context_mla";
const GENERATION_TABLE: &str = "wideep_generation_mla";

/// Format of the block's products, the only one that was measured.
const FORMAT: &str = "fp8_block";

/// `SGLang`'s usual kernel, and the one that stands for it where that was not measured.
const KERNELS: [&str; 2] = ["flashinfer", "trtllm_mla"];

/// Cost of such a block in prefill.
#[derive(Debug, Clone)]
pub struct WideEpContextMlaCost {
    system: &'static SystemSpec,
    shape: WideEpContextMlaShape,
    slice: GridSlice<3>,
    measured_on: String,
}

/// Cost of such a block in decode.
#[derive(Debug, Clone)]
pub struct WideEpGenerationMlaCost {
    system: &'static SystemSpec,
    shape: WideEpGenerationMlaShape,
    slice: GridSlice<3>,
    measured_on: String,
}

fn wanted(kv: KvQuant) -> String {
    format!(
        "kernel_source {}, mla_dtype {FORMAT}, kv_cache_dtype {}",
        KERNELS[0],
        kv.name()
    )
}

impl WideEpContextMlaCost {
    pub(crate) fn resolve(
        measured: Measured<'_>,
        shape: WideEpContextMlaShape,
    ) -> Result<Self, OperatorMiss> {
        let missing = || measured.not_measured(CONTEXT_TABLE, wanted(shape.kv));
        let mut found = None;
        for kernel in KERNELS {
            found = match found {
                None => measured.grid(CONTEXT_TABLE, &[kernel, FORMAT, shape.kv.name()])?,
                found => found,
            };
        }
        let slice = GridSlice::new(found.ok_or_else(missing)?, u64::from(shape.heads), Axes::CONTEXT);
        Ok(Self {
            system: measured.system,
            shape,
            slice: slice.ok_or_else(missing)?,
            measured_on: measured.label(),
        })
    }

    /// Latency of one layer; where prompts are split, of both pieces of a rank.
    ///
    /// # Errors
    /// [`OperatorMiss::OutOfReach`] for no tokens or no requests.
    pub fn latency(&self, tokens: ContextTokens) -> Result<OperatorLatency, OperatorMiss> {
        let found = if self.shape.context_parallel <= 1 {
            self.whole(tokens)
        } else {
            let [first, last] = tokens.pieces(self.shape.context_parallel);
            match (self.whole(first), self.whole(last)) {
                (Some(first), Some(last)) => Some(first.plus(last)),
                _ => None,
            }
        };
        found.ok_or_else(|| OperatorMiss::OutOfReach {
            operator: CONTEXT_TABLE,
            wanted: format!("{}, {tokens:?}", wanted(self.shape.kv)),
            measured_on: self.measured_on.clone(),
        })
    }

    /// A prefix costs what the full sequence costs less the triangle that the prefix already paid.
    fn whole(&self, tokens: ContextTokens) -> Option<OperatorLatency> {
        let full = tokens.new_tokens + tokens.prefix;
        let query = [u64::from(self.shape.heads), full, tokens.batch];
        let latency = self.slice.latency(query, &|at| self.roofline(at))?;
        let (full, prefix) = (dgdr_units::real(full), dgdr_units::real(tokens.prefix));
        Some(latency.times((full * full - prefix * prefix) / (full * full)))
    }

    /// At (heads, full sequence, batch).
    fn roofline(&self, at: [u64; 3]) -> f64 {
        let [heads, sequence, batch] = at;
        roofline::wide_ep_mla_context(
            self.system,
            WideEpMlaContextWork {
                batch,
                sequence,
                heads,
            },
        )
    }
}

impl WideEpGenerationMlaCost {
    pub(crate) fn resolve(
        measured: Measured<'_>,
        shape: WideEpGenerationMlaShape,
    ) -> Result<Self, OperatorMiss> {
        let missing = || measured.not_measured(GENERATION_TABLE, wanted(shape.kv));
        let mut found = None;
        for kernel in KERNELS {
            found = match found {
                None => measured.grid(GENERATION_TABLE, &[kernel, shape.kv.name()])?,
                found => found,
            };
        }
        let slice = GridSlice::new(
            found.ok_or_else(missing)?,
            u64::from(shape.heads),
            Axes::GENERATION,
        );
        Ok(Self {
            system: measured.system,
            shape,
            slice: slice.ok_or_else(missing)?,
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
            .latency(query, &|[heads, batch, sequence]| {
                let work = WideEpMlaGenerationWork {
                    batch,
                    sequence,
                    heads,
                };
                roofline::wide_ep_mla_generation(self.system, work)
            })
            .ok_or_else(|| OperatorMiss::OutOfReach {
                operator: GENERATION_TABLE,
                wanted: format!("{}, {tokens:?}", wanted(self.shape.kv)),
                measured_on: self.measured_on.clone(),
            })
    }
}
