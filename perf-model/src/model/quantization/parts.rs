//! Parts of a model that its checkpoint keeps in another format than its projections.
//!
//! Only families whose graphs tell the parts apart have them, as in the reference.

use super::Quantization;
use super::declared::Declared;
use super::mixed_precision::{is_routed_expert, normalized};
use crate::model::ModelFamily;
use crate::quant::{GemmQuant, MoeQuant, PartFormats};

/// Adds what a checkpoint says of parts to what it says of the whole.
pub(super) fn apply(inferred: &mut Quantization, declared: &Declared<'_>, family: ModelFamily) {
    let parts = match family {
        ModelFamily::DeepSeek | ModelFamily::DeepSeekSparse => latent(declared),
        ModelFamily::Gemma4 => {
            if excludes(declared, ".mlp") {
                inferred.moe = Some(MoeQuant::Bfloat16);
            }
            gemma(declared)
        }
        ModelFamily::GatedLinear => gated_linear(declared),
        ModelFamily::Dense
        | ModelFamily::MixtureOfExperts
        | ModelFamily::DeepSeekV4
        | ModelFamily::KimiK3
        | ModelFamily::NemotronNas
        | ModelFamily::NemotronH
        | ModelFamily::HybridMixture
        | ModelFamily::SharedHybridMixture
        | ModelFamily::Vision
        | ModelFamily::MinimaxM3 => PartFormats::UNIFORM,
    };
    let differs = |part: Option<GemmQuant>| part.filter(|format| Some(*format) != inferred.gemm);
    inferred.parts = PartFormats {
        query: differs(parts.query),
        key_value: differs(parts.key_value),
        output: differs(parts.output),
        indexer: differs(parts.indexer),
        feed_forward: differs(parts.feed_forward),
        shared_experts: differs(parts.shared_experts),
    };
}

/// Projections that a pattern of excluded modules can name.
const QUERY: [&str; 3] = ["q_a_proj", "q_b_proj", "q_proj"];
const KEY_VALUE: [&str; 5] = ["kv_a_proj", "kv_b_proj", "kv_proj", "k_proj", "v_proj"];
const OUTPUT: [&str; 1] = ["o_proj"];
const INDEXER: [&str; 1] = ["indexer"];

/// Latent attention: each group of projections on its own, or all of them by a pattern for the whole block.
fn latent(declared: &Declared<'_>) -> PartFormats {
    let mut parts = PartFormats::UNIFORM;
    for pattern in declared.exclusions() {
        let names = |parts: &[&str]| parts.iter().any(|part| pattern.contains(part));
        let named = [names(&QUERY), names(&KEY_VALUE), names(&OUTPUT), names(&INDEXER)];
        let whole = pattern.contains("self_attn") && !named.contains(&true);
        let [query, key_value, output, indexer] =
            named.map(|named| (named || whole).then_some(GemmQuant::Bfloat16));
        parts = PartFormats {
            query: parts.query.or(query),
            key_value: parts.key_value.or(key_value),
            output: parts.output.or(output),
            indexer: parts.indexer.or(indexer),
            ..parts
        };
        if pattern.contains("shared_expert") {
            parts.shared_experts = Some(GemmQuant::Bfloat16);
        }
    }
    parts
}

fn excludes(declared: &Declared<'_>, part: &str) -> bool {
    declared
        .exclusions()
        .any(|pattern| pattern.to_lowercase().contains(part))
}

/// Every projection of attention in one format.
const fn projections(format: Option<GemmQuant>) -> PartFormats {
    PartFormats {
        query: format,
        key_value: format,
        output: format,
        ..PartFormats::UNIFORM
    }
}

fn gemma(declared: &Declared<'_>) -> PartFormats {
    let plain = |part| excludes(declared, part).then_some(GemmQuant::Bfloat16);
    PartFormats {
        feed_forward: plain(".mlp"),
        ..projections(plain("self_attn"))
    }
}

/// What is said of single modules counts; a part of which nothing is said is in 16 bits where it is excluded.
fn gated_linear(declared: &Declared<'_>) -> PartFormats {
    let (mut projection, mut feed_forward, mut shared_experts) = (None, None, None);
    for (module, algorithm) in declared.quantized_layers() {
        let format = match normalized(algorithm).as_str() {
            "fp8" => GemmQuant::Fp8Static,
            "mxfp8" => GemmQuant::Fp8,
            "nvfp4" => GemmQuant::Nvfp4,
            "w4a16_nvfp4" => GemmQuant::W4a16Nvfp4,
            _ => continue,
        };
        let module = module.to_lowercase();
        if module.contains(".linear_attn.") || module.contains(".self_attn.") {
            projection = Some(format);
        } else if module.contains("shared_expert") {
            shared_experts = Some(format);
        } else if module.contains(".mlp.") && !is_routed_expert(&module) {
            feed_forward = Some(format);
        }
    }
    let plain = |excluded: bool| excluded.then_some(GemmQuant::Bfloat16);
    let dense = |pattern: &str| {
        let pattern = pattern.to_lowercase();
        pattern.contains(".mlp") && !pattern.contains("shared_expert")
    };
    PartFormats {
        feed_forward: feed_forward.or_else(|| plain(declared.exclusions().any(dense))),
        shared_experts: shared_experts.or_else(|| plain(excludes(declared, "shared_expert"))),
        ..projections(
            projection
                .or_else(|| plain(excludes(declared, "linear_attn") || excludes(declared, "self_attn"))),
        )
    }
}
