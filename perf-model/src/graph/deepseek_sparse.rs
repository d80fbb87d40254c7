//! DeepSeek V3.2 and GLM-5: latent attention to chosen tokens only, and experts in every layer.

use super::shapes::{DsaArchitecture, DsaShape, IndexerLayers};
use super::shared_experts::SharedExperts;
use super::{GraphOperator, GraphQuery, KvCache, Operator, OperatorGraph, Phase, Work};
use crate::backend::Backend;
use crate::error::PerfModelError;
use crate::model::{LatentAttention, SparseAttention};
use crate::quant::GemmQuant;

/// Bytes of one element of a key's rotary part, which is never quantized.
const ROPE_BYTES: f64 = 2.0;

/// Elements of an index key that share a scale of 4 bytes.
const INDEX_BLOCK: u32 = 128;

/// The operators of a DeepSeek V3.2.
pub(super) fn graph(q: GraphQuery<'_>) -> Result<OperatorGraph, PerfModelError> {
    let experts = q.experts()?;
    let block = SparseBlock::of(q)?;
    let shared = SharedExperts::split(
        experts.intermediate,
        q.mapping.widths().moe_tp,
        q.precision.shared_experts(),
    );
    Ok(OperatorGraph::both(block.kv_cache(), |phase| {
        let attention = vec![block.operator(phase)];
        let mut operators = q.decoder_with_shared_experts(phase, attention, (shared, experts));
        operators.push(q.point_to_point());
        operators
    }))
}

/// Sparse latent attention of every layer on one rank.
pub(super) struct SparseBlock<'a> {
    q: GraphQuery<'a>,
    latent: LatentAttention,
    sparse: SparseAttention,
}

impl<'a> SparseBlock<'a> {
    pub(super) fn of(q: GraphQuery<'a>) -> Result<Self, PerfModelError> {
        Ok(Self {
            q,
            latent: q.latent_attention()?,
            sparse: q.sparse_attention()?,
        })
    }

    pub(super) fn operator(&self, phase: Phase) -> GraphOperator {
        let shape = self.shape();
        let weight_bytes = self.weight_bytes();
        let work = match phase {
            Phase::Context => Work::ContextDsa { shape, weight_bytes },
            Phase::Generation => Work::GenerationDsa { shape, weight_bytes },
        };
        GraphOperator::new(Operator::ATTENTION, self.q.layers(), work)
    }

    fn shape(&self) -> DsaShape {
        let Self { q, sparse, .. } = self;
        let layers = q.model.layers;
        DsaShape {
            architecture: if q.model.architecture.starts_with("Glm") {
                DsaArchitecture::GlmMoeDsa
            } else {
                DsaArchitecture::DeepseekV32
            },
            heads: q.model.heads / q.mapping.widths().tp,
            chosen: sparse.chosen,
            // Layers without an index were measured for SGLang only; elsewhere all count as if they had one.
            indexer: IndexerLayers {
                choosing: match q.backend {
                    Backend::Sglang => sparse.choosing_layers,
                    Backend::Trtllm | Backend::Vllm => layers,
                },
                all: layers,
            },
            kv: q.precision.kv,
            fmha: q.precision.fmha,
            gemm: self.measured_format(),
            context_parallel: 1,
        }
    }

    /// Blocks were measured with all projections in one format; where they differ, the largest projection's counts.
    fn measured_format(&self) -> GemmQuant {
        self.q.precision.output()
    }

    /// Bytes of one layer's projections and index.
    fn weight_bytes(&self) -> f64 {
        let Self { q, latent, sparse } = self;
        let heads = f64::from(q.model.heads / q.mapping.widths().tp);
        let hidden = f64::from(q.model.hidden);
        let [q_rank, kv_rank, nope, rope, value] = [
            latent.q_rank,
            latent.kv_rank,
            latent.nope_dim,
            latent.rope_dim,
            latent.value_dim,
        ]
        .map(f64::from);
        let query = hidden * q_rank + q_rank * heads * (nope + rope);
        let key_value = hidden * (kv_rank + rope) + kv_rank * heads * (nope + value);
        let output = heads * value * hidden;
        let index_heads = f64::from(sparse.index_heads);
        let index = q_rank * index_heads * f64::from(sparse.index_dim) + hidden * index_heads;
        query * q.precision.query().bytes()
            + key_value * q.precision.key_value().bytes()
            + output * q.precision.output().bytes()
            + index * q.precision.indexer().bytes()
    }

    /// The latent of each token, its rotary part and its key in the index.
    pub(super) fn kv_cache(&self) -> KvCache {
        let latent = f64::from(self.latent.kv_rank) * self.q.precision.kv.bytes();
        let rope = f64::from(self.latent.rope_dim) * ROPE_BYTES;
        let index = self.sparse.index_dim + self.sparse.index_dim.div_ceil(INDEX_BLOCK) * 4;
        KvCache::growing(f64::from(self.q.model.layers) * (latent + rope + f64::from(index)))
    }
}

impl GraphQuery<'_> {
    /// The model's index.
    pub(super) fn sparse_attention(&self) -> Result<SparseAttention, PerfModelError> {
        self.model
            .sparse_attention
            .ok_or_else(|| PerfModelError::ModelConfig {
                model: self.model.name.clone(),
                field: "index_topk".to_owned(),
                problem: "is missing".to_owned(),
            })
    }
}
