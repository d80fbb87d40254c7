//! The status of a DGDR, read back leniently: unknown fields of newer operators are no errors.

use serde::{Deserialize, Serialize};

use super::{Open, Phase, ProfilingPhase};

/// What the operator reports about a DGDR.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct DgdrStatus {
    /// Where the DGDR stands; unset means `Pending`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Where the profiling Job stands, while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profiling_phase: Option<ProfilingPhase>,
    /// Name of the generated DynamoGraphDeployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dgd_name: Option<String>,
    /// Name of the profiling Job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profiling_job_name: Option<String>,
    /// Generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions, one a type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "schema",
        schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))
    )]
    pub conditions: Vec<Condition>,
    /// What profiling found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profiling_results: Option<ProfilingResults>,
    /// State of the deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_info: Option<DeploymentInfo>,
    /// GPUs that the search was made for, where they were discovered. An extension: upstream's operator writes them into
    /// the spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hardware: Option<DiscoveredHardware>,
}

/// GPUs that were discovered, and what of them the search was given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct DiscoveredHardware {
    /// GPU system.
    pub gpu_sku: String,
    /// Product, as the nodes name it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub product: String,
    /// Memory of one GPU, MiB.
    pub vram_mb: u64,
    /// GPUs of one node.
    pub num_gpus_per_node: u32,
    /// Nodes that can be used.
    pub nodes: u32,
    /// GPUs of these nodes that nobody had asked for.
    pub free_gpus: u32,
    /// GPUs that the search was given.
    pub total_gpus: u32,
    /// Whether the nodes are joined by RDMA.
    pub rdma: bool,
    /// Where it was read: `NodeLabels` or `DCGM`.
    pub source: String,
}

/// One condition, as `metav1.Condition`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Type in CamelCase, for example `Profiling`.
    #[serde(rename = "type")]
    #[cfg_attr(
        feature = "schema",
        schemars(
            length(max = 316),
            regex(
                pattern = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
            )
        )
    )]
    pub kind: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Generation of the spec that it speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub observed_generation: Option<i64>,
    /// When `status` last changed, RFC 3339.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub last_transition_time: String,
    /// Reason in CamelCase.
    #[cfg_attr(
        feature = "schema",
        schemars(
            length(min = 1, max = 1024),
            regex(pattern = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")
        )
    )]
    pub reason: String,
    /// Details for people.
    #[cfg_attr(feature = "schema", schemars(length(max = 32768)))]
    pub message: String,
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Not known.
    Unknown,
}

/// What profiling found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct ProfilingResults {
    /// The generated DynamoGraphDeployment, ready to be applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("x-kubernetes-preserve-unknown-fields" = true)))]
    pub selected_config: Option<Open>,
    /// Other configurations on the Pareto front. Deprecated upstream, which writes it no longer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pareto: Vec<ParetoPoint>,
}

/// One configuration of the Pareto front.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ParetoPoint {
    /// The DynamoGraphDeployment of this configuration.
    #[cfg_attr(feature = "schema", schemars(extend("x-kubernetes-preserve-unknown-fields" = true)))]
    pub config: Open,
}

/// State of the deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentInfo {
    /// Replicas that are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Replicas that serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_replicas: Option<i32>,
}
