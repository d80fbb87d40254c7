//! Checkpoints of the compressed-tensors library: one format, and a list of modules that keep 16 bits.

use serde_json::{Map, Value};

use super::algorithm::Formats;
use super::declared::Declared;
use crate::quant::{GemmQuant, MoeQuant};

/// Elements that share a scale in NVFP4; MXFP4 has twice as many.
const NVFP4_GROUP: u64 = 16;

/// Modules of attention.
const ATTENTION: [&str; 5] = ["self_attn", "q_proj", "k_proj", "v_proj", "o_proj"];

/// The formats of products and experts: those of the first group with a known one, unless the list of ignored modules
/// has them.
pub(super) fn formats(declared: &Declared<'_>) -> Formats {
    let Some(base) = declared.groups().find_map(of_group) else {
        // A record without a format quantizes nothing.
        return if declared.groups().next().is_some() {
            Formats {
                gemm: None,
                moe: None,
            }
        } else {
            Formats::uniform(GemmQuant::Bfloat16)
        };
    };
    let (mut attention, mut experts) = (false, false);
    for pattern in declared.ignored() {
        let pattern = pattern.to_lowercase();
        attention |= ATTENTION.iter().any(|part| pattern.contains(part));
        experts |= pattern.contains("expert") && !pattern.contains("shared_expert");
    }
    Formats {
        gemm: if attention {
            Some(GemmQuant::Bfloat16)
        } else {
            base.gemm
        },
        moe: if experts {
            Some(MoeQuant::Bfloat16)
        } else {
            base.moe
        },
    }
}

fn of_group(group: &Map<String, Value>) -> Option<Formats> {
    let weights = group.get("weights")?;
    let text = |field| weights.get(field).and_then(Value::as_str).unwrap_or_default();
    let kind = text("type").to_lowercase();
    let by_block = text("strategy").eq_ignore_ascii_case("block")
        || weights
            .get("block_structure")
            .is_some_and(|structure| !structure.is_null());
    let bits = weights.get("num_bits").and_then(Value::as_u64)?;
    match (bits, kind.as_str()) {
        (4, "int") => Some(Formats::uniform(GemmQuant::Int4Wo)),
        (8, "int") => Some(Formats::uniform(integers(group))),
        (8, "float") if by_block => Some(Formats::uniform(GemmQuant::Fp8Block)),
        (8, "float") => Some(Formats::uniform(GemmQuant::Fp8)),
        (4, "float") if weights.get("group_size").and_then(Value::as_u64) == Some(NVFP4_GROUP) => {
            Some(Formats::uniform(four_bit_floats(group)))
        }
        // MXFP4; a product outside the experts costs what 4-bit integers do: as many bytes, 16-bit arithmetic.
        (4, "float") => Some(Formats {
            gemm: Some(GemmQuant::Int4Wo),
            moe: Some(MoeQuant::W4a16Mxfp4),
        }),
        _ => None,
    }
}

/// 8-bit integers: activations too, where the group says so.
fn integers(group: &Map<String, Value>) -> GemmQuant {
    if quantizes_activations(group) {
        GemmQuant::Sq
    } else {
        GemmQuant::Int8Wo
    }
}

fn four_bit_floats(group: &Map<String, Value>) -> GemmQuant {
    if quantizes_activations(group) {
        GemmQuant::Nvfp4
    } else {
        GemmQuant::W4a16Nvfp4
    }
}

fn quantizes_activations(group: &Map<String, Value>) -> bool {
    group.get("input_activations").is_some_and(Value::is_object)
}
