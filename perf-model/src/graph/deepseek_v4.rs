//! DeepSeek V4: compressed attention between streams of the residual that are mixed, and experts in every layer.

use super::shapes::{Compression, Dsv4Shape, HyperConnectionShape, HyperConnectionSide};
use super::shared_experts::SharedExperts;
use super::{
    GraphOperator, GraphQuery, KvCache, Operator, OperatorGraph, Phase, Repeats, Work, WorkloadDistribution,
};
use crate::error::PerfModelError;
use crate::model::{CompressedAttention, SparseAttention};

/// Bytes of an element of a compressor's state.
const STATE_BYTES: u32 = 4;

/// Bytes of an element of an index key, in 4 bits.
const INDEX_BYTES: f64 = 0.5;

/// The operators of a DeepSeek V4.
pub(super) fn graph(q: GraphQuery<'_>) -> Result<OperatorGraph, PerfModelError> {
    let experts = q.experts()?;
    let block = CompressedBlock::of(q)?;
    let tp = q.mapping.widths().tp;
    let width = experts.intermediate / tp;
    let shared = SharedExperts::split(width, 1, q.precision.gemm);
    Ok(OperatorGraph::both(block.kv_cache(), |phase| {
        let mut operators = vec![
            q.whole_embedding(),
            block.mixing(Operator::MHC_PRE, HyperConnectionSide::Pre),
            block.norm(Operator::ATTN_NORM),
        ];
        operators.extend(block.attention(phase));
        operators.extend([
            block.mixing(Operator::MHC_POST, HyperConnectionSide::Post),
            block.norm(Operator::FFN_NORM),
        ]);
        operators.extend(GraphQuery::both_experts(
            phase,
            q.shared(shared),
            // Decoded tokens travel as prompts do, as the reference has it.
            q.routed(Phase::Context, experts, WorkloadDistribution::PowerLaw101),
        ));
        operators.extend([q.logits(), q.point_to_point()]);
        operators
    }))
}

/// Compressed attention of every layer on one rank.
struct CompressedBlock<'a> {
    q: GraphQuery<'a>,
    compressed: &'a CompressedAttention,
    sparse: SparseAttention,
}

impl<'a> CompressedBlock<'a> {
    fn of(q: GraphQuery<'a>) -> Result<Self, PerfModelError> {
        Ok(Self {
            q,
            compressed: q
                .model
                .compressed_attention
                .as_ref()
                .ok_or_else(|| PerfModelError::ModelConfig {
                    model: q.model.name.clone(),
                    field: "compress_ratios".to_owned(),
                    problem: "is missing".to_owned(),
                })?,
            sparse: q.sparse_attention()?,
        })
    }

    fn norm(&self, operator: Operator) -> GraphOperator {
        GraphQuery::elementwise(operator, self.q.layers(), 2 * u64::from(self.q.model.hidden))
    }

    fn mixing(&self, operator: Operator, side: HyperConnectionSide) -> GraphOperator {
        let shape = HyperConnectionShape {
            side,
            streams: self.compressed.streams,
            hidden: self.q.model.hidden,
            sinkhorn_iterations: self.compressed.sinkhorn_iterations,
        };
        GraphOperator::new(operator, self.q.layers(), Work::HyperConnection(shape))
    }

    /// One operator a kind of layer, in the order in which the kinds first appear. Layers without compression were not
    /// measured; they count as those with the strongest.
    fn attention(&self, phase: Phase) -> Vec<GraphOperator> {
        let kind = |ratio: u32| match ratio {
            4 => Compression::Sparse,
            _ => Compression::Heavy,
        };
        let mut kinds: Vec<Compression> = Vec::new();
        let compressed = self.ratios().filter(|ratio| *ratio > 0);
        for ratio in compressed.chain(self.ratios()) {
            if !kinds.contains(&kind(ratio)) {
                kinds.push(kind(ratio));
            }
        }
        kinds
            .into_iter()
            .map(|wanted| {
                let times = self.ratios().filter(|ratio| kind(*ratio) == wanted).count();
                let times = dgdr_units::real(u64::try_from(times).unwrap_or(0));
                let shape = self.shape(wanted);
                let work = match phase {
                    Phase::Context => Work::ContextDsv4(shape),
                    Phase::Generation => Work::GenerationDsv4(shape),
                };
                GraphOperator::new(Operator::ATTENTION, Repeats::layers(times), work)
            })
            .collect()
    }

    fn ratios(&self) -> impl Iterator<Item = u32> {
        self.compressed.ratios.iter().copied()
    }

    fn shape(&self, compression: Compression) -> Dsv4Shape {
        let Self {
            q,
            compressed,
            sparse,
        } = self;
        let tp = q.mapping.widths().tp;
        Dsv4Shape {
            compression,
            heads: q.model.heads / tp,
            all_heads: q.model.heads,
            tp,
            hidden: q.model.hidden,
            q_rank: compressed.q_rank,
            o_rank: compressed.o_rank,
            o_groups: (compressed.o_groups / tp).max(1),
            head_dim: q.model.head_dim,
            rope_dim: compressed.rope_dim,
            index_heads: sparse.index_heads,
            index_dim: sparse.index_dim,
            chosen: sparse.chosen,
            window: compressed.window,
            context_parallel: 1,
            kv: q.precision.kv,
            fmha: q.precision.fmha,
            gemm: q.precision.gemm,
        }
    }

    /// The last tokens of each layer as they are, older ones compressed, and the state of the compressors.
    fn kv_cache(&self) -> KvCache {
        let head_dim = self.q.model.head_dim;
        let index_dim = self.sparse.index_dim;
        let entry = f64::from(head_dim) * self.q.precision.kv.bytes();
        let layers = |wanted: u32| {
            let count = self.ratios().filter(|ratio| *ratio == wanted).count();
            dgdr_units::real(u64::try_from(count).unwrap_or(0))
        };
        let [sparse, heavy] = [4, 128].map(layers);
        // Two buffers a compressor; the sparse kind compresses overlapping tokens, and has an index with its own.
        let heavy_state = 2 * 128 * head_dim * STATE_BYTES;
        let sparse_state = 2 * 4 * 2 * (head_dim + index_dim) * STATE_BYTES;
        let index_entry = f64::from(index_dim) * INDEX_BYTES;
        KvCache::fixed(sparse * f64::from(sparse_state) + heavy * f64::from(heavy_state))
            .with_window(f64::from(self.q.model.layers) * entry, self.compressed.window)
            .with_compressed(sparse * (entry + index_entry), 4)
            .with_compressed(heavy * entry, 128)
    }
}
