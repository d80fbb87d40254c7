use super::{GraphQuery, OperatorGraph};
use crate::quant::{FmhaQuant, GemmQuant, KvQuant, MoeQuant, PartFormats, Precision};
use crate::{Backend, ParallelMapping, SystemSpec, registry};

#[test]
fn a_checkpoint_weighs_what_was_published() {
    let query = GraphQuery {
        model: registry::find("meta-llama/Meta-Llama-3.1-8B").unwrap(),
        precision: Precision {
            gemm: GemmQuant::Bfloat16,
            moe: MoeQuant::Bfloat16,
            kv: KvQuant::Bfloat16,
            fmha: FmhaQuant::Bfloat16,
            parts: PartFormats::UNIFORM,
        },
        mapping: ParallelMapping::SINGLE,
        backend: Backend::Trtllm,
        system: SystemSpec::by_name("h200_sxm").unwrap(),
        drafted: 0,
    };
    let gib = OperatorGraph::of(query).unwrap().weight_bytes() / f64::from(1 << 30);
    assert!((gib - 14.957_031_25).abs() < 1e-6, "{gib}");
}
