//! Engines that are built when first asked, so that the threads which ask also build them.

use std::sync::{Arc, OnceLock};

use dgdr_perf_model::{
    Engine, ModelSpec, ParallelMapping, PerfDatabase, PerfModelError, Precision, Speculation,
};

/// What an engine is built of.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) database: PerfDatabase,
    pub(super) model: Arc<ModelSpec>,
    pub(super) precision: Precision,
    pub(super) mapping: ParallelMapping,
    pub(super) speculation: Speculation,
}

/// An engine, built when first asked for.
#[derive(Debug)]
pub(super) struct LazyEngine {
    plan: Plan,
    built: OnceLock<Result<Engine, PerfModelError>>,
}

impl LazyEngine {
    pub(super) const fn new(plan: Plan) -> Self {
        Self {
            plan,
            built: OnceLock::new(),
        }
    }

    /// The engine.
    ///
    /// # Errors
    /// As [`Engine::drafting`], every time.
    pub(super) fn get(&self) -> Result<&Engine, PerfModelError> {
        let plan = &self.plan;
        self.built
            .get_or_init(|| {
                Engine::drafting(
                    &plan.database,
                    &plan.model,
                    plan.precision,
                    plan.mapping,
                    plan.speculation,
                )
            })
            .as_ref()
            .map_err(Clone::clone)
    }
}
