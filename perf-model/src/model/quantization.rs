//! Formats that a checkpoint was made in, inferred as engines do when no flag says otherwise.

mod algorithm;
mod compressed_tensors;
mod declared;
mod mixed_precision;
mod parts;

use serde::{Deserialize, Serialize};

use crate::error::PerfModelError;
use crate::model::ModelFamily;
use crate::quant::{FmhaQuant, GemmQuant, KvQuant, MoeQuant, PartFormats};

pub(super) use declared::Declared;

/// Native MXFP4 experts are declared by this architecture, whose kernels also need an fp8 cache.
const DEEPSEEK_V4: &str = "DeepseekV4ForCausalLM";

/// Formats that a checkpoint asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantization {
    /// Name of the checkpoint's algorithm, lower case; `none` for an unquantised one.
    pub algorithm: String,
    /// Format of the projections; none when the algorithm is not one that the measured tables know.
    pub gemm: Option<GemmQuant>,
    /// Format of routed experts; none where it is unknown.
    #[serde(default)]
    pub moe: Option<MoeQuant>,
    /// Format of the KV cache.
    pub kv: KvQuant,
    /// Format of prefill attention that the checkpoint allows; what runs also depends on the engine's kernels.
    pub fmha: FmhaQuant,
    /// Parts that the checkpoint keeps in another format than its projections.
    #[serde(default, skip_serializing_if = "PartFormats::is_uniform")]
    pub parts: PartFormats,
}

impl Quantization {
    /// bfloat16 throughout.
    pub fn none() -> Self {
        Self {
            algorithm: "none".to_owned(),
            gemm: Some(GemmQuant::Bfloat16),
            moe: Some(MoeQuant::Bfloat16),
            kv: KvQuant::Bfloat16,
            fmha: FmhaQuant::Bfloat16,
            parts: PartFormats::UNIFORM,
        }
    }

    /// Infers the formats from what a checkpoint declares.
    ///
    /// Per-tensor FP8 counts as statically scaled unless the checkpoint says that activations are scaled dynamically.
    /// An FP8 or NVFP4 checkpoint runs FP8 attention over an FP8 cache.
    pub(super) fn infer(
        declared: &Declared<'_>,
        architecture: &str,
        family: ModelFamily,
    ) -> Result<Self, PerfModelError> {
        let cache = declared.cache()?;
        let Some(algorithm) = declared.algorithm()? else {
            return Ok(Self {
                kv: cache.unwrap_or(KvQuant::Bfloat16),
                ..Self::none()
            });
        };
        let formats = algorithm::formats(&algorithm, declared);
        let fp8 = matches!(algorithm.as_str(), "fp8" | "fp8_block" | "nvfp4") || cache == Some(KvQuant::Fp8);
        let mut inferred = Self {
            algorithm,
            gemm: formats.gemm,
            moe: formats.moe,
            kv: if fp8 {
                KvQuant::Fp8
            } else {
                cache.unwrap_or(KvQuant::Bfloat16)
            },
            fmha: if fp8 { FmhaQuant::Fp8 } else { FmhaQuant::Bfloat16 },
            parts: PartFormats::UNIFORM,
        };
        if architecture == DEEPSEEK_V4 {
            inferred.kv = KvQuant::Fp8;
            if declared.experts_are_fp4() && inferred.moe != Some(MoeQuant::Nvfp4) {
                inferred.moe = Some(MoeQuant::W4a8Mxfp4Mxfp8);
            }
        }
        parts::apply(&mut inferred, declared, family);
        Ok(inferred)
    }
}

#[cfg(test)]
mod tests;
