//! Libraries that exchange tokens among many ranks: what each serves, and in which format messages travel.

use crate::backend::Backend;
use crate::graph::{MoeShape, Phase};
use crate::quant::MoeQuant;
use crate::system::SystemSpec;

/// The most experts a token may visit with any of the libraries.
const MOST_VISITS: u32 = 8;

/// The compute capability of Hopper, whose DeepEP sends no NVFP4.
const HOPPER: u32 = 90;

/// A library that exchanges tokens among ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ExchangeLibrary {
    /// DeepEP's high-throughput kernels in SGLang and vLLM.
    DeepepThroughput,
    /// DeepEP's low-latency kernels in SGLang and vLLM.
    DeepepLatency,
    /// DeepEP 2 for prefill, in vLLM.
    Deepep2Context,
    /// DeepEP 2 for decode, in vLLM.
    Deepep2Generation,
    /// DeepEP's high-throughput kernels in TensorRT-LLM.
    TrtllmDeepepThroughput,
    /// DeepEP's low-latency kernels in TensorRT-LLM.
    TrtllmDeepepLatency,
    /// TensorRT-LLM's exchange over NVLink in which receivers announce themselves.
    NvlinkTwoSided,
    /// TensorRT-LLM's exchange over NVLink in which senders write to receivers.
    NvlinkOneSided,
}

/// One part of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExchangeStep {
    /// Ranks learn how much they will get.
    Prepare,
    /// Tokens go to their experts.
    Dispatch,
    /// Results come back.
    Combine,
}

/// Format in which tokens travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageFormat {
    /// The library's own; it was measured in one only.
    Native,
    /// A format of experts.
    Experts(MoeQuant),
    /// 4 bits, for results of NVFP4 experts.
    Fp4,
}

/// The experts that tokens are exchanged among.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExpertGroup {
    /// Experts that a token is sent to.
    pub per_token: u32,
    /// Experts.
    pub experts: u32,
    /// Ranks that share each expert.
    pub moe_tp: u32,
    /// Groups that the experts are dealt to.
    pub moe_ep: u32,
}

impl ExpertGroup {
    /// The experts of a layer.
    pub const fn of(moe: &MoeShape) -> Self {
        Self {
            per_token: moe.per_token,
            experts: moe.experts,
            moe_tp: moe.moe_tp,
            moe_ep: moe.moe_ep,
        }
    }
}

impl ExchangeStep {
    /// The name used in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Dispatch => "dispatch",
            Self::Combine => "combine",
        }
    }
}

impl MessageFormat {
    /// The name used in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "default",
            Self::Experts(quant) => quant.name(),
            Self::Fp4 => "fp4",
        }
    }
}

impl ExchangeLibrary {
    /// All libraries, in the order in which they are tried.
    pub const ALL: [Self; 8] = [
        Self::DeepepThroughput,
        Self::DeepepLatency,
        Self::Deepep2Context,
        Self::Deepep2Generation,
        Self::TrtllmDeepepThroughput,
        Self::TrtllmDeepepLatency,
        Self::NvlinkTwoSided,
        Self::NvlinkOneSided,
    ];

    /// The name used in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DeepepThroughput => "deepep_ht",
            Self::DeepepLatency => "deepep_ll",
            Self::Deepep2Context => "deepep_v2_context",
            Self::Deepep2Generation => "deepep_v2_generation",
            Self::TrtllmDeepepThroughput => "trtllm_deepep_ht",
            Self::TrtllmDeepepLatency => "trtllm_deepep_ll",
            Self::NvlinkTwoSided => "nvlink_two_sided",
            Self::NvlinkOneSided => "nvlink_one_sided",
        }
    }

    /// Whether an engine can be built with it.
    pub const fn runs_in(self, backend: Backend) -> bool {
        match self {
            Self::DeepepThroughput | Self::DeepepLatency => {
                matches!(backend, Backend::Sglang | Backend::Vllm)
            }
            Self::Deepep2Context | Self::Deepep2Generation => matches!(backend, Backend::Vllm),
            Self::TrtllmDeepepThroughput
            | Self::TrtllmDeepepLatency
            | Self::NvlinkTwoSided
            | Self::NvlinkOneSided => matches!(backend, Backend::Trtllm),
        }
    }

    /// Whether it is for the tokens of a phase.
    pub const fn serves(self, phase: Phase) -> bool {
        match self {
            Self::DeepepThroughput | Self::Deepep2Context | Self::TrtllmDeepepThroughput => {
                matches!(phase, Phase::Context)
            }
            Self::DeepepLatency | Self::Deepep2Generation | Self::TrtllmDeepepLatency => {
                matches!(phase, Phase::Generation)
            }
            Self::NvlinkTwoSided | Self::NvlinkOneSided => true,
        }
    }

    /// The parts of an exchange, in order.
    pub const fn steps(self) -> &'static [ExchangeStep] {
        match self {
            Self::NvlinkTwoSided => &[
                ExchangeStep::Prepare,
                ExchangeStep::Dispatch,
                ExchangeStep::Combine,
            ],
            Self::DeepepThroughput
            | Self::DeepepLatency
            | Self::Deepep2Context
            | Self::Deepep2Generation
            | Self::TrtllmDeepepThroughput
            | Self::TrtllmDeepepLatency
            | Self::NvlinkOneSided => &[ExchangeStep::Dispatch, ExchangeStep::Combine],
        }
    }

    /// Whether it can exchange tokens among these experts on a system.
    pub fn is_feasible(self, group: ExpertGroup, system: &SystemSpec) -> bool {
        let ExpertGroup {
            per_token,
            experts,
            moe_tp,
            moe_ep,
        } = group;
        let has_links = match self {
            Self::NvlinkTwoSided | Self::NvlinkOneSided => {
                system.sm_version.is_none_or(|version| version >= 100)
            }
            Self::DeepepThroughput
            | Self::DeepepLatency
            | Self::Deepep2Context
            | Self::Deepep2Generation
            | Self::TrtllmDeepepThroughput
            | Self::TrtllmDeepepLatency => true,
        };
        per_token <= MOST_VISITS
            && moe_tp == 1
            && 1 < moe_ep
            && moe_ep <= experts
            && experts.is_multiple_of(moe_ep)
            && has_links
    }

    /// Whether measurements of one full node stand for more nodes where those were not measured.
    pub const fn scales_from_one_node(self) -> bool {
        match self {
            Self::DeepepThroughput
            | Self::DeepepLatency
            | Self::TrtllmDeepepThroughput
            | Self::TrtllmDeepepLatency => true,
            Self::Deepep2Context | Self::Deepep2Generation | Self::NvlinkTwoSided | Self::NvlinkOneSided => {
                false
            }
        }
    }

    /// The format in which the tokens of experts in `quant` travel in one part of a phase's exchange; none where the
    /// library cannot send it.
    pub fn message(
        self,
        quant: MoeQuant,
        step: ExchangeStep,
        phase: Phase,
        system: &SystemSpec,
    ) -> Option<MessageFormat> {
        let quant = if quant == MoeQuant::Fp8Block {
            MoeQuant::Fp8
        } else {
            quant
        };
        let plain = matches!(quant, MoeQuant::Bfloat16 | MoeQuant::Fp8);
        let is_nvfp4 = quant == MoeQuant::Nvfp4;
        match self {
            Self::DeepepThroughput | Self::DeepepLatency | Self::Deepep2Context | Self::Deepep2Generation => {
                Some(MessageFormat::Native)
            }
            // fp8 is sent in 16 bits.
            Self::TrtllmDeepepThroughput if plain => Some(MessageFormat::Experts(MoeQuant::Bfloat16)),
            Self::TrtllmDeepepThroughput => is_nvfp4.then_some(MessageFormat::Experts(quant)),
            Self::TrtllmDeepepLatency if plain => Some(MessageFormat::Experts(quant)),
            Self::TrtllmDeepepLatency if is_nvfp4 && system.sm_version != Some(HOPPER) => {
                Some(if step == ExchangeStep::Combine {
                    MessageFormat::Fp4
                } else {
                    MessageFormat::Experts(quant)
                })
            }
            Self::TrtllmDeepepLatency => None,
            Self::NvlinkTwoSided | Self::NvlinkOneSided => {
                let narrow = is_nvfp4 && phase == Phase::Generation && step == ExchangeStep::Combine;
                Some(if narrow {
                    MessageFormat::Fp4
                } else {
                    MessageFormat::Experts(quant)
                })
            }
        }
    }
}
