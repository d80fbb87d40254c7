use super::{find, models, names, nearest};
use crate::model::ModelFamily;
use crate::quant::{FmhaQuant, GemmQuant, KvQuant};

#[test]
fn every_bundled_checkpoint_is_there_once() {
    let all: Vec<&str> = names().collect();
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "sorted and unique");
    assert_eq!(all.len(), 89);
    for model in models() {
        assert!(model.layers > 0 && model.head_dim > 0, "{}", model.name);
    }
}

#[test]
fn a_checkpoint_is_found_by_id_or_by_its_last_element() {
    let full = find("Qwen/Qwen3-32B").unwrap();
    assert_eq!(find("qwen/qwen3-32b"), Some(full));
    assert_eq!(find("Qwen3-32B"), Some(full));
    assert_eq!(find("Meta-Llama-3.1-70B").unwrap().layers, 80);
    assert_eq!(find("someone/Qwen3-32B"), None);
    assert_eq!(find(""), None);
}

#[test]
fn a_misspelt_name_leads_to_its_neighbours() {
    assert_eq!(nearest("Qwen/Qwen3-32b-fp9").first(), Some(&"Qwen/Qwen3-32B-FP8"));
    assert!(nearest("Meta-Lama-3.1-70B").contains(&"meta-llama/Meta-Llama-3.1-70B"));
    assert_eq!(nearest("zzzz"), Vec::<&str>::new());
}

#[test]
fn formats_and_kinds_survive_the_reduction() {
    let fp8 = &find("Qwen/Qwen3-32B-FP8").unwrap().quantization;
    assert_eq!(
        (fp8.gemm, fp8.kv, fp8.fmha),
        (Some(GemmQuant::Fp8Block), KvQuant::Fp8, FmhaQuant::Fp8)
    );
    let static_fp8 = &find("nvidia/Llama-3.1-70B-Instruct-FP8").unwrap().quantization;
    assert_eq!(static_fp8.gemm, Some(GemmQuant::Fp8Static));
    let dense = find("Qwen/Qwen3-32B").unwrap();
    assert_eq!(dense.family, ModelFamily::Dense);
    assert!(dense.qk_norm && dense.experts.is_none());
    let deepseek = find("deepseek-ai/DeepSeek-V3").unwrap();
    assert_eq!(deepseek.family, ModelFamily::DeepSeek);
    assert_eq!(deepseek.experts.unwrap().count, 256);
    assert_eq!(deepseek.latent_attention.unwrap().kv_rank, 512);
}
