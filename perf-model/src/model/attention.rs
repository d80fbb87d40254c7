//! Shapes of attention other than over grouped queries.

use serde::{Deserialize, Serialize};

/// Ranks and widths of multi-head latent attention; 0 where the checkpoint does not give one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatentAttention {
    /// Rank of the query projection.
    pub q_rank: u32,
    /// Rank of the shared key and value projection.
    pub kv_rank: u32,
    /// Width of a head's part without position.
    pub nope_dim: u32,
    /// Width of a head's rotary part.
    pub rope_dim: u32,
    /// Width of a head's value.
    pub value_dim: u32,
}

/// An index that chooses the tokens which attention looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SparseAttention {
    /// Heads of the index.
    pub index_heads: u32,
    /// Width of one of them.
    pub index_dim: u32,
    /// Tokens that are chosen, at most.
    pub chosen: u32,
    /// Neighbouring tokens that are chosen together.
    pub block: u32,
    /// Layers that choose; the others take over an earlier layer's choice.
    pub choosing_layers: u32,
}

/// Attention over a cache of which older tokens are compressed (DeepSeek V4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompressedAttention {
    /// Rank of the query projection.
    pub q_rank: u32,
    /// Rank of the output projection.
    pub o_rank: u32,
    /// Groups of heads that share an output projection.
    pub o_groups: u32,
    /// Width of a head's rotary part.
    pub rope_dim: u32,
    /// Tokens that are kept as they are.
    pub window: u32,
    /// Older tokens that become one entry, layer by layer; 0 where they are dropped.
    pub ratios: Vec<u32>,
    /// Streams of the residual.
    pub streams: u32,
    /// Iterations that normalise how the streams mix.
    pub sinkhorn_iterations: u32,
}

/// Kimi's gated delta attention, in most layers of Kimi K3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeltaAttention {
    /// Layers that have it; the others have latent attention.
    pub layers: u32,
    /// Heads.
    pub heads: u32,
    /// Width of one of them.
    pub head_dim: u32,
    /// Tokens that the convolution before it spans.
    pub conv_width: u32,
    /// Layers attend to the outputs of earlier ones instead of adding to a residual.
    pub residuals: bool,
}
