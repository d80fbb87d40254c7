//! The small dense model that drafts for Kimi K3. Engines serve different ones, and no checkpoint of Kimi K3 says which.

use super::{KimiK3, Layers};
use crate::backend::Backend;
use crate::graph::{GraphOperator, Operator, TokenShare, Work};
use crate::operators::GenerationAttentionShape;

/// Layers of either drafting model.
const LAYERS: u32 = 5;

/// Width of its feed-forward network.
const INTERMEDIATE: u32 = 14_336;

/// Query heads.
const HEADS: u32 = 64;

/// Key and value heads of the one that SGLang serves (`RadixArk/Kimi-K3-DSpark`), which groups queries.
const KV_HEADS: u32 = 16;

/// Width of its heads.
const HEAD_DIM: u32 = 64;

/// Rank of the query projection of the one that vLLM serves (`Inferact/Kimi-K3-DSpark`), which has latent attention.
const Q_RANK: u32 = 1536;

/// What it keeps of a token: 512 elements of the latent and 64 of the rotary part.
const LATENT: u32 = 512 + 64;

/// Width of its query heads.
const QUERY_DIM: u32 = 128 + 64;

/// Width of its values.
const VALUE_DIM: u32 = 128;

impl KimiK3<'_> {
    /// A step of it. A decode step counts each sequence `drafted + 1` times; the model runs `drafted` times for each
    /// sequence, and what follows the accepted tokens once.
    pub(super) fn draft(&self) -> Vec<GraphOperator> {
        let counted = f64::from(self.q.drafted) + 1.0;
        let share = |times: f64| Layers {
            q: self.q,
            times: times / counted,
        };
        let passes = f64::from(self.q.drafted);
        let (pass, layers, both_halves, once) = (
            share(passes),
            share(f64::from(LAYERS) * passes),
            share(2.0 * f64::from(LAYERS) * passes),
            share(f64::from(LAYERS)),
        );
        let hidden = self.q.model.hidden;
        let (width, gate) = (INTERMEDIATE / self.tp(), 2 * INTERMEDIATE / self.tp());
        let mut operators = vec![
            pass.run(Operator::DRAFT_EMBEDDING, self.q.embedding().work),
            both_halves.norm(Operator::DRAFT_NORM),
        ];
        operators.extend(self.draft_attention(layers));
        operators.extend([
            layers.gemm(Operator::DRAFT_GATE_UP_GEMM, (gate, hidden)),
            layers.elementwise(Operator::DRAFT_ACT_GATE, gate + width),
            layers.second_gemm(Operator::DRAFT_DOWN_GEMM, (hidden, width)),
            both_halves.all_reduce(Operator::DRAFT_ALL_REDUCE),
            once.gemm(Operator::DRAFT_KV_PROJ_GEMM, (self.draft_cached(), hidden)),
            GraphOperator {
                tokens: TokenShare::SEQUENCES,
                ..share(1.0).run(Operator::DRAFT_LOGITS_GEMM, self.q.logits().work)
            },
        ]);
        operators
    }

    fn draft_attention(&self, layers: Layers<'_>) -> Vec<GraphOperator> {
        let tp = self.tp();
        let hidden = self.q.model.hidden;
        let vllm = self.q.backend == Backend::Vllm;
        let head_dim = if vllm { VALUE_DIM } else { HEAD_DIM };
        let attention = Work::GenerationAttention(GenerationAttentionShape {
            heads: HEADS / tp,
            kv_heads: if vllm { HEADS / tp } else { (KV_HEADS / tp).max(1) },
            head_dim,
            window: 0,
            kv: self.q.precision.kv,
        });
        let mut operators = if vllm {
            vec![
                layers.gemm(Operator::DRAFT_DOWNSCALE_GEMM, (Q_RANK + LATENT, hidden)),
                layers.gemm(Operator::DRAFT_Q_B_GEMM, (HEADS * QUERY_DIM / tp, Q_RANK)),
            ]
        } else {
            let rows = (HEADS + 2 * KV_HEADS) * HEAD_DIM / tp;
            vec![layers.gemm(Operator::DRAFT_QKV_GEMM, (rows, hidden))]
        };
        operators.extend([
            layers.run(Operator::DRAFT_ATTENTION, attention),
            layers.second_gemm(Operator::DRAFT_PROJ_GEMM, (hidden, HEADS * head_dim / tp)),
        ]);
        operators
    }

    /// Elements of a token that one layer of the drafting model projects for its cache on this rank.
    const fn draft_cached(&self) -> u32 {
        match self.q.backend {
            Backend::Vllm => LATENT,
            Backend::Sglang | Backend::Trtllm => 2 * KV_HEADS * HEAD_DIM / self.tp(),
        }
    }

    /// Elements of a token in the drafting model's cache.
    pub(super) fn draft_cache_elements(&self) -> f64 {
        if self.q.drafted == 0 {
            return 0.0;
        }
        let layer = match self.q.backend {
            Backend::Vllm => LATENT,
            Backend::Sglang | Backend::Trtllm => 2 * (KV_HEADS / self.tp()).max(1) * HEAD_DIM,
        };
        f64::from(LAYERS * layer)
    }
}
