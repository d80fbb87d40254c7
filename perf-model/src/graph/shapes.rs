//! Shapes of blocks of attention, and of what stands around them.

use crate::quant::{FmhaQuant, GemmQuant, KvQuant};

/// Prefill latent attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContextMlaShape {
    /// Heads on this GPU.
    pub heads: u32,
    /// Format of the KV cache.
    pub kv: KvQuant,
    /// Format in which it computes.
    pub fmha: FmhaQuant,
    /// Ranks that a sequence is split over.
    pub context_parallel: u32,
}

/// Decode latent attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GenerationMlaShape {
    /// Heads on this GPU.
    pub heads: u32,
    /// Format of the KV cache.
    pub kv: KvQuant,
}

/// A whole block of latent attention in prefill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContextMlaModuleShape {
    /// Heads on this GPU.
    pub heads: u32,
    /// Format of the KV cache.
    pub kv: KvQuant,
    /// Format in which attention computes.
    pub fmha: FmhaQuant,
    /// Format of the projections.
    pub gemm: GemmQuant,
}

/// A whole block of latent attention in decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GenerationMlaModuleShape {
    /// Heads on this GPU.
    pub heads: u32,
    /// Format of the KV cache.
    pub kv: KvQuant,
    /// Format of the projections.
    pub gemm: GemmQuant,
}

/// A block of latent attention in prefill as SGLang runs it beside experts that exchange tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WideEpContextMlaShape {
    /// Heads on this GPU.
    pub heads: u32,
    /// Format of the KV cache.
    pub kv: KvQuant,
    /// Ranks that a sequence is split over.
    pub context_parallel: u32,
}

/// The same in decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WideEpGenerationMlaShape {
    /// Heads on this GPU.
    pub heads: u32,
    /// Format of the KV cache.
    pub kv: KvQuant,
}

/// Which side of decode attention a product works for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MlaBmmSide {
    /// Queries, before it.
    Pre,
    /// Outputs, after it.
    Post,
}

/// A product with the absorbed projection of keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MlaBmmShape {
    /// Heads on this GPU.
    pub heads: u32,
    /// Which side.
    pub side: MlaBmmSide,
    /// Format.
    pub quant: GemmQuant,
}

/// The models that have sparse latent attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DsaArchitecture {
    /// DeepSeek V3.2.
    DeepseekV32,
    /// GLM 5.
    GlmMoeDsa,
}

/// How many of a model's layers choose the tokens that they attend to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IndexerLayers {
    /// Layers with an index.
    pub choosing: u32,
    /// All layers.
    pub all: u32,
}

/// One layer's block of sparse latent attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DsaShape {
    /// The model.
    pub architecture: DsaArchitecture,
    /// Heads on this GPU.
    pub heads: u32,
    /// Tokens that attention looks at, at most.
    pub chosen: u32,
    /// Layers that choose them.
    pub indexer: IndexerLayers,
    /// Format of the KV cache.
    pub kv: KvQuant,
    /// Format in which prefill attention computes.
    pub fmha: FmhaQuant,
    /// Format of the projections.
    pub gemm: GemmQuant,
    /// Ranks that a sequence is split over in prefill.
    pub context_parallel: u32,
}

/// Kinds of layers with compressed attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Few tokens an entry, of which an index chooses.
    Sparse,
    /// Many tokens an entry, all of which are looked at.
    Heavy,
}

/// One layer's block of compressed attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dsv4Shape {
    /// Kind of layer.
    pub compression: Compression,
    /// Heads on this GPU.
    pub heads: u32,
    /// Heads of the model.
    pub all_heads: u32,
    /// Ranks that share the heads.
    pub tp: u32,
    /// Elements of a token between layers.
    pub hidden: u32,
    /// Rank of the query projection.
    pub q_rank: u32,
    /// Rank of the output projection.
    pub o_rank: u32,
    /// Groups of the output projection on this GPU.
    pub o_groups: u32,
    /// Width of a head.
    pub head_dim: u32,
    /// Width of its rotary part.
    pub rope_dim: u32,
    /// Heads of the index.
    pub index_heads: u32,
    /// Width of one of them.
    pub index_dim: u32,
    /// Entries that the index chooses, at most.
    pub chosen: u32,
    /// Tokens that are kept as they are.
    pub window: u32,
    /// Ranks that a prompt is split over; of no consequence to decode.
    pub context_parallel: u32,
    /// Format of the KV cache.
    pub kv: KvQuant,
    /// Format in which prefill attention computes.
    pub fmha: FmhaQuant,
    /// Format of the projections.
    pub gemm: GemmQuant,
}

/// Which side of a sublayer streams are mixed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HyperConnectionSide {
    /// Before it.
    Pre,
    /// After it.
    Post,
}

/// Mixing of the residual's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HyperConnectionShape {
    /// Which side.
    pub side: HyperConnectionSide,
    /// Streams.
    pub streams: u32,
    /// Elements of a token in one of them.
    pub hidden: u32,
    /// Iterations that normalise the mixing.
    pub sinkhorn_iterations: u32,
}

/// One layer's block of grouped queries over chosen blocks of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MsaShape {
    /// Query heads on this GPU.
    pub heads: u32,
    /// Key and value heads on this GPU.
    pub kv_heads: u32,
    /// Elements of a token between layers.
    pub hidden: u32,
    /// Width of a query or key head.
    pub head_dim: u32,
    /// Width of a value head.
    pub value_dim: u32,
    /// Heads of the index.
    pub index_heads: u32,
    /// Width of one of them.
    pub index_dim: u32,
    /// Tokens that the index chooses, at most.
    pub chosen: u32,
    /// Tokens of a block.
    pub block: u32,
    /// Format of the KV cache.
    pub kv: KvQuant,
    /// Format in which prefill attention computes.
    pub fmha: FmhaQuant,
    /// Format of the projections.
    pub gemm: GemmQuant,
}
