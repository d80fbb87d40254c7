//! What a worker's engine is started with, one module an engine.
//!
//! Flags are those of `dynamo.vllm`, `dynamo.sglang` and `dynamo.trtllm` of ai-dynamo 1.6.1.

mod sglang;
mod trtllm;
mod vllm;

pub(super) use sglang::prefill_chunk;

use dgdr_perf_model::Backend;

use super::plan::{DeploymentPlan, RouterMode, WorkerPlan};

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Prefill and decode.
    Aggregated,
    /// Prefill alone.
    Prefill,
    /// Decode alone.
    Decode,
}

impl Role {
    /// The value of `--disaggregation-mode`; none for an aggregated worker.
    const fn disaggregation_mode(self) -> Option<&'static str> {
        match self {
            Self::Aggregated => None,
            Self::Prefill => Some("prefill"),
            Self::Decode => Some("decode"),
        }
    }
}

/// All arguments of a worker after its module.
pub(super) fn worker_arguments(plan: &DeploymentPlan, role: Role, worker: &WorkerPlan) -> Vec<String> {
    match plan.backend {
        Backend::Vllm => vllm::arguments(plan, role, worker),
        Backend::Sglang => sglang::arguments(plan, role, worker),
        Backend::Trtllm => trtllm::arguments(plan, role, worker),
    }
}

/// Whether a worker tells the router what its KV cache holds. Decode workers do not: prompts are routed to prefill.
fn publishes_kv_events(plan: &DeploymentPlan, role: Role) -> bool {
    plan.router == RouterMode::KvAware && role != Role::Decode
}

/// Tokens of a KV block; both roles of a deployment must agree.
///
/// SGLang's is that of upstream's templates, TensorRT-LLM's that of its generator. vLLM's is the engine's own, which it is
/// not told, because some of its attention kernels choose another.
pub(super) const fn kv_block(backend: Backend) -> u32 {
    match backend {
        Backend::Vllm | Backend::Sglang => 16,
        Backend::Trtllm => 32,
    }
}

/// Collects `--flag value` pairs.
#[derive(Debug, Default)]
pub(super) struct Arguments(Vec<String>);

impl Arguments {
    /// All that was collected.
    pub(super) fn into_vec(self) -> Vec<String> {
        self.0
    }

    fn flag(&mut self, name: &str) {
        self.0.push(format!("--{name}"));
    }

    /// A flag with a value.
    pub(super) fn value(&mut self, name: &str, value: &impl ToString) {
        self.flag(name);
        self.0.push(value.to_string());
    }

    /// Model path and the name that clients use.
    fn model(&mut self, path_flag: &str, plan: &DeploymentPlan) {
        self.value(path_flag, plan.model.path.as_ref().unwrap_or(&plan.model.id));
        self.value("served-model-name", &plan.model.served_name);
    }

    /// The role of a disaggregated worker.
    pub(super) fn disaggregation(&mut self, role: Role) {
        if let Some(mode) = role.disaggregation_mode() {
            self.value("disaggregation-mode", &mode);
        }
    }
}
