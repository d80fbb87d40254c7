//! Operators bound to their tables, so that pricing one is a few lookups and allocates nothing.

use crate::efficiency::{GapPolicy, RooflineCost};
use crate::graph::{GraphOperator, Operator, Repeats, TokenBasis, TokenShare, Work};
use crate::operators::{
    self, AllReduceCost, AllToAllCost, ContextAttentionCost, ContextDsv4Cost, ContextMlaCost,
    ContextMlaModuleCost, ContextMsaCost, DispatchCost, DsaContextCost, DsaGenerationCost, ExpertComputeCost,
    GdnCost, GemmCost, GenerationAttentionCost, GenerationDsv4Cost, GenerationMlaCost,
    GenerationMlaModuleCost, GenerationMsaCost, HyperConnectionCost, KdaCost, Mamba2Cost, MlaBmmCost,
    MoeCost, NcclCost, OperatorMiss, PointToPoint, SequenceTokens, StepShape, WideEpContextMlaCost,
    WideEpGenerationMlaCost,
};
use crate::provenance::OperatorLatency;
use crate::system::SystemSpec;
use crate::tables::PerfDatabase;

/// One operator with its table.
#[derive(Debug, Clone)]
pub(super) struct BoundOperator {
    pub(super) operator: Operator,
    pub(super) repeats: Repeats,
    tokens: TokenShare,
    cost: Cost,
    /// What it costs out of the tables' reach, where gaps are filled.
    gap: Option<Box<RooflineCost>>,
}

#[derive(Debug, Clone)]
enum Cost {
    Elementwise {
        elements: u64,
    },
    Gemm(GemmCost),
    Moe(MoeCost),
    Dispatch(DispatchCost),
    AllToAll(AllToAllCost),
    ExpertCompute(ExpertComputeCost),
    ContextAttention(ContextAttentionCost),
    SplitContextAttention {
        cost: ContextAttentionCost,
        ranks: u32,
    },
    GenerationAttention(GenerationAttentionCost),
    ContextMla(ContextMlaCost),
    GenerationMla(GenerationMlaCost),
    ContextMlaModule(ContextMlaModuleCost),
    GenerationMlaModule(GenerationMlaModuleCost),
    WideEpContextMla(WideEpContextMlaCost),
    WideEpGenerationMla(WideEpGenerationMlaCost),
    MlaBmm(MlaBmmCost),
    ContextDsa(DsaContextCost),
    GenerationDsa(DsaGenerationCost),
    ContextDsv4(ContextDsv4Cost),
    GenerationDsv4(GenerationDsv4Cost),
    ContextMsa(ContextMsaCost),
    GenerationMsa(GenerationMsaCost),
    HyperConnection(HyperConnectionCost),
    GatedDelta(GdnCost),
    Mamba2(Mamba2Cost),
    KimiDelta(KdaCost),
    AllReduce {
        cost: AllReduceCost,
        hidden: u64,
    },
    Collective {
        cost: NcclCost,
        elements: u64,
    },
    PointToPoint {
        stages: u32,
        hidden: u64,
    },
    /// Nothing was measured.
    Roofline(Box<RooflineCost>),
    Overlap {
        first: Vec<BoundOperator>,
        second: Vec<BoundOperator>,
    },
    /// The fused kernel, where it was measured at all, and its parts, where they were.
    Fallback {
        fused: Option<Box<BoundOperator>>,
        parts: Result<Vec<BoundOperator>, OperatorMiss>,
    },
}

impl BoundOperator {
    /// Finds the tables of an operator.
    pub(super) fn bind(database: &PerfDatabase, graph: &GraphOperator) -> Result<Self, OperatorMiss> {
        let gap = database.gap(graph).map(Box::new);
        let (cost, gap) = match (Cost::bind(database, &graph.work), gap) {
            // Kernels that the reference prices at the speed of light need no table to be bound.
            (Ok(_), Some(gap)) if !database.is_measured() => (Cost::Roofline(gap), None),
            (Ok(cost), gap) => (cost, gap),
            (Err(miss), Some(gap)) if miss.is_gap() => (Cost::Roofline(gap), None),
            (Err(miss), _) => return Err(miss),
        };
        Ok(Self {
            operator: graph.operator,
            repeats: graph.repeats,
            tokens: graph.tokens,
            cost,
            gap,
        })
    }

    /// Whether it costs more as sequences grow, whatever the number of tokens in the step.
    pub(super) fn grows_with_sequence(&self) -> bool {
        match &self.cost {
            Cost::ContextAttention(_)
            | Cost::SplitContextAttention { .. }
            | Cost::GenerationAttention(_)
            | Cost::ContextMla(_)
            | Cost::GenerationMla(_)
            | Cost::ContextMlaModule(_)
            | Cost::GenerationMlaModule(_)
            | Cost::WideEpContextMla(_)
            | Cost::WideEpGenerationMla(_)
            | Cost::ContextDsa(_)
            | Cost::GenerationDsa(_)
            | Cost::ContextDsv4(_)
            | Cost::GenerationDsv4(_)
            | Cost::ContextMsa(_)
            | Cost::GenerationMsa(_) => true,
            Cost::Elementwise { .. }
            | Cost::Gemm(_)
            | Cost::Moe(_)
            | Cost::Dispatch(_)
            | Cost::MlaBmm(_)
            | Cost::HyperConnection(_)
            | Cost::GatedDelta(_)
            | Cost::Mamba2(_)
            | Cost::KimiDelta(_)
            | Cost::AllToAll(_)
            | Cost::ExpertCompute(_)
            | Cost::AllReduce { .. }
            | Cost::Collective { .. }
            | Cost::PointToPoint { .. } => false,
            Cost::Roofline(cost) => cost.grows_with_sequence(),
            Cost::Overlap { first, second } => first.iter().chain(second).any(Self::grows_with_sequence),
            Cost::Fallback { fused, parts } => fused
                .iter()
                .map(Box::as_ref)
                .chain(parts.iter().flatten())
                .any(Self::grows_with_sequence),
        }
    }

    /// One run of the operator in a step.
    pub(super) fn latency(
        &self,
        system: &SystemSpec,
        step: &StepShape,
    ) -> Result<OperatorLatency, OperatorMiss> {
        match (self.within_reach(system, step), &self.gap) {
            (Err(miss), Some(gap)) if miss.is_gap() => Ok(gap.latency(step)),
            (answer, _) => answer,
        }
    }

    fn within_reach(&self, system: &SystemSpec, step: &StepShape) -> Result<OperatorLatency, OperatorMiss> {
        let tokens = self.tokens.count(step);
        match &self.cost {
            Cost::Elementwise { elements } => Ok(operators::elementwise(system, tokens, *elements)),
            Cost::Gemm(cost) => cost.latency(tokens),
            Cost::Moe(cost) => cost.latency(tokens),
            Cost::Dispatch(cost) => cost.latency(tokens),
            Cost::AllToAll(cost) => cost.latency(tokens),
            Cost::ExpertCompute(cost) => cost.latency(tokens),
            Cost::ContextAttention(cost) => cost.latency(step.context_tokens()),
            Cost::SplitContextAttention { cost, ranks } => cost.split_latency(step.context_tokens(), *ranks),
            Cost::GenerationAttention(cost) => cost.latency(step.generation_tokens()),
            Cost::ContextMla(cost) => cost.latency(step.context_tokens()),
            Cost::GenerationMla(cost) => cost.latency(step.generation_tokens()),
            Cost::ContextMlaModule(cost) => cost.latency(step.context_tokens()),
            Cost::GenerationMlaModule(cost) => cost.latency(step.generation_tokens()),
            Cost::WideEpContextMla(cost) => cost.latency(step.context_tokens()),
            Cost::WideEpGenerationMla(cost) => cost.latency(step.generation_tokens()),
            Cost::MlaBmm(cost) => Ok(cost.latency(tokens)),
            Cost::ContextDsa(cost) => cost.latency(step.context_tokens()),
            Cost::GenerationDsa(cost) => cost.latency(step.generation_tokens()),
            Cost::ContextDsv4(cost) => cost.latency(step.context_tokens()),
            Cost::GenerationDsv4(cost) => cost.latency(step.generation_tokens()),
            Cost::ContextMsa(cost) => cost.latency(step.context_tokens()),
            Cost::GenerationMsa(cost) => cost.latency(step.generation_tokens()),
            Cost::HyperConnection(cost) => cost.latency(tokens),
            Cost::GatedDelta(cost) => Ok(cost.latency(SequenceTokens::of(step))),
            Cost::Mamba2(cost) => Ok(cost.latency(SequenceTokens::of(step))),
            Cost::KimiDelta(cost) => Ok(cost.latency(SequenceTokens::of(step))),
            Cost::AllReduce { cost, hidden } => cost.latency(tokens * hidden),
            Cost::Collective { cost, elements } => cost.latency(tokens * elements),
            Cost::PointToPoint { stages, hidden } => Ok(operators::point_to_point(
                system,
                PointToPoint {
                    tokens,
                    hidden: *hidden,
                    stages: *stages,
                },
            )),
            Cost::Roofline(cost) => Ok(cost.latency(step)),
            Cost::Overlap { first, second } => {
                let branches = [sum(first, system, step)?, sum(second, system, step)?];
                Ok(longer(branches))
            }
            Cost::Fallback { fused, parts } => {
                if let Some(fused) = fused
                    && let Ok(latency) = fused.latency(system, step)
                {
                    return Ok(latency.times(fused.repeats.times));
                }
                match parts {
                    Ok(parts) => sum(parts, system, step),
                    Err(miss) => Err(miss.clone()),
                }
            }
        }
    }
}

impl Cost {
    fn bind(database: &PerfDatabase, work: &Work) -> Result<Self, OperatorMiss> {
        Ok(match work {
            Work::Elementwise { elements } => Self::Elementwise { elements: *elements },
            Work::Embedding { hidden, .. } => Self::Elementwise {
                elements: u64::from(*hidden),
            },
            Work::Gemm(shape) => Self::Gemm(database.gemm(*shape)?),
            Work::ContextAttention(shape) => Self::ContextAttention(database.context_attention(*shape)?),
            Work::SplitContextAttention { shape, ranks } => Self::SplitContextAttention {
                cost: database.context_attention(*shape)?,
                ranks: *ranks,
            },
            Work::GenerationAttention(shape) => {
                Self::GenerationAttention(database.generation_attention(*shape)?)
            }
            Work::ContextDsv4(shape) => Self::ContextDsv4(database.context_dsv4(*shape)?),
            Work::GenerationDsv4(shape) => Self::GenerationDsv4(database.generation_dsv4(*shape)?),
            Work::ContextMsa(shape) => Self::ContextMsa(database.context_msa(*shape)?),
            Work::GenerationMsa(shape) => Self::GenerationMsa(database.generation_msa(*shape)?),
            Work::HyperConnection(shape) => Self::HyperConnection(database.hyper_connection(*shape)?),
            Work::GatedDelta(shape) => Self::GatedDelta(database.gated_delta(*shape)?),
            Work::Mamba2(shape) => Self::Mamba2(database.mamba2(*shape)?),
            Work::KimiDelta(shape) => Self::KimiDelta(database.kimi_delta(*shape)?),
            Work::AllReduce { gpus, hidden } => Self::AllReduce {
                cost: database.all_reduce(*gpus)?,
                hidden: u64::from(*hidden),
            },
            Work::Collective {
                collective,
                gpus,
                elements,
            } => Self::Collective {
                cost: database.nccl(*collective, *gpus)?,
                elements: *elements,
            },
            Work::PointToPoint { stages, hidden } => Self::PointToPoint {
                stages: *stages,
                hidden: u64::from(*hidden),
            },
            Work::Moe(shape) => Self::Moe(database.moe(*shape)?),
            Work::Dispatch(shape) => Self::Dispatch(database.dispatch(*shape)?),
            Work::AllToAll(shape) => Self::AllToAll(database.all_to_all(*shape)?),
            Work::ExpertCompute(shape) => Self::ExpertCompute(database.expert_compute(*shape)?),
            Work::ContextMla(shape) => Self::ContextMla(database.context_mla(*shape)?),
            Work::GenerationMla(shape) => Self::GenerationMla(database.generation_mla(*shape)?),
            Work::ContextMlaModule(shape) => Self::ContextMlaModule(database.context_mla_module(*shape)?),
            Work::GenerationMlaModule(shape) => {
                Self::GenerationMlaModule(database.generation_mla_module(*shape)?)
            }
            Work::WideEpContextMla(shape) => Self::WideEpContextMla(database.wide_ep_context_mla(*shape)?),
            Work::WideEpGenerationMla(shape) => {
                Self::WideEpGenerationMla(database.wide_ep_generation_mla(*shape)?)
            }
            Work::MlaBmm(shape) => Self::MlaBmm(database.mla_bmm(*shape)?),
            Work::ContextDsa { shape, .. } => Self::ContextDsa(database.dsa_context(*shape)?),
            Work::GenerationDsa { shape, .. } => Self::GenerationDsa(database.dsa_generation(*shape)?),
            Work::Overlap { first, second } => Self::Overlap {
                first: bind_all(database, first)?,
                second: bind_all(database, second)?,
            },
            Work::Fallback { fused, parts } => {
                // A kernel that nobody measured must not stand before parts that somebody did.
                let strict = database.clone().with_gaps(GapPolicy::Refuse);
                let fused = BoundOperator::bind(&strict, fused);
                let parts = bind_all(database, parts);
                match (fused, parts) {
                    (Err(_), Err(miss)) => return Err(miss),
                    (fused, parts) => Self::Fallback {
                        fused: fused.ok().map(Box::new),
                        parts,
                    },
                }
            }
        })
    }
}

fn bind_all(database: &PerfDatabase, graph: &[GraphOperator]) -> Result<Vec<BoundOperator>, OperatorMiss> {
    graph
        .iter()
        .map(|operator| BoundOperator::bind(database, operator))
        .collect()
}

/// Operators one after the other, each with its repetitions.
fn sum(
    operators: &[BoundOperator],
    system: &SystemSpec,
    step: &StepShape,
) -> Result<OperatorLatency, OperatorMiss> {
    operators
        .iter()
        .try_fold(OperatorLatency::ZERO, |total, operator| {
            let part = operator.latency(system, step)?.times(operator.repeats.times);
            Ok(total.plus(part))
        })
}

/// The branch that takes longer.
fn longer([first, second]: [OperatorLatency; 2]) -> OperatorLatency {
    if second.ms > first.ms { second } else { first }
}

impl TokenShare {
    /// The tokens of a step that fall to one rank.
    pub(crate) fn count(self, step: &StepShape) -> u64 {
        let all = match self.basis {
            TokenBasis::Tokens => step.tokens,
            TokenBasis::Sequences => step.logits,
        };
        (all / u64::from(self.over)).div_ceil(u64::from(self.split))
    }
}
