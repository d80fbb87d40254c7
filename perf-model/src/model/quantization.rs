//! Formats that a checkpoint was made in, inferred as engines do when no flag says otherwise.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::quant::{FmhaQuant, GemmQuant, KvQuant, MoeQuant};

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
        }
    }

    /// Infers the formats from `quantization_config` of a `config.json` and the `quantization` object of a
    /// `hf_quant_config.json`; the latter wins, as it is ModelOpt's own record.
    ///
    /// Per-tensor FP8 counts as statically scaled unless the checkpoint says that activations are scaled dynamically.
    /// An FP8 or NVFP4 checkpoint runs FP8 attention over an FP8 cache.
    pub(super) fn infer(config: Option<&Value>, model_opt: Option<&Value>) -> Self {
        let text = |source: Option<&Value>, keys: &[&str]| {
            keys.iter()
                .find_map(|key| source?.get(*key)?.as_str())
                .map(|value| value.trim().to_lowercase())
                .filter(|value| !value.is_empty())
        };
        let algorithm = text(model_opt, &["quant_algo", "quantization_algo"])
            .or_else(|| text(config, &["quant_algo", "quant_method", "quantization_method"]));
        let kv = text(model_opt, &["kv_cache_quant_algo"])
            .or_else(|| {
                text(
                    config,
                    &[
                        "kv_cache_quant_algo",
                        "kv_cache_quant_method",
                        "kv_cache_dtype",
                        "kv_cache_scheme",
                    ],
                )
            })
            .and_then(|name| kv_by_name(&name))
            .or_else(|| kv_by_scheme(config?.get("kv_cache_scheme")?));
        let Some(mut algorithm) = algorithm else {
            return Self {
                kv: kv.unwrap_or(KvQuant::Bfloat16),
                ..Self::none()
            };
        };
        if algorithm == "fp8" && has_blocks(config) {
            "fp8_block".clone_into(&mut algorithm);
        }
        let gemm = gemm_of(&algorithm, config);
        let moe = moe_of(&algorithm, gemm);
        let fp8 = matches!(algorithm.as_str(), "fp8" | "fp8_block" | "nvfp4") || kv == Some(KvQuant::Fp8);
        Self {
            algorithm,
            gemm,
            moe,
            kv: if fp8 {
                KvQuant::Fp8
            } else {
                kv.unwrap_or(KvQuant::Bfloat16)
            },
            fmha: if fp8 { FmhaQuant::Fp8 } else { FmhaQuant::Bfloat16 },
        }
    }
}

fn gemm_of(algorithm: &str, config: Option<&Value>) -> Option<GemmQuant> {
    match algorithm {
        "fp8" if config.and_then(scales_dynamically) == Some(true) => Some(GemmQuant::Fp8),
        "fp8" => Some(GemmQuant::Fp8Static),
        "fp8_block" => Some(GemmQuant::Fp8Block),
        "nvfp4" => Some(GemmQuant::Nvfp4),
        // Only the experts are packed.
        "mxfp4" | "w4a16_mxfp4" => Some(GemmQuant::Bfloat16),
        "compressed-tensors" => compressed_tensors(config?),
        _ => None,
    }
}

/// The format of routed experts: the one of the projections, but for formats that pack experts alone.
fn moe_of(algorithm: &str, gemm: Option<GemmQuant>) -> Option<MoeQuant> {
    if matches!(algorithm, "mxfp4" | "w4a16_mxfp4") {
        return Some(MoeQuant::W4a16Mxfp4);
    }
    match gemm? {
        GemmQuant::Bfloat16 => Some(MoeQuant::Bfloat16),
        GemmQuant::Fp8 | GemmQuant::Fp8Static => Some(MoeQuant::Fp8),
        GemmQuant::Fp8Block => Some(MoeQuant::Fp8Block),
        GemmQuant::Nvfp4 => Some(MoeQuant::Nvfp4),
        GemmQuant::Int4Wo => Some(MoeQuant::Int4Wo),
        GemmQuant::Int8Wo | GemmQuant::Fp8Ootb | GemmQuant::Sq | GemmQuant::Nvfp4Wo => None,
    }
}

fn has_blocks(config: Option<&Value>) -> bool {
    config
        .and_then(|config| config.get("weight_block_size")?.as_array())
        .is_some_and(|size| !size.is_empty())
}

/// Whether activations are scaled at run time; unknown when the checkpoint does not say.
fn scales_dynamically(config: &Value) -> Option<bool> {
    match config
        .get("activation_scheme")
        .and_then(Value::as_str)
        .map(str::to_lowercase)
        .as_deref()
    {
        Some("dynamic") => return Some(true),
        Some("static") => return Some(false),
        _ => {}
    }
    config
        .get("config_groups")?
        .as_object()?
        .values()
        .flat_map(|group| [group.get("input_activations"), group.get("weights")])
        .filter_map(|part| part?.get("dynamic")?.as_bool())
        .reduce(|any, dynamic| any || dynamic)
}

/// The format of the projections in a compressed-tensors checkpoint: that of its first weight group, unless attention
/// projections are among the modules left alone.
fn compressed_tensors(config: &Value) -> Option<GemmQuant> {
    let weights = config
        .get("config_groups")?
        .as_object()?
        .values()
        .find_map(|group| group.get("weights"))?;
    let kind = weights.get("type").and_then(Value::as_str).unwrap_or_default();
    let by_block = weights.get("strategy").and_then(Value::as_str) == Some("block")
        || weights.get("block_structure").is_some_and(|size| !size.is_null());
    let base = match (weights.get("num_bits").and_then(Value::as_u64), kind) {
        (Some(4), "int") => GemmQuant::Int4Wo,
        (Some(8), "int") => GemmQuant::Int8Wo,
        (Some(8), "float") if by_block => GemmQuant::Fp8Block,
        (Some(8), "float") => GemmQuant::Fp8,
        _ => return None,
    };
    let attention_left_alone = config
        .get("ignore")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .any(|pattern| {
            ["self_attn", "q_proj", "k_proj", "v_proj", "o_proj"]
                .iter()
                .any(|part| pattern.to_lowercase().contains(part))
        });
    Some(if attention_left_alone {
        GemmQuant::Bfloat16
    } else {
        base
    })
}

fn kv_by_name(name: &str) -> Option<KvQuant> {
    match name {
        "fp8" | "e4m3" | "e5m2" => Some(KvQuant::Fp8),
        "int8" => Some(KvQuant::Int8),
        "fp16" | "float16" | "bf16" | "bfloat16" => Some(KvQuant::Bfloat16),
        _ => None,
    }
}

fn kv_by_scheme(scheme: &Value) -> Option<KvQuant> {
    let kind = scheme.get("type")?.as_str()?.to_lowercase();
    let bits = scheme.get("num_bits").and_then(Value::as_u64);
    match (kind.as_str(), bits) {
        (kind, _) if kind.contains("fp8") => Some(KvQuant::Fp8),
        ("float", Some(bits)) if bits <= 8 => Some(KvQuant::Fp8),
        ("float", Some(_)) => Some(KvQuant::Bfloat16),
        _ => None,
    }
}
