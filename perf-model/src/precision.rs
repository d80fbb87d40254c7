//! The formats that an engine runs a checkpoint in.

use crate::backend::Backend;
use crate::error::PerfModelError;
use crate::model::ModelSpec;
use crate::operators::ContextAttentionShape;
use crate::quant::{FmhaQuant, GemmQuant, KvQuant, MoeQuant, Precision};
use crate::system::SystemSpec;
use crate::tables::PerfDatabase;

/// Formats that a user insists on; what is left out is inferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrecisionOverrides {
    /// Format of the projections.
    pub gemm: Option<GemmQuant>,
    /// Routed experts.
    pub moe: Option<MoeQuant>,
    /// Format of the KV cache.
    pub kv: Option<KvQuant>,
    /// Format of prefill attention.
    pub fmha: Option<FmhaQuant>,
}

impl Precision {
    /// The formats that a checkpoint runs in on a system, where the user says nothing.
    ///
    /// # Errors
    /// See [`Precision::infer_with`].
    pub fn infer(model: &ModelSpec, database: &PerfDatabase) -> Result<Self, PerfModelError> {
        Self::infer_with(model, database, PrecisionOverrides::default())
    }

    /// The formats that a checkpoint runs in on a system, `overrides` first.
    ///
    /// NVFP4 runs weight-only where the GPU has no fp4 tensor cores. Prefill attention runs in fp8 only where the
    /// checkpoint allows it and the engine's kernels were measured so (without any tables: where the GPU can); on vLLM it
    /// always runs in bfloat16.
    ///
    /// # Errors
    /// [`PerfModelError::QuantizationNotCovered`] when the projections' format can neither be inferred nor was given;
    /// [`PerfModelError::AttentionFormatNotMeasured`] when fp8 attention was insisted on without data.
    pub fn infer_with(
        model: &ModelSpec,
        database: &PerfDatabase,
        overrides: PrecisionOverrides,
    ) -> Result<Self, PerfModelError> {
        let gemm = overrides.gemm.or(model.quantization.gemm).ok_or_else(|| {
            PerfModelError::QuantizationNotCovered {
                model: model.name.clone(),
                algorithm: model.quantization.algorithm.clone(),
            }
        })?;
        let moe = overrides
            .moe
            .or(model.quantization.moe)
            .unwrap_or(MoeQuant::Bfloat16);
        let kv = overrides.kv.unwrap_or(model.quantization.kv);
        let measured = |fmha| {
            if !database.is_measured() {
                return fmha == FmhaQuant::Bfloat16 || database.system().fp8_flops.is_some();
            }
            database.has_context_attention(&ContextAttentionShape {
                heads: model.heads,
                kv_heads: model.kv_heads,
                head_dim: model.head_dim,
                window: 0,
                kv,
                fmha,
                qk_norm: model.qk_norm,
            })
        };
        let fmha = match overrides.fmha {
            Some(FmhaQuant::Fp8) if !measured(FmhaQuant::Fp8) => {
                return Err(PerfModelError::AttentionFormatNotMeasured {
                    model: model.name.clone(),
                    system: database.system().name,
                    backend: database.backend(),
                });
            }
            Some(fmha) => fmha,
            None if database.backend() == Backend::Vllm => FmhaQuant::Bfloat16,
            None if model.quantization.fmha == FmhaQuant::Fp8 && measured(FmhaQuant::Fp8) => FmhaQuant::Fp8,
            None => FmhaQuant::Bfloat16,
        };
        Ok(Self {
            gemm: runnable(gemm, database.system()),
            moe,
            kv,
            fmha,
        })
    }
}

/// NVFP4 without fp4 tensor cores is unpacked to bfloat16 before each product.
fn runnable(gemm: GemmQuant, system: &SystemSpec) -> GemmQuant {
    if gemm == GemmQuant::Nvfp4 && system.fp4_flops.is_none() {
        GemmQuant::Nvfp4Wo
    } else {
        gemm
    }
}
