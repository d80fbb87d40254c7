//! Numeric formats: bytes per element and tensor-core rate of each.

use serde::{Deserialize, Serialize};

/// The tensor-core rate that a format runs at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ComputeRate {
    /// bfloat16 FLOP/s.
    Bfloat16,
    /// int8 OP/s.
    Int8,
    /// fp8 FLOP/s.
    Fp8,
    /// fp4 FLOP/s.
    Fp4,
}

/// Format of a matrix multiplication's weights and activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GemmQuant {
    /// bfloat16.
    Bfloat16,
    /// int8 weights, bfloat16 compute.
    Int8Wo,
    /// int4 weights, bfloat16 compute.
    Int4Wo,
    /// fp8 with dynamic per-tensor or per-channel scales.
    Fp8,
    /// fp8 with static per-tensor scales.
    Fp8Static,
    /// fp8 with 128 × 128 block scales.
    Fp8Block,
    /// fp8 by the engine's own out-of-the-box path.
    Fp8Ootb,
    /// int8 SmoothQuant.
    Sq,
    /// NVFP4 weights and activations.
    Nvfp4,
    /// NVFP4 weights, bfloat16 compute.
    Nvfp4Wo,
    /// NVFP4 weights of a checkpoint that keeps 16-bit activations, bfloat16 compute.
    #[serde(rename = "w4a16_nvfp4")]
    W4a16Nvfp4,
}

impl GemmQuant {
    /// All formats, in table order.
    pub const ALL: [Self; 11] = [
        Self::Bfloat16,
        Self::Int8Wo,
        Self::Int4Wo,
        Self::Fp8,
        Self::Fp8Static,
        Self::Fp8Block,
        Self::Fp8Ootb,
        Self::Sq,
        Self::Nvfp4,
        Self::Nvfp4Wo,
        Self::W4a16Nvfp4,
    ];

    /// The name used in tables and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bfloat16 => "bfloat16",
            Self::Int8Wo => "int8_wo",
            Self::Int4Wo => "int4_wo",
            Self::Fp8 => "fp8",
            Self::Fp8Static => "fp8_static",
            Self::Fp8Block => "fp8_block",
            Self::Fp8Ootb => "fp8_ootb",
            Self::Sq => "sq",
            Self::Nvfp4 => "nvfp4",
            Self::Nvfp4Wo => "nvfp4_wo",
            Self::W4a16Nvfp4 => "w4a16_nvfp4",
        }
    }

    /// The format of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quant| quant.name() == name)
    }

    /// Bytes per weight element, scales included for NVFP4 (9/16: 4 bits plus one byte per 16 elements).
    pub const fn bytes(self) -> f64 {
        match self {
            Self::Bfloat16 => 2.0,
            Self::Int8Wo | Self::Fp8 | Self::Fp8Static | Self::Fp8Block | Self::Fp8Ootb | Self::Sq => 1.0,
            Self::Int4Wo => 0.5,
            Self::Nvfp4 | Self::Nvfp4Wo | Self::W4a16Nvfp4 => 0.5625,
        }
    }

    /// The tensor-core rate it computes at.
    pub const fn rate(self) -> ComputeRate {
        match self {
            Self::Bfloat16 | Self::Int8Wo | Self::Int4Wo | Self::Nvfp4Wo | Self::W4a16Nvfp4 => {
                ComputeRate::Bfloat16
            }
            Self::Fp8 | Self::Fp8Static | Self::Fp8Block | Self::Fp8Ootb => ComputeRate::Fp8,
            Self::Sq => ComputeRate::Int8,
            Self::Nvfp4 => ComputeRate::Fp4,
        }
    }
}

/// Format of routed experts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MoeQuant {
    /// bfloat16.
    Bfloat16,
    /// fp8, one scale a tensor.
    Fp8,
    /// fp8, one scale a block of 128 × 128 weights.
    Fp8Block,
    /// NVFP4 weights and activations.
    Nvfp4,
    /// NVFP4 weights, bfloat16 compute, where the GPU has no fp4 tensor cores.
    Nvfp4Wo,
    /// NVFP4 weights, 16-bit activations.
    #[serde(rename = "w4a16_nvfp4")]
    W4a16Nvfp4,
    /// int4 weights, 16-bit activations.
    Int4Wo,
    /// 4-bit weights, fp8 activations.
    #[serde(rename = "w4afp8")]
    W4afp8,
    /// MXFP4 weights, 16-bit activations.
    #[serde(rename = "w4a16_mxfp4")]
    W4a16Mxfp4,
    /// MXFP4 weights, MXFP8 activations.
    #[serde(rename = "w4a8_mxfp4_mxfp8")]
    W4a8Mxfp4Mxfp8,
    /// The same by TensorRT-LLM's kernel inside SGLang.
    #[serde(rename = "w4a8_mxfp4_mxfp8_trtllm")]
    W4a8Mxfp4Mxfp8Trtllm,
    /// MXFP4 weights, 16-bit activations, by CUTLASS inside SGLang.
    #[serde(rename = "w4a16_mxfp4_cutlass")]
    W4a16Mxfp4Cutlass,
}

impl MoeQuant {
    /// All formats.
    pub const ALL: [Self; 12] = [
        Self::Bfloat16,
        Self::Fp8,
        Self::Fp8Block,
        Self::Nvfp4,
        Self::Nvfp4Wo,
        Self::W4a16Nvfp4,
        Self::Int4Wo,
        Self::W4afp8,
        Self::W4a16Mxfp4,
        Self::W4a8Mxfp4Mxfp8,
        Self::W4a8Mxfp4Mxfp8Trtllm,
        Self::W4a16Mxfp4Cutlass,
    ];

    /// The name used in tables and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bfloat16 => "bfloat16",
            Self::Fp8 => "fp8",
            Self::Fp8Block => "fp8_block",
            Self::Nvfp4 => "nvfp4",
            Self::Nvfp4Wo => "nvfp4_wo",
            Self::W4a16Nvfp4 => "w4a16_nvfp4",
            Self::Int4Wo => "int4_wo",
            Self::W4afp8 => "w4afp8",
            Self::W4a16Mxfp4 => "w4a16_mxfp4",
            Self::W4a8Mxfp4Mxfp8 => "w4a8_mxfp4_mxfp8",
            Self::W4a8Mxfp4Mxfp8Trtllm => "w4a8_mxfp4_mxfp8_trtllm",
            Self::W4a16Mxfp4Cutlass => "w4a16_mxfp4_cutlass",
        }
    }

    /// The format of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quant| quant.name() == name)
    }

    /// Bytes per weight element, scales included for NVFP4 (9/16: 4 bits plus one byte per 16 elements).
    pub const fn bytes(self) -> f64 {
        match self {
            Self::Bfloat16 => 2.0,
            Self::Fp8 | Self::Fp8Block => 1.0,
            Self::Int4Wo
            | Self::W4afp8
            | Self::W4a16Mxfp4
            | Self::W4a16Mxfp4Cutlass
            | Self::W4a8Mxfp4Mxfp8
            | Self::W4a8Mxfp4Mxfp8Trtllm => 0.5,
            Self::Nvfp4 | Self::Nvfp4Wo | Self::W4a16Nvfp4 => 0.5625,
        }
    }

    /// The tensor-core rate it computes at.
    pub const fn rate(self) -> ComputeRate {
        match self {
            Self::Bfloat16
            | Self::Int4Wo
            | Self::W4a16Mxfp4
            | Self::W4a16Mxfp4Cutlass
            | Self::W4a16Nvfp4
            | Self::Nvfp4Wo => ComputeRate::Bfloat16,
            Self::Fp8 | Self::Fp8Block | Self::W4afp8 | Self::W4a8Mxfp4Mxfp8 | Self::W4a8Mxfp4Mxfp8Trtllm => {
                ComputeRate::Fp8
            }
            Self::Nvfp4 => ComputeRate::Fp4,
        }
    }
}

/// Format of the KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KvQuant {
    /// bfloat16.
    Bfloat16,
    /// int8.
    Int8,
    /// fp8.
    Fp8,
}

impl KvQuant {
    /// All formats.
    pub const ALL: [Self; 3] = [Self::Bfloat16, Self::Int8, Self::Fp8];

    /// The name used in tables and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bfloat16 => "bfloat16",
            Self::Int8 => "int8",
            Self::Fp8 => "fp8",
        }
    }

    /// The format of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quant| quant.name() == name)
    }

    /// Bytes per element.
    pub const fn bytes(self) -> f64 {
        match self {
            Self::Bfloat16 => 2.0,
            Self::Int8 | Self::Fp8 => 1.0,
        }
    }
}

/// Format in which prefill attention computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FmhaQuant {
    /// bfloat16.
    Bfloat16,
    /// fp8.
    Fp8,
}

impl FmhaQuant {
    /// The name used in tables and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bfloat16 => "bfloat16",
            Self::Fp8 => "fp8",
        }
    }

    /// The tensor-core rate it computes at.
    pub const fn rate(self) -> ComputeRate {
        match self {
            Self::Bfloat16 => ComputeRate::Bfloat16,
            Self::Fp8 => ComputeRate::Fp8,
        }
    }

    /// Bytes per element.
    pub const fn bytes(self) -> f64 {
        match self {
            Self::Bfloat16 => 2.0,
            Self::Fp8 => 1.0,
        }
    }
}

/// The formats that one engine runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Precision {
    /// Projections and FFN.
    pub gemm: GemmQuant,
    /// Routed experts.
    pub moe: MoeQuant,
    /// KV cache.
    pub kv: KvQuant,
    /// Prefill attention.
    pub fmha: FmhaQuant,
    /// Parts of the model that a checkpoint keeps in another format than its projections.
    #[serde(default, skip_serializing_if = "PartFormats::is_uniform")]
    pub parts: PartFormats,
}

/// Formats of parts of a model, where they differ from the one of its products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PartFormats {
    /// Projections of queries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<GemmQuant>,
    /// Projections of keys and values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_value: Option<GemmQuant>,
    /// Output projection of attention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<GemmQuant>,
    /// The index of sparse attention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub indexer: Option<GemmQuant>,
    /// Dense feed-forward networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed_forward: Option<GemmQuant>,
    /// Experts that every token visits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_experts: Option<GemmQuant>,
}

impl PartFormats {
    /// Every part in the format of the model's products.
    pub const UNIFORM: Self = Self {
        query: None,
        key_value: None,
        output: None,
        indexer: None,
        feed_forward: None,
        shared_experts: None,
    };

    /// True when no part differs.
    pub fn is_uniform(&self) -> bool {
        *self == Self::UNIFORM
    }

    /// The same parts, each in the format that `change` makes of its own.
    #[must_use]
    pub fn map(self, change: impl Fn(GemmQuant) -> GemmQuant) -> Self {
        Self {
            query: self.query.map(&change),
            key_value: self.key_value.map(&change),
            output: self.output.map(&change),
            indexer: self.indexer.map(&change),
            feed_forward: self.feed_forward.map(&change),
            shared_experts: self.shared_experts.map(&change),
        }
    }
}

impl Precision {
    const fn part(part: Option<GemmQuant>, whole: GemmQuant) -> GemmQuant {
        match part {
            Some(format) => format,
            None => whole,
        }
    }

    /// Projections of queries.
    pub const fn query(&self) -> GemmQuant {
        Self::part(self.parts.query, self.gemm)
    }

    /// Projections of keys and values.
    pub const fn key_value(&self) -> GemmQuant {
        Self::part(self.parts.key_value, self.gemm)
    }

    /// Output projection of attention.
    pub const fn output(&self) -> GemmQuant {
        Self::part(self.parts.output, self.gemm)
    }

    /// The index of sparse attention.
    pub const fn indexer(&self) -> GemmQuant {
        Self::part(self.parts.indexer, self.gemm)
    }

    /// Dense feed-forward networks.
    pub const fn feed_forward(&self) -> GemmQuant {
        Self::part(self.parts.feed_forward, self.gemm)
    }

    /// Experts that every token visits.
    pub const fn shared_experts(&self) -> GemmQuant {
        Self::part(self.parts.shared_experts, self.gemm)
    }
}
