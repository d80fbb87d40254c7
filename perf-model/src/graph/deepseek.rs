//! DeepSeek V3 and R1, Kimi K2: latent attention, and experts in every layer.

use super::shapes::{
    ContextMlaModuleShape, ContextMlaShape, GenerationMlaModuleShape, GenerationMlaShape, MlaBmmShape,
    MlaBmmSide,
};
use super::shared_experts::SharedExperts;
use super::{GraphOperator, GraphQuery, Operator, OperatorGraph, Phase, Repeats, Work};
use crate::backend::Backend;
use crate::error::PerfModelError;
use crate::model::LatentAttention;
use crate::operators::{ContextAttentionShape, GemmShape, GenerationAttentionShape};
use crate::quant::GemmQuant;

/// Heads whose share on a rank names a kernel in the tables, whatever the model's own number.
const TABLE_HEADS: u32 = 128;

/// The operators of a DeepSeek V3.
pub(super) fn graph(q: GraphQuery<'_>) -> Result<OperatorGraph, PerfModelError> {
    let experts = q.experts()?;
    let block = LatentBlock::of(q)?;
    let shared = SharedExperts::split(
        experts.intermediate,
        q.mapping.widths().tp,
        q.precision.shared_experts(),
    );
    Ok(OperatorGraph::both(q.full_kv_cache(), |phase| {
        let mut operators = q.decoder_with_shared_experts(phase, block.operators(phase), (shared, experts));
        if q.backend == Backend::Vllm {
            let twice = Repeats::layers(f64::from(q.model.layers) * 2.0);
            operators.push(q.all_reduce(Operator::TP_ALL_REDUCE, twice));
        }
        operators.push(q.point_to_point());
        operators
    }))
}

/// Latent attention of every layer on one rank.
pub(super) struct LatentBlock<'a> {
    q: GraphQuery<'a>,
    pub(super) latent: LatentAttention,
}

impl<'a> LatentBlock<'a> {
    pub(super) fn of(q: GraphQuery<'a>) -> Result<Self, PerfModelError> {
        Ok(Self {
            q,
            latent: q.latent_attention()?,
        })
    }

    const fn heads(&self) -> u32 {
        self.q.model.heads / self.q.mapping.widths().tp
    }

    /// One kernel for the whole block where that was measured; its parts where not, or where projections differ in
    /// format.
    pub(super) fn operators(&self, phase: Phase) -> Vec<GraphOperator> {
        let parts = match phase {
            Phase::Context => self.context(),
            Phase::Generation => self.generation(),
        };
        let Some(gemm) = self.uniform_format() else {
            return parts;
        };
        let fused = match phase {
            Phase::Context => Work::ContextMlaModule(ContextMlaModuleShape {
                heads: self.heads(),
                kv: self.q.precision.kv,
                fmha: self.q.precision.fmha,
                gemm,
            }),
            Phase::Generation => Work::GenerationMlaModule(GenerationMlaModuleShape {
                heads: self.heads(),
                kv: self.q.precision.kv,
                gemm,
            }),
        };
        vec![GraphOperator::new(
            Operator::MLA_BLOCK,
            Repeats::PASS,
            Work::Fallback {
                fused: Box::new(self.every_layer(Operator::MLA_MODULE, fused)),
                parts,
            },
        )]
    }

    /// The format of all projections, when it is one.
    fn uniform_format(&self) -> Option<GemmQuant> {
        let precision = &self.q.precision;
        let [query, key_value, output] = [precision.query(), precision.key_value(), precision.output()];
        (query == key_value && query == output).then_some(query)
    }

    fn every_layer(&self, operator: Operator, work: Work) -> GraphOperator {
        GraphOperator::new(operator, self.q.layers(), work)
    }

    fn gemm(&self, operator: Operator, (n, k): (u32, u32), quant: GemmQuant) -> GraphOperator {
        let shape = GemmShape {
            quant,
            ..self.q.projection(n, k)
        };
        self.every_layer(operator, Work::Gemm(shape))
    }

    /// Of a vLLM that gives the compressed cache back its heads first, the attention of grouped queries.
    fn value_heads(&self) -> (u32, u32, u32) {
        let tp = self.q.mapping.widths().tp;
        (self.heads(), self.q.model.kv_heads / tp, self.latent.value_dim)
    }

    /// Projections to the latent spaces of queries and of keys and values, and of queries out of theirs.
    fn entry(&self) -> [GraphOperator; 2] {
        let Self { q, latent } = self;
        let queries = q.model.heads * (latent.nope_dim + latent.rope_dim) / q.mapping.widths().tp;
        [
            self.downscale(),
            self.gemm(
                Operator::Q_B_PROJ_GEMM,
                (queries, latent.q_rank),
                q.precision.query(),
            ),
        ]
    }

    /// Projections to the latent spaces: one product, which is in 16 bits only when neither is quantized.
    pub(super) fn downscale(&self) -> GraphOperator {
        let Self { q, latent } = self;
        let precision = &q.precision;
        let format = if [precision.query(), precision.key_value()] == [GemmQuant::Bfloat16; 2] {
            GemmQuant::Bfloat16
        } else {
            precision.gemm
        };
        let rows = latent.q_rank + latent.kv_rank + latent.rope_dim;
        self.gemm(Operator::DOWNSCALE_GEMM, (rows, q.model.hidden), format)
    }

    fn output(&self) -> GraphOperator {
        let columns = self.q.model.heads * self.latent.value_dim / self.q.mapping.widths().tp;
        self.gemm(
            Operator::PROJ_GEMM,
            (self.q.model.hidden, columns),
            self.q.precision.output(),
        )
    }

    pub(super) fn context(&self) -> Vec<GraphOperator> {
        let Self { q, latent } = self;
        let tp = q.mapping.widths().tp;
        let keys_values = q.model.heads * (latent.nope_dim + latent.value_dim) / tp;
        let attention = if q.backend == Backend::Vllm {
            let (heads, kv_heads, head_dim) = self.value_heads();
            Work::ContextAttention(ContextAttentionShape {
                heads,
                kv_heads,
                head_dim,
                window: 0,
                kv: q.precision.kv,
                fmha: q.precision.fmha,
                qk_norm: false,
            })
        } else {
            Work::ContextMla(ContextMlaShape {
                heads: TABLE_HEADS / tp,
                kv: q.precision.kv,
                fmha: q.precision.fmha,
                context_parallel: 1,
            })
        };
        let mut operators: Vec<_> = self.entry().into();
        operators.extend([
            self.gemm(
                Operator::KV_B_PROJ_GEMM,
                (keys_values, latent.kv_rank),
                q.precision.key_value(),
            ),
            self.every_layer(Operator::ATTENTION, attention),
            self.output(),
        ]);
        operators
    }

    pub(super) fn generation(&self) -> Vec<GraphOperator> {
        let q = &self.q;
        let mut operators: Vec<_> = self.entry().into();
        if q.backend == Backend::Vllm {
            let (heads, kv_heads, head_dim) = self.value_heads();
            let attention = Work::GenerationAttention(GenerationAttentionShape {
                heads,
                kv_heads,
                head_dim,
                window: 0,
                kv: q.precision.kv,
            });
            operators.push(self.every_layer(Operator::ATTENTION, attention));
        } else {
            let attention = Work::GenerationMla(GenerationMlaShape {
                heads: TABLE_HEADS / q.mapping.widths().tp,
                kv: q.precision.kv,
            });
            operators.extend([
                self.absorbed(MlaBmmSide::Pre),
                self.every_layer(Operator::ATTENTION, attention),
                self.absorbed(MlaBmmSide::Post),
            ]);
        }
        operators.push(self.output());
        operators
    }

    /// The products that take the projection of keys and values into queries and outputs; quantized, they run in fp8.
    fn absorbed(&self, side: MlaBmmSide) -> GraphOperator {
        let plain = GemmQuant::Bfloat16;
        let quant = if [self.q.precision.key_value(), self.q.precision.gemm].contains(&plain) {
            plain
        } else {
            GemmQuant::Fp8
        };
        let operator = match side {
            MlaBmmSide::Pre => Operator::BMM_PRE,
            MlaBmmSide::Post => Operator::BMM_POST,
        };
        let shape = MlaBmmShape {
            heads: self.heads(),
            side,
            quant,
        };
        self.every_layer(operator, Work::MlaBmm(shape))
    }
}

impl GraphQuery<'_> {
    /// The model's latent attention.
    pub(super) fn latent_attention(&self) -> Result<LatentAttention, PerfModelError> {
        let missing = |field: &str| PerfModelError::ModelConfig {
            model: self.model.name.clone(),
            field: field.to_owned(),
            problem: "is missing".to_owned(),
        };
        let latent = self
            .model
            .latent_attention
            .ok_or_else(|| missing("kv_lora_rank"))?;
        [
            ("q_lora_rank", latent.q_rank),
            ("qk_nope_head_dim", latent.nope_dim),
            ("v_head_dim", latent.value_dim),
        ]
        .into_iter()
        .find(|(_, width)| *width == 0)
        .map_or(Ok(latent), |(field, _)| Err(missing(field)))
    }
}
