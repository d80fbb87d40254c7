//! Mamba2.

use super::super::miss::{Measured, OperatorMiss};
use super::super::roofline;
use super::{KernelCurve, SequenceTokens};
use crate::{OperatorLatency, SystemSpec};

const TABLE: &str = "mamba2_context";

/// A kernel of Mamba2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mamba2Kernel {
    /// Causal convolution over a prompt.
    PromptConvolution,
    /// Chunked scan of a prompt.
    Scan,
    /// Causal convolution of a decode step.
    StepConvolution,
    /// The state update of a decode step.
    StateUpdate,
}

impl Mamba2Kernel {
    /// The name used in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PromptConvolution => "causal_conv1d_fn",
            Self::Scan => "mamba_chunk_scan_combined",
            Self::StepConvolution => "causal_conv1d_update",
            Self::StateUpdate => "selective_state_update",
        }
    }

    /// Whether it works on prompts; else on decode steps.
    pub const fn is_prompt(self) -> bool {
        matches!(self, Self::PromptConvolution | Self::Scan)
    }
}

/// One kernel of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mamba2Shape {
    /// Which kernel.
    pub kernel: Mamba2Kernel,
    /// Elements of a token between layers.
    pub hidden: u32,
    /// Elements of one head's state for each of its elements.
    pub state: u32,
    /// Tokens that the convolution spans.
    pub conv_width: u32,
    /// Heads.
    pub heads: u32,
    /// Elements of a head.
    pub head_dim: u32,
    /// Groups of heads with a common input and output projection of the state.
    pub groups: u32,
    /// Tokens of a chunk of the scan.
    pub chunk: u32,
}

/// Cost of a kernel of Mamba2.
#[derive(Debug, Clone)]
pub struct Mamba2Cost {
    system: &'static SystemSpec,
    shape: Mamba2Shape,
    measured: Option<KernelCurve>,
}

impl Mamba2Cost {
    pub(crate) fn resolve(measured: Measured<'_>, shape: Mamba2Shape) -> Result<Self, OperatorMiss> {
        Ok(Self {
            system: measured.system,
            shape,
            measured: find(measured, &shape)?,
        })
    }

    /// Latency of one layer's kernel.
    pub fn latency(&self, step: SequenceTokens) -> OperatorLatency {
        super::latency(self.measured.as_ref(), step, |step| {
            roofline::mamba2(self.system, &self.shape, step)
        })
    }
}

/// The measurements of this shape, or else of the first shape of the same hidden size.
///
/// AIConfigurator prices decode steps by the roofline even where they were measured; kept, because the predictions are
/// compared with it.
fn find(measured: Measured<'_>, shape: &Mamba2Shape) -> Result<Option<KernelCurve>, OperatorMiss> {
    let Some(directory) = measured.file.directory(TABLE)? else {
        return Ok(None);
    };
    let Some(kernel) = directory
        .word(shape.kernel.name())
        .filter(|_| shape.kernel.is_prompt())
    else {
        return Ok(None);
    };
    let exact = directory.find(&[
        kernel,
        shape.hidden,
        shape.state,
        shape.conv_width,
        shape.heads,
        shape.head_dim,
        shape.groups,
        shape.chunk,
    ]);
    let alike = || (0..directory.slices()).find(|slice| directory.key(*slice)[..2] == [kernel, shape.hidden]);
    exact
        .or_else(alike)
        .map_or(Ok(None), |slice| KernelCurve::read(measured, directory, slice))
}
