//! `python3 -m dynamo.trtllm`. Settings without a flag of their own are passed as `--trtllm.<path> value`.

use dgdr_perf_model::{Backend, KvQuant};

use super::{Arguments, Role, kv_block, publishes_kv_events};
use crate::plan::{DeploymentPlan, TokenExchange, TrustRemoteCode, WorkerPlan};

pub(super) fn arguments(plan: &DeploymentPlan, role: Role, worker: &WorkerPlan) -> Vec<String> {
    let widths = worker.mapping.widths();
    let mut arguments = Arguments::default();
    arguments.model("model-path", plan);
    // With attention data parallelism, TensorRT-LLM's tensor-parallel group is the whole worker.
    arguments.value("tensor-parallel-size", &(widths.tp * widths.attention_dp));
    arguments.value("pipeline-parallel-size", &widths.pp);
    if widths.moe_ep > 1 {
        arguments.value("expert-parallel-size", &widths.moe_ep);
    }
    if widths.attention_dp > 1 {
        arguments.flag("enable-attention-dp");
    }
    if worker.exchange == TokenExchange::Kernels {
        arguments.value("trtllm.moe_config.backend", &"WIDEEP");
    }
    arguments.value("max-batch-size", &worker.max_batch_size);
    // Steps of chunked prompts are counted in whole KV blocks.
    let step = worker.max_num_tokens.next_multiple_of(kv_block(Backend::Trtllm));
    arguments.value("max-num-tokens", &step);
    arguments.value("max-seq-len", &worker.max_sequence_length);
    arguments.value("trtllm.enable_chunked_prefill", &"true");
    // Any `kv_cache_config` setting replaces the whole object that `--free-gpu-memory-fraction` sets up, so that flag
    // would be lost beside the others: all of the object is set here.
    arguments.value(
        "trtllm.kv_cache_config.free_gpu_memory_fraction",
        &worker.memory_fraction.value,
    );
    arguments.value(
        "trtllm.kv_cache_config.tokens_per_block",
        &kv_block(Backend::Trtllm),
    );
    if worker.kv == KvQuant::Fp8 {
        arguments.value("trtllm.kv_cache_config.dtype", &"fp8");
    }
    if plan.trust == TrustRemoteCode::Yes {
        arguments.value("trtllm.trust_remote_code", &"true");
    }
    arguments.disaggregation(role);
    if role != Role::Aggregated {
        arguments.value("trtllm.cache_transceiver_config.backend", &"DEFAULT");
    }
    if role == Role::Prefill {
        // A prefill worker has no next step to overlap with.
        arguments.value("trtllm.disable_overlap_scheduler", &"true");
    }
    if publishes_kv_events(plan, role) {
        arguments.flag("publish-kv-events");
    }
    arguments.0
}
