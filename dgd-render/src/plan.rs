//! What a deployment is rendered from: every decision is made, nothing is looked up.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use dgdr_perf_model::{Backend, KvQuant, MemoryFraction, ParallelMapping};
use dgdr_types::ImageReference;

/// A deployment with everything decided.
#[derive(Debug, Clone, PartialEq)]
pub struct DeploymentPlan {
    /// Name of the deployment.
    pub name: String,
    /// Namespace, when it is fixed.
    pub namespace: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The model.
    pub model: ModelLocation,
    /// The engine.
    pub backend: Backend,
    /// Image of frontend and workers.
    pub image: ImageReference,
    /// What simulated engines know of the real ones; none to start real engines.
    pub mocker: Option<MockerPlan>,
    /// The workers.
    pub layout: PlanLayout,
    /// GPUs of a node.
    pub gpus_per_node: NonZeroU32,
    /// How requests find a worker.
    pub router: RouterMode,
    /// Whether code that comes with the checkpoint may run.
    pub trust: TrustRemoteCode,
    /// Version of the runtime, where the image tag does not tell.
    pub runtime_version_override: Option<String>,
    /// Taints that all pods tolerate, each a `core/v1` Toleration.
    pub tolerations: Vec<serde_json::Value>,
    /// Names of the secrets that all pods pull their images with.
    pub image_pull_secrets: Vec<String>,
    /// What scales the workers; none where nothing does.
    pub planner: Option<PlannerPlan>,
}

/// Simulated engines in place of real ones: same shape, same limits, no GPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MockerPlan {
    /// Curves of the engines that are simulated, [`MOCKER_TABLE_FILE`](super::MOCKER_TABLE_FILE) among them.
    pub profile: ProfileData,
}

/// What scales the workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannerPlan {
    /// Its image.
    pub image: ImageReference,
    /// Its settings; see [`planner_settings`](super::planner_settings).
    pub settings: BTreeMap<String, serde_json::Value>,
    /// Name of the ConfigMap with its settings.
    pub config_map: String,
    /// What it knows of the engines from the start.
    pub profile: Option<ProfileData>,
}

/// Curves of the engines, in the form that the planner reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileData {
    /// Name of the ConfigMap that holds them.
    pub config_map: String,
    /// Contents by file name: `prefill_raw_data.json` and `decode_raw_data.json`.
    pub files: BTreeMap<String, String>,
    /// Contents that are no text by file name.
    pub tables: BTreeMap<String, Vec<u8>>,
}

/// How requests find a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouterMode {
    /// In turn.
    RoundRobin,
    /// To the worker that holds most of the prompt's KV cache.
    KvAware,
}

/// Whether code that comes with a checkpoint may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustRemoteCode {
    /// No.
    No,
    /// The user says yes.
    Yes,
}

/// The model and where its weights are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelLocation {
    /// Hub name.
    pub id: String,
    /// Name that clients use.
    pub served_name: String,
    /// Path of the weights inside the pods; none to take them from the hub.
    pub path: Option<String>,
    /// Claim with weights.
    pub cache: Option<ModelCacheMount>,
}

/// A claim with weights, and where it is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCacheMount {
    /// Name of the claim.
    pub claim: String,
    /// Path in every pod.
    pub mount_path: String,
}

/// The workers of a deployment.
#[derive(Debug, Clone, PartialEq)]
pub enum PlanLayout {
    /// Prefill and decode in one engine.
    Aggregated {
        /// The engine.
        worker: WorkerPlan,
    },
    /// An engine for each role.
    Disaggregated {
        /// The prefill engine.
        prefill: WorkerPlan,
        /// The decode engine.
        decode: WorkerPlan,
    },
}

/// How the tokens of experts travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenExchange {
    /// By collectives, or there are no experts.
    Collectives,
    /// By all-to-all kernels of the engine.
    Kernels,
}

/// Engines of one role.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerPlan {
    /// How each spreads the model.
    pub mapping: ParallelMapping,
    /// How many there are.
    pub replicas: u32,
    /// Requests in flight in each attention copy and pipeline stage of each, as engines are ranked.
    pub max_batch_size: u32,
    /// Tokens of the largest step of an attention copy.
    pub max_num_tokens: u32,
    /// Tokens of the longest request: what the model allows and the KV cache holds.
    pub max_sequence_length: u64,
    /// Memory that it may use, as ranked.
    pub memory_fraction: MemoryFraction,
    /// Tokens that the KV cache of one attention copy holds.
    pub kv_tokens: u64,
    /// Format of its KV cache.
    pub kv: KvQuant,
    /// How the tokens of its experts travel.
    pub exchange: TokenExchange,
}
