//! The edges that a step may touch, what is said on the way, and how long each step takes.

use std::time::Instant;

use dgdr_types::spec::ProfilingPhase;

use crate::artifacts::{RunLog, StatusFile, Timings, message};
use crate::error::ProfilerError;
use crate::progress::Progress;

/// Everything that is said once and must not be lost.
#[derive(Debug, Default)]
pub(super) struct Notices(pub(super) Vec<String>);

impl Notices {
    pub(super) fn warn(&mut self, log: &mut RunLog, text: String) {
        log.warn(&text);
        self.0.push(text);
    }
}

/// Duration of each step, as it ends.
#[derive(Debug)]
pub(super) struct Stopwatch {
    started: Instant,
    lap: Instant,
    pub(super) timings: Timings,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        let now = Instant::now();
        Self {
            started: now,
            lap: now,
            timings: Timings::default(),
        }
    }

    pub(super) fn lap(&mut self, name: &str) {
        let now = Instant::now();
        self.timings
            .steps
            .push((name.to_owned(), (now - self.lap).as_secs_f64() * 1000.0));
        self.lap = now;
        self.timings.total_ms = (now - self.started).as_secs_f64() * 1000.0;
    }
}

/// Who is told how a run goes.
pub(super) struct Stage<'a, 'b> {
    pub(super) log: &'a mut RunLog,
    pub(super) progress: &'a Progress,
    pub(super) status: &'a mut StatusFile<'b>,
}

impl Stage<'_, '_> {
    pub(super) fn enter(&mut self, phase: ProfilingPhase) -> Result<(), ProfilerError> {
        self.progress.step(message(phase));
        self.log.info(message(phase));
        self.status.enter(phase)?;
        Ok(())
    }
}
