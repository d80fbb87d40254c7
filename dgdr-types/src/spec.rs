//! The wire types of a DGDR: what people and clusters write, every field optional.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub mod choice;
pub mod status;

pub use choice::{BackendChoice, Choice, OptimizationType, Phase, ProfilingPhase, SearchStrategy};
pub use status::{Condition, ConditionStatus, DeploymentInfo, DgdrStatus, ParetoPoint, ProfilingResults};

/// A JSON object that is kept as it is.
pub type Open = Map<String, Value>;

/// The spec of a DynamoGraphDeploymentRequest `nvidia.com/v1beta1`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DgdrSpec {
    /// Model: a Hugging Face id such as `Qwen/Qwen3-32B`, or an absolute path in the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Inference engine; `auto` compares all three.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<BackendChoice>,
    /// Container image; the images of engine, frontend and planner are its siblings in registry and tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Version of the runtime, `x.y.z`, where the image's tag does not state one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_version_override: Option<String>,
    /// Engine version whose measurements the simulation uses; the newest known when unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aic_backend_version: Option<String>,
    /// Volume that already holds the weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_cache: Option<ModelCacheSpec>,
    /// GPUs; what is unset is discovered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hardware: Option<HardwareSpec>,
    /// Traffic to plan for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadSpec>,
    /// Latency targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sla: Option<SlaSpec>,
    /// Changes to what is generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overrides: Option<OverridesSpec>,
    /// Optional parts of the deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<FeaturesSpec>,
    /// Simulate (`rapid`) or measure on real engines (`thorough`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_strategy: Option<SearchStrategy>,
    /// Deploy the result without asking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_apply: Option<bool>,
}

/// Volume that already holds the weights.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelCacheSpec {
    /// Name of the PersistentVolumeClaim, in the namespace of the DGDR.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pvc_name: Option<String>,
    /// Path of the model within the volume; when unset, the volume is a Hugging Face cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pvc_model_path: Option<String>,
    /// Where the volume is mounted in every container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pvc_mount_path: Option<String>,
}

/// GPUs to plan for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HardwareSpec {
    /// GPU system, for example `h200_sxm`. Files may also give a product such as `H100-SXM5-80GB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_sku: Option<String>,
    /// Memory of one GPU, MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vram_mb: Option<f64>,
    /// GPUs that the deployment may use in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_gpus: Option<i32>,
    /// GPUs of one node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_gpus_per_node: Option<i32>,
    /// Most GPUs that one engine may span. An extension: upstream's operator drops it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_num_gpus_per_engine: Option<i32>,
    /// Link between the GPUs of a node, for example `nvlink` or `pcie`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interconnect: Option<String>,
    /// Whether the nodes are joined by RDMA; unset means unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rdma: Option<bool>,
}

/// Traffic to plan for.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkloadSpec {
    /// Mean input length, tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isl: Option<i32>,
    /// Mean output length, tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub osl: Option<i32>,
    /// Requests in flight that the deployment must carry; excludes `requestRate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<f64>,
    /// Requests per second that the deployment must carry; excludes `concurrency`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_rate: Option<f64>,
}

/// Latency targets: `ttft` and `itl` together, or `e2eLatency` alone.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlaSpec {
    /// Time to first token, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft: Option<f64>,
    /// Time between tokens, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub itl: Option<f64>,
    /// Time of a whole request, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e2e_latency: Option<f64>,
    /// What to favour where the targets leave a choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimization_type: Option<OptimizationType>,
}

/// Changes to what is generated.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OverridesSpec {
    /// Parts of the profiling Job's `batch/v1` JobSpec, merged into ours; `containers` may be left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profiling_job: Option<Open>,
    /// Parts of the generated DynamoGraphDeployment, merged over it; `metadata.name` names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dgd: Option<Open>,
    /// Let engines run code that comes with the checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_remote_code: Option<bool>,
}

/// Optional parts of the deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FeaturesSpec {
    /// Settings of the SLA planner; its presence, even empty, adds the planner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planner: Option<Open>,
    /// Simulated engines in place of real ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mocker: Option<SwitchSpec>,
    /// Routing by KV cache overlap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_router: Option<SwitchSpec>,
}

/// A feature that is on or off.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SwitchSpec {
    /// Whether it is on; unset is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}
