//! The mappings of a search space, before anything is asked of them.

use std::collections::BTreeSet;

use dgdr_perf_model::MappingWidths;

use crate::{AttentionKind, Problem, SearchSpace};

/// Widest tensor parallelism of a dense worker that is ever named, as wide as upstream's widest dense search.
const WIDEST_DENSE: u32 = 16;

/// Ranks of the widest worker with experts whose tokens travel by collectives, from upstream.
const WIDEST_COLLECTIVE: u32 = 16;

/// Ranks of the widest worker with experts whose tokens travel by all-to-all kernels, from upstream.
const WIDEST_EXCHANGE: u32 = 64;

/// Widths of all mappings of the problem's space, by GPUs, each once. At least the narrowest worker that holds the
/// weights is among them.
pub(super) fn widths(problem: &Problem, min_gpus: u32) -> Vec<MappingWidths> {
    let found = match (problem.model.experts(), problem.space) {
        (None, space) => dense(problem, space, min_gpus),
        (Some(experts), SearchSpace::Guide) => guide(problem, experts.attention, min_gpus),
        (Some(_), SearchSpace::Wide) => wide(problem),
    };
    let mut list: Vec<MappingWidths> = found.into_iter().collect();
    list.sort_by_key(|widths| widths.gpus());
    list
}

/// 1, 2, 4 … up to `widest`.
fn powers(widest: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(1_u32), |width| width.checked_mul(2)).take_while(move |width| *width <= widest)
}

/// Tensor parallelism; in the wide space also prompts that are split over ranks.
fn dense(problem: &Problem, space: SearchSpace, min_gpus: u32) -> BTreeSet<MappingWidths> {
    let widest = WIDEST_DENSE
        .max(problem.system.gpus_per_node.get())
        .max(min_gpus.min(1 << 12));
    let split = match space {
        SearchSpace::Guide => &[][..],
        SearchSpace::Wide => &problem.extensions.context_parallel,
    };
    let tensor = powers(widest).map(|tp| MappingWidths {
        tp,
        ..MappingWidths::ONE
    });
    let splitting = split.iter().map(|&cp| MappingWidths {
        cp,
        ..MappingWidths::ONE
    });
    tensor.chain(splitting).collect()
}

/// The guide's support matrix: TEP and DEP, and TP where attention has grouped queries.
fn guide(problem: &Problem, attention: AttentionKind, min_gpus: u32) -> BTreeSet<MappingWidths> {
    // One step beyond four nodes, so that the limit is named.
    let widest = problem
        .system
        .gpus_per_node
        .get()
        .saturating_mul(8)
        .max(min_gpus.min(1 << 12));
    powers(widest)
        .flat_map(|ranks| {
            let tensor = MappingWidths {
                tp: ranks,
                moe_tp: ranks,
                ..MappingWidths::ONE
            };
            let tensor_expert = MappingWidths {
                tp: ranks,
                moe_ep: ranks,
                ..MappingWidths::ONE
            };
            let data_expert = MappingWidths {
                attention_dp: ranks,
                moe_ep: ranks,
                ..MappingWidths::ONE
            };
            let grouped = (attention == AttentionKind::Grouped).then_some(tensor);
            grouped.into_iter().chain([tensor_expert, data_expert])
        })
        .collect()
}

/// Upstream's: every way to give attention and experts equally many ranks.
fn wide(problem: &Problem) -> BTreeSet<MappingWidths> {
    let extensions = &problem.extensions;
    let widest = if extensions.exchanged_experts.is_empty() {
        WIDEST_COLLECTIVE
    } else {
        WIDEST_EXCHANGE
    };
    let mut found = BTreeSet::new();
    let stages = || std::iter::once(1).chain(extensions.pipeline_stages.iter().copied());
    for pp in stages() {
        for ranks in powers(widest / pp) {
            let attention = powers(ranks.min(WIDEST_COLLECTIVE)).map(|tp| (tp, ranks / tp, 1));
            // Engines split prompts over ranks that share attention in no other way.
            let split = extensions
                .context_parallel
                .iter()
                .filter(|cp| **cp == ranks)
                .map(|&cp| (1, 1, cp));
            for (tp, attention_dp, cp) in attention.chain(split) {
                found.extend(powers(ranks.min(WIDEST_COLLECTIVE)).map(|moe_tp| MappingWidths {
                    tp,
                    pp,
                    attention_dp,
                    cp,
                    moe_tp,
                    moe_ep: ranks / moe_tp,
                }));
            }
        }
    }
    found
}
