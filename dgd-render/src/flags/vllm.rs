//! `python3 -m dynamo.vllm`.

use dgdr_perf_model::KvQuant;

use super::{Arguments, Role, publishes_kv_events};
use crate::plan::{DeploymentPlan, TokenExchange, TrustRemoteCode, WorkerPlan};

/// Where KV events are published, as in upstream's routed examples; without it vLLM publishes none.
const KV_EVENTS: &str =
    r#"{"publisher":"zmq","topic":"kv-events","endpoint":"tcp://*:20080","enable_kv_cache_events":true}"#;

pub(super) fn arguments(plan: &DeploymentPlan, role: Role, worker: &WorkerPlan) -> Vec<String> {
    let widths = worker.mapping.widths();
    let mut arguments = Arguments::default();
    arguments.model("model", plan);
    arguments.value("tensor-parallel-size", &widths.tp);
    arguments.value("pipeline-parallel-size", &widths.pp);
    arguments.value("data-parallel-size", &widths.attention_dp);
    if widths.moe_ep > 1 {
        arguments.flag("enable-expert-parallel");
    }
    if worker.exchange == TokenExchange::Kernels {
        arguments.value("all2all-backend", &exchange_kernels(role));
    }
    arguments.value("gpu-memory-utilization", &worker.memory_fraction.value);
    if worker.kv == KvQuant::Fp8 {
        arguments.value("kv-cache-dtype", &"fp8");
    }
    arguments.value("max-model-len", &worker.max_sequence_length);
    // Each attention copy has a scheduler of its own, whose limit covers all its pipeline stages.
    arguments.value("max-num-seqs", &worker.max_batch_size.saturating_mul(widths.pp));
    arguments.value("max-num-batched-tokens", &worker.max_num_tokens);
    if publishes_kv_events(plan, role) {
        arguments.value("kv-events-config", &KV_EVENTS);
    }
    if plan.trust == TrustRemoteCode::Yes {
        arguments.flag("trust-remote-code");
    }
    arguments.disaggregation(role);
    let kv_role = match role {
        Role::Aggregated => None,
        Role::Prefill => Some("kv_producer"),
        Role::Decode => Some("kv_consumer"),
    };
    if let Some(kv_role) = kv_role {
        let transfer = format!(r#"{{"kv_connector":"NixlConnector","kv_role":"{kv_role}"}}"#);
        arguments.value("kv-transfer-config", &transfer);
    }
    arguments.0
}

/// Kernels for a role: vLLM has one set for all steps, so that an aggregated worker gets those of its more frequent
/// decode steps.
const fn exchange_kernels(role: Role) -> &'static str {
    match role {
        Role::Prefill => "deepep_high_throughput",
        Role::Aggregated | Role::Decode => "deepep_low_latency",
    }
}
