//! Answers from the performance model, in microseconds.

use std::collections::BTreeMap;

use clap::ValueEnum;
use dgdr_perf_model::{
    AggregatedQuery, ContextQuery, Engine, Estimate, GenerationQuery, KvCapacityQuery, MemoryBreakdown,
    MemoryFit, ModelSpec, ParallelMapping, PerfDatabase, PerfModelError, Precision,
};
use dgdr_sweep_planner::{
    Answer, DecodePoint, DisaggregatedCorrections, Failure, Measured, Point, ProbeKind, Query, Workload,
};
use dgdr_units::{Bytes, Milliseconds, Tokens};
use serde::Deserialize;

use super::{EngineLimits, KvRoom, Probe};

/// The performance model as a probe.
#[derive(Debug)]
pub struct SimulatedProbe {
    database: PerfDatabase,
    model: ModelSpec,
    precision: Precision,
    memory_capacity: Bytes,
    workload: Workload,
    transfer: KvTransfer,
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
    pub fn new(simulation: Simulation) -> Self {
        let Simulation {
            database,
            model,
            precision,
            memory_capacity,
            workload,
            transfer,
        } = simulation;
        Self {
            database,
            model,
            precision,
            memory_capacity,
            workload,
            transfer,
            engines: BTreeMap::new(),
        }
    }

    /// The engine of a mapping, built on first use.
    ///
    /// # Errors
    /// Why the mapping cannot be simulated.
    pub fn engine(&mut self, mapping: ParallelMapping) -> Result<&Engine, Failure> {
        let built = self.engines.entry(mapping).or_insert_with(|| {
            Engine::new(&self.database, &self.model, self.precision, mapping)
                .map(|engine| engine.with_memory_capacity(self.memory_capacity))
                .map_err(|error| not_covered(&error))
        });
        built.as_ref().map_err(Clone::clone)
    }

    fn measure(&mut self, query: Query) -> Answer {
        let workload = self.workload;
        let transfer = self.transfer;
        let engine = self.engine(query.mapping)?;
        match query.point {
            Point::Aggregated {
                batch,
                context_tokens,
            } => {
                let run = engine
                    .aggregated(AggregatedQuery {
                        batch,
                        isl: workload.isl(),
                        osl: workload.osl(),
                        prefix: workload.prefix(),
                        context_tokens,
                    })
                    .map_err(|error| point_failed(&error))?;
                fits(&run.memory)?;
                Ok(Measured::Aggregated {
                    ttft: run.ttft,
                    itl: run.tpot,
                    tokens_per_s: run.tokens_per_s,
                    requests_per_s: run.requests_per_s,
                })
            }
            Point::Prefill { batch } => {
                let run = engine
                    .static_context(ContextQuery {
                        batch,
                        isl: workload.isl(),
                        prefix: workload.prefix(),
                    })
                    .map_err(|error| point_failed(&error))?;
                fits(&run.memory)?;
                let kv_transfer = match transfer {
                    KvTransfer::LeftOut => Milliseconds::ZERO,
                    KvTransfer::Counted => {
                        let sent = engine.kv_transfer(workload.isl());
                        sent.map_err(|error| point_failed(&error))?.value
                    }
                };
                Ok(Measured::Prefill {
                    ttft: run.ttft,
                    kv_transfer,
                })
            }
            Point::Decode { batch } => {
                let run = engine
                    .static_generation(GenerationQuery {
                        batch,
                        isl: workload.isl(),
                        osl: workload.osl(),
                    })
                    .map_err(|error| point_failed(&error))?;
                fits(&run.memory)?;
                Ok(Measured::Decode { itl: run.tpot })
            }
        }
    }
}

impl Probe for SimulatedProbe {
    fn kind(&self) -> ProbeKind {
        ProbeKind::Simulated
    }

    fn corrections(&self) -> DisaggregatedCorrections {
        DisaggregatedCorrections::upstream()
    }

    async fn answer(&mut self, query: Query) -> Answer {
        self.measure(query)
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

fn fits(memory: &MemoryBreakdown) -> Result<(), Failure> {
    match memory.fit() {
        MemoryFit::Fits => Ok(()),
        MemoryFit::OutOfMemory { needed, available } => Err(Failure::OutOfMemory { needed, available }),
        MemoryFit::KvOutOfMemory { needed, budget } => Err(Failure::KvOutOfMemory { needed, budget }),
    }
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
