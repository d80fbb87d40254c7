//! Kimi K3: gated delta attention in most layers and latent attention in the others, experts in a latent space.

mod draft;
mod experts;

use super::shapes::{
    ContextMlaModuleShape, ContextMlaShape, GenerationMlaModuleShape, GenerationMlaShape, MlaBmmShape,
    MlaBmmSide,
};
use super::{GraphOperator, GraphQuery, KvCache, Operator, OperatorGraph, Phase, Repeats, Work};
use crate::backend::Backend;
use crate::error::PerfModelError;
use crate::model::{DeltaAttention, Experts, LatentAttention};
use crate::operators::{ContextAttentionShape, GemmShape, GenerationAttentionShape, KdaKernel, KdaShape};
use crate::quant::GemmQuant;

/// States that an engine keeps for each request, the one in use and those that its prefix cache may return to.
const STATES: f64 = 5.0;

/// Bytes of an element of the recurrent state, in 32 bits.
const STATE_BYTES: f64 = 4.0;

/// Bytes of an element of the convolution's window, in 16 bits.
const WINDOW_BYTES: f64 = 2.0;

/// The operators of a Kimi K3.
pub(super) fn graph(q: GraphQuery<'_>) -> Result<OperatorGraph, PerfModelError> {
    let k3 = KimiK3::of(q)?;
    Ok(OperatorGraph::both(k3.kv_cache(), |phase| k3.operators(phase)))
}

/// A Kimi K3 on one rank.
struct KimiK3<'a> {
    q: GraphQuery<'a>,
    experts: Experts,
    latent: LatentAttention,
    delta: DeltaAttention,
}

/// Layers of one kind, whose operators run as often as there are of them. Draft layers repeat none of them: drafts come
/// from a small model of their own.
#[derive(Clone, Copy)]
struct Layers<'a> {
    q: GraphQuery<'a>,
    times: f64,
}

impl Layers<'_> {
    const fn run(self, operator: Operator, work: Work) -> GraphOperator {
        let repeats = Repeats {
            times: self.times,
            with_drafts: false,
        };
        GraphOperator::new(operator, repeats, work)
    }

    const fn gemm(self, operator: Operator, (n, k): (u32, u32)) -> GraphOperator {
        self.run(operator, Work::Gemm(self.q.projection(n, k)))
    }

    /// A product that is never quantized.
    const fn plain_gemm(self, operator: Operator, (n, k): (u32, u32)) -> GraphOperator {
        let shape = GemmShape {
            quant: GemmQuant::Bfloat16,
            ..self.q.projection(n, k)
        };
        self.run(operator, Work::Gemm(shape))
    }

    const fn second_gemm(self, operator: Operator, (n, k): (u32, u32)) -> GraphOperator {
        self.run(operator, Work::Gemm(self.q.second_projection(n, k)))
    }

    fn elementwise(self, operator: Operator, elements: u32) -> GraphOperator {
        let elements = u64::from(elements);
        self.run(operator, Work::Elementwise { elements })
    }

    /// A residual addition with its normalisation.
    fn norm(self, operator: Operator) -> GraphOperator {
        self.elementwise(operator, 4 * self.q.model.hidden)
    }

    const fn all_reduce(self, operator: Operator) -> GraphOperator {
        let work = Work::AllReduce {
            gpus: self.q.mapping.widths().tp,
            hidden: self.q.model.hidden,
        };
        self.run(operator, work)
    }
}

impl<'a> KimiK3<'a> {
    fn of(q: GraphQuery<'a>) -> Result<Self, PerfModelError> {
        let model = q.model;
        let delta = model.delta_attention.ok_or_else(|| PerfModelError::ModelConfig {
            model: model.name.clone(),
            field: "linear_attn_config".to_owned(),
            problem: "is missing".to_owned(),
        })?;
        let tp = q.mapping.widths().tp;
        if !delta.heads.is_multiple_of(tp) {
            return Err(PerfModelError::HeadsNotDivisible {
                model: model.name.clone(),
                heads: delta.heads,
                tp,
            });
        }
        Ok(Self {
            q,
            experts: q.experts()?,
            latent: q.latent_attention()?,
            delta,
        })
    }

    fn layers(&self, layers: u32) -> Layers<'a> {
        Layers {
            q: self.q,
            times: f64::from(layers),
        }
    }

    const fn tp(&self) -> u32 {
        self.q.mapping.widths().tp
    }

    /// Layers with latent attention.
    const fn full_layers(&self) -> u32 {
        self.q.model.layers.saturating_sub(self.delta.layers)
    }

    fn operators(&self, phase: Phase) -> Vec<GraphOperator> {
        let once = self.layers(1);
        let mut operators = vec![
            once.run(Operator::EMBEDDING, self.q.embedding().work),
            once.all_reduce(Operator::EMBEDDING_ALL_REDUCE),
        ];
        operators.extend(self.delta_layers(phase));
        if self.full_layers() > 0 {
            operators.extend(self.latent_layers(phase));
        }
        if self.delta.residuals {
            let both_halves = self.layers(2 * self.q.model.layers);
            operators.push(both_halves.elementwise(Operator::ATTN_RES, 6 * self.q.model.hidden));
        }
        operators.extend(self.networks(phase));
        operators.push(GraphOperator {
            repeats: Repeats::STEP,
            ..self.q.logits()
        });
        operators.push(once.run(Operator::POINT_TO_POINT, self.q.point_to_point().work));
        if phase == Phase::Generation && self.q.drafted > 0 {
            operators.extend(self.draft());
        }
        operators
    }

    fn delta_layers(&self, phase: Phase) -> Vec<GraphOperator> {
        let layers = self.layers(self.delta.layers);
        let hidden = self.q.model.hidden;
        let DeltaAttention { heads, head_dim, .. } = self.delta;
        let width = heads / self.tp() * head_dim;
        let mut operators = vec![
            layers.norm(Operator::KDA_NORM),
            layers.gemm(Operator::KDA_QKVG_GEMM, (4 * width, hidden)),
            layers.gemm(Operator::KDA_BFA_GEMM, (heads + head_dim, hidden)),
            layers.gemm(Operator::KDA_FB_GEMM, (width, head_dim)),
        ];
        let kernels = self.delta_kernels(phase);
        let normalised = kernels.iter().any(|(_, kernel)| *kernel == KdaKernel::VllmStep);
        operators.extend(kernels.into_iter().map(|(operator, kernel)| {
            let shape = self.kernel(kernel);
            layers.run(operator, Work::KimiDelta(shape))
        }));
        if !normalised {
            operators.push(layers.elementwise(Operator::KDA_ONORM, 3 * width));
        }
        operators.extend([
            layers.second_gemm(Operator::KDA_O_GEMM, (hidden, width)),
            layers.all_reduce(Operator::KDA_ALL_REDUCE),
        ]);
        operators
    }

    /// The kernels of gated delta attention in the order in which a step runs them.
    fn delta_kernels(&self, phase: Phase) -> Vec<(Operator, KdaKernel)> {
        use Operator as Op;
        let vllm = self.q.backend == Backend::Vllm;
        match (phase, self.q.drafted > 0) {
            (Phase::Context, _) => vec![
                (Op::KDA_CONV, KdaKernel::PromptConvolution),
                (
                    Op::KDA_SCAN,
                    if vllm {
                        KdaKernel::FlashScan
                    } else {
                        KdaKernel::ChunkScan
                    },
                ),
            ],
            (Phase::Generation, true) => vec![
                (Op::KDA_CONV, KdaKernel::VerifyConvolution),
                (
                    Op::KDA_VERIFY,
                    if vllm {
                        KdaKernel::VllmVerify
                    } else {
                        KdaKernel::Verify
                    },
                ),
            ],
            (Phase::Generation, false) if vllm => vec![(Op::KDA_FUSED_DECODE, KdaKernel::VllmStep)],
            (Phase::Generation, false) => vec![
                (Op::KDA_CONV, KdaKernel::StepConvolution),
                (Op::KDA_RECURRENT, KdaKernel::Recurrence),
            ],
        }
    }

    const fn kernel(&self, kernel: KdaKernel) -> KdaShape {
        let heads = self.delta.heads / self.tp();
        KdaShape {
            kernel,
            hidden: self.q.model.hidden,
            conv_width: self.delta.conv_width,
            key_heads: heads,
            key_dim: self.delta.head_dim,
            value_heads: heads,
            value_dim: self.delta.head_dim,
            draft_tokens: if kernel.is_verify() { self.q.drafted + 1 } else { 0 },
        }
    }

    fn latent_layers(&self, phase: Phase) -> Vec<GraphOperator> {
        let layers = self.layers(self.full_layers());
        let LatentAttention {
            q_rank,
            kv_rank,
            rope_dim,
            ..
        } = self.latent;
        let hidden = self.q.model.hidden;
        let output = self.output_width();
        let parts = self.latent_parts(phase, layers);
        let mut operators = vec![
            layers.norm(Operator::MLA_NORM),
            layers.gemm(
                Operator::MLA_DOWNSCALE_GEMM,
                (q_rank + kv_rank + rope_dim, hidden),
            ),
        ];
        if self.q.backend == Backend::Vllm {
            let fused = Box::new(layers.run(Operator::MLA_MODULE, self.latent_module(phase)));
            let block = Work::Fallback { fused, parts };
            operators.push(self.layers(1).run(Operator::MLA_BLOCK, block));
        } else {
            operators.extend(parts);
        }
        operators.extend([
            layers.gemm(Operator::MLA_GATE_GEMM, (output, hidden)),
            layers.elementwise(
                Operator::MLA_GATE_MUL,
                2 * self.q.model.heads * self.latent.value_dim / self.tp() + output,
            ),
            layers.all_reduce(Operator::MLA_ALL_REDUCE),
        ]);
        operators
    }

    /// Values of the heads on this rank.
    const fn output_width(&self) -> u32 {
        self.q.model.heads * self.latent.value_dim / self.tp()
    }

    const fn latent_module(&self, phase: Phase) -> Work {
        let heads = self.q.model.heads / self.tp();
        let precision = self.q.precision;
        match phase {
            Phase::Context => Work::ContextMlaModule(ContextMlaModuleShape {
                heads,
                kv: precision.kv,
                fmha: precision.fmha,
                gemm: precision.gemm,
            }),
            Phase::Generation => Work::GenerationMlaModule(GenerationMlaModuleShape {
                heads,
                kv: precision.kv,
                gemm: precision.gemm,
            }),
        }
    }

    fn latent_parts(&self, phase: Phase, layers: Layers<'_>) -> Vec<GraphOperator> {
        let tp = self.tp();
        let LatentAttention {
            q_rank,
            kv_rank,
            nope_dim,
            rope_dim,
            value_dim,
        } = self.latent;
        let heads = self.q.model.heads;
        let mut operators = vec![layers.gemm(
            Operator::MLA_Q_B_GEMM,
            (heads * (nope_dim + rope_dim) / tp, q_rank),
        )];
        if phase == Phase::Context {
            operators.push(layers.gemm(
                Operator::MLA_KV_B_GEMM,
                (heads * (nope_dim + value_dim) / tp, kv_rank),
            ));
        }
        operators.extend(self.latent_attention(phase, layers));
        operators.push(layers.second_gemm(Operator::MLA_O_GEMM, (self.q.model.hidden, self.output_width())));
        operators
    }

    fn latent_attention(&self, phase: Phase, layers: Layers<'_>) -> Vec<GraphOperator> {
        let heads = self.q.model.heads / self.tp();
        let kv_heads = self.q.model.kv_heads / self.tp();
        let precision = self.q.precision;
        let vllm = self.q.backend == Backend::Vllm;
        let attention = match (phase, vllm) {
            (Phase::Context, true) => Work::ContextAttention(ContextAttentionShape {
                heads,
                kv_heads,
                head_dim: self.latent.value_dim,
                window: 0,
                kv: precision.kv,
                fmha: precision.fmha,
                qk_norm: false,
            }),
            (Phase::Generation, true) => Work::GenerationAttention(GenerationAttentionShape {
                heads,
                kv_heads,
                head_dim: self.latent.value_dim,
                window: 0,
                kv: precision.kv,
            }),
            (Phase::Context, false) => Work::ContextMla(ContextMlaShape {
                heads,
                kv: precision.kv,
                fmha: precision.fmha,
                context_parallel: 1,
            }),
            (Phase::Generation, false) => Work::GenerationMla(GenerationMlaShape {
                heads,
                kv: precision.kv,
            }),
        };
        let attention = layers.run(Operator::ATTENTION, attention);
        if phase == Phase::Context || vllm {
            return vec![attention];
        }
        let quant = if precision.gemm == GemmQuant::Bfloat16 {
            GemmQuant::Bfloat16
        } else {
            GemmQuant::Fp8
        };
        let absorbed =
            |operator, side| layers.run(operator, Work::MlaBmm(MlaBmmShape { heads, side, quant }));
        vec![
            absorbed(Operator::BMM_PRE, MlaBmmSide::Pre),
            attention,
            absorbed(Operator::BMM_POST, MlaBmmSide::Post),
        ]
    }

    /// The latents of every token in layers with latent attention and in the drafting model, and for each request the
    /// states of the others.
    fn kv_cache(&self) -> KvCache {
        let latent = f64::from(self.full_layers()) * f64::from(self.latent.kv_rank + self.latent.rope_dim);
        let bytes = self.q.precision.kv.bytes();
        let heads = f64::from((self.delta.heads / self.tp()).max(1));
        let head_dim = f64::from(self.delta.head_dim);
        let state = heads * head_dim * head_dim * STATE_BYTES;
        let window = f64::from(self.delta.conv_width - 1) * 3.0 * heads * head_dim * WINDOW_BYTES;
        KvCache::growing((latent + self.draft_cache_elements()) * bytes)
            .with_fixed(f64::from(self.delta.layers) * (state + window) * STATES)
    }
}
