//! The formats that an algorithm's name stands for.

use super::declared::Declared;
use super::{compressed_tensors, mixed_precision};
use crate::quant::{GemmQuant, MoeQuant};

/// Formats of products and of routed experts; none where the algorithm is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Formats {
    pub(super) gemm: Option<GemmQuant>,
    pub(super) moe: Option<MoeQuant>,
}

impl Formats {
    const UNKNOWN: Self = Self {
        gemm: None,
        moe: None,
    };

    /// One format for all weights.
    pub(super) const fn uniform(gemm: GemmQuant) -> Self {
        Self {
            gemm: Some(gemm),
            moe: experts_of(gemm),
        }
    }
}

/// The formats of a checkpoint made by `algorithm`, a name in lower case.
pub(super) fn formats(algorithm: &str, declared: &Declared<'_>) -> Formats {
    match algorithm {
        "fp8" => Formats::uniform(by_tensor(declared)),
        "fbgemm_fp8" | "fp8_per_channel_per_token" | "ptpc_fp8" => Formats::uniform(GemmQuant::Fp8),
        "fp8_block" | "fp8_pb_wo" | "fp8_pb_real" | "mxfp8" => Formats::uniform(GemmQuant::Fp8Block),
        "nvfp4" | "fp4" | "modelopt_fp4" => Formats::uniform(GemmQuant::Nvfp4),
        "w4a16_nvfp4" => Formats::uniform(GemmQuant::W4a16Nvfp4),
        // Only the experts are packed.
        "mxfp4" | "w4a16_mxfp4" => Formats {
            gemm: Some(GemmQuant::Bfloat16),
            moe: Some(MoeQuant::W4a16Mxfp4),
        },
        "w4a8_awq" | "w4afp8" => Formats {
            gemm: Some(GemmQuant::Fp8),
            moe: Some(MoeQuant::W4afp8),
        },
        "int4_awq" | "w4a16_awq" | "w4a16" | "int4_wo" => Formats::uniform(GemmQuant::Int4Wo),
        "w8a16" | "int8_wo" => Formats::uniform(GemmQuant::Int8Wo),
        "w8a8_sq_per_channel" | "int8_sq" | "smoothquant" | "w8a8_int8" => Formats::uniform(GemmQuant::Sq),
        "awq" | "awq_marlin" | "gptq" | "gptq_marlin" | "gptq_v2" | "auto-round" | "bitsandbytes" | "hqq" => {
            packed_integers(declared.bits())
        }
        "mixed_precision" | "mixed-precision" | "mixedprecision" => mixed_precision::formats(declared),
        "compressed-tensors" | "compressed_tensors" => compressed_tensors::formats(declared),
        _ => Formats::UNKNOWN,
    }
}

/// Per-tensor FP8: static scales, unless the checkpoint says otherwise.
pub(super) fn by_tensor(declared: &Declared<'_>) -> GemmQuant {
    if declared.scales_dynamically() == Some(true) {
        GemmQuant::Fp8
    } else {
        GemmQuant::Fp8Static
    }
}

/// Integer weights over 16-bit activations: 4 bits where nothing is said.
const fn packed_integers(bits: Option<u64>) -> Formats {
    match bits {
        None | Some(4) => Formats::uniform(GemmQuant::Int4Wo),
        Some(8) => Formats::uniform(GemmQuant::Int8Wo),
        Some(_) => Formats::UNKNOWN,
    }
}

/// The format of routed experts that goes with one of products.
const fn experts_of(gemm: GemmQuant) -> Option<MoeQuant> {
    match gemm {
        GemmQuant::Bfloat16 => Some(MoeQuant::Bfloat16),
        GemmQuant::Fp8 | GemmQuant::Fp8Static => Some(MoeQuant::Fp8),
        GemmQuant::Fp8Block => Some(MoeQuant::Fp8Block),
        GemmQuant::Nvfp4 => Some(MoeQuant::Nvfp4),
        GemmQuant::Nvfp4Wo => Some(MoeQuant::Nvfp4Wo),
        GemmQuant::W4a16Nvfp4 => Some(MoeQuant::W4a16Nvfp4),
        GemmQuant::Int4Wo => Some(MoeQuant::Int4Wo),
        GemmQuant::Int8Wo | GemmQuant::Fp8Ootb | GemmQuant::Sq => None,
    }
}
