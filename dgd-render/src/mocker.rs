//! Simulated engines: `python3 -m dynamo.mocker` in place of real workers.
//!
//! A simulated worker keeps the name, type, replicas and limits of the real one, so that planner, router and overrides
//! find what they would find in the real deployment. It needs no GPU and one pod, however many nodes the engine spans.
//!
//! **Source**: the template of `dynamo.profiler` 1.6.1 and the parser of `dynamo.mocker` 1.6.1. Upstream lets rapidly
//! profiled mockers ask a simulator at run time; here they always get the curves of this run, so that they behave as
//! was reported, for all engines and for aggregated picks too.

use dgdr_perf_model::{Backend, KvQuant};
use dgdr_types::dgd::Component;

use super::components::{container, identity, pod};
use super::config_maps::{PROFILE_DIRECTORY, profile_mount};
use super::flags::{Arguments, Role, kv_block, prefill_chunk};
use super::plan::{DeploymentPlan, MockerPlan, WorkerPlan};

/// File of [`ProfileData`](crate::ProfileData) that simulated engines read: a table of
/// `dgdr_interpolation::npz::write_mocker` for one attention copy. A file and not the directory of raw data, through which
/// the simulator fits straight lines.
pub const MOCKER_TABLE_FILE: &str = "mocker.npz";

/// Simulated time passes as real time does.
const SPEEDUP: &str = "1.0";

/// The component of one role's simulated engines.
pub(super) fn worker(
    plan: &DeploymentPlan,
    mocker: &MockerPlan,
    role: Role,
    worker: &WorkerPlan,
) -> Component {
    let mut args = vec!["-m".to_owned(), "dynamo.mocker".to_owned()];
    args.extend(arguments(plan, role, worker));
    let (name, component_type) = identity(plan.backend, role);
    let mut container = container(plan, args);
    container.working_dir = Some("/workspace".to_owned());
    let mount = profile_mount(&mocker.profile);
    container.volume_mounts.push(mount.point());
    let mut pod_template = pod(plan, container);
    pod_template.spec.volumes.push(mount.volume());
    Component {
        name: name.to_owned(),
        component_type,
        replicas: Some(worker.replicas),
        multinode: None,
        shared_memory_size: None,
        scaling_adapter: None,
        runtime_version_override: plan.runtime_version_override.clone(),
        pod_template,
    }
}

fn arguments(plan: &DeploymentPlan, role: Role, worker: &WorkerPlan) -> Vec<String> {
    let widths = worker.mapping.widths();
    let mut arguments = Arguments::default();
    arguments.value("model-path", plan.model.path.as_ref().unwrap_or(&plan.model.id));
    arguments.value("model-name", &plan.model.served_name);
    arguments.value("engine-type", &plan.backend);
    arguments.value("speedup-ratio", &SPEEDUP);
    arguments.disaggregation(role);
    // Blocks and sequences are counted for each attention copy, which has a scheduler of its own.
    arguments.value("data-parallel-size", &widths.attention_dp);
    let block = kv_block(plan.backend);
    arguments.value("block-size", &block);
    arguments.value("num-gpu-blocks-override", &(worker.kv_tokens / u64::from(block)));
    arguments.value("max-model-len", &worker.max_sequence_length);
    arguments.value("max-num-seqs", &worker.max_batch_size.saturating_mul(widths.pp));
    arguments.value("max-num-batched-tokens", &worker.max_num_tokens);
    if plan.backend == Backend::Sglang && role != Role::Decode {
        arguments.value("sglang-max-prefill-tokens", &worker.max_num_tokens);
        arguments.value("sglang-chunked-prefill-size", &prefill_chunk(worker));
    }
    if worker.kv == KvQuant::Fp8 {
        arguments.value("kv-cache-dtype", &"fp8");
    }
    arguments.value(
        "planner-profile-data",
        &format!("{PROFILE_DIRECTORY}/{MOCKER_TABLE_FILE}"),
    );
    arguments.into_vec()
}

#[cfg(test)]
mod tests;
