//! The wire types of the older version, for its schema.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::{BackendChoice, Condition, Open};

/// The spec of a DynamoGraphDeploymentRequest `nvidia.com/v1alpha1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, CustomResource, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "nvidia.com",
    version = "v1alpha1",
    kind = "DynamoGraphDeploymentRequest",
    plural = "dynamographdeploymentrequests",
    singular = "dynamographdeploymentrequest",
    shortname = "dgdr",
    root = "AlphaRequest",
    namespaced,
    storage = false,
    status = "AlphaStatus",
    doc = "A model to deploy, in the older version of the request; use nvidia.com/v1beta1.",
    printcolumn = r#"{"name": "Model", "type": "string", "jsonPath": ".spec.model"}"#,
    printcolumn = r#"{"name": "Backend", "type": "string", "jsonPath": ".status.backend"}"#,
    printcolumn = r#"{"name": "State", "type": "string", "jsonPath": ".status.state"}"#,
    printcolumn = r#"{"name": "DGD-State", "type": "string", "jsonPath": ".status.deployment.state"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
pub struct AlphaSpec {
    /// Model: a Hugging Face id, or an absolute path in the container.
    pub model: String,
    /// Inference engine.
    pub backend: BackendChoice,
    /// Version of the runtime, `x.y.z`, where the image's tag does not state one.
    pub runtime_version_override: Option<String>,
    /// Simulated engines in place of real ones.
    #[schemars(extend("default" = false))]
    pub use_mocker: Option<bool>,
    /// How to profile.
    pub profiling_config: AlphaProfiling,
    /// Deprecated: GPUs are discovered wherever they are not given.
    #[schemars(extend("default" = true))]
    pub enable_gpu_discovery: Option<bool>,
    /// Deploy the result without asking.
    #[schemars(extend("default" = false))]
    pub auto_apply: Option<bool>,
    /// Changes to the deployment.
    pub deployment_overrides: Option<AlphaOverrides>,
}

/// How to profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlphaProfiling {
    /// Settings of the profiler: `sla`, `deployment.modelCache`, `planner` and others.
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub config: Option<Open>,
    /// A deployment for the profiler to start from.
    pub config_map_ref: Option<AlphaConfigMapRef>,
    /// Image of the profiler.
    pub profiler_image: String,
    /// Claim that keeps the profiler's results.
    #[serde(rename = "outputPVC")]
    pub output_pvc: Option<String>,
    /// Resources of the profiler, as of any container.
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub resources: Option<Open>,
    /// Tolerations of the profiling pod.
    #[serde(default)]
    #[schemars(schema_with = "open_objects")]
    pub tolerations: Option<Vec<Open>>,
    /// Labels of the nodes that may run the profiling pod.
    pub node_selector: Option<BTreeMap<String, String>>,
}

fn open_objects(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    })
}

/// A key of a ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlphaConfigMapRef {
    /// Name of the ConfigMap.
    pub name: String,
    /// The key.
    #[schemars(extend("default" = "disagg.yaml"))]
    pub key: Option<String>,
}

/// Changes to the deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlphaOverrides {
    /// Its name.
    pub name: Option<String>,
    /// Its namespace.
    pub namespace: Option<String>,
    /// Further labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Further annotations.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Image of its workers; the profiler's when unset.
    pub workers_image: Option<String>,
}

/// What the operator reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlphaStatus {
    /// Where the request stands.
    #[schemars(schema_with = "states")]
    pub state: String,
    /// The engine.
    pub backend: Option<String>,
    /// Generation of the spec that this status speaks of.
    pub observed_generation: Option<i64>,
    /// Conditions, one a type.
    pub conditions: Option<Vec<Condition>>,
    /// Where the results are.
    pub profiling_results: Option<String>,
    /// The generated DynamoGraphDeployment.
    #[schemars(extend("x-kubernetes-embedded-resource" = true, "x-kubernetes-preserve-unknown-fields" = true))]
    pub generated_deployment: Option<Open>,
    /// The deployment.
    pub deployment: Option<AlphaDeployment>,
}

fn states(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string",
        "default": "Initializing",
        "enum": ["Initializing", "Pending", "Profiling", "Deploying", "Ready", "DeploymentDeleted", "Failed"],
    })
}

/// A deployment that was made for a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlphaDeployment {
    /// Its name.
    pub name: Option<String>,
    /// Its namespace.
    pub namespace: Option<String>,
    /// Its state.
    #[schemars(schema_with = "deployment_states")]
    pub state: String,
    /// Whether it was created.
    pub created: Option<bool>,
}

fn deployment_states(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string",
        "default": "initializing",
        "enum": ["initializing", "pending", "successful", "failed"],
    })
}
