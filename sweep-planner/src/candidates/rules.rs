//! What keeps a mapping from being measured.

use dgdr_perf_model::{Backend, MappingWidths};
use dgdr_units::{Bytes, real};

use super::rejection::Rejection;
use crate::{ProbeKind, Problem, SearchSpace};

/// Percent of a GPU's memory that weights may take: the profiler guide's share, and what no worker can exceed.
const fn weight_percent(space: SearchSpace) -> u32 {
    match space {
        SearchSpace::Guide => 90,
        SearchSpace::Wide => 100,
    }
}

/// Fewest attention heads on a GPU for which kernels were measured, from the profiler guide.
const MIN_SIMULATED_HEADS: u32 = 4;

/// Most nodes of a worker with experts, from the profiler guide.
const MOST_NODES: u32 = 4;

/// Smallest power of two of GPUs that holds the weights: `⌈weights / share / GPU memory⌉` rounded up, the share being
/// 0.9 in the profiler guide's space and 1 in the wide one.
pub fn min_gpus_per_worker(problem: &Problem) -> u32 {
    let memory = real(problem.system.memory.get()) * f64::from(weight_percent(problem.space)) / 100.0;
    let ratio = if memory > 0.0 {
        real(problem.model.weights.get()) / memory
    } else {
        f64::INFINITY
    };
    let gpus = u32::try_from(dgdr_units::floor_count(ratio.ceil())).unwrap_or(u32::MAX);
    gpus.max(1).checked_next_power_of_two().unwrap_or(u32::MAX)
}

/// The rules of one question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    problem: &'a Problem,
    min_gpus: u32,
}

impl<'a> Rules<'a> {
    pub(super) fn of(problem: &'a Problem) -> Self {
        Self {
            problem,
            min_gpus: min_gpus_per_worker(problem),
        }
    }

    /// Fewest GPUs that hold the weights.
    pub(super) const fn min_gpus(&self) -> u32 {
        self.min_gpus
    }

    /// The first reason against a mapping, the user's own limits before those of the model.
    pub(super) fn against(&self, widths: MappingWidths) -> Option<Rejection> {
        let gpus = widths.gpus().get();
        self.too_narrow(gpus)
            .or_else(|| self.too_wide(widths, gpus))
            .or_else(|| self.engine(widths))
            .or_else(|| self.heads(widths.tp))
            .or_else(|| self.experts(widths))
    }

    /// No mapping spreads weights better than evenly.
    fn too_narrow(&self, gpus: u32) -> Option<Rejection> {
        (gpus < self.min_gpus).then(|| Rejection::WeightsTooLarge {
            per_gpu: Bytes::new(self.problem.model.weights.get() / u64::from(gpus.max(1))),
            memory: self.problem.system.memory,
            percent: weight_percent(self.problem.space),
            min_gpus: self.min_gpus,
        })
    }

    fn too_wide(&self, widths: MappingWidths, gpus: u32) -> Option<Rejection> {
        let problem = self.problem;
        if let Some(limit) = problem.budget.max_gpus_per_engine
            && gpus > limit.get()
        {
            return Some(Rejection::WiderThanEngineLimit { gpus, limit });
        }
        let total = problem.budget.total_gpus;
        self.too_far(widths, gpus)
            .or_else(|| (gpus > total.get()).then_some(Rejection::OverBudget { gpus, total }))
    }

    /// Beyond the GPUs that a worker's ranks may be apart.
    fn too_far(&self, widths: MappingWidths, gpus: u32) -> Option<Rejection> {
        let system = self.problem.system;
        let gpus_per_node = system.gpus_per_node.get();
        match (self.problem.model.experts(), self.problem.space) {
            (None, space) => {
                let most = match space {
                    SearchSpace::Guide => gpus_per_node,
                    SearchSpace::Wide => system.gpus_per_domain.get(),
                };
                (gpus > most).then_some(Rejection::WiderThanNode {
                    tp: widths.tp,
                    gpus_per_node: most,
                })
            }
            (Some(_), SearchSpace::Guide) => {
                (gpus > gpus_per_node.saturating_mul(MOST_NODES)).then_some(Rejection::WiderThanNodes {
                    gpus,
                    nodes: MOST_NODES,
                    gpus_per_node,
                })
            }
            (Some(_), SearchSpace::Wide) => None,
        }
    }

    /// What an engine cannot do at once.
    fn engine(&self, widths: MappingWidths) -> Option<Rejection> {
        let backend = self.problem.backend;
        match backend {
            Backend::Trtllm if widths.attention_dp > 1 && widths.tp > 1 => {
                Some(Rejection::AttentionMixed { backend })
            }
            Backend::Vllm if widths.moe_tp > 1 && widths.moe_ep > 1 => {
                Some(Rejection::ExpertsMixed { backend })
            }
            Backend::Trtllm | Backend::Vllm | Backend::Sglang => None,
        }
    }

    fn heads(&self, tp: u32) -> Option<Rejection> {
        let heads = self.problem.model.attention_heads.get();
        let measured_far_enough = self.problem.probe == ProbeKind::Measured
            || self.problem.space == SearchSpace::Wide
            || heads / tp >= MIN_SIMULATED_HEADS
            || tp == 1;
        if !measured_far_enough {
            return Some(Rejection::TooFewHeadsPerGpu {
                heads,
                tp,
                max_tp: (heads / MIN_SIMULATED_HEADS).max(1),
            });
        }
        (!heads.is_multiple_of(tp)).then_some(Rejection::HeadsNotDivisible { heads, tp })
    }

    fn experts(&self, widths: MappingWidths) -> Option<Rejection> {
        let facts = self.problem.model.experts()?;
        let (experts, intermediate, block) =
            (facts.experts.get(), facts.intermediate.get(), facts.block.get());
        if experts < widths.moe_ep {
            return Some(Rejection::TooFewExperts {
                experts,
                moe_ep: widths.moe_ep,
            });
        }
        (!(intermediate / widths.moe_tp).is_multiple_of(block)).then_some(Rejection::ExpertsNotAligned {
            intermediate,
            block,
            moe_tp: widths.moe_tp,
        })
    }
}
