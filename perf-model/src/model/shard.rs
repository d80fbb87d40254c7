//! What one tensor-parallel rank of a dense model holds and computes.

use super::ModelSpec;
use crate::quant::GemmQuant;

/// Bytes of one element of the embedding tables, which no quantization touches.
const EMBEDDING_BYTES: f64 = 2.0;

/// Widths on one of several tensor-parallel ranks. What does not divide is rounded down, as the reference does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DenseShard {
    pub(crate) heads: u32,
    pub(crate) kv_heads: u32,
    pub(crate) head_dim: u32,
    pub(crate) hidden: u32,
    /// Rows of the query, key and value projection.
    pub(crate) qkv: u32,
    /// Columns of attention's output projection.
    pub(crate) attention: u32,
    pub(crate) intermediate: u32,
    /// Rows of gate and up projections.
    pub(crate) gate: u32,
    pub(crate) vocabulary: u32,
    layers: u32,
}

impl DenseShard {
    pub(crate) const fn new(model: &ModelSpec, tp: u32) -> Self {
        let kv_heads = model.kv_heads_per_gpu(tp);
        let attention = model.heads * model.head_dim / tp;
        Self {
            heads: model.heads / tp,
            kv_heads,
            head_dim: model.head_dim,
            hidden: model.hidden,
            qkv: attention + 2 * model.head_dim * kv_heads,
            attention,
            intermediate: model.intermediate / tp,
            gate: 2 * model.intermediate / tp,
            vocabulary: model.vocabulary / tp,
            layers: model.layers,
        }
    }

    /// Bytes of the weights of all layers, embeddings and output head.
    pub(crate) fn weight_bytes(&self, gemm: GemmQuant) -> f64 {
        let area = |rows: u32, columns: u32| f64::from(rows) * f64::from(columns);
        let layer = area(self.qkv, self.hidden)
            + area(self.hidden, self.attention)
            + area(self.gate, self.hidden)
            + area(self.hidden, self.intermediate);
        let embeddings = 2.0 * area(self.vocabulary, self.hidden) * EMBEDDING_BYTES;
        layer * gemm.bytes() * f64::from(self.layers) + embeddings
    }
}
