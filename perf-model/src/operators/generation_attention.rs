//! Decode attention.

use dgdr_units::{floor_count, real};

use super::context_attention::recorded_kv_heads;
use super::grid_slice::{Axes, GridSlice};
use super::miss::{Measured, OperatorMiss};
use super::roofline::{self, GenerationAttentionWork};
use crate::{KvQuant, OperatorLatency, Source, SystemSpec};

const TABLE: &str = "generation_attention";

/// A decode step is priced as the mean over sequences from 0.9 to 1.1 times the length asked for, in this many samples,
/// because the requests of a batch differ in length.
const SAMPLES: u64 = 5;

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
        let line = self
            .slice
            .line([u64::from(self.shape.heads), tokens.batch, tokens.sequence]);
        let mut sum = 0.0;
        let mut source = Source::Measured;
        for sample in 0..SAMPLES {
            let sequence = low + (high - low) * sample / (SAMPLES - 1);
            let found = line
                .and_then(|line| line.at(sequence))
                .or_else(|| self.at_length(tokens.batch, sequence))
                .ok_or_else(|| OperatorMiss::OutOfReach {
                    operator: TABLE,
                    wanted: format!("{}, {tokens:?}", self.shape.wanted()),
                    measured_on: self.measured_on.clone(),
                })?;
            sum += found.ms;
            source = source.worse(found.source);
        }
        Ok(OperatorLatency {
            ms: sum / real(SAMPLES),
            source,
        })
    }

    fn at_length(&self, batch: u64, sequence: u64) -> Option<OperatorLatency> {
        let heads = u64::from(self.shape.heads);
        self.slice
            .latency([heads, batch, sequence], &|at| self.roofline(at))
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
