//! ModelOpt's checkpoints of mixed precision: an algorithm a module.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::algorithm::{self, Formats};
use super::declared::{Declared, algorithm_of};
use crate::quant::{GemmQuant, MoeQuant};

/// Elements that share a scale in MXFP8.
const MXFP8_GROUP: u64 = 32;

/// The formats of products and experts: of each, the one that most of its bytes are in. A base checkpoint in FP8 keeps
/// its products so, whatever a requantization of its experts says of them.
pub(super) fn formats(declared: &Declared<'_>) -> Formats {
    let (mut products, mut experts) = (BTreeSet::new(), BTreeSet::new());
    let mut add = |module: &str, algorithm: &str| {
        let algorithm = normalized(algorithm);
        if is_routed_expert(module) {
            experts.insert(algorithm);
        } else {
            products.insert(algorithm);
        }
    };
    for (module, algorithm) in declared.quantized_layers() {
        add(module, algorithm);
    }
    for group in declared.groups() {
        let Some(algorithm) = of_group(group) else {
            continue;
        };
        for module in group
            .get("targets")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if let Some(module) = module.as_str() {
                add(module, algorithm);
            }
        }
    }
    let gemm = if declared.base_method().as_deref() == Some("fp8") {
        Some(if declared.has_blocks() {
            GemmQuant::Fp8Block
        } else {
            algorithm::by_tensor(declared)
        })
    } else {
        // MXFP8 has the bytes and the arithmetic of FP8 by block; only its blocks are smaller.
        first_of(
            &products,
            &[
                ("mxfp8", GemmQuant::Fp8Block),
                ("fp8", algorithm::by_tensor(declared)),
                ("w4a16_nvfp4", GemmQuant::W4a16Nvfp4),
                ("nvfp4", GemmQuant::Nvfp4),
            ],
        )
    };
    let moe = first_of(
        &experts,
        &[
            ("w4a16_nvfp4", MoeQuant::W4a16Nvfp4),
            ("nvfp4", MoeQuant::Nvfp4),
            ("mxfp8", MoeQuant::Fp8Block),
            ("fp8", MoeQuant::Fp8),
        ],
    );
    Formats {
        gemm: gemm.or_else(|| products.is_empty().then_some(GemmQuant::Bfloat16)),
        moe: moe.or_else(|| experts.is_empty().then_some(MoeQuant::Bfloat16)),
    }
}

fn first_of<F: Copy>(found: &BTreeSet<String>, ranked: &[(&str, F)]) -> Option<F> {
    ranked
        .iter()
        .find(|(name, _)| found.contains(*name))
        .map(|(_, format)| *format)
}

/// One name an algorithm.
pub(super) fn normalized(algorithm: &str) -> String {
    match algorithm.trim().to_lowercase().as_str() {
        "e4m3" | "e5m2" => "fp8".to_owned(),
        "fp4" => "nvfp4".to_owned(),
        other => other.to_owned(),
    }
}

/// Whether a module is one of the experts that tokens are routed to.
pub(super) fn is_routed_expert(module: &str) -> bool {
    let module = module.to_lowercase();
    !module.contains("shared_expert")
        && (module.contains(".experts.") || module.ends_with(".experts") || module.contains("routing_expert"))
}

/// The algorithm of a group of modules, by name or by what is said of its weights.
fn of_group(group: &Map<String, Value>) -> Option<&str> {
    let weights = group.get("weights")?;
    if let Some(named) = algorithm_of(weights) {
        return Some(named);
    }
    let is_float = weights
        .get("type")?
        .as_str()
        .is_some_and(|kind| kind.to_lowercase().contains("float"));
    let group_size = weights.get("group_size").and_then(Value::as_u64);
    match weights.get("num_bits")?.as_u64() {
        Some(8) if is_float && group_size == Some(MXFP8_GROUP) => Some("mxfp8"),
        Some(8) if is_float => Some("fp8"),
        Some(4) if is_float => Some("nvfp4"),
        _ => None,
    }
}
