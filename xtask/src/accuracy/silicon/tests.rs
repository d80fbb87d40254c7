use super::{Runs, Serving, is_reserved, stated_concurrency};

/// Header and rows as the file has them, shortened to one open group, one reserved group and a disaggregated run.
pub(crate) const SAMPLE: &str = "\
id,silicon_data_source,backend,backend_version,model_path,system,precision,mode,isl,osl,gemm_quant_mode,moe_quant_mode,batch_size,tp_size,pp_size,attention_dp_size,moe_tp_size,moe_ep_size,prefill_batch_size,prefill_num_workers,prefill_tp_size,prefill_pp_size,prefill_attention_dp_size,prefill_moe_tp_size,prefill_moe_ep_size,decode_batch_size,decode_num_workers,decode_tp_size,decode_pp_size,decode_attention_dp_size,decode_moe_tp_size,decode_moe_ep_size,silicon_ttft_ms,silicon_tpot_ms
a,silicon_concurrency=64; measured=now,vllm,1,meta-llama/Llama-3.1-70B,h200_sxm,fp8,agg,1024,1024,fp8,,64,2,1,0,0,0,,,,,,,,,,,,,,,100.0,10.0
b,silicon_concurrency=64; measured=now,vllm,1,meta-llama/Llama-3.1-70B,h100_sxm,fp8,agg,1024,1024,fp8,,64,2,1,,1,1,,,,,,,,,,,,,,,200.0,20.0
c,silicon_concurrency=64,vllm,1,meta-llama/Llama-3.1-70B,h200_sxm,fp8,disagg,1024,1024,fp8,,,,,,,,,,4,1,1,4,1,,,2,1,4,1,8,300.0,30.0
d,silicon_concurrency=64,vllm,1,meta-llama/Llama-3.1-70B,h200_sxm,fp8,disagg,1024,1024,fp8,,,,,,,,2,3,4,1,1,4,1,8,2,2,1,4,1,8,300.0,30.0
";

#[test]
fn a_quarter_of_the_groups_is_reserved_by_the_hash_of_their_names() {
    // `printf NAME | sha256sum` begins with a1 and d8.
    assert!(!is_reserved("meta-llama/Llama-3.1-70B|h200_sxm|vllm"));
    assert!(is_reserved("meta-llama/Llama-3.1-70B|h100_sxm|vllm"));
    let reserved = (0..1000).filter(|index| is_reserved(&format!("model{index}|system|engine")));
    let reserved = reserved.count();
    assert!((200..300).contains(&reserved), "{reserved}");
}

#[test]
fn reserved_runs_are_kept_apart() {
    let runs = Runs::parse(SAMPLE, 1).unwrap();
    assert!(runs.open.iter().all(|run| run.system == "h200_sxm"));
    assert!(runs.reserved.iter().all(|run| run.system == "h100_sxm"));
    assert_eq!((runs.open.len(), runs.reserved.len()), (3, 1));
}

#[test]
fn widths_that_are_not_used_are_one() {
    let runs = Runs::parse(SAMPLE, 1).unwrap();
    let Serving::Aggregated(workers) = runs.open[0].serving else {
        panic!("the first run is aggregated");
    };
    assert_eq!((workers.tp, workers.attention_dp, workers.moe_tp), (2, 1, 1));
    assert_eq!(workers.batch, 64);
    assert_eq!(runs.open[0].concurrency, 64);
}

#[test]
fn a_disaggregated_run_without_counts_is_one_worker_each() {
    let runs = Runs::parse(SAMPLE, 1).unwrap();
    let Serving::Disaggregated {
        prefill,
        decode,
        stated,
    } = runs.open[1].serving
    else {
        panic!("the second open run is disaggregated");
    };
    assert!(!stated);
    assert_eq!((prefill.count, prefill.batch), (1, 1));
    // 64 requests on four attention copies.
    assert_eq!((decode.count, decode.batch), (1, 16));
    let Serving::Disaggregated {
        prefill,
        decode,
        stated,
    } = runs.open[2].serving
    else {
        panic!("the third open run is disaggregated");
    };
    assert!(stated);
    assert_eq!((prefill.count, prefill.batch), (3, 2));
    assert_eq!((decode.count, decode.batch), (2, 8));
}

#[test]
fn a_sample_takes_each_so_manieth_row() {
    let runs = Runs::parse(SAMPLE, 2).unwrap();
    assert_eq!(runs.open.len() + runs.reserved.len(), 2);
}

#[test]
fn the_concurrency_is_read_from_what_is_said_about_the_source() {
    assert_eq!(stated_concurrency("a=1; silicon_concurrency=128; b"), Some(128));
    assert_eq!(stated_concurrency("a=1; b"), None);
}

#[test]
fn names_that_the_hub_does_not_have_are_told_apart() {
    let mut run = Runs::parse(SAMPLE, 1).unwrap().open.remove(0);
    assert_eq!(run.known_model(), "meta-llama/Meta-Llama-3.1-70B");
    run.model = "zhipuai/GLM-5".to_owned();
    assert_eq!(run.known_model(), "zai-org/GLM-5-FP8");
    run.precision = "bf16".to_owned();
    assert_eq!(run.known_model(), "zai-org/GLM-5");
    run.model = "Qwen/Qwen3-32B".to_owned();
    assert_eq!(run.known_model(), "Qwen/Qwen3-32B");
}

#[test]
fn a_row_that_makes_no_sense_is_named() {
    let broken = SAMPLE.replace("100.0,10.0", "100.0,-1.0");
    let error = Runs::parse(&broken, 1).unwrap_err();
    assert!(
        format!("{error:#}").starts_with("row 1: silicon_tpot_ms"),
        "{error:#}"
    );
}
