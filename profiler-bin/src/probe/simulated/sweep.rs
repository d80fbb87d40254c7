//! All points of all mappings, on several threads: mappings share nothing but the tables.

use dgdr_perf_model::{
    AggregatedQuery, ContextQuery, Engine, GenerationQuery, MemoryBreakdown, MemoryFit, ParallelMapping,
};
use dgdr_sweep_planner::{Answer, Failure, Measured, Measurements, PlannerError, Point, Walk, WalkPolicy};
use dgdr_units::Milliseconds;

use super::{KvTransfer, Simulation, point_failed};
use crate::parallel;
use crate::probe::Sweep;

impl Simulation {
    /// The engine of a mapping.
    pub(super) fn engine(&self, mapping: ParallelMapping) -> Result<Engine, Failure> {
        Engine::new(&self.database, &self.model, self.precision, mapping)
            .map(|engine| engine.with_memory_capacity(self.memory_capacity))
            .map_err(|error| Failure::NothingCovered {
                reason: error.to_string(),
            })
    }

    /// Answers every question of a sweep. Each mapping is walked by one thread from first to last point, so that the
    /// answers are the same with any number of threads.
    pub(super) fn sweep(&self, sweep: Sweep<'_>) -> Result<Measurements, PlannerError> {
        let policy = WalkPolicy::exhaustive(sweep.problem.workload);
        let walks = Walk::apart(sweep.problem, sweep.candidates, &policy);
        let measured = parallel::map(self.threads, walks, |walk| self.walk(walk, sweep));
        let mut all = Measurements::new();
        for part in measured {
            all.merge(part?);
        }
        Ok(all)
    }

    fn walk(&self, mut walk: Walk, sweep: Sweep<'_>) -> Result<Measurements, PlannerError> {
        let mut engine = None;
        while let Some(query) = walk.next_query() {
            sweep
                .progress
                .asking(sweep.problem.backend, &query, walk.remaining_at_most());
            let answer = match engine.get_or_insert_with(|| self.engine(query.mapping)) {
                Ok(engine) => self.point(engine, query.point),
                Err(failure) => Err(failure.clone()),
            };
            walk.record(answer)?;
        }
        Ok(walk.finish())
    }

    /// One point of an engine.
    fn point(&self, engine: &Engine, point: Point) -> Answer {
        let workload = self.workload;
        match point {
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
                let kv_transfer = match self.transfer {
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

fn fits(memory: &MemoryBreakdown) -> Result<(), Failure> {
    match memory.fit() {
        MemoryFit::Fits => Ok(()),
        MemoryFit::OutOfMemory { needed, available } => Err(Failure::OutOfMemory { needed, available }),
        MemoryFit::KvOutOfMemory { needed, budget } => Err(Failure::KvOutOfMemory { needed, budget }),
    }
}
