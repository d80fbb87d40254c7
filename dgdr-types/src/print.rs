//! A resolved request as text that resolves to the same request again.

use dgdr_units::{Tokens, real};
use serde_json::{Map, Value, json};

use crate::contract::{API_VERSION, KIND};
use crate::error::DgdrError;
use crate::resolved::{Features, HardwareRequest, Load, Overrides, ResolvedRequest, Sla};
use crate::spec::{
    DgdrSpec, FeaturesSpec, HardwareSpec, ModelCacheSpec, OverridesSpec, SlaSpec, SwitchSpec, WorkloadSpec,
};
use crate::yaml;

impl ResolvedRequest {
    /// The spec that states everything that was asked for. What was assumed stays unset, so that it is assumed again.
    pub fn to_spec(&self) -> DgdrSpec {
        let asked = |path: &str| !self.is_assumed(path);
        DgdrSpec {
            model: Some(self.model.clone()),
            backend: asked("spec.backend").then_some(self.backend),
            image: self.image.as_ref().map(ToString::to_string),
            runtime_version_override: self.runtime_version_override.map(|version| version.to_string()),
            aic_backend_version: self.aic_backend_version.clone(),
            model_cache: self.model_cache.as_ref().map(|cache| ModelCacheSpec {
                pvc_name: Some(cache.pvc_name.clone()),
                pvc_model_path: cache.pvc_model_path.clone(),
                pvc_mount_path: Some(cache.pvc_mount_path.clone()),
            }),
            hardware: unless_default(hardware_spec(&self.hardware)),
            workload: unless_default(self.workload_spec()),
            sla: unless_default(self.sla_spec()),
            overrides: unless_default(overrides_spec(&self.overrides)),
            features: unless_default(features_spec(&self.features)),
            search_strategy: asked("spec.searchStrategy").then_some(self.search_strategy),
            auto_apply: asked("spec.autoApply").then_some(self.auto_apply),
        }
    }

    /// The whole DynamoGraphDeploymentRequest as a value tree.
    pub fn to_document(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(name) = &self.name {
            metadata.insert("name".to_owned(), json!(name));
        }
        if let Some(namespace) = &self.namespace {
            metadata.insert("namespace".to_owned(), json!(namespace));
        }
        json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": self.to_spec()})
    }

    /// The whole DynamoGraphDeploymentRequest as YAML.
    ///
    /// # Errors
    /// [`DgdrError::Unprintable`] when an override holds what YAML cannot.
    pub fn to_yaml(&self) -> Result<String, DgdrError> {
        yaml::write(&self.to_document())
    }

    fn workload_spec(&self) -> WorkloadSpec {
        let tokens = |path: &str, tokens: Tokens| {
            (!self.is_assumed(path)).then(|| i32::try_from(tokens.get()).unwrap_or(i32::MAX))
        };
        let (concurrency, request_rate) = match self.load {
            Load::None => (None, None),
            Load::Concurrency(requests) => (Some(real(u64::from(requests.get()))), None),
            Load::RequestRate(rate) => (None, Some(rate.get())),
        };
        WorkloadSpec {
            isl: tokens("spec.workload.isl", self.workload.isl),
            osl: tokens("spec.workload.osl", self.workload.osl),
            concurrency,
            request_rate,
        }
    }

    fn sla_spec(&self) -> SlaSpec {
        let asked = |path: &str, latency: f64| (!self.is_assumed(path)).then_some(latency);
        let (ttft, itl, e2e_latency) = match self.sla {
            Sla::TokenLatency { ttft, itl } => (
                asked("spec.sla.ttft", ttft.get()),
                asked("spec.sla.itl", itl.get()),
                None,
            ),
            Sla::RequestLatency(latency) => (None, None, Some(latency.get())),
        };
        SlaSpec {
            ttft,
            itl,
            e2e_latency,
            optimization_type: self.optimization_type,
        }
    }
}

fn hardware_spec(hardware: &HardwareRequest) -> HardwareSpec {
    let count = |count: Option<std::num::NonZeroU32>| count.and_then(|count| i32::try_from(count.get()).ok());
    HardwareSpec {
        gpu_sku: hardware.gpu_sku.map(|sku| sku.name().to_owned()),
        vram_mb: hardware.vram_mib.map(real),
        total_gpus: count(hardware.total_gpus),
        num_gpus_per_node: count(hardware.gpus_per_node),
        max_num_gpus_per_engine: count(hardware.max_gpus_per_engine),
        interconnect: hardware.interconnect.clone(),
        rdma: hardware.rdma,
    }
}

fn overrides_spec(overrides: &Overrides) -> OverridesSpec {
    OverridesSpec {
        profiling_job: overrides.profiling_job.clone(),
        dgd: overrides.dgd.clone(),
        trust_remote_code: overrides.trust_remote_code.then_some(true),
    }
}

fn features_spec(features: &Features) -> FeaturesSpec {
    let switch = |is_on: bool| is_on.then_some(SwitchSpec { enabled: Some(true) });
    FeaturesSpec {
        planner: features.planner.as_ref().map(|planner| planner.0.clone()),
        mocker: switch(features.mocker),
        kv_router: switch(features.kv_router),
    }
}

fn unless_default<T: Default + PartialEq>(part: T) -> Option<T> {
    (part != T::default()).then_some(part)
}

#[cfg(test)]
mod tests;
