//! Who answers the planner's questions: a simulation or real engines, behind one door.

mod simulated;

use dgdr_perf_model::{Estimate, MemoryFraction, ParallelMapping, WorkerRole};
use dgdr_sweep_planner::{
    Candidates, DecodePoint, DisaggregatedCorrections, Failure, Measurements, PlannerError, ProbeKind,
    Problem,
};
use dgdr_units::{Milliseconds, Tokens};

use crate::progress::Progress;

pub use simulated::{KvTransfer, SimulatedProbe, Simulation};

/// What an engine is started for, as far as its KV cache depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineLimits {
    /// Tokens of the largest step, which bound the activations.
    pub max_num_tokens: u32,
    /// Whether it serves one role or both.
    pub role: WorkerRole,
}

/// An engine's room for keys and values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KvRoom {
    /// Tokens that fit, all attention copies together.
    pub tokens: Tokens,
    /// The share of memory that the engine is granted for it.
    pub fraction: MemoryFraction,
}

/// What is swept.
#[derive(Debug, Clone, Copy)]
pub struct Sweep<'a> {
    /// The question.
    pub problem: &'a Problem,
    /// The mappings to ask about.
    pub candidates: &'a Candidates,
    /// What a person sees on the way.
    pub progress: &'a Progress,
}

/// Answers for one model on one engine and system.
///
/// The pipeline is the same for every probe; only the answers differ.
pub trait Probe {
    /// Whether it simulates or measures.
    fn kind(&self) -> ProbeKind;

    /// How its single-worker answers are corrected before workers are combined.
    fn corrections(&self) -> DisaggregatedCorrections;

    /// Everything that the planner wants to know of the candidates.
    ///
    /// # Errors
    /// [`PlannerError`] when another question is answered than was asked.
    fn sweep(&mut self, sweep: Sweep<'_>) -> impl Future<Output = Result<Measurements, PlannerError>>;

    /// TTFT of one prompt of `isl` tokens on an idle prefill engine.
    ///
    /// # Errors
    /// Why there is no number.
    fn prefill(
        &mut self,
        mapping: ParallelMapping,
        isl: Tokens,
    ) -> impl Future<Output = Result<Estimate<Milliseconds>, Failure>>;

    /// ITL of a decode engine at one point of its surface.
    ///
    /// # Errors
    /// Why there is no number.
    fn decode(
        &mut self,
        mapping: ParallelMapping,
        point: DecodePoint,
    ) -> impl Future<Output = Result<Estimate<Milliseconds>, Failure>>;

    /// How much the KV cache of an engine holds.
    ///
    /// # Errors
    /// Why there is no number.
    fn kv_capacity(
        &mut self,
        mapping: ParallelMapping,
        limits: EngineLimits,
    ) -> impl Future<Output = Result<KvRoom, Failure>>;
}
