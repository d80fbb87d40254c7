//! `python3 -m dynamo.sglang`.

use dgdr_perf_model::{Backend, KvQuant};

use super::{Arguments, Role, kv_block, publishes_kv_events};
use crate::plan::{DeploymentPlan, TokenExchange, TrustRemoteCode, WorkerPlan};

/// Where decode workers meet prefill workers.
const BOOTSTRAP_PORT: u32 = 12_345;
/// Where KV events are published, as in upstream's routed examples.
const KV_EVENTS: &str = r#"{"publisher":"zmq","topic":"kv-events","endpoint":"tcp://*:5557"}"#;

/// Tokens of a prompt that one attention copy of SGLang works on at a time, at most: the engine's own default on the
/// largest GPUs, for which its memory share leaves room.
const LARGEST_CHUNK: u32 = 16_384;

/// SGLang refuses chunks that are no multiple of its page, and some attention kernels make the page this large.
const LARGEST_PAGE: u32 = 128;

/// Tokens of prompts that all attention copies together work on at a time: for each the largest step that was counted, as
/// upstream sets it, within what the engine has room for.
///
/// SGLang and its simulator divide the flag among the copies; unset, eight of them would share the chunk of one.
pub(crate) fn prefill_chunk(worker: &WorkerPlan) -> u32 {
    let step = worker.max_num_tokens.min(LARGEST_CHUNK);
    step.next_multiple_of(LARGEST_PAGE)
        .saturating_mul(worker.mapping.widths().attention_dp)
}

pub(super) fn arguments(plan: &DeploymentPlan, role: Role, worker: &WorkerPlan) -> Vec<String> {
    let widths = worker.mapping.widths();
    let mut arguments = Arguments::default();
    arguments.model("model-path", plan);
    // SGLang counts attention copies, experts and ranks that share a prompt inside its tensor-parallel group.
    let ranks = widths.tp * widths.attention_dp * widths.cp;
    arguments.value("tensor-parallel-size", &ranks);
    if widths.pp > 1 {
        arguments.value("pipeline-parallel-size", &widths.pp);
    }
    if widths.attention_dp > 1 {
        arguments.value("data-parallel-size", &widths.attention_dp);
        arguments.flag("enable-dp-attention");
    }
    if widths.cp > 1 {
        arguments.value("attn-cp-size", &widths.cp);
        arguments.flag("enable-prefill-context-parallel");
    }
    if widths.moe_ep > 1 {
        arguments.value("expert-parallel-size", &widths.moe_ep);
    }
    if worker.exchange == TokenExchange::Kernels {
        // Its high-throughput kernels for prompts and its low-latency kernels for decoded tokens, as they were measured.
        arguments.value("moe-a2a-backend", &"deepep");
        arguments.value("deepep-mode", &deepep_mode(role));
        // The few dense layers are whole on every rank, like the tokens that reach them.
        arguments.value("moe-dense-tp-size", &1);
    }
    arguments.value("page-size", &kv_block(Backend::Sglang));
    if worker.kv == KvQuant::Fp8 {
        arguments.value("kv-cache-dtype", &"fp8_e4m3");
    }
    arguments.value("mem-fraction-static", &worker.memory_fraction.value);
    arguments.value("context-length", &worker.max_sequence_length);
    // SGLang divides its limit among attention copies, and that again among pipeline stages.
    let copies = widths.attention_dp.saturating_mul(widths.pp);
    arguments.value(
        "max-running-requests",
        &worker.max_batch_size.saturating_mul(copies),
    );
    if role != Role::Decode {
        arguments.value("max-prefill-tokens", &worker.max_num_tokens);
        arguments.value("chunked-prefill-size", &prefill_chunk(worker));
    }
    if role == Role::Aggregated {
        // Steps of prompts and decoded tokens together, as aggregated workers are ranked.
        arguments.flag("enable-mixed-chunk");
    }
    if publishes_kv_events(plan, role) {
        arguments.value("kv-events-config", &KV_EVENTS);
    }
    if plan.trust == TrustRemoteCode::Yes {
        arguments.flag("trust-remote-code");
    }
    arguments.disaggregation(role);
    if role != Role::Aggregated {
        arguments.value("disaggregation-transfer-backend", &"nixl");
        arguments.value("disaggregation-bootstrap-port", &BOOTSTRAP_PORT);
        arguments.value("host", &"0.0.0.0");
    }
    arguments.0
}

/// DeepEP's kernels for a role.
const fn deepep_mode(role: Role) -> &'static str {
    match role {
        Role::Aggregated => "auto",
        Role::Prefill => "normal",
        Role::Decode => "low_latency",
    }
}
