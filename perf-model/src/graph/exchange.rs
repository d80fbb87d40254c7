//! Experts that exchange tokens by kernels of their own (large expert parallelism): the way there, whole experts, the
//! way back; each engine changes what stands around them, too.

mod latent;

use super::{
    GraphOperator, GraphQuery, MoeShape, Operator, OperatorGraph, Phase, Repeats, TokenShare, Work,
    WorkloadDistribution, deepseek_sparse, mixture,
};
use crate::backend::Backend;
use crate::error::PerfModelError;
use crate::model::{Experts, ModelFamily};
use crate::operators::{
    AllToAllShape, Collective, ExchangeLibrary, ExchangeStep, ExpertComputeShape, GemmShape,
};
use crate::quant::GemmQuant;

/// Multiprocessors that an engine gives to DeepEP's high-throughput kernels.
const MULTIPROCESSORS: u32 = 20;

/// What decode layers of TensorRT-LLM take when each kernel starts before the one before it ends.
const OVERLAPPED_LAUNCHES: f64 = 0.9;

/// The libraries that exchange tokens in each phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExchangeLibraries {
    /// Of prompts.
    pub context: ExchangeLibrary,
    /// Of decoded tokens.
    pub generation: ExchangeLibrary,
}

/// Whether the graphs of a family know experts that exchange tokens.
pub const fn exchanges_tokens(family: ModelFamily) -> bool {
    matches!(
        family,
        ModelFamily::MixtureOfExperts | ModelFamily::DeepSeek | ModelFamily::DeepSeekSparse
    )
}

/// How a family's tokens choose experts.
const fn distribution(family: ModelFamily) -> WorkloadDistribution {
    if matches!(family, ModelFamily::MixtureOfExperts) {
        WorkloadDistribution::PowerLaw12
    } else {
        WorkloadDistribution::PowerLaw101
    }
}

impl OperatorGraph {
    /// The operators of a worker whose experts exchange tokens with these libraries.
    ///
    /// # Errors
    /// As [`OperatorGraph::of`]. A family whose experts exchange no tokens has its usual operators.
    pub fn exchanging(query: GraphQuery<'_>, libraries: ExchangeLibraries) -> Result<Self, PerfModelError> {
        let query = query.with_experts();
        query.check()?;
        query.check_split()?;
        let exchange = Exchange {
            q: query,
            experts: query.experts()?,
            libraries,
        };
        let family = query.model.family;
        let graph = if family == ModelFamily::MixtureOfExperts {
            mixture::graph(query).map(|graph| exchange.grouped(graph))
        } else if family == ModelFamily::DeepSeek {
            exchange.latent()
        } else if family == ModelFamily::DeepSeekSparse {
            exchange.sparse()
        } else {
            Self::whole(query)
        };
        graph.map(|graph| graph.with_split_prompts(query))
    }
}

impl GraphQuery<'_> {
    /// The experts of one phase as the tables know them; none for a model without experts.
    pub(crate) fn exchanged_experts(&self, phase: Phase) -> Option<ExpertComputeShape> {
        let experts = self.model.experts?;
        let widths = self.mapping.widths();
        Some(ExpertComputeShape {
            moe: MoeShape {
                hidden: self.model.hidden,
                intermediate: experts.intermediate,
                per_token: experts.per_token,
                experts: experts.count,
                moe_tp: 1,
                moe_ep: widths.moe_ep,
                attention_dp: widths.attention_dp,
                quant: self.precision.moe,
                distribution: distribution(self.model.family),
                gated: true,
            },
            slots: experts.count,
            phase,
            backend: self.backend,
        })
    }
}

/// Experts that exchange tokens, and the worker that they are in.
#[derive(Clone, Copy)]
struct Exchange<'a> {
    q: GraphQuery<'a>,
    experts: Experts,
    libraries: ExchangeLibraries,
}

impl Exchange<'_> {
    const fn library(&self, phase: Phase) -> ExchangeLibrary {
        match phase {
            Phase::Context => self.libraries.context,
            Phase::Generation => self.libraries.generation,
        }
    }

    /// Attention's ranks that share out the tokens of a prompt before they travel, with DeepEP in SGLang and vLLM.
    fn sharing(&self, phase: Phase) -> u32 {
        let widths = self.q.mapping.widths();
        match (self.q.backend, phase) {
            (Backend::Sglang | Backend::Vllm, Phase::Context) => widths.tp * widths.cp,
            _ => 1,
        }
    }

    /// Router, exchange and experts, in this order.
    fn routed(&self, phase: Phase, layers: Repeats) -> Vec<GraphOperator> {
        let router = GemmShape {
            quant: GemmQuant::Bfloat16,
            ..self.q.projection(self.experts.count, self.q.model.hidden)
        };
        let mut operators = vec![GraphOperator::new(
            Operator::ROUTER_GEMM,
            layers,
            Work::Gemm(router),
        )];
        operators.extend(self.exchanged(phase, layers));
        operators
    }

    /// Exchange and experts.
    fn exchanged(&self, phase: Phase, layers: Repeats) -> Vec<GraphOperator> {
        let library = self.library(phase);
        let mut operators: Vec<GraphOperator> = library
            .steps()
            .iter()
            .filter_map(|step| self.step(phase, layers, *step))
            .collect();
        let back = operators.pop();
        operators.extend(
            self.q
                .exchanged_experts(phase)
                .map(|shape| GraphOperator::new(Operator::MOE, layers, Work::ExpertCompute(shape))),
        );
        operators.extend(back);
        operators
    }

    /// One part of the exchange; none where the library has no message for the experts' format, which then was not
    /// chosen.
    fn step(&self, phase: Phase, layers: Repeats, step: ExchangeStep) -> Option<GraphOperator> {
        let library = self.library(phase);
        let widths = self.q.mapping.widths();
        let operator = match step {
            ExchangeStep::Prepare => Operator::MOE_PREPARE,
            ExchangeStep::Dispatch => Operator::MOE_DISPATCH,
            ExchangeStep::Combine => Operator::MOE_COMBINE,
        };
        let shape = AllToAllShape {
            library,
            step,
            message: library.message(self.q.precision.moe, step, phase, self.q.system)?,
            ranks: widths.moe_ep,
            nodes: widths.moe_ep.div_ceil(self.q.system.gpus_per_node),
            hidden: self.q.model.hidden,
            per_token: self.experts.per_token,
            experts: self.experts.count,
            multiprocessors: if library == ExchangeLibrary::DeepepThroughput {
                MULTIPROCESSORS
            } else {
                0
            },
            backend: self.q.backend,
        };
        Some(GraphOperator {
            tokens: TokenShare {
                over: self.sharing(phase),
                ..TokenShare::ALL
            },
            ..GraphOperator::new(operator, layers, Work::AllToAll(shape))
        })
    }

    /// Format of the shared experts: a checkpoint that spares them is read so for sparse attention in TensorRT-LLM alone;
    /// elsewhere the reference has them in the format of all projections.
    const fn shared_format(&self) -> GemmQuant {
        match (self.q.model.family, self.q.backend) {
            (ModelFamily::DeepSeekSparse, Backend::Trtllm) => self.q.precision.shared_experts(),
            _ => self.q.precision.gemm,
        }
    }

    /// Shared experts, whole on every rank.
    fn shared(&self, phase: Phase, layers: Repeats) -> [GraphOperator; 3] {
        let width = self.experts.intermediate;
        let hidden = self.q.model.hidden;
        let [gate, act, down] = match self.q.backend {
            Backend::Trtllm => [
                Operator::SHARED_GATE_UP_GEMM,
                Operator::SHARED_ACT_GATE,
                Operator::SHARED_FFN2_GEMM,
            ],
            Backend::Sglang | Backend::Vllm => {
                [Operator::GATE_FFN1_GEMM, Operator::ACT_GATE, Operator::FFN2_GEMM]
            }
        };
        let tokens = TokenShare {
            over: match (self.q.backend, phase) {
                (Backend::Sglang | Backend::Vllm, Phase::Context) => self.q.mapping.widths().tp,
                _ => 1,
            },
            ..TokenShare::ALL
        };
        let gemm = |operator, n, k| {
            let shape = GemmShape {
                quant: self.shared_format(),
                ..self.q.projection(n, k)
            };
            GraphOperator::new(operator, layers, Work::Gemm(shape))
        };
        [
            gemm(gate, 2 * width, hidden),
            GraphQuery::elementwise(act, layers, 3 * u64::from(width)),
            gemm(down, hidden, width),
        ]
        .map(|operator| GraphOperator { tokens, ..operator })
    }

    /// Routed and shared experts, as the engine runs them.
    fn both(&self, phase: Phase, layers: Repeats) -> Vec<GraphOperator> {
        let mut routed = self.routed(phase, layers);
        let shared = self.shared(phase, layers);
        if self.q.backend != Backend::Trtllm {
            routed.splice(1..1, shared);
            return routed;
        }
        // Both results are added.
        let add = GraphQuery::elementwise(
            Operator::MOE_REDUCE_ADD,
            layers,
            3 * u64::from(self.q.model.hidden),
        );
        match phase {
            Phase::Context => {
                routed.splice(1..1, shared);
                routed.push(add);
                routed
            }
            Phase::Generation => vec![
                GraphOperator::new(
                    Operator::MOE_OVERLAP,
                    Repeats::PASS,
                    Work::Overlap {
                        first: routed,
                        second: shared.into(),
                    },
                ),
                add,
            ],
        }
    }

    /// Layers of a phase.
    fn layers(&self, phase: Phase) -> Repeats {
        let layers = f64::from(self.q.model.layers);
        match (self.q.backend, phase) {
            (Backend::Trtllm, Phase::Generation) if self.q.model.family != ModelFamily::MixtureOfExperts => {
                Repeats::layers(layers * OVERLAPPED_LAUNCHES)
            }
            _ => Repeats::layers(layers),
        }
    }

    /// A mixture with grouped queries: its experts change, and SGLang keeps the whole vocabulary on every rank.
    fn grouped(&self, mut graph: OperatorGraph) -> OperatorGraph {
        for (phase, operators) in [
            (Phase::Context, &mut graph.context),
            (Phase::Generation, &mut graph.generation),
        ] {
            let first = operators
                .iter()
                .position(|operator| operator.operator == Operator::ROUTER_GEMM);
            let last = operators
                .iter()
                .position(|operator| operator.operator == Operator::MOE_POST_DISPATCH);
            if let (Some(first), Some(last)) = (first, last) {
                operators.splice(first..=last, self.routed(phase, self.layers(phase)));
            }
            if self.q.backend == Backend::Sglang {
                operators.retain(|operator| {
                    ![Operator::EMBEDDING_ALL_REDUCE, Operator::POINT_TO_POINT].contains(&operator.operator)
                });
                for operator in operators {
                    if let Work::Embedding { vocabulary, .. } = &mut operator.work {
                        *vocabulary = self.q.model.vocabulary;
                    }
                }
            }
        }
        graph
    }

    /// Sparse attention.
    fn sparse(&self) -> Result<OperatorGraph, PerfModelError> {
        let q = &self.q;
        let block = deepseek_sparse::SparseBlock::of(*q)?;
        Ok(OperatorGraph::both(block.kv_cache(), |phase| {
            let layers = self.layers(phase);
            let attention = GraphOperator {
                repeats: layers,
                ..block.operator(phase)
            };
            if q.backend == Backend::Sglang {
                let mut operators = self.between_ranks(phase, vec![attention]);
                operators.extend(self.without_router(phase));
                return operators;
            }
            let mut operators = vec![
                q.whole_embedding(),
                q.add_norm(Operator::ADD_NORM_1, layers),
                attention,
                q.add_norm(Operator::ADD_NORM_2, layers),
            ];
            operators.extend(self.both(phase, layers));
            operators.extend([q.logits(), q.point_to_point()]);
            operators
        }))
    }

    /// The experts of DeepSeek in SGLang, whose router the reference leaves out.
    fn without_router(&self, phase: Phase) -> Vec<GraphOperator> {
        let mut operators = self.both(phase, self.layers(phase));
        if self.q.model.architecture != KIMI {
            operators.retain(|operator| operator.operator != Operator::ROUTER_GEMM);
        }
        operators
    }

    /// Attention between the gathering of a prompt's tokens from its tensor-parallel ranks and their scattering.
    fn between_ranks(&self, phase: Phase, attention: Vec<GraphOperator>) -> Vec<GraphOperator> {
        let tp = self.q.mapping.widths().tp;
        if tp == 1 || phase == Phase::Generation {
            return attention;
        }
        let collective = |operator, collective| {
            GraphOperator::new(
                operator,
                self.q.layers(),
                Work::Collective {
                    collective,
                    gpus: tp,
                    elements: u64::from(self.q.model.hidden),
                },
            )
        };
        let mut operators = vec![collective(Operator::TP_ALL_GATHER, Collective::AllGather)];
        operators.extend(attention);
        operators.push(collective(Operator::TP_REDUCE_SCATTER, Collective::ReduceScatter));
        operators
    }
}

/// The one architecture of latent attention whose router the reference keeps in SGLang.
const KIMI: &str = "KimiK25ForConditionalGeneration";
