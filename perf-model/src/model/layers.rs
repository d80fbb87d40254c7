//! Layers of several kinds in one model.

use serde::{Deserialize, Serialize};

/// Layers in a row that are built alike, in a model found by architecture search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRun {
    /// How many.
    pub layers: u32,
    /// Key and value heads; 0 where the layers have no attention.
    pub kv_heads: u32,
    /// Width of the feed-forward network; 0 where the layers have none.
    pub intermediate: u32,
}

/// Layers with attention over a window of tokens among layers with attention over all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlternatingLayers {
    /// How many of each kind.
    pub mix: LayerMix,
    /// Attention over the window.
    pub local: AttentionWidths,
    /// Attention over all tokens.
    pub global: AttentionWidths,
    /// Tokens that local attention reaches back; 0 for all.
    pub window: u32,
    /// Width of the feed-forward network of layers without experts.
    pub intermediate: u32,
    /// Global attention projects keys and values at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keys_are_values: bool,
    /// A gate scales the output of each head.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gated_heads: bool,
}

/// How many layers there are of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LayerMix {
    /// Local attention and experts.
    pub local_experts: u32,
    /// Local attention and a dense network.
    pub local_dense: u32,
    /// Global attention and experts.
    pub global_experts: u32,
    /// Global attention and a dense network.
    pub global_dense: u32,
}

impl LayerMix {
    /// Layers with local attention.
    pub const fn local(&self) -> u32 {
        self.local_experts + self.local_dense
    }

    /// Layers with global attention.
    pub const fn global(&self) -> u32 {
        self.global_experts + self.global_dense
    }

    /// Layers with experts.
    pub const fn experts(&self) -> u32 {
        self.local_experts + self.global_experts
    }
}

/// Heads of one kind of attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttentionWidths {
    /// Query heads.
    pub heads: u32,
    /// Key and value heads.
    pub kv_heads: u32,
    /// Width of a query or key head.
    pub head_dim: u32,
    /// Width of a value head.
    pub value_dim: u32,
}

/// State-space layers (Mamba 2) among attention, expert and dense layers, each of which is one of these alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateSpaceLayers {
    /// State-space layers.
    pub layers: u32,
    /// Attention layers.
    pub attention_layers: u32,
    /// Layers of experts.
    pub expert_layers: u32,
    /// Dense layers.
    pub dense_layers: u32,
    /// Heads of the state.
    pub heads: u32,
    /// Width of one of them.
    pub head_dim: u32,
    /// Elements of the state for each element of a head.
    pub state: u32,
    /// Tokens that the convolution before it spans.
    pub conv_width: u32,
    /// Groups of heads with a common input and output projection of the state.
    pub groups: u32,
    /// Tokens of a chunk of the scan.
    pub chunk: u32,
}

/// Gated linear attention in most layers of a model; the others have grouped queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinearAttention {
    /// Layers that have it.
    pub layers: u32,
    /// Query and key heads.
    pub key_heads: u32,
    /// Width of one of them.
    pub key_dim: u32,
    /// Value heads.
    pub value_heads: u32,
    /// Width of one of them.
    pub value_dim: u32,
    /// Tokens that the convolution before it spans.
    pub conv_width: u32,
    /// Bytes of an element of the state.
    pub state_bytes: u32,
}
