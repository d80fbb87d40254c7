//! A request after defaults and checks: what the rest of the workspace works with.

use std::fmt;
use std::num::NonZeroU32;

use dgdr_units::{Gpus, Milliseconds, RequestsPerSecond, Tokens};
use serde::Serialize;

use crate::gpu_sku::GpuSku;
use crate::image::{ImageReference, RuntimeVersion};
use crate::names::DgdrName;
use crate::spec::{BackendChoice, Open, OptimizationType, SearchStrategy};

/// A checked request. An `Option` here means "open": discovery or a later step decides.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedRequest {
    /// Name of the DGDR; a bare spec has none.
    pub name: Option<DgdrName>,
    /// Namespace of the DGDR, where it is given.
    pub namespace: Option<String>,
    /// Model: a Hugging Face id, or an absolute path.
    pub model: String,
    /// Engine.
    pub backend: BackendChoice,
    /// Engine version whose measurements the simulation uses; the newest known when open.
    pub aic_backend_version: Option<String>,
    /// Image whose siblings the deployment runs.
    pub image: Option<ImageReference>,
    /// Version of the runtime, where the image's tag does not say.
    pub runtime_version_override: Option<RuntimeVersion>,
    /// Volume that already holds the weights.
    pub model_cache: Option<ModelCache>,
    /// GPUs, as far as they are given.
    pub hardware: HardwareRequest,
    /// Lengths of the requests.
    pub workload: Workload,
    /// Load that the deployment must carry.
    pub load: Load,
    /// Latency targets.
    pub sla: Sla,
    /// What to favour where the targets leave a choice.
    pub optimization_type: Option<OptimizationType>,
    /// Simulate or measure.
    pub search_strategy: SearchStrategy,
    /// Deploy the result without asking.
    pub auto_apply: bool,
    /// Optional parts of the deployment.
    pub features: Features,
    /// Changes to what is generated.
    pub overrides: Overrides,
    /// What works and is probably not what was meant, one sentence each.
    pub warnings: Vec<String>,
    /// Fields that nobody set, with the default that each took.
    pub assumed: Vec<Assumed>,
}

impl ResolvedRequest {
    /// Whether the field at this path (for example `spec.sla.ttft`) holds a default that nobody asked for.
    pub fn is_assumed(&self, path: &str) -> bool {
        self.assumed.iter().any(|assumed| assumed.path == path)
    }
}

/// A field that nobody set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Assumed {
    /// Path of the field.
    pub path: &'static str,
    /// The default that it took.
    pub value: String,
}

impl fmt::Display for Assumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} (default)", self.path, self.value)
    }
}

/// Volume that already holds the weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelCache {
    /// Name of the PersistentVolumeClaim.
    pub pvc_name: String,
    /// Path of the model within the volume; none when the volume is a Hugging Face cache.
    pub pvc_model_path: Option<String>,
    /// Where the volume is mounted.
    pub pvc_mount_path: String,
}

impl ModelCache {
    /// Absolute path of the model in a container; none when the volume is a Hugging Face cache.
    ///
    /// As in upstream, a path below the mount is taken as it is, and any other is one within the volume, be it written
    /// with a leading slash or not.
    pub fn model_path(&self) -> Option<String> {
        let given = self.pvc_model_path.as_deref()?.trim().trim_end_matches('/');
        if self.holds(given) {
            return Some(given.to_owned());
        }
        let mount = self.pvc_mount_path.trim_end_matches('/');
        let inner = given.trim_start_matches("./").trim_start_matches('/');
        Some(if inner.is_empty() || inner == "." {
            mount.to_owned()
        } else {
            format!("{mount}/{inner}")
        })
    }

    /// Whether an absolute path is the mount or lies below it.
    pub fn holds(&self, path: &str) -> bool {
        let mount = self.pvc_mount_path.trim_end_matches('/');
        let is_inside = |rest: &str| rest.is_empty() || rest.starts_with('/');
        path.starts_with('/') && path.strip_prefix(mount).is_some_and(is_inside)
    }
}

/// GPUs, as far as they are given; discovery fills what is open.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HardwareRequest {
    /// GPU system.
    pub gpu_sku: Option<GpuSku>,
    /// Memory of one GPU, MiB.
    pub vram_mib: Option<u64>,
    /// GPUs that may be used in all.
    pub total_gpus: Option<NonZeroU32>,
    /// GPUs of one node.
    pub gpus_per_node: Option<NonZeroU32>,
    /// Most GPUs that one engine may span.
    pub max_gpus_per_engine: Option<NonZeroU32>,
    /// Link between the GPUs of a node.
    pub interconnect: Option<String>,
    /// Whether the nodes are joined by RDMA.
    pub rdma: Option<bool>,
}

impl HardwareRequest {
    /// Whether nothing is left to be discovered that a search must be told.
    pub const fn is_complete(&self) -> bool {
        self.gpu_sku.is_some() && self.gpus_per_node.is_some() && self.total_gpus.is_some()
    }

    /// All GPUs that may be used, where given.
    pub fn budget(&self) -> Option<Gpus> {
        self.total_gpus.map(|gpus| Gpus::new(gpus.get()))
    }
}

/// Lengths of the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// Mean input length.
    pub isl: Tokens,
    /// Mean output length.
    pub osl: Tokens,
}

/// Load that the deployment must carry.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Load {
    /// Not given: one copy of the best configuration, or as many as the GPUs hold.
    None,
    /// Requests in flight.
    Concurrency(NonZeroU32),
    /// Requests per second, above zero.
    RequestRate(RequestsPerSecond),
}

/// Latency targets, each above zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Sla {
    /// Per token.
    TokenLatency {
        /// Time to first token.
        ttft: Milliseconds,
        /// Time between tokens.
        itl: Milliseconds,
    },
    /// Time of a whole request.
    RequestLatency(Milliseconds),
}

/// Optional parts of the deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    /// The SLA planner.
    pub planner: Option<PlannerSettings>,
    /// Simulated engines in place of real ones.
    pub mocker: bool,
    /// Routing by KV cache overlap.
    pub kv_router: bool,
}

/// Settings of the SLA planner, as the user wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct PlannerSettings(pub Open);

impl PlannerSettings {
    /// The setting of this name. The older spelling with a `planner_` prefix is found too; the newer one wins.
    pub fn get(&self, key: &str) -> Option<&serde_json::Value> {
        self.0.get(key).or_else(|| self.0.get(&format!("planner_{key}")))
    }
}

/// Changes to what is generated.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overrides {
    /// Parts of the profiling Job's JobSpec.
    pub profiling_job: Option<Open>,
    /// Parts of the generated DGD.
    pub dgd: Option<Open>,
    /// Let engines run code that comes with the checkpoint.
    pub trust_remote_code: bool,
}

impl Overrides {
    /// The name that the user gives the generated DGD.
    pub fn dgd_name(&self) -> Option<&str> {
        self.dgd.as_ref()?.get("metadata")?.get("name")?.as_str()
    }
}
