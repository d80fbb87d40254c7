//! Prefill attention.

use dgdr_units::real;

use super::grid_slice::{Axes, GridSlice};
use super::miss::{Measured, OperatorMiss};
use super::roofline::{self, ContextAttentionWork};
use crate::{FmhaQuant, KvQuant, OperatorLatency, SystemSpec};

const TABLE: &str = "context_attention";

/// What AIConfigurator multiplies the extras of prefill attention by.
const EXTRAS_FACTOR: f64 = 1.1;

/// Prefill attention of one layer on one GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContextAttentionShape {
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
    /// Format in which attention computes.
    pub fmha: FmhaQuant,
    /// Whether queries and keys are normalised before attention, as in Qwen3.
    pub qk_norm: bool,
}

/// The tokens of a prefill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContextTokens {
    /// Requests.
    pub batch: u64,
    /// Tokens to be computed for each request.
    pub new_tokens: u64,
    /// Tokens of each request that are already in the cache.
    pub prefix: u64,
}

impl ContextTokens {
    /// What one of `ranks` ranks computes of the prompts: a piece from the start, and one of the same length that ends
    /// where the prompt ends. All pieces of a prompt are one `2 · ranks`-th of it, a rest rounded up.
    pub(crate) fn pieces(self, ranks: u32) -> [Self; 2] {
        let piece = self.new_tokens.div_ceil(2 * u64::from(ranks)).max(1);
        let at = |prefix| Self {
            new_tokens: piece,
            prefix,
            ..self
        };
        [
            at(self.prefix),
            at(self.prefix + self.new_tokens.saturating_sub(piece)),
        ]
    }
}

/// Cost of prefill attention for one shape.
#[derive(Debug, Clone)]
pub struct ContextAttentionCost {
    system: &'static SystemSpec,
    shape: ContextAttentionShape,
    slice: GridSlice<3>,
    extras_ms: f64,
    measured_on: String,
}

impl ContextAttentionShape {
    /// Key-value heads as the tables record them: 0 where every query head has its own.
    fn recorded_kv_heads(&self) -> u32 {
        recorded_kv_heads(self.heads, self.kv_heads)
    }

    fn wanted(&self) -> String {
        format!(
            "attn_dtype {}, kv_cache_dtype {}, kv_heads {}, head_dim {}, window {}",
            self.fmha.name(),
            self.kv.name(),
            self.recorded_kv_heads(),
            self.head_dim,
            self.window
        )
    }

    /// The slice of the first kernel, in the order in which they are tried, that was measured for this shape.
    fn find(&self, measured: Measured<'_>) -> Result<Option<usize>, OperatorMiss> {
        let directory = measured.directory(TABLE)?;
        let (Some(fmha), Some(kv)) = (directory.word(self.fmha.name()), directory.word(self.kv.name()))
        else {
            return Ok(None);
        };
        let lanes = 0..u32::try_from(directory.lanes().len()).unwrap_or(0);
        let kv_heads = self.recorded_kv_heads();
        Ok(lanes
            .into_iter()
            .find_map(|lane| directory.find(&[lane, fmha, kv, kv_heads, self.head_dim, self.window])))
    }
}

/// Key-value heads as the attention tables record them: 0 where every query head has its own.
pub(super) const fn recorded_kv_heads(heads: u32, kv_heads: u32) -> u32 {
    if heads == kv_heads { 0 } else { kv_heads }
}

impl ContextAttentionCost {
    /// Whether the tables cover a shape.
    pub(crate) fn is_measured(measured: Measured<'_>, shape: &ContextAttentionShape) -> bool {
        matches!(shape.find(measured), Ok(Some(_)))
    }

    pub(crate) fn resolve(
        measured: Measured<'_>,
        shape: ContextAttentionShape,
    ) -> Result<Self, OperatorMiss> {
        let found = shape
            .find(measured)?
            .ok_or_else(|| measured.not_measured(TABLE, shape.wanted()))?;
        let grid = measured.file.grid(measured.directory(TABLE)?, found)?;
        let heads = u64::from(shape.heads);
        let slice = GridSlice::new(grid, heads, Axes::CONTEXT)
            .ok_or_else(|| measured.not_measured(TABLE, shape.wanted()))?;
        Ok(Self {
            system: measured.system,
            shape,
            slice,
            extras_ms: extras_ms(measured.system, &shape),
            measured_on: measured.label(),
        })
    }

    /// Latency of one layer, with rotary embedding, cache write and normalisation.
    ///
    /// A prefix costs what the full sequence costs less the triangle that the prefix already paid.
    ///
    /// # Errors
    /// [`OperatorMiss::OutOfReach`] for no tokens or no requests.
    pub fn latency(&self, tokens: ContextTokens) -> Result<OperatorLatency, OperatorMiss> {
        let attention = self.kernel(tokens)?;
        Ok(OperatorLatency {
            ms: attention.ms + self.extras_ms,
            source: attention.source,
        })
    }

    /// The same on one of `ranks` ranks that prompts are split over.
    ///
    /// # Errors
    /// As [`Self::latency`].
    pub fn split_latency(&self, tokens: ContextTokens, ranks: u32) -> Result<OperatorLatency, OperatorMiss> {
        let [early, late] = tokens.pieces(ranks);
        let (early, late) = (self.kernel(early)?, self.kernel(late)?);
        Ok(OperatorLatency {
            ms: early.ms + late.ms + self.extras_ms,
            source: early.source.worse(late.source),
        })
    }

    /// Attention alone.
    fn kernel(&self, tokens: ContextTokens) -> Result<OperatorLatency, OperatorMiss> {
        let full = tokens.new_tokens + tokens.prefix;
        let attention = self
            .slice
            .latency([u64::from(self.shape.heads), full, tokens.batch], &|at| {
                self.roofline(at)
            })
            .ok_or_else(|| OperatorMiss::OutOfReach {
                operator: TABLE,
                wanted: format!("{}, {tokens:?}", self.shape.wanted()),
                measured_on: self.measured_on.clone(),
            })?;
        let (full, prefix) = (real(full), real(tokens.prefix));
        let share = (full * full - prefix * prefix) / (full * full);
        Ok(OperatorLatency {
            ms: attention.ms * share,
            source: attention.source,
        })
    }

    /// At (heads, full sequence, batch).
    fn roofline(&self, at: [u64; 3]) -> f64 {
        let [heads, sequence, batch] = at;
        let shape = &self.shape;
        let kv_heads = match shape.recorded_kv_heads() {
            0 => heads,
            kv_heads => u64::from(kv_heads),
        };
        roofline::context_attention(
            self.system,
            ContextAttentionWork {
                batch,
                sequence,
                heads,
                kv_heads,
                head_dim: u64::from(shape.head_dim),
                window: u64::from(shape.window),
                kv: shape.kv,
                fmha: shape.fmha,
            },
        )
    }
}

/// Rotary embedding, cache write and (where the model has it) normalisation of queries and keys.
///
/// AIConfigurator counts the bytes of one token whatever the number of tokens; kept, because the predictions are
/// compared with it.
fn extras_ms(system: &SystemSpec, shape: &ContextAttentionShape) -> f64 {
    let queries = f64::from(shape.heads) * f64::from(shape.head_dim);
    let keys = f64::from(shape.kv_heads) * f64::from(shape.head_dim);
    let norm = if shape.qk_norm {
        2.0 * (2.0 * system.memory_ms(2.0 * queries) + 2.0 * system.memory_ms(2.0 * keys))
    } else {
        0.0
    };
    let rotary = 2.0 * system.memory_ms(2.0 * queries + 2.0 * keys);
    let cache_write = 2.0 * system.memory_ms(keys * shape.fmha.bytes());
    EXTRAS_FACTOR * (norm + rotary + cache_write)
}
