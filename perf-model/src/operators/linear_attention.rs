//! Layers whose state does not grow with the sequence: gated delta nets (Qwen3.5), Mamba2 (Nemotron-H), Kimi delta
//! attention (Kimi-K3).
//!
//! A prompt is priced over its sequences and the tokens of each, a decode step over its sequences alone. Kernels that
//! nobody measured cost what their memory traffic does at full bandwidth, and say so.

mod gdn;
mod kda;
mod mamba2;

use dgdr_units::real;

use super::curve::Curve;
use super::grid_slice::{Axes, Blend, GridSlice};
use super::miss::{Measured, OperatorMiss};
use super::step::StepShape;
use crate::tables::Directory;
use crate::{Axis, OperatorLatency, Source};

pub use gdn::{GdnCost, GdnKernel, GdnShape};
pub use kda::{KdaCost, KdaKernel, KdaShape};
pub use mamba2::{Mamba2Cost, Mamba2Kernel, Mamba2Shape};

/// The sequences of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SequenceTokens {
    /// Sequences; a sequence that checks drafts counts once for each of its tokens.
    pub batch: u64,
    /// Tokens of each sequence that the step computes; of no consequence to a decode step.
    pub tokens: u64,
}

impl SequenceTokens {
    pub(crate) const fn of(step: &StepShape) -> Self {
        Self {
            batch: step.batch,
            tokens: step.new_tokens,
        }
    }

    /// Tokens of the step.
    pub(super) fn count(self, prompt: bool) -> f64 {
        real(self.batch) * if prompt { real(self.tokens) } else { 1.0 }
    }
}

/// Measurements of one kernel.
#[derive(Debug, Clone)]
enum KernelCurve {
    /// Over sequences and the tokens of each.
    Prompt(GridSlice<2>),
    /// Over sequences.
    Step(Curve),
}

const PROMPT: Axes<2> = Axes {
    names: [Axis::Batch, Axis::Sequence],
    blends: [Blend::Linear; 2],
};

impl KernelCurve {
    /// A slice of a table of prompts (two axes) or steps (one).
    fn read(
        measured: Measured<'_>,
        directory: &Directory,
        slice: usize,
    ) -> Result<Option<Self>, OperatorMiss> {
        let grid = measured.file.grid(directory, slice)?;
        Ok(if grid.axes().len() == 1 {
            Curve::of_row(&grid, 0).map(Self::Step)
        } else {
            GridSlice::whole(grid, PROMPT).map(Self::Prompt)
        })
    }

    /// Measured, interpolated, or beyond the measurements by the `roofline`, to which a step is proportional.
    fn latency(
        &self,
        step: SequenceTokens,
        roofline: impl Fn(SequenceTokens) -> f64,
    ) -> Option<OperatorLatency> {
        match self {
            Self::Prompt(slice) => slice.latency([step.batch, step.tokens], &|[batch, tokens]| {
                roofline(SequenceTokens { batch, tokens })
            }),
            Self::Step(curve) => Some(curve.proportional(Axis::Batch, step.batch)),
        }
    }
}

/// What a kernel costs: as measured, or its roofline where nothing was.
fn latency(
    measured: Option<&KernelCurve>,
    step: SequenceTokens,
    roofline: impl Fn(SequenceTokens) -> f64,
) -> OperatorLatency {
    measured
        .and_then(|curve| curve.latency(step, &roofline))
        .unwrap_or_else(|| OperatorLatency {
            ms: roofline(step),
            source: Source::Roofline,
        })
}
