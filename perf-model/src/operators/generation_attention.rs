//! Decode attention.

use dgdr_units::{floor_count, real};

use super::context_attention::recorded_kv_heads;
use super::grid_slice::{Axes, GridSlice};
use super::miss::{Measured, OperatorMiss};
use super::roofline::{self, GenerationAttentionWork};
use crate::{KvQuant, OperatorLatency, SystemSpec};

const TABLE: &str = "generation_attention";

/// A decode step is priced as the mean over sequences from 0.9 to 1.1 times the length asked for, in these steps from the
/// one to the other, because the requests of a batch differ in length.
const STEPS: [u64; 5] = [0, 1, 2, 3, 4];

/// Decode attention of one layer on one GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GenerationAttentionShape {
    /// Query heads on this GPU.
    pub heads: u32,
    /// Key-value heads on this GPU.
    pub kv_heads: u32,
    /// Elements of one head.
    pub head_dim: u32,
    /// Sliding window in tokens; 0 for none.
    pub window: u32,
    /// Format of the KV cache.
    pub kv: KvQuant,
}

/// The tokens of a decode step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GenerationTokens {
    /// Requests, each with one new token.
    pub batch: u64,
    /// Tokens of each request, the new one included.
    pub sequence: u64,
}

/// Cost of decode attention for one shape.
#[derive(Debug, Clone)]
pub struct GenerationAttentionCost {
    system: &'static SystemSpec,
    shape: GenerationAttentionShape,
    slice: GridSlice<3>,
    measured_on: String,
}

impl GenerationAttentionShape {
    fn wanted(&self) -> String {
        format!(
            "kv_cache_dtype {}, kv_heads {}, head_dim {}, window {}",
            self.kv.name(),
            recorded_kv_heads(self.heads, self.kv_heads),
            self.head_dim,
            self.window
        )
    }

    /// The slice of the first kernel, in the order in which they are tried, that was measured for this shape.
    fn find(&self, measured: Measured<'_>) -> Result<Option<usize>, OperatorMiss> {
        let directory = measured.directory(TABLE)?;
        let Some(kv) = directory.word(self.kv.name()) else {
            return Ok(None);
        };
        let lanes = 0..u32::try_from(directory.lanes().len()).unwrap_or(0);
        let kv_heads = recorded_kv_heads(self.heads, self.kv_heads);
        Ok(lanes
            .into_iter()
            .find_map(|lane| directory.find(&[lane, kv, kv_heads, self.head_dim, self.window])))
    }
}

impl GenerationAttentionCost {
    pub(crate) fn resolve(
        measured: Measured<'_>,
        shape: GenerationAttentionShape,
    ) -> Result<Self, OperatorMiss> {
        let found = shape
            .find(measured)?
            .ok_or_else(|| measured.not_measured(TABLE, shape.wanted()))?;
        let grid = measured.file.grid(measured.directory(TABLE)?, found)?;
        let slice = GridSlice::new(grid, u64::from(shape.heads), Axes::GENERATION)
            .ok_or_else(|| measured.not_measured(TABLE, shape.wanted()))?;
        Ok(Self {
            system: measured.system,
            shape,
            slice,
            measured_on: measured.label(),
        })
    }

    /// Latency of one layer, averaged over sequences around the length asked for.
    ///
    /// # Errors
    /// [`OperatorMiss::OutOfReach`] for no requests.
    pub fn latency(&self, tokens: GenerationTokens) -> Result<OperatorLatency, OperatorMiss> {
        let length = real(tokens.sequence);
        let low = floor_count(length * 0.9).max(1);
        let high = floor_count(length * 1.1).max(low);
        let samples = STEPS.map(|step| low + (high - low) * step / 4);
        let place = [u64::from(self.shape.heads), tokens.batch, tokens.sequence];
        let total = self
            .slice
            .sum(place, &samples, &|at| self.roofline(at))
            .ok_or_else(|| OperatorMiss::OutOfReach {
                operator: TABLE,
                wanted: format!("{}, {tokens:?}", self.shape.wanted()),
                measured_on: self.measured_on.clone(),
            })?;
        Ok(total.times(1.0 / 5.0))
    }

    /// At (heads, batch, sequence).
    fn roofline(&self, at: [u64; 3]) -> f64 {
        let [heads, batch, sequence] = at;
        let shape = &self.shape;
        let kv_heads = match recorded_kv_heads(shape.heads, shape.kv_heads) {
            0 => heads,
            kv_heads => u64::from(kv_heads),
        };
        roofline::generation_attention(
            self.system,
            GenerationAttentionWork {
                batch,
                sequence,
                heads,
                kv_heads,
                head_dim: u64::from(shape.head_dim),
                window: u64::from(shape.window),
                kv: shape.kv,
            },
        )
    }
}
