//! The formats that an engine runs a checkpoint in.

use crate::backend::Backend;
use crate::error::PerfModelError;
use crate::model::{ModelFamily, ModelSpec};
use crate::quant::{FmhaQuant, GemmQuant, KvQuant, MoeQuant, PartFormats, Precision};
use crate::system::SystemSpec;
use crate::tables::PerfDatabase;

/// First generation of GPUs with fp4 tensor cores, as compute capability.
const BLACKWELL: u32 = 100;

/// Compute capability of Hopper.
const HOPPER: u32 = 90;

/// Formats that a user insists on; what is left out is inferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrecisionOverrides {
    /// Format of the projections; parts of the checkpoint in other formats then count as made in this one too.
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
    /// [`PerfModelError::QuantizationNotCovered`] when the format of projections or experts can neither be inferred nor
    /// was given; [`PerfModelError::AttentionFormatNotMeasured`] when fp8 attention was insisted on without data.
    pub fn infer_with(
        model: &ModelSpec,
        database: &PerfDatabase,
        overrides: PrecisionOverrides,
    ) -> Result<Self, PerfModelError> {
        let system = database.system();
        let checkpoint = &model.quantization;
        let not_covered = |part| PerfModelError::QuantizationNotCovered {
            model: model.name.clone(),
            algorithm: checkpoint.algorithm.clone(),
            part,
        };
        let gemm = overrides
            .gemm
            .or(checkpoint.gemm)
            .ok_or_else(|| not_covered("projections (`gemm_quant_mode`)"))?;
        let moe = match (overrides.moe, checkpoint.moe) {
            (Some(insisted), _) => insisted,
            (None, Some(stored)) => experts_as_run(model, stored, database),
            (None, None) if model.experts.is_some() => return Err(not_covered("experts (`moe_quant_mode`)")),
            (None, None) => MoeQuant::Bfloat16,
        };
        let kv = overrides.kv.unwrap_or(checkpoint.kv);
        let parts = match overrides.gemm {
            Some(_) => PartFormats::UNIFORM,
            None => checkpoint.parts,
        };
        Ok(Self {
            gemm: runnable(gemm, system),
            moe,
            kv,
            fmha: prefill_attention(model, database, (kv, overrides.fmha))?,
            parts: parts.map(|part| runnable(part, system)),
        })
    }
}

/// The format of prefill attention over a cache of format `kv`, a user's choice first.
fn prefill_attention(
    model: &ModelSpec,
    database: &PerfDatabase,
    (kv, insisted): (KvQuant, Option<FmhaQuant>),
) -> Result<FmhaQuant, PerfModelError> {
    let fp8_is_measured = || measured_in_fp8(model, database, kv);
    match insisted {
        Some(FmhaQuant::Fp8) if !fp8_is_measured() => Err(PerfModelError::AttentionFormatNotMeasured {
            model: model.name.clone(),
            system: database.system().name,
            backend: database.backend(),
        }),
        Some(fmha) => Ok(fmha),
        None if database.backend() != Backend::Vllm
            && model.quantization.fmha == FmhaQuant::Fp8
            && runs_in_fp8(model.family)
            && fp8_is_measured() =>
        {
            Ok(FmhaQuant::Fp8)
        }
        None => Ok(FmhaQuant::Bfloat16),
    }
}

/// Whether engines run a family's prefill attention in fp8 at all; sparse attention computes in bfloat16.
const fn runs_in_fp8(family: ModelFamily) -> bool {
    !matches!(family, ModelFamily::DeepSeekSparse | ModelFamily::DeepSeekV4)
}

/// Whether any kernel of prefill attention was measured in fp8 over a cache of format `kv`. Attention over a window must
/// have been measured over one as long, unless that was not measured in bfloat16 either.
fn measured_in_fp8(model: &ModelSpec, database: &PerfDatabase, kv: KvQuant) -> bool {
    if !database.is_measured() {
        return database.system().fp8_flops.is_some();
    }
    let has = |table: &str, column: &str, (fmha, window): (FmhaQuant, Option<u32>)| {
        let texts = [(column, fmha.name()), ("kv_cache_dtype", kv.name())];
        let numbers = window.map(|window| ("window", window));
        database.has_slice(table, &texts, numbers.as_slice()) == Some(true)
    };
    // vLLM runs latent attention by its kernel for grouped queries.
    let is_latent = matches!(model.family, ModelFamily::DeepSeek | ModelFamily::KimiK3)
        && database.backend() != Backend::Vllm;
    if is_latent {
        let modules = ["context_mla", "mla_context_module"];
        return modules
            .iter()
            .any(|table| has(table, "mla_dtype", (FmhaQuant::Fp8, None)));
    }
    let grouped = |fmha, window| has("context_attention", "attn_dtype", (fmha, window));
    let window = model.alternating.map(|layers| layers.window);
    grouped(FmhaQuant::Fp8, None)
        && (window.is_none() || grouped(FmhaQuant::Fp8, window) || !grouped(FmhaQuant::Bfloat16, window))
}

/// NVFP4 without fp4 tensor cores is unpacked to bfloat16 before each product.
fn runnable(gemm: GemmQuant, system: &SystemSpec) -> GemmQuant {
    if gemm == GemmQuant::Nvfp4 && system.fp4_flops.is_none() {
        GemmQuant::Nvfp4Wo
    } else {
        gemm
    }
}

/// The format in which an engine's kernels run experts stored as `stored`.
fn experts_as_run(model: &ModelSpec, stored: MoeQuant, database: &PerfDatabase) -> MoeQuant {
    let system = database.system();
    let capability = system.sm_version.unwrap_or(0);
    let blackwell = capability >= BLACKWELL;
    let run = match (model.architecture.as_str(), database.backend(), stored) {
        // SGLang has kernels of its own for the native experts of this model.
        ("DeepseekV4ForCausalLM", Backend::Sglang, MoeQuant::W4a8Mxfp4Mxfp8) if blackwell => {
            MoeQuant::W4a8Mxfp4Mxfp8Trtllm
        }
        ("DeepseekV4ForCausalLM", Backend::Sglang, MoeQuant::W4a8Mxfp4Mxfp8) if capability == HOPPER => {
            MoeQuant::W4a16Mxfp4Cutlass
        }
        // These quantize activations too where tensor cores take them.
        ("KimiK3ForConditionalGeneration", Backend::Sglang, MoeQuant::W4a16Mxfp4)
        | ("GptOssForCausalLM", Backend::Trtllm, MoeQuant::W4a16Mxfp4)
            if blackwell =>
        {
            MoeQuant::W4a8Mxfp4Mxfp8
        }
        // vLLM's kernels quantize activations for this architecture, whatever the checkpoint's label says.
        ("NemotronHForCausalLM", Backend::Vllm, MoeQuant::W4a16Nvfp4) => MoeQuant::Nvfp4,
        _ => stored,
    };
    if run == MoeQuant::Nvfp4 && system.fp4_flops.is_none() {
        MoeQuant::Nvfp4Wo
    } else {
        run
    }
}

#[cfg(test)]
mod tests;
