//! Answers from the performance model, in microseconds.

mod sweep;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use clap::ValueEnum;
use dgdr_perf_model::{
    ContextQuery, Engine, Estimate, GenerationQuery, KvCapacityQuery, ModelSpec, ParallelMapping,
    PerfDatabase, PerfModelError, Precision,
};
use dgdr_sweep_planner::{
    DecodePoint, DisaggregatedCorrections, Failure, Measurements, PlannerError, ProbeKind, Workload,
};
use dgdr_units::{Bytes, Milliseconds, Tokens};
use serde::Deserialize;

use super::{EngineLimits, KvRoom, Probe, Sweep};

/// The performance model as a probe.
#[derive(Debug)]
pub struct SimulatedProbe {
    simulation: Simulation,
    engines: BTreeMap<ParallelMapping, Result<Engine, Failure>>,
}

/// What a simulation stands on.
#[derive(Debug)]
pub struct Simulation {
    /// Measured tables of the system and engine.
    pub database: PerfDatabase,
    /// The model.
    pub model: ModelSpec,
    /// Formats that it runs in.
    pub precision: Precision,
    /// Memory of one GPU, where the user says that it differs from the system's.
    pub memory_capacity: Bytes,
    /// The typical request.
    pub workload: Workload,
    /// Whether the way of the KV cache counts.
    pub transfer: KvTransfer,
    /// Threads of a sweep; its answers do not depend on them.
    pub threads: NonZeroUsize,
}

/// Whether the way of the KV cache from prefill to decode workers counts towards the time to first token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KvTransfer {
    /// Not, as in aiconfigurator.
    #[default]
    LeftOut,
    /// Each GPU sends what it holds over its own link between nodes.
    Counted,
}

impl SimulatedProbe {
    /// A probe over measured tables.
    pub const fn new(simulation: Simulation) -> Self {
        Self {
            simulation,
            engines: BTreeMap::new(),
        }
    }

    /// The engine of a mapping, built on first use.
    ///
    /// # Errors
    /// Why the mapping cannot be simulated.
    pub fn engine(&mut self, mapping: ParallelMapping) -> Result<&Engine, Failure> {
        let simulation = &self.simulation;
        let built = self
            .engines
            .entry(mapping)
            .or_insert_with(|| simulation.engine(mapping));
        built.as_ref().map_err(Clone::clone)
    }
}

impl Probe for SimulatedProbe {
    fn kind(&self) -> ProbeKind {
        ProbeKind::Simulated
    }

    fn corrections(&self) -> DisaggregatedCorrections {
        DisaggregatedCorrections::upstream()
    }

    async fn sweep(&mut self, sweep: Sweep<'_>) -> Result<Measurements, PlannerError> {
        self.simulation.sweep(sweep)
    }

    async fn prefill(
        &mut self,
        mapping: ParallelMapping,
        isl: Tokens,
    ) -> Result<Estimate<Milliseconds>, Failure> {
        let query = ContextQuery {
            batch: 1,
            isl: narrow(isl.get()),
            prefix: 0,
        };
        let run = self
            .engine(mapping)?
            .static_context(query)
            .map_err(|error| point_failed(&error))?;
        Ok(run.ttft)
    }

    async fn decode(
        &mut self,
        mapping: ParallelMapping,
        point: DecodePoint,
    ) -> Result<Estimate<Milliseconds>, Failure> {
        // A point counts requests on the whole worker, the model those on one attention copy.
        let copies = u64::from(mapping.widths().attention_dp);
        let query = GenerationQuery {
            batch: narrow(point.in_flight.div_ceil(copies)),
            isl: narrow(point.isl.get()),
            osl: narrow(point.osl.get()),
        };
        let run = self
            .engine(mapping)?
            .static_generation(query)
            .map_err(|error| point_failed(&error))?;
        Ok(run.tpot)
    }

    async fn kv_capacity(
        &mut self,
        mapping: ParallelMapping,
        limits: EngineLimits,
    ) -> Result<KvRoom, Failure> {
        let engine = self.engine(mapping)?;
        let query = KvCapacityQuery {
            max_num_tokens: limits.max_num_tokens,
            role: limits.role,
        };
        let capacity = engine.kv_capacity(query).map_err(|error| not_covered(&error))?;
        Ok(KvRoom {
            tokens: capacity.tokens * u64::from(mapping.widths().attention_dp),
            fraction: capacity.memory.fraction,
        })
    }
}

/// Token counts of a request; longer ones than any model's context saturate and are refused by the model.
fn narrow(tokens: u64) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

fn not_covered(error: &PerfModelError) -> Failure {
    Failure::NotCovered {
        reason: error.to_string(),
    }
}

fn point_failed(error: &PerfModelError) -> Failure {
    Failure::PointFailed {
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
