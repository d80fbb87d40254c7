//! The operators of one worker, bound to their tables once, so that a step is priced by lookups alone.

use super::operator::{Operator, OperatorName, Phase};
use crate::error::PerfModelError;
use crate::mapping::ParallelMapping;
use crate::model::{DenseShard, ModelSpec};
use crate::operators::{
    self, AllReduceCost, ContextAttentionCost, ContextAttentionShape, ContextTokens, GemmCost, GemmShape,
    GenerationAttentionCost, GenerationAttentionShape, GenerationTokens, OperatorMiss, PointToPoint,
};
use crate::provenance::{OperatorLatency, Provenance};
use crate::quant::{GemmQuant, Precision};
use crate::system::SystemSpec;
use crate::tables::PerfDatabase;

/// An operator other than attention: its cost depends on the number of tokens in the step alone.
#[derive(Debug, Clone)]
enum TokenCost {
    /// Memory-bound, this many elements per token.
    Elements(u64),
    /// A matrix product with one row per token.
    Product(GemmCost),
    /// A matrix product with one row per sequence.
    SequenceProduct(GemmCost),
    /// An all-reduce of this many elements per token.
    AllReduce { cost: AllReduceCost, width: u64 },
    /// Hops through all stages of a pipeline, this many elements per token.
    Hops { stages: u32, width: u64 },
}

#[derive(Debug, Clone)]
struct TokenOperator {
    operator: Operator,
    /// How often it runs in a step.
    repeats: Repeats,
    cost: TokenCost,
}

/// How often an operator runs in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeats {
    /// Once a layer, draft layers included.
    Layers,
    /// Once a pass, and again for each draft layer in proportion.
    Pass,
    /// Once a step.
    Step,
}

/// What a step works on, attention apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepTokens {
    /// Tokens in the step.
    pub(super) tokens: u64,
    /// Sequences that need logits.
    pub(super) sequences: u64,
}

/// The operators of one worker.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    system: &'static SystemSpec,
    layers: f64,
    /// Factor on a decode step's layers for the draft layers.
    draft_factor: f64,
    token_operators: Vec<TokenOperator>,
    context_attention: ContextAttentionCost,
    generation_attention: GenerationAttentionCost,
}

/// The latency of a step with its origin.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct StepLatency {
    pub(super) ms: f64,
    pub(super) provenance: Provenance,
}

impl StepLatency {
    pub(super) fn add(&mut self, latency: OperatorLatency) {
        self.ms += latency.ms;
        self.provenance.add(latency);
    }

    /// Adds all of another step, `weight` times.
    pub(super) fn merge(&mut self, other: &Self, weight: f64) {
        self.ms += other.ms * weight;
        self.provenance.merge(&other.provenance, weight);
    }
}

/// A missing operator in the phase where it is missed.
fn missed(phase: Phase, operator: Operator) -> impl FnOnce(OperatorMiss) -> PerfModelError {
    move |source| PerfModelError::Operator {
        operator: OperatorName { phase, operator },
        source,
    }
}

/// A question to bind operators for.
#[derive(Clone, Copy)]
pub(super) struct PlanQuery<'a> {
    pub(super) database: &'a PerfDatabase,
    pub(super) model: &'a ModelSpec,
    pub(super) precision: Precision,
    pub(super) mapping: ParallelMapping,
}

impl PlanQuery<'_> {
    fn gemm(self, operator: Operator, shape: GemmShape) -> Result<GemmCost, PerfModelError> {
        self.database
            .gemm(shape)
            .map_err(missed(Phase::Context, operator))
    }

    /// Every operator that has no data, in step order.
    pub(super) fn missing(self) -> Vec<PerfModelError> {
        let local = DenseShard::new(self.model, self.mapping.widths().tp);
        let mut missing: Vec<PerfModelError> = gemm_shapes(&local, self.precision.gemm)
            .into_iter()
            .filter_map(|(operator, shape)| self.gemm(operator, shape).err())
            .collect();
        missing.extend(self.context_attention(&local).err());
        missing.extend(self.generation_attention(&local).err());
        missing.extend(self.all_reduce().err());
        missing
    }

    fn context_attention(self, local: &DenseShard) -> Result<ContextAttentionCost, PerfModelError> {
        self.database
            .context_attention(ContextAttentionShape {
                heads: local.heads,
                kv_heads: local.kv_heads,
                head_dim: local.head_dim,
                window: 0,
                kv: self.precision.kv,
                fmha: self.precision.fmha,
                qk_norm: self.model.qk_norm,
            })
            .map_err(missed(Phase::Context, Operator::Attention))
    }

    fn generation_attention(self, local: &DenseShard) -> Result<GenerationAttentionCost, PerfModelError> {
        self.database
            .generation_attention(GenerationAttentionShape {
                heads: local.heads,
                kv_heads: local.kv_heads,
                head_dim: local.head_dim,
                window: 0,
                kv: self.precision.kv,
            })
            .map_err(missed(Phase::Generation, Operator::Attention))
    }

    fn all_reduce(self) -> Result<AllReduceCost, PerfModelError> {
        self.database
            .all_reduce(self.mapping.widths().tp)
            .map_err(missed(Phase::Context, Operator::AllReduce1))
    }
}

/// The matrix products of a layer, then the output head.
fn gemm_shapes(local: &DenseShard, quant: GemmQuant) -> [(Operator, GemmShape); 5] {
    let shape = |n: u32, k: u32, low_precision_input: bool| GemmShape {
        n,
        k,
        quant,
        low_precision_input,
    };
    [
        (Operator::QkvGemm, shape(local.qkv, local.hidden, false)),
        (Operator::ProjGemm, shape(local.hidden, local.attention, true)),
        (Operator::GateFfn1Gemm, shape(local.gate, local.hidden, false)),
        (Operator::Ffn2Gemm, shape(local.hidden, local.intermediate, true)),
        (
            Operator::LogitsGemm,
            GemmShape {
                quant: GemmQuant::Bfloat16,
                ..shape(local.vocabulary, local.hidden, false)
            },
        ),
    ]
}

impl Plan {
    /// Binds every operator to its table.
    pub(super) fn bind(query: PlanQuery<'_>) -> Result<Self, PerfModelError> {
        let widths = query.mapping.widths();
        let local = DenseShard::new(query.model, widths.tp);
        let context_attention = query.context_attention(&local)?;
        let generation_attention = query.generation_attention(&local)?;
        let mut token_operators = elementwise(&local);
        for (operator, shape) in gemm_shapes(&local, query.precision.gemm) {
            let cost = query.gemm(operator, shape)?;
            let (repeats, cost) = if operator == Operator::LogitsGemm {
                (Repeats::Pass, TokenCost::SequenceProduct(cost))
            } else {
                (Repeats::Layers, TokenCost::Product(cost))
            };
            token_operators.push(TokenOperator {
                operator,
                repeats,
                cost,
            });
        }
        let all_reduce = query.all_reduce()?;
        for (operator, repeats) in [
            (Operator::EmbeddingAllReduce, Repeats::Pass),
            (Operator::AllReduce1, Repeats::Layers),
            (Operator::AllReduce2, Repeats::Layers),
        ] {
            token_operators.push(TokenOperator {
                operator,
                repeats,
                cost: TokenCost::AllReduce {
                    cost: all_reduce.clone(),
                    width: u64::from(local.hidden),
                },
            });
        }
        token_operators.push(TokenOperator {
            operator: Operator::PointToPoint,
            repeats: Repeats::Step,
            cost: TokenCost::Hops {
                stages: widths.pp,
                width: u64::from(local.hidden),
            },
        });
        token_operators.sort_by_key(|operator| operator.operator);
        Ok(Self {
            system: query.database.system(),
            layers: f64::from(query.model.layers),
            draft_factor: 1.0,
            token_operators,
            context_attention,
            generation_attention,
        })
    }

    /// The same operators with `drafted` draft layers in each decode step.
    pub(super) fn with_draft_layers(mut self, drafted: u32) -> Self {
        self.draft_factor = (f64::from(drafted) + self.layers) / self.layers;
        self
    }

    fn repeats(&self, phase: Phase, repeats: Repeats) -> f64 {
        let draft_factor = match phase {
            Phase::Context => 1.0,
            Phase::Generation => self.draft_factor,
        };
        match repeats {
            Repeats::Layers => self.layers * draft_factor,
            Repeats::Pass => draft_factor,
            Repeats::Step => 1.0,
        }
    }

    /// Gives `sink` every operator but attention, in step order, for a step of `phase`.
    pub(super) fn visit_token_operators(
        &self,
        phase: Phase,
        step: StepTokens,
        mut sink: impl FnMut(OperatorName, OperatorLatency),
    ) -> Result<(), PerfModelError> {
        for TokenOperator {
            operator,
            repeats,
            cost,
        } in &self.token_operators
        {
            let latency = self
                .price(cost, step)
                .map_err(missed(phase, *operator))?
                .times(self.repeats(phase, *repeats));
            let name = OperatorName {
                phase,
                operator: *operator,
            };
            sink(name, latency);
        }
        Ok(())
    }

    fn price(&self, cost: &TokenCost, step: StepTokens) -> Result<OperatorLatency, OperatorMiss> {
        match cost {
            TokenCost::Elements(width) => Ok(operators::elementwise(self.system, step.tokens, *width)),
            TokenCost::Product(cost) => cost.latency(step.tokens),
            TokenCost::SequenceProduct(cost) => cost.latency(step.sequences),
            TokenCost::AllReduce { cost, width } => cost.latency(step.tokens * width),
            TokenCost::Hops { stages, width } => Ok(operators::point_to_point(
                self.system,
                PointToPoint {
                    tokens: step.tokens,
                    hidden: *width,
                    stages: *stages,
                },
            )),
        }
    }

    /// Prefill attention of all layers.
    pub(super) fn context_attention(&self, tokens: ContextTokens) -> Result<OperatorLatency, PerfModelError> {
        self.context_attention
            .latency(tokens)
            .map(|latency| latency.times(self.layers))
            .map_err(missed(Phase::Context, Operator::Attention))
    }

    /// Decode attention of all layers.
    pub(super) fn generation_attention(
        &self,
        tokens: GenerationTokens,
    ) -> Result<OperatorLatency, PerfModelError> {
        self.generation_attention
            .latency(tokens)
            .map(|latency| latency.times(self.repeats(Phase::Generation, Repeats::Layers)))
            .map_err(missed(Phase::Generation, Operator::Attention))
    }
}

/// The memory-bound operators of a pass.
fn elementwise(local: &DenseShard) -> Vec<TokenOperator> {
    let hidden = u64::from(local.hidden);
    [
        (Operator::Embedding, Repeats::Pass, hidden),
        (Operator::AddNorm1, Repeats::Layers, 4 * hidden),
        (Operator::AddNorm2, Repeats::Layers, 4 * hidden),
        (
            Operator::ActGate,
            Repeats::Layers,
            u64::from(local.gate) + u64::from(local.intermediate),
        ),
    ]
    .into_iter()
    .map(|(operator, repeats, width)| TokenOperator {
        operator,
        repeats,
        cost: TokenCost::Elements(width),
    })
    .collect()
}
