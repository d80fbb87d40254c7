//! What a person sees while a run goes on: a bar on a terminal, nothing elsewhere.

use std::time::Duration;

use dgdr_perf_model::Backend;
use dgdr_sweep_planner::Query;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::printer::Printer;

/// A simulated run is over before anybody could read a bar; it is drawn only when a run takes longer.
const REDRAWS_PER_SECOND: u8 = 10;

/// Progress of one run.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Progress as the printer allows it.
    pub fn new(printer: Printer) -> Self {
        let target = if printer.draws_progress() {
            ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({pos} done, {elapsed})") {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// No progress at all, for callers that are programs.
    pub fn hidden() -> Self {
        Self {
            bar: ProgressBar::hidden(),
        }
    }

    /// A step begins.
    pub fn step(&self, message: &'static str) {
        self.bar.set_message(message);
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }

    /// A question is about to be asked.
    pub fn asking(&self, backend: Backend, query: &Query, remaining: usize) {
        if !self.bar.is_hidden() {
            self.bar
                .set_message(format!("{backend}: {query}, at most {remaining} to go"));
        }
        self.bar.inc(1);
    }

    /// The run is over.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
