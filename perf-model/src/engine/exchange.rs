//! Whether a worker's experts exchange tokens by kernels of their own.

use crate::efficiency::GapPolicy;
use crate::error::PerfModelError;
use crate::graph::{ExchangeLibraries, GraphQuery, OperatorGraph, Phase, exchanges_tokens};
use crate::tables::PerfDatabase;

/// When experts exchange tokens by kernels of their own instead of collectives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExchangePolicy {
    /// Nowhere, as in the reference's single estimates of aggregated workers.
    #[default]
    Collectives,
    /// Where they span nodes, as in the reference's single estimates of prefill and decode workers.
    AcrossNodes,
    /// Wherever that was measured, as in the reference's searches.
    WhereMeasured,
}

/// The operators of a worker, with the way of exchanging tokens that the database's policy chooses.
///
/// # Errors
/// As [`OperatorGraph::of`]; [`PerfModelError::ExpertsAcrossNodes`] and [`PerfModelError::ExchangeNotMeasured`] for
/// experts that span nodes in a way that was not measured, where gaps are refused.
pub(crate) fn graph(database: &PerfDatabase, query: GraphQuery<'_>) -> Result<OperatorGraph, PerfModelError> {
    match libraries(database, query)? {
        Some(libraries) => OperatorGraph::exchanging(query, libraries),
        None => OperatorGraph::of(query),
    }
}

/// Widths of expert parallelism, among powers of two up to `widest`, at which a model's experts exchange tokens.
pub(crate) fn exchanged_widths(database: &PerfDatabase, query: GraphQuery<'_>, widest: u32) -> Vec<u32> {
    std::iter::successors(Some(2_u32), |width| width.checked_mul(2))
        .take_while(|width| *width <= widest)
        .filter(|&ranks| {
            crate::ParallelMapping::dep(ranks)
                .ok()
                .and_then(|mapping| measured(database, GraphQuery { mapping, ..query }))
                .is_some()
        })
        .collect()
}

fn libraries(
    database: &PerfDatabase,
    query: GraphQuery<'_>,
) -> Result<Option<ExchangeLibraries>, PerfModelError> {
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
        None if strict => Err(PerfModelError::ExchangeNotMeasured {
            model: query.model.name.clone(),
            system: query.system.name,
            backend: query.backend,
            moe_ep: widths.moe_ep,
            gpus_per_node: query.system.gpus_per_node,
        }),
        found => Ok(found),
    }
}

/// The libraries whose exchange was measured for both phases.
fn measured(database: &PerfDatabase, query: GraphQuery<'_>) -> Option<ExchangeLibraries> {
    if !exchanges_tokens(query.model.family) {
        return None;
    }
    let library = |phase| database.exchange_library(&query.exchanged_experts(phase)?);
    Some(ExchangeLibraries {
        context: library(Phase::Context)?,
        generation: library(Phase::Generation)?,
    })
}
