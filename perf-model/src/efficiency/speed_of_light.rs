//! The least time that an operator can take, by what bounds it.

use dgdr_units::real;
use serde::{Deserialize, Serialize};

use crate::graph::{
    ContextMlaModuleShape, ContextMlaShape, GenerationMlaModuleShape, GenerationMlaShape, Work,
};
use crate::operators::roofline::{
    self, ContextAttentionWork, DsaWork, GemmWork, GenerationAttentionWork, MlaBmmWork, MlaContextWork,
    MlaGenerationWork,
};
use crate::operators::{
    Collective, ContextAttentionShape, ContextTokens, GemmShape, GenerationAttentionShape, SequenceTokens,
    StepShape,
};
use crate::quant::KvQuant;
use crate::system::SystemSpec;

/// What a kernel waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Tensor cores.
    Arithmetic,
    /// The GPU's memory.
    Memory,
    /// The links between GPUs.
    Link,
}

impl Bound {
    /// All of them, in the order of [`SpeedOfLight::limits`].
    pub const ALL: [Self; 3] = [Self::Arithmetic, Self::Memory, Self::Link];
}

/// What an efficiency was learned of: operators of one kind and format have one curve.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// Kind of operator: the name of the table that measures it.
    pub kind: &'static str,
    /// Its formats.
    pub format: String,
}

impl Subject {
    /// The subject of an operator; none for operators made of others and for closed forms.
    pub fn of(work: &Work) -> Option<Self> {
        let (kind, format) = match work {
            Work::Elementwise { .. }
            | Work::Embedding { .. }
            | Work::PointToPoint { .. }
            // Chosen only where it was measured.
            | Work::AllToAll(_)
            | Work::WideEpContextMla(_)
            | Work::WideEpGenerationMla(_)
            | Work::Overlap { .. }
            | Work::Fallback { .. } => return None,
            Work::ContextMla(shape) => (
                "context_mla",
                format!("{}, kv {}", shape.fmha.name(), shape.kv.name()),
            ),
            Work::GenerationMla(shape) => ("generation_mla", format!("kv {}", shape.kv.name())),
            Work::ContextMlaModule(shape) => ("mla_context_module", shape.gemm.name().to_owned()),
            Work::GenerationMlaModule(shape) => ("mla_generation_module", shape.gemm.name().to_owned()),
            Work::MlaBmm(shape) => ("mla_bmm", shape.quant.name().to_owned()),
            Work::ContextDsa { shape, .. } => ("dsa_context_module", shape.gemm.name().to_owned()),
            Work::GenerationDsa { shape, .. } => ("dsa_generation_module", shape.gemm.name().to_owned()),
            Work::Gemm(shape) => ("gemm", shape.quant.name().to_owned()),
            Work::ContextAttention(shape) | Work::SplitContextAttention { shape, .. } => (
                "context_attention",
                format!("{}, kv {}", shape.fmha.name(), shape.kv.name()),
            ),
            Work::GenerationAttention(shape) => ("generation_attention", format!("kv {}", shape.kv.name())),
            Work::ContextDsv4(shape) => (shape.compression.context_table(), shape.gemm.name().to_owned()),
            Work::GenerationDsv4(shape) => {
                (shape.compression.generation_table(), shape.gemm.name().to_owned())
            }
            Work::ContextMsa(shape) => ("msa_context", shape.gemm.name().to_owned()),
            Work::GenerationMsa(shape) => ("msa_generation", shape.gemm.name().to_owned()),
            Work::HyperConnection(shape) => ("mhc", shape.side.name().to_owned()),
            Work::GatedDelta(shape) => (shape.table(), shape.kernel.name().to_owned()),
            Work::Mamba2(shape) => ("mamba2_context", shape.kernel.name().to_owned()),
            Work::KimiDelta(shape) => (shape.table(), shape.kernel.name().to_owned()),
            Work::Moe(shape) => ("moe", shape.quant.name().to_owned()),
            Work::ExpertCompute(shape) => ("moe", shape.moe.quant.name().to_owned()),
            Work::Collective {
                collective: Collective::AllReduce,
                ..
            }
            | Work::AllReduce { .. } => ("custom_allreduce", "bfloat16".to_owned()),
            // Within one attention copy an all-reduce stands for what its ranks exchange.
            Work::Dispatch(shape) if shape.attention_dp == 1 => ("custom_allreduce", "bfloat16".to_owned()),
            Work::Dispatch(shape) => ("nccl", if shape.before { "there" } else { "back" }.to_owned()),
            Work::Collective { collective, .. } => {
                let back = *collective == Collective::ReduceScatter;
                ("nccl", if back { "back" } else { "there" }.to_owned())
            }
        };
        Some(Self { kind, format })
    }
}

/// A system taken apart, so that a roofline can be asked what each part of it allows.
#[derive(Debug, Clone)]
pub struct SpeedOfLight {
    /// As fast as its tensor cores, whatever its memory.
    arithmetic: Box<SystemSpec>,
    /// As fast as its memory, whatever its tensor cores.
    memory: Box<SystemSpec>,
}

impl SpeedOfLight {
    /// Takes a system apart.
    pub fn new(system: &SystemSpec) -> Self {
        let unbounded = |rate: Option<f64>| rate.map(|_| f64::INFINITY);
        Self {
            arithmetic: Box::new(SystemSpec {
                memory_bandwidth: f64::INFINITY,
                ..system.clone()
            }),
            memory: Box::new(SystemSpec {
                bfloat16_flops: f64::INFINITY,
                int8_flops: unbounded(system.int8_flops),
                fp8_flops: unbounded(system.fp8_flops),
                fp4_flops: unbounded(system.fp4_flops),
                ..system.clone()
            }),
        }
    }

    /// Milliseconds that `work` on `tokens` takes at least, by each of [`Bound::ALL`].
    pub fn limits(&self, work: &Work, tokens: u64, step: &StepShape) -> [f64; Bound::ALL.len()] {
        let [arithmetic, memory] =
            [&self.arithmetic, &self.memory].map(|system| on_gpu(system, work, tokens, step));
        [arithmetic, memory, between_gpus(&self.memory, work, tokens)]
    }
}

/// Milliseconds within a GPU.
fn on_gpu(system: &SystemSpec, work: &Work, tokens: u64, step: &StepShape) -> f64 {
    match work {
        Work::Gemm(shape) => product(system, shape, tokens),
        Work::ContextAttention(shape) => prefill_attention(system, shape, step.context_tokens()),
        Work::SplitContextAttention { shape, ranks } => step
            .context_tokens()
            .pieces(*ranks)
            .map(|piece| prefill_attention(system, shape, piece))
            .into_iter()
            .sum(),
        Work::GenerationAttention(shape) => decode_attention(system, shape, step),
        Work::ContextMla(ContextMlaShape { heads, kv, fmha, .. })
        | Work::ContextMlaModule(ContextMlaModuleShape { heads, kv, fmha, .. }) => {
            let work = MlaContextWork {
                batch: step.batch,
                sequence: step.sequence,
                heads: u64::from(*heads),
                kv: *kv,
                fmha: *fmha,
            };
            share_after_prefix(step) * roofline::mla_context(system, work)
        }
        Work::GenerationMla(GenerationMlaShape { heads, kv }) => {
            roofline::mla_generation(system, decoded(*heads, *kv, step))
        }
        Work::GenerationMlaModule(GenerationMlaModuleShape { heads, kv, gemm }) => {
            roofline::mla_generation_module(system, decoded(*heads, *kv, step), *gemm)
        }
        Work::MlaBmm(shape) => roofline::mla_bmm(
            system,
            MlaBmmWork {
                tokens,
                heads: u64::from(shape.heads),
                quant: shape.quant,
            },
        ),
        Work::ContextDsa { shape, .. } => {
            roofline::dsa_context(system, DsaWork::context(shape, step.context_tokens()))
        }
        Work::GenerationDsa { shape, .. } => {
            roofline::dsa_generation(system, DsaWork::generation(shape, step.generation_tokens()))
        }
        Work::ContextDsv4(shape) => {
            roofline::context_dsv4(system, shape, [step.prefix, step.new_tokens, step.batch])
        }
        Work::GenerationDsv4(shape) => roofline::generation_dsv4(system, shape, [step.batch, step.sequence]),
        Work::ContextMsa(shape) => {
            let heads = u64::from(shape.heads);
            roofline::context_msa(system, shape, [heads, step.prefix, step.new_tokens, step.batch])
        }
        Work::GenerationMsa(shape) => {
            let heads = u64::from(shape.heads);
            roofline::generation_msa(system, shape, [heads, step.batch, step.sequence])
        }
        Work::HyperConnection(shape) => roofline::hyper_connection(system, shape, tokens),
        Work::GatedDelta(shape) => roofline::gated_delta(system, shape, SequenceTokens::of(step)),
        Work::Mamba2(shape) => roofline::mamba2(system, shape, SequenceTokens::of(step)),
        Work::KimiDelta(shape) => roofline::kimi_delta(system, shape, SequenceTokens::of(step)),
        Work::Moe(shape) => roofline::moe(system, tokens * u64::from(shape.attention_dp), shape),
        Work::ExpertCompute(shape) => shape.roofline(system, tokens),
        Work::Elementwise { .. }
        | Work::Embedding { .. }
        | Work::AllReduce { .. }
        | Work::Collective { .. }
        | Work::PointToPoint { .. }
        | Work::Dispatch(_)
        | Work::AllToAll(_)
        | Work::WideEpContextMla(_)
        | Work::WideEpGenerationMla(_)
        | Work::Overlap { .. }
        | Work::Fallback { .. } => 0.0,
    }
}

/// Milliseconds of a matrix product with a row a token.
fn product(system: &SystemSpec, shape: &GemmShape, tokens: u64) -> f64 {
    let work = GemmWork {
        m: tokens,
        n: u64::from(shape.n),
        k: u64::from(shape.k),
        quant: shape.quant,
    };
    roofline::gemm(system, work)
}

/// Milliseconds of decode attention.
fn decode_attention(system: &SystemSpec, shape: &GenerationAttentionShape, step: &StepShape) -> f64 {
    let work = GenerationAttentionWork {
        batch: step.batch,
        sequence: step.sequence,
        heads: u64::from(shape.heads),
        kv_heads: u64::from(shape.kv_heads),
        head_dim: u64::from(shape.head_dim),
        window: u64::from(shape.window),
        kv: shape.kv,
    };
    roofline::generation_attention(system, work)
}

/// Milliseconds of prefill attention; what the prefix paid already is left out.
fn prefill_attention(system: &SystemSpec, shape: &ContextAttentionShape, tokens: ContextTokens) -> f64 {
    let sequence = tokens.new_tokens + tokens.prefix;
    let (full, prefix) = (real(sequence), real(tokens.prefix));
    let share = (full * full - prefix * prefix) / (full * full);
    share
        * roofline::context_attention(
            system,
            ContextAttentionWork {
                batch: tokens.batch,
                sequence,
                heads: u64::from(shape.heads),
                kv_heads: u64::from(shape.kv_heads),
                head_dim: u64::from(shape.head_dim),
                window: u64::from(shape.window),
                kv: shape.kv,
                fmha: shape.fmha,
            },
        )
}

/// The share of a prefill's causal triangle that its cached prefix did not pay yet.
fn share_after_prefix(step: &StepShape) -> f64 {
    let (full, prefix) = (real(step.sequence), real(step.prefix));
    (full * full - prefix * prefix) / (full * full)
}

fn decoded(heads: u32, kv: KvQuant, step: &StepShape) -> MlaGenerationWork {
    MlaGenerationWork {
        batch: step.batch,
        sequence: step.sequence,
        heads: u64::from(heads),
        kv,
    }
}

/// Milliseconds between GPUs.
fn between_gpus(system: &SystemSpec, work: &Work, tokens: u64) -> f64 {
    if let Work::AllReduce { gpus, hidden } = *work {
        roofline::all_reduce(system, real(tokens) * f64::from(hidden), gpus)
    } else if let Work::Collective {
        collective,
        gpus,
        elements,
    } = *work
    {
        let elements = real(tokens * elements);
        match collective {
            Collective::AllReduce => roofline::all_reduce(system, elements, gpus),
            Collective::AllGather | Collective::AllToAll | Collective::ReduceScatter => {
                roofline::exchange(system, elements, gpus)
            }
        }
    } else if let Work::Dispatch(shape) = work {
        shape.link_ms(system, tokens)
    } else {
        0.0
    }
}
