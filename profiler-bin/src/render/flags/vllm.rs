//! `python3 -m dynamo.vllm`.

use dgdr_perf_model::KvQuant;

use super::{Arguments, Role};
use crate::render::plan::{DeploymentPlan, TrustRemoteCode, WorkerPlan};

pub(super) fn arguments(plan: &DeploymentPlan, role: Role, worker: &WorkerPlan) -> Vec<String> {
    let widths = worker.mapping.widths();
    let mut arguments = Arguments::default();
    arguments.model("model", plan);
    arguments.value("tensor-parallel-size", widths.tp);
    arguments.value("pipeline-parallel-size", widths.pp);
    arguments.value("data-parallel-size", widths.attention_dp);
    if widths.moe_ep > 1 {
        arguments.flag("enable-expert-parallel");
    }
    arguments.value("gpu-memory-utilization", worker.memory_fraction.value);
    if worker.kv != KvQuant::Bfloat16 {
        arguments.value("kv-cache-dtype", worker.kv.name());
    }
    arguments.value("max-model-len", worker.max_sequence_length);
    arguments.value("max-num-seqs", worker.max_batch_size);
    arguments.value("max-num-batched-tokens", worker.max_num_tokens);
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
        arguments.value("kv-transfer-config", transfer);
    }
    arguments.0
}
