//! Latent attention beside experts that exchange tokens: TensorRT-LLM runs its parts one by one, SGLang a block of its
//! own, vLLM what it always runs.

use super::Exchange;
use crate::backend::Backend;
use crate::error::PerfModelError;
use crate::graph::deepseek::LatentBlock;
use crate::graph::shapes::{WideEpContextMlaShape, WideEpGenerationMlaShape};
use crate::graph::{GraphOperator, GraphQuery, Operator, OperatorGraph, Phase, Repeats, TokenShare, Work};

/// Heads of DeepSeek V3, whose shares SGLang's block was measured with.
const MEASURED_HEADS: u32 = 128;

impl Exchange<'_> {
    /// Latent attention.
    pub(super) fn latent(&self) -> Result<OperatorGraph, PerfModelError> {
        let q = self.q;
        let block = LatentBlock::of(q)?;
        Ok(OperatorGraph::both(q.full_kv_cache(), |phase| match q.backend {
            Backend::Trtllm => self.trtllm(&block, phase),
            Backend::Sglang => self.sglang(&block, phase),
            Backend::Vllm => self.vllm(&block, phase),
        }))
    }

    fn vllm(&self, block: &LatentBlock<'_>, phase: Phase) -> Vec<GraphOperator> {
        let q = &self.q;
        let layers = self.layers(phase);
        let mut operators = vec![q.whole_embedding(), q.add_norm(Operator::ADD_NORM_1, layers)];
        operators.extend(block.operators(phase));
        operators.push(q.add_norm(Operator::ADD_NORM_2, layers));
        operators.extend(self.both(phase, layers));
        operators.push(q.logits());
        let twice = Repeats::layers(f64::from(q.model.layers) * 2.0);
        operators.push(q.all_reduce(Operator::TP_ALL_REDUCE, twice));
        operators.push(q.point_to_point());
        operators
    }

    fn trtllm(&self, block: &LatentBlock<'_>, phase: Phase) -> Vec<GraphOperator> {
        let q = &self.q;
        let layers = self.layers(phase);
        let parts = match phase {
            Phase::Context => block.context(),
            Phase::Generation => block.generation(),
        };
        let norm = GraphQuery::elementwise(
            Operator::Q_A_LAYERNORM,
            layers,
            2 * u64::from(block.latent.q_rank),
        );
        let mut operators = vec![q.whole_embedding(), q.add_norm(Operator::ADD_NORM_1, layers)];
        for part in parts {
            let part = GraphOperator {
                repeats: layers,
                ..part
            };
            let is_downscale = part.operator == Operator::DOWNSCALE_GEMM;
            operators.push(if part.operator == Operator::BMM_PRE {
                Self::with_cache_write(block, part, layers)
            } else {
                part
            });
            if is_downscale {
                operators.push(norm.clone());
            }
        }
        operators.push(q.add_norm(Operator::ADD_NORM_2, layers));
        operators.extend(self.both(phase, layers));
        operators.extend([q.logits(), q.point_to_point()]);
        operators
    }

    /// Queries are absorbed while the rotary part is turned and the latent written to the cache.
    fn with_cache_write(block: &LatentBlock<'_>, absorbed: GraphOperator, layers: Repeats) -> GraphOperator {
        let written = u64::from(block.latent.kv_rank) + u64::from(block.latent.rope_dim);
        GraphOperator::new(
            Operator::BMM_ROPE_OVERLAP,
            Repeats::PASS,
            Work::Overlap {
                first: vec![absorbed],
                second: vec![GraphQuery::elementwise(
                    Operator::ROPE_KVCACHE,
                    layers,
                    2 * written,
                )],
            },
        )
    }

    fn sglang(&self, block: &LatentBlock<'_>, phase: Phase) -> Vec<GraphOperator> {
        let q = &self.q;
        let layers = self.layers(phase);
        let downscale = block.downscale();
        let first = GraphOperator {
            operator: Operator::QKV_A_PROJ_GEMM,
            tokens: TokenShare {
                over: match phase {
                    Phase::Context => q.mapping.widths().tp,
                    Phase::Generation => 1,
                },
                ..TokenShare::ALL
            },
            ..downscale.clone()
        };
        let heads = MEASURED_HEADS / q.mapping.widths().tp;
        let kv = q.precision.kv;
        let attention = match phase {
            Phase::Context => Work::WideEpContextMla(WideEpContextMlaShape {
                heads,
                kv,
                context_parallel: 1,
            }),
            Phase::Generation => Work::WideEpGenerationMla(WideEpGenerationMlaShape { heads, kv }),
        };
        let inner = vec![
            q.whole_embedding(),
            q.add_norm(Operator::ADD_NORM_1, layers),
            downscale,
            GraphOperator::new(Operator::ATTENTION, layers, attention),
        ];
        let mut operators = vec![first];
        operators.extend(self.between_ranks(phase, inner));
        operators.extend(self.without_router(phase));
        operators
    }
}
