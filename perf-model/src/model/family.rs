//! How the layers of an architecture are built.

use serde::{Deserialize, Serialize};

/// Models that share one operator graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ModelFamily {
    /// Grouped-query attention and one gated feed-forward network a layer.
    Dense,
    /// Grouped-query attention and experts.
    MixtureOfExperts,
    /// Latent attention and experts (DeepSeek V3 and R1, Kimi K2).
    DeepSeek,
    /// Latent attention with an index of the tokens that matter (DeepSeek V3.2, GLM-5).
    DeepSeekSparse,
    /// Compressed attention and hyper-connections (DeepSeek V4).
    DeepSeekV4,
    /// Kimi K3: linear and latent attention with experts in a latent space.
    KimiK3,
    /// Layers found by architecture search, each with its own width.
    NemotronNas,
    /// State-space layers among attention layers.
    NemotronH,
    /// Dense and expert layers in turn, local and global attention in turn.
    HybridMixture,
    /// The same with an expert that every token visits (Step 3).
    SharedHybridMixture,
    /// Gated linear attention among full attention (Qwen 3.5).
    GatedLinear,
    /// Grouped-query attention with a vision tower.
    Vision,
    /// Sliding and global attention with a dense network beside experts (Gemma 4).
    Gemma4,
    /// MiniMax M3: sparse attention and experts.
    MinimaxM3,
}

impl ModelFamily {
    /// The family of an architecture, by the first entry of `architectures`.
    pub fn of_architecture(architecture: &str) -> Option<Self> {
        Some(match architecture {
            "LlamaForCausalLM" | "Qwen2ForCausalLM" | "Qwen3ForCausalLM" | "MistralForCausalLM"
            | "MiMoForCausalLM" => Self::Dense,
            "MixtralForCausalLM"
            | "GptOssForCausalLM"
            | "Qwen2MoeForCausalLM"
            | "Qwen3MoeForCausalLM"
            | "MiniMaxM2ForCausalLM" => Self::MixtureOfExperts,
            "DeepSeekForCausalLM" | "DeepseekV3ForCausalLM" | "KimiK25ForConditionalGeneration" => {
                Self::DeepSeek
            }
            "DeepseekV32ForCausalLM" | "GlmMoeDsaForCausalLM" => Self::DeepSeekSparse,
            "DeepseekV4ForCausalLM" => Self::DeepSeekV4,
            "KimiK3ForConditionalGeneration" => Self::KimiK3,
            "NemotronForCausalLM" | "DeciLMForCausalLM" => Self::NemotronNas,
            "NemotronHForCausalLM" => Self::NemotronH,
            "MiMoV2FlashForCausalLM" | "Llama4ForConditionalGeneration" => Self::HybridMixture,
            "Step3p7ForConditionalGeneration"
            | "Step3p5ForCausalLM"
            | "Step3p7FlashForCausalLM"
            | "Step3p5FlashForCausalLM" => Self::SharedHybridMixture,
            "Qwen3_5ForConditionalGeneration" | "Qwen3_5MoeForConditionalGeneration" => Self::GatedLinear,
            "Qwen3VLForConditionalGeneration" | "Qwen3VLMoeForConditionalGeneration" => Self::Vision,
            "Gemma4ForConditionalGeneration" => Self::Gemma4,
            "MiniMaxM3ForCausalLM" | "MiniMaxM3SparseForConditionalGeneration" => Self::MinimaxM3,
            _ => return None,
        })
    }

    /// What the family is, in words for messages.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Dense => "a dense model",
            Self::MixtureOfExperts => "a mixture of experts",
            Self::DeepSeek => "a mixture of experts with latent attention",
            Self::DeepSeekSparse => "a mixture of experts with sparse latent attention",
            Self::DeepSeekV4 => "a mixture of experts with compressed attention",
            Self::KimiK3 => "a mixture of experts with linear and latent attention",
            Self::NemotronNas => "a model with layers of differing width",
            Self::NemotronH => "a model with state-space layers",
            Self::HybridMixture | Self::SharedHybridMixture => "a model of dense and expert layers in turn",
            Self::GatedLinear => "a model with gated linear attention",
            Self::Vision => "a vision-language model",
            Self::Gemma4 => "a model of sliding and global attention with experts",
            Self::MinimaxM3 => "a mixture of experts with sparse attention",
        }
    }
}
