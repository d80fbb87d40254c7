//! Kimi delta attention.

use super::super::miss::{Measured, OperatorMiss};
use super::super::roofline;
use super::{KernelCurve, SequenceTokens};
use crate::tables::Directory;
use crate::{OperatorLatency, Source, SystemSpec};

/// A kernel of Kimi delta attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KdaKernel {
    /// Causal convolutions of queries, keys and values over a prompt.
    PromptConvolution,
    /// Chunked scan of a prompt.
    ChunkScan,
    /// The scan of a prompt that vLLM uses from Hopper on.
    FlashScan,
    /// Causal convolution of a decode step.
    StepConvolution,
    /// The recurrence of a decode step.
    Recurrence,
    /// vLLM's decode step.
    VllmStep,
    /// Convolution, recurrence and normalisation of a decode step in one.
    FusedStep,
    /// Causal convolution of drafted tokens.
    VerifyConvolution,
    /// The recurrence over drafted tokens.
    Verify,
    /// vLLM's recurrence over drafted tokens.
    VllmVerify,
    /// Convolution and recurrence over drafted tokens in one.
    FusedVerify,
}

/// What a kernel works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Prompt,
    Step,
    Verify,
}

impl KdaKernel {
    /// The name used in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PromptConvolution => "causal_conv1d_fn_qkv3",
            Self::ChunkScan => "chunk_kda",
            Self::FlashScan => "flashkda_fwd",
            Self::StepConvolution | Self::VerifyConvolution => "causal_conv1d_update",
            Self::Recurrence => "fused_recurrent_kda_packed_decode",
            Self::VllmStep => "fused_kda_decode",
            Self::FusedStep => "kda_fused_decode",
            Self::Verify => "fused_sigmoid_gating_delta_rule_update",
            Self::VllmVerify => "fused_recurrent_kda",
            Self::FusedVerify => "fused_kda_decode_mtp_dspark",
        }
    }

    /// Whether it works on prompts.
    pub const fn is_prompt(self) -> bool {
        matches!(self.stage(), Stage::Prompt)
    }

    /// Whether it works on drafted tokens.
    pub const fn is_verify(self) -> bool {
        matches!(self.stage(), Stage::Verify)
    }

    const fn stage(self) -> Stage {
        match self {
            Self::PromptConvolution | Self::ChunkScan | Self::FlashScan => Stage::Prompt,
            Self::StepConvolution | Self::Recurrence | Self::VllmStep | Self::FusedStep => Stage::Step,
            Self::VerifyConvolution | Self::Verify | Self::VllmVerify | Self::FusedVerify => Stage::Verify,
        }
    }

    /// The kernel that does this one's work and its companion's at once, where an engine has one.
    const fn fused(self) -> Option<Self> {
        match self {
            Self::StepConvolution | Self::Recurrence => Some(Self::FusedStep),
            Self::VerifyConvolution | Self::Verify => Some(Self::FusedVerify),
            Self::PromptConvolution
            | Self::ChunkScan
            | Self::FlashScan
            | Self::VllmStep
            | Self::FusedStep
            | Self::VllmVerify
            | Self::FusedVerify => None,
        }
    }

    const fn is_convolution(self) -> bool {
        matches!(self, Self::StepConvolution | Self::VerifyConvolution)
    }
}

/// One kernel of one layer on one GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KdaShape {
    /// Which kernel.
    pub kernel: KdaKernel,
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
    /// Tokens that a sequence checks at once, drafts and one more; 0 where there are no drafts.
    pub draft_tokens: u32,
}

/// Cost of a kernel of Kimi delta attention.
#[derive(Debug, Clone)]
pub struct KdaCost {
    system: &'static SystemSpec,
    /// The kernel that the engine runs, which may be a fused one.
    shape: KdaShape,
    work: KdaWork,
}

#[derive(Debug, Clone)]
enum KdaWork {
    /// Nothing: the fused kernel is counted with the recurrence.
    Elsewhere,
    Measured(KernelCurve),
    Roofline,
}

impl KdaCost {
    pub(crate) fn resolve(measured: Measured<'_>, shape: KdaShape) -> Result<Self, OperatorMiss> {
        let cost = |shape, work| Self {
            system: measured.system,
            shape,
            work,
        };
        let Some(directory) = measured.file.directory(shape.table())? else {
            return Ok(cost(shape, KdaWork::Roofline));
        };
        let shape = match shape.kernel.fused() {
            Some(fused) if shape.is_served_by(directory, fused) => {
                if shape.kernel.is_convolution() {
                    return Ok(cost(shape, KdaWork::Elsewhere));
                }
                KdaShape {
                    kernel: fused,
                    ..shape
                }
            }
            _ => shape,
        };
        let curve = match shape.find(directory).or_else(|| shape.find_alike(directory)) {
            Some(slice) => KernelCurve::read(measured, directory, slice)?,
            None => None,
        };
        Ok(cost(shape, curve.map_or(KdaWork::Roofline, KdaWork::Measured)))
    }

    /// Latency of one layer's kernel.
    pub fn latency(&self, step: SequenceTokens) -> OperatorLatency {
        let curve = match &self.work {
            KdaWork::Elsewhere => {
                return OperatorLatency {
                    ms: 0.0,
                    source: Source::Measured,
                };
            }
            KdaWork::Measured(curve) => Some(curve),
            KdaWork::Roofline => None,
        };
        super::latency(curve, self.shape.requests(step), |step| {
            roofline::kimi_delta(self.system, &self.shape, step)
        })
    }
}

impl KdaShape {
    pub(crate) const fn table(&self) -> &'static str {
        match self.kernel.stage() {
            Stage::Prompt => "kda_context",
            Stage::Step => "kda_generation",
            Stage::Verify => "kda_verify",
        }
    }

    /// The slice of exactly this shape.
    fn find(&self, directory: &Directory) -> Option<usize> {
        directory.find(&[
            directory.word(self.kernel.name())?,
            self.hidden,
            self.conv_width,
            self.key_heads,
            self.key_dim,
            self.value_heads,
            self.value_dim,
        ])
    }

    /// The slice of the same kernel and hidden size whose number of value heads is nearest.
    fn find_alike(&self, directory: &Directory) -> Option<usize> {
        let kernel = directory.word(self.kernel.name())?;
        (0..directory.slices())
            .filter(|slice| directory.key(*slice)[..2] == [kernel, self.hidden])
            .min_by_key(|slice| directory.key(*slice)[5].abs_diff(self.value_heads))
    }

    /// Whether the engine was measured with the `fused` kernel instead of this one: for this shape, or with drafts for
    /// any shape.
    fn is_served_by(&self, directory: &Directory, fused: KdaKernel) -> bool {
        let runs = |kernel: KdaKernel| match kernel.stage() {
            Stage::Verify => directory.word(kernel.name()).is_some_and(|kernel| {
                (0..directory.slices()).any(|slice| directory.key(slice).first() == Some(&kernel))
            }),
            Stage::Prompt | Stage::Step => Self { kernel, ..*self }.find(directory).is_some(),
        };
        !runs(self.kernel) && runs(fused)
    }

    /// A step's sequences as the tables count them: those that check drafts once, with the tokens that they check.
    fn requests(&self, step: SequenceTokens) -> SequenceTokens {
        let drafts = u64::from(self.draft_tokens);
        if !self.kernel.is_verify() || drafts == 0 {
            return step;
        }
        SequenceTokens {
            batch: rounded_to_even(step.batch, drafts).max(1),
            tokens: drafts,
        }
    }
}

/// A quotient to the nearest whole number, of two equally near ones to the even one.
const fn rounded_to_even(dividend: u64, divisor: u64) -> u64 {
    let (quotient, twice) = (dividend / divisor, 2 * (dividend % divisor));
    if twice > divisor || (twice == divisor && quotient % 2 == 1) {
        quotient + 1
    } else {
        quotient
    }
}

#[cfg(test)]
mod tests;
