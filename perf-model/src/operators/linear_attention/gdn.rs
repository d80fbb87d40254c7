//! Gated delta nets.

use super::super::miss::{Measured, OperatorMiss};
use super::super::roofline;
use super::{KernelCurve, SequenceTokens};
use crate::{Backend, OperatorLatency, SystemSpec};

/// A kernel of a gated delta net.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GdnKernel {
    /// Causal convolution over a prompt.
    PromptConvolution,
    /// Chunked scan of a prompt.
    Scan,
    /// Causal convolution of a decode step.
    StepConvolution,
    /// The recurrence of a decode step.
    Recurrence,
}

impl GdnKernel {
    /// The name used in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PromptConvolution => "causal_conv1d_fn",
            Self::Scan => "chunk_gated_delta_rule",
            Self::StepConvolution => "causal_conv1d_update",
            Self::Recurrence => "fused_sigmoid_gating_delta_rule_update",
        }
    }

    /// Whether it works on prompts; else on decode steps.
    pub const fn is_prompt(self) -> bool {
        matches!(self, Self::PromptConvolution | Self::Scan)
    }
}

/// One kernel of one layer on one GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GdnShape {
    /// Which kernel.
    pub kernel: GdnKernel,
    /// Elements of a token between layers.
    pub hidden: u32,
    /// Tokens that the convolution spans.
    pub conv_width: u32,
    /// Query and key heads on this GPU.
    pub key_heads: u32,
    /// Elements of a query or key head.
    pub key_dim: u32,
    /// Value heads on this GPU.
    pub value_heads: u32,
    /// Elements of a value head.
    pub value_dim: u32,
}

impl GdnShape {
    pub(crate) const fn table(&self) -> &'static str {
        if self.kernel.is_prompt() {
            "gdn_context"
        } else {
            "gdn_generation"
        }
    }
}

/// Scans that vLLM 0.24 chooses from by the GPU; a system was measured with its own.
const VLLM_SCANS: [&str; 3] = [
    "chunk_gated_delta_rule_flashinfer",
    "chunk_gated_delta_rule_triton",
    "chunk_gated_delta_rule_cutedsl",
];

/// The version of vLLM with [`VLLM_SCANS`].
const VLLM_WITH_SCANS: &str = "0.24.0";

/// Cost of a kernel of a gated delta net.
#[derive(Debug, Clone)]
pub struct GdnCost {
    system: &'static SystemSpec,
    shape: GdnShape,
    measured: Option<KernelCurve>,
}

impl GdnCost {
    pub(crate) fn resolve(measured: Measured<'_>, shape: GdnShape) -> Result<Self, OperatorMiss> {
        Ok(Self {
            system: measured.system,
            shape,
            measured: find(measured, &shape)?,
        })
    }

    /// Latency of one layer's kernel.
    pub fn latency(&self, step: SequenceTokens) -> OperatorLatency {
        super::latency(self.measured.as_ref(), step, |step| {
            roofline::gated_delta(self.system, &self.shape, step)
        })
    }
}

/// The measurements of exactly this shape: the engine's own scan where it has one, else the common one. Two of its own
/// would contradict each other, so that neither is taken.
fn find(measured: Measured<'_>, shape: &GdnShape) -> Result<Option<KernelCurve>, OperatorMiss> {
    let Some(directory) = measured.file.directory(shape.table())? else {
        return Ok(None);
    };
    let slice_of = |kernel: &str| {
        directory.find(&[
            directory.word(kernel)?,
            shape.hidden,
            shape.conv_width,
            shape.key_heads,
            shape.key_dim,
            shape.value_heads,
            shape.value_dim,
        ])
    };
    let header = measured.file.header();
    let own: Vec<usize> = if shape.kernel == GdnKernel::Scan
        && header.backend == Backend::Vllm.name()
        && header.version == VLLM_WITH_SCANS
    {
        VLLM_SCANS.into_iter().filter_map(slice_of).collect()
    } else {
        Vec::new()
    };
    let slice = match own[..] {
        [] => slice_of(shape.kernel.name()),
        [own] => Some(own),
        [_, _, ..] => None,
    };
    slice.map_or(Ok(None), |slice| KernelCurve::read(measured, directory, slice))
}
