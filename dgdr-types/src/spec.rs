//! The wire types of a DGDR: what people and clusters write, every field optional.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[cfg(feature = "schema")]
use crate::contract::{defaults, rules};
#[cfg(feature = "schema")]
use crate::gpu_sku::GpuSku;

pub mod choice;
pub mod status;

pub use choice::{BackendChoice, Choice, OptimizationType, Phase, ProfilingPhase, SearchStrategy};
pub use status::{
    Condition, ConditionStatus, DeploymentInfo, DgdrStatus, DiscoveredHardware, ParetoPoint, ProfilingResults,
};

/// A JSON object that is kept as it is.
pub type Open = Map<String, Value>;

/// The spec of a DynamoGraphDeploymentRequest `nvidia.com/v1beta1`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(extend("required" = ["model"], "x-kubernetes-validations" = [rules::MEASURED_BACKEND.to_json()]))
)]
#[cfg_attr(
    feature = "kube",
    derive(kube::CustomResource),
    kube(
        group = "nvidia.com",
        version = "v1beta1",
        kind = "DynamoGraphDeploymentRequest",
        plural = "dynamographdeploymentrequests",
        singular = "dynamographdeploymentrequest",
        shortname = "dgdr",
        namespaced,
        status = "DgdrStatus",
        derive = "PartialEq",
        doc = "A model to deploy, with the latencies to hold; the operator finds and deploys the configuration.",
        printcolumn = r#"{"name": "Model", "type": "string", "jsonPath": ".spec.model"}"#,
        printcolumn = r#"{"name": "Backend", "type": "string", "jsonPath": ".spec.backend"}"#,
        printcolumn = r#"{"name": "Phase", "type": "string", "jsonPath": ".status.phase"}"#,
        printcolumn = r#"{"name": "Profiling", "type": "string", "jsonPath": ".status.profilingPhase"}"#,
        printcolumn = r#"{"name": "Reason", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Succeeded\")].reason"}"#,
        printcolumn = r#"{"name": "Message", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Succeeded\")].message"}"#,
        printcolumn = r#"{"name": "DGD", "type": "string", "jsonPath": ".status.dgdName"}"#,
        printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
    )
)]
pub struct DgdrSpec {
    /// Model: a Hugging Face id such as `Qwen/Qwen3-32B`, or an absolute path in the container.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Inference engine; `auto` compares all three.
    #[cfg_attr(feature = "schema", schemars(extend("default" = BackendChoice::Auto)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<BackendChoice>,
    /// Container image; the images of engine, frontend and planner are its siblings in registry and tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Version of the runtime, `x.y.z`, where the image's tag does not state one.
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = r"^(0|[1-9][0-9]{0,3})(\.(0|[1-9][0-9]{0,3})){2}$"))
    )]
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
    #[cfg_attr(feature = "schema", schemars(extend("default" = SearchStrategy::Rapid)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_strategy: Option<SearchStrategy>,
    /// Deploy the result without asking.
    #[cfg_attr(feature = "schema", schemars(extend("default" = true)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_apply: Option<bool>,
}

/// Volume that already holds the weights.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("x-kubernetes-validations" = [rules::CACHE_CLAIM.to_json()])))]
pub struct ModelCacheSpec {
    /// Name of the PersistentVolumeClaim, in the namespace of the DGDR.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pvc_name: Option<String>,
    /// Path of the model within the volume; when unset, the volume is a Hugging Face cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pvc_model_path: Option<String>,
    /// Where the volume is mounted in every container.
    #[cfg_attr(feature = "schema", schemars(extend("default" = defaults::PVC_MOUNT_PATH)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pvc_mount_path: Option<String>,
}

/// GPUs to plan for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HardwareSpec {
    /// GPU system, for example `h200_sxm`. Files may also give a product such as `H100-SXM5-80GB`.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = GpuSku::NAMES)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_sku: Option<String>,
    /// Memory of one GPU, MiB.
    #[cfg_attr(feature = "schema", schemars(range(min = 8192)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vram_mb: Option<f64>,
    /// GPUs that the deployment may use in all.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_gpus: Option<i32>,
    /// GPUs of one node.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_gpus_per_node: Option<i32>,
    /// Most GPUs that one engine may span. An extension: upstream's operator drops it.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("x-kubernetes-validations" = [rules::ONE_LOAD.to_json()])))]
pub struct WorkloadSpec {
    /// Mean input length, tokens.
    #[cfg_attr(feature = "schema", schemars(range(min = 1), extend("default" = defaults::ISL)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isl: Option<i32>,
    /// Mean output length, tokens.
    #[cfg_attr(feature = "schema", schemars(range(min = 1), extend("default" = defaults::OSL)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub osl: Option<i32>,
    /// Requests in flight that the deployment must carry; excludes `requestRate`.
    #[cfg_attr(feature = "schema", schemars(extend("minimum" = 0, "exclusiveMinimum" = true)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<f64>,
    /// Requests per second that the deployment must carry; excludes `concurrency`.
    #[cfg_attr(feature = "schema", schemars(extend("minimum" = 0, "exclusiveMinimum" = true)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_rate: Option<f64>,
}

/// Latency targets: `ttft` and `itl` together, or `e2eLatency` alone.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("x-kubernetes-validations" = [rules::ONE_TARGET.to_json()])))]
pub struct SlaSpec {
    /// Time to first token, milliseconds.
    #[cfg_attr(feature = "schema", schemars(extend("minimum" = 0, "exclusiveMinimum" = true)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft: Option<f64>,
    /// Time between tokens, milliseconds.
    #[cfg_attr(feature = "schema", schemars(extend("minimum" = 0, "exclusiveMinimum" = true)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub itl: Option<f64>,
    /// Time of a whole request, milliseconds.
    #[cfg_attr(feature = "schema", schemars(extend("minimum" = 0, "exclusiveMinimum" = true)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e2e_latency: Option<f64>,
    /// What to favour where the targets leave a choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimization_type: Option<OptimizationType>,
}

/// Changes to what is generated.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OverridesSpec {
    /// Parts of the profiling Job's `batch/v1` JobSpec, merged into ours; `containers` may be left out.
    #[cfg_attr(feature = "schema", schemars(extend("x-kubernetes-preserve-unknown-fields" = true)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profiling_job: Option<Open>,
    /// Parts of the generated DynamoGraphDeployment, merged over it; `metadata.name` names it.
    #[cfg_attr(feature = "schema", schemars(extend("x-kubernetes-preserve-unknown-fields" = true)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dgd: Option<Open>,
    /// Let engines run code that comes with the checkpoint.
    #[cfg_attr(feature = "schema", schemars(extend("default" = false)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_remote_code: Option<bool>,
}

/// Optional parts of the deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FeaturesSpec {
    /// Settings of the SLA planner; its presence, even empty, adds the planner.
    #[cfg_attr(feature = "schema", schemars(extend("x-kubernetes-preserve-unknown-fields" = true)))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SwitchSpec {
    /// Whether it is on; unset is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}
