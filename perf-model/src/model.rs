//! What a checkpoint is: the shape of its layers and the formats of its weights, read from its `config.json`.

mod assumption;
mod attention;
mod config;
mod family;
mod layers;
mod quantization;

use dgdr_units::real;
use serde::{Deserialize, Serialize};

pub use assumption::Assumption;
pub use attention::{CompressedAttention, DeltaAttention, LatentAttention, SparseAttention};
pub use family::ModelFamily;
pub use layers::{AlternatingLayers, AttentionWidths, LayerMix, LayerRun, LinearAttention, StateSpaceLayers};
pub use quantization::Quantization;

use crate::error::PerfModelError;
use crate::quant::KvQuant;

/// The shape of a model's layers, as its checkpoint describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// Name, usually the Hugging Face id.
    pub name: String,
    /// First entry of `architectures`.
    pub architecture: String,
    /// How its layers are built.
    pub family: ModelFamily,
    /// Decoder layers.
    pub layers: u32,
    /// Width of the residual stream.
    pub hidden: u32,
    /// Query heads.
    pub heads: u32,
    /// Key and value heads; equal to `heads` for multi-head attention.
    pub kv_heads: u32,
    /// Width of one head.
    pub head_dim: u32,
    /// Width of the dense feed-forward network; 0 where no layer has one.
    pub intermediate: u32,
    /// Entries of the vocabulary.
    pub vocabulary: u32,
    /// Longest context that the checkpoint declares, tokens.
    pub context_length: u32,
    /// Attention reaches back only this many tokens, where the checkpoint says so. The latency model prices full
    /// attention for dense models, which is an upper bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sliding_window: Option<u32>,
    /// Input and output embeddings are one matrix.
    pub tied_embeddings: bool,
    /// Queries and keys are normalised per head.
    pub qk_norm: bool,
    /// Layers of its own multi-token prediction module.
    #[serde(default)]
    pub prediction_layers: u32,
    /// Experts of a mixture-of-experts model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experts: Option<Experts>,
    /// Ranks of multi-head latent attention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latent_attention: Option<LatentAttention>,
    /// The index of sparse attention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse_attention: Option<SparseAttention>,
    /// Compressed attention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compressed_attention: Option<CompressedAttention>,
    /// Gated delta attention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta_attention: Option<DeltaAttention>,
    /// Runs of layers of differing width.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<LayerRun>,
    /// Local and global attention in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternating: Option<AlternatingLayers>,
    /// State-space layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_space: Option<StateSpaceLayers>,
    /// Gated linear attention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linear_attention: Option<LinearAttention>,
    /// Formats that the checkpoint was made in.
    pub quantization: Quantization,
    /// What is taken for granted where its configuration, or our knowledge of its architecture, says too little.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumed: Vec<Assumption>,
}

/// The experts of a mixture-of-experts layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Experts {
    /// Routed experts in one layer.
    pub count: u32,
    /// Experts that one token visits.
    pub per_token: u32,
    /// Width of one expert.
    pub intermediate: u32,
    /// Experts that every token visits.
    #[serde(default)]
    pub shared: u32,
    /// Width of the experts that every token visits, together, where the checkpoint gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_intermediate: Option<u32>,
    /// Width of the space in which routed experts work, where it is not the residual's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<u32>,
    /// First layers that have a dense network instead.
    #[serde(default)]
    pub dense_layers: u32,
}

impl ModelSpec {
    /// Reads a Hugging Face `config.json`, and the `hf_quant_config.json` beside it where there is one.
    ///
    /// # Errors
    /// [`PerfModelError::ModelConfig`] names the field that is missing or malformed;
    /// [`PerfModelError::UnknownArchitecture`] when the architecture is none that we know.
    pub fn from_config_json(
        name: &str,
        config: &str,
        hf_quant_config: Option<&str>,
    ) -> Result<Self, PerfModelError> {
        config::parse(name, config, hf_quant_config)
    }

    /// True for a mixture of experts.
    pub const fn is_mixture_of_experts(&self) -> bool {
        self.experts.is_some()
    }

    /// Key and value heads that one of `tp` tensor-parallel ranks holds; heads are replicated when there are fewer
    /// heads than ranks.
    pub const fn kv_heads_per_gpu(&self, tp: u32) -> u32 {
        self.kv_heads.div_ceil(tp)
    }

    /// Bytes that one token takes in the KV cache of one of `tp` tensor-parallel ranks, all layers together:
    /// `2 · kv_heads/tp · head_dim · layers · bytes`, or `layers · (kv_rank + rope_dim) · bytes` with latent attention,
    /// whose cache is not split.
    pub fn kv_bytes_per_token(&self, tp: u32, kv: KvQuant) -> f64 {
        let elements = self.latent_attention.map_or_else(
            || 2 * u64::from(self.kv_heads_per_gpu(tp)) * u64::from(self.head_dim),
            |latent| u64::from(latent.kv_rank) + u64::from(latent.rope_dim),
        );
        real(elements * u64::from(self.layers)) * kv.bytes()
    }
}

#[cfg(test)]
mod tests;
