//! Whether a worker's experts exchange tokens by kernels of their own.

use crate::efficiency::GapPolicy;
use crate::error::PerfModelError;
use crate::graph::{ExchangeLibraries, GraphQuery, OperatorGraph, Phase, exchanges_tokens};
use crate::operators::ExchangeLibrary;
use crate::tables::PerfDatabase;

/// When experts exchange tokens by kernels of their own instead of collectives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum ExchangePolicy {
    /// Nowhere, as in the reference's single estimates of aggregated workers.
    #[default]
    Collectives,
    /// Where they span nodes, as in the reference's single estimates of prefill and decode workers.
    AcrossNodes,
    /// Wherever that was measured, as in the reference's searches.
    WhereMeasured,
}

/// The operators of a worker, with the way of exchanging tokens that the database's policy chooses; those of decode stand
/// for nothing where [`without_decode`] says why.
///
/// # Errors
/// As [`OperatorGraph::of`]; [`PerfModelError::ExpertsAcrossNodes`] and [`PerfModelError::ExchangeNotMeasured`] for
/// experts that span nodes in a way that was not measured, where gaps are refused.
pub(crate) fn graph(database: &PerfDatabase, query: GraphQuery<'_>) -> Result<OperatorGraph, PerfModelError> {
    match libraries(database, query)? {
        Some(Found::Both(libraries)) => OperatorGraph::exchanging(query, libraries),
        Some(Found::Prompts(library)) => {
            let prompts = ExchangeLibraries {
                context: library,
                generation: library,
            };
            Ok(OperatorGraph {
                generation: OperatorGraph::of(query)?.generation,
                ..OperatorGraph::exchanging(query, prompts)?
            })
        }
        None => OperatorGraph::of(query),
    }
}

/// Why a worker can prefill, but not decode: only the exchange of prompts was measured.
pub(crate) fn without_decode(database: &PerfDatabase, query: GraphQuery<'_>) -> Option<PerfModelError> {
    let prefills_only = matches!(libraries(database, query), Ok(Some(Found::Prompts(_))));
    prefills_only.then(|| not_measured(query))
}

/// Libraries whose exchange was measured.
enum Found {
    /// For both phases.
    Both(ExchangeLibraries),
    /// For the tokens of prompts between nodes, where that is enough for a worker that only prefills.
    Prompts(ExchangeLibrary),
}

/// Widths of expert parallelism, among powers of two up to `widest`, at which a model's experts exchange tokens.
pub(crate) fn exchanged_widths(database: &PerfDatabase, query: GraphQuery<'_>, widest: u32) -> Vec<u32> {
    std::iter::successors(Some(2_u32), |width| width.checked_mul(2))
        .take_while(|width| *width <= widest)
        .filter(|&ranks| {
            crate::ParallelMapping::dep(ranks)
                .ok()
                .and_then(|mapping| measured(database, GraphQuery { mapping, ..query }))
                .is_some_and(|found| matches!(found, Found::Both(_)))
        })
        .collect()
}

fn libraries(database: &PerfDatabase, query: GraphQuery<'_>) -> Result<Option<Found>, PerfModelError> {
    let widths = query.mapping.widths();
    let spans = widths.moe_ep > query.system.gpus_per_node;
    let may_exchange = match database.exchange() {
        ExchangePolicy::Collectives => false,
        ExchangePolicy::AcrossNodes => spans,
        ExchangePolicy::WhereMeasured => widths.moe_ep > 1,
    };
    if !may_exchange {
        return Ok(None);
    }
    let strict = spans && database.gaps() == GapPolicy::Refuse;
    if strict {
        // What cannot be at all is said first.
        OperatorGraph::of(query)?;
    }
    if widths.moe_tp > 1 {
        return if strict {
            Err(PerfModelError::ExpertsAcrossNodes {
                mapping: query.mapping,
                gpus_per_node: query.system.gpus_per_node,
            })
        } else {
            Ok(None)
        };
    }
    match measured(database, query) {
        None if strict => Err(not_measured(query)),
        // Elsewhere collectives serve both phases.
        Some(Found::Prompts(_)) if !strict => Ok(None),
        found => Ok(found),
    }
}

fn not_measured(query: GraphQuery<'_>) -> PerfModelError {
    PerfModelError::ExchangeNotMeasured {
        model: query.model.name.clone(),
        system: query.system.name,
        backend: query.backend,
        moe_ep: query.mapping.widths().moe_ep,
        gpus_per_node: query.system.gpus_per_node,
    }
}

/// The libraries whose exchange was measured, at least for prompts, whose operators hold the weights.
fn measured(database: &PerfDatabase, query: GraphQuery<'_>) -> Option<Found> {
    if !exchanges_tokens(query.model.family) {
        return None;
    }
    let library = |phase| database.exchange_library(&query.exchanged_experts(phase)?);
    let context = library(Phase::Context)?;
    Some(match library(Phase::Generation) {
        Some(generation) => Found::Both(ExchangeLibraries { context, generation }),
        None => Found::Prompts(context),
    })
}
