//! The wire contract with upstream's operator, profiler and planner: each constant has its one owner here.
//!
//! Source: ai-dynamo/dynamo, the DGDR controller and `dynamo.profiler` 1.6.1.

/// API group of DGDR and DGD.
pub const GROUP: &str = "nvidia.com";
/// Version of the DGDR that is read and stored.
pub const VERSION: &str = "v1beta1";
/// `apiVersion` of a DGDR.
pub const API_VERSION: &str = "nvidia.com/v1beta1";
/// `kind` of a DGDR.
pub const KIND: &str = "DynamoGraphDeploymentRequest";
/// Plural resource name of a DGDR.
pub const PLURAL: &str = "dynamographdeploymentrequests";
/// Finalizer, shared with the other Dynamo resources.
pub const FINALIZER: &str = "nvidia.com/finalizer";
/// Server-side-apply field owner of the DGDR controller.
pub const FIELD_OWNER: &str = "dynamo-operator-dgdr";
/// Service account of the profiling Job.
pub const PROFILING_SERVICE_ACCOUNT: &str = "dgdr-profiling-job";
/// Name of the profiling Job's container that profiles.
pub const PROFILER_CONTAINER: &str = "profiler";
/// Name of the secret that may hold the Hugging Face token.
pub const HF_TOKEN_SECRET: &str = "hf-token-secret";
/// Name of the secret that the profiling Job pulls images with.
pub const IMAGE_PULL_SECRET: &str = "nvcr-imagepullsecret";
/// Bytes that the keys and values of a ConfigMap may take together: what the API server accepts.
pub const MAX_CONFIG_MAP_BYTES: usize = 1 << 20;

/// Files of a profiler's output directory that other containers of its Job read.
pub mod file {
    /// How far it is.
    pub const STATUS: &str = "profiler_status.yaml";
    /// Its result: ConfigMaps first, the deployment last.
    pub const DEPLOYMENT: &str = "final_config.yaml";
}

/// Variables by which the containers of a profiling Job know which DGDR they work for.
pub mod environment {
    /// Its name.
    pub const NAME: &str = "DGDR_NAME";
    /// Its namespace.
    pub const NAMESPACE: &str = "DGDR_NAMESPACE";
    /// Its UID.
    pub const UID: &str = "DGDR_UID";
    /// Generation of its spec. An extension.
    pub const GENERATION: &str = "DGDR_GENERATION";
}

/// Annotation keys.
pub mod annotation {
    /// UID of the DGDR that something was made for: names come back, UIDs do not.
    pub const UID: &str = "dgdr.nvidia.com/uid";
    /// Generation of the DGDR's spec that something was made from.
    pub const GENERATION: &str = "dgdr.nvidia.com/generation";
    /// On a DGDR: `delete` lets its deployment go with it; unset, the deployment outlives it.
    pub const DEPLOYMENT_ON_DELETE: &str = "dgdr.nvidia.com/deployment-on-delete";
    /// The generated DGD as YAML; its presence marks a DGD that is still to be created.
    pub const GENERATED_DGD_SPEC: &str = "nvidia.com/generated-dgd-spec";
    /// Further resources as multi-document YAML, at most [`MAX_ADDITIONAL_RESOURCES_BYTES`].
    pub const ADDITIONAL_RESOURCES: &str = "dgdr.nvidia.com/additional-resources";
    /// The `spec` of a converted DGDR as the version it came from has it, as JSON: on a stored object that of v1alpha1.
    pub const PRESERVED_SPEC: &str = "nvidia.com/dgdr-spec";
    /// The same of its `status`.
    pub const PRESERVED_STATUS: &str = "nvidia.com/dgdr-status";
    /// Largest value of [`ADDITIONAL_RESOURCES`]; all annotations of an object may hold 262,144 bytes.
    pub const MAX_ADDITIONAL_RESOURCES_BYTES: usize = 250_000;
}

/// Label keys and fixed values.
pub mod label {
    /// Name of the DGDR, on everything that was made for it.
    pub const DGDR_NAME: &str = "dgdr.nvidia.com/name";
    /// Namespace of the DGDR, on everything that was made for it.
    pub const DGDR_NAMESPACE: &str = "dgdr.nvidia.com/namespace";
    /// Who manages the object.
    pub const MANAGED_BY: &str = "nvidia.com/managed-by";
    /// Value of [`MANAGED_BY`].
    pub const MANAGED_BY_OPERATOR: &str = "dynamo-operator";
    /// Application of the profiling Job.
    pub const APP: &str = "app";
    /// Value of [`APP`] on the profiling Job.
    pub const APP_PROFILER: &str = "dynamo-profiler";
    /// Name of the DGDR on the profiling Job.
    pub const JOB_DGDR: &str = "dgdr";
}

/// Types of the DGDR's conditions.
pub mod condition {
    /// Aggregate of the others.
    pub const SUCCEEDED: &str = "Succeeded";
    /// The spec was accepted.
    pub const VALIDATION: &str = "Validation";
    /// The profiling Job ran.
    pub const PROFILING: &str = "Profiling";
    /// A DGD was generated.
    pub const SPEC_GENERATED: &str = "SpecGenerated";
    /// The DGD serves.
    pub const DEPLOYMENT_READY: &str = "DeploymentReady";
    /// There only while it holds: the controller is at work. An extension, by which tools that follow the conventions of
    /// kstatus know that there is something to wait for.
    pub const RECONCILING: &str = "Reconciling";
    /// There only while it holds: nothing goes on until somebody changes something. An extension, as the one above.
    pub const STALLED: &str = "Stalled";
}

/// Reasons of the DGDR's conditions. A failed sub-phase of profiling gives `<sub-phase>Failed`.
pub mod reason {
    /// `Succeeded`: not yet profiled.
    pub const PENDING: &str = "Pending";
    /// `Succeeded`: the profiling Job runs.
    pub const PROFILING: &str = "Profiling";
    /// `Succeeded`: the DGD is not healthy yet.
    pub const DEPLOYING: &str = "Deploying";
    /// `Succeeded`: the DGD serves.
    pub const DEPLOYED: &str = "Deployed";
    /// `Succeeded`: something failed that no other condition explains.
    pub const FAILED: &str = "Failed";
    /// `Validation`: the spec is accepted.
    pub const VALIDATION_PASSED: &str = "ValidationPassed";
    /// `Validation`: the spec is refused.
    pub const VALIDATION_FAILED: &str = "ValidationFailed";
    /// `Profiling`: GPUs are being discovered.
    pub const DISCOVERING_HARDWARE: &str = "DiscoveringHardware";
    /// `Profiling`: the Job is created and has not reported yet.
    pub const INITIALIZING: &str = "Initializing";
    /// `Profiling`: the Job works.
    pub const PROFILING_RUNNING: &str = "ProfilingRunning";
    /// `Profiling`: the profiler has reported that it is done.
    pub const COMPLETED: &str = "Completed";
    /// `Profiling`: the Job is complete.
    pub const PROFILING_COMPLETED: &str = "ProfilingCompleted";
    /// `Profiling`: the Job failed before its first sub-phase.
    pub const PROFILING_FAILED: &str = "ProfilingFailed";
    /// `Profiling`: the Job could not be created.
    pub const JOB_CREATION_FAILED: &str = "JobCreationFailed";
    /// `SpecGenerated` and `Succeeded`: the DGD is generated.
    pub const SPEC_GENERATED: &str = "SpecGenerated";
    /// `SpecGenerated`: the profiler's output could not be used.
    pub const GENERATION_FAILED: &str = "GenerationFailed";
    /// `DeploymentReady`: the DGD serves.
    pub const DEPLOYMENT_READY: &str = "DeploymentReady";
    /// `DeploymentReady`: the DGD starts.
    pub const DEPLOYMENT_IN_PROGRESS: &str = "DeploymentInProgress";
    /// `DeploymentReady`: the API server refused the DGD.
    pub const DEPLOYMENT_REJECTED: &str = "DeploymentRejected";
    /// `DeploymentReady`: the DGD served and no longer does.
    pub const DEPLOYMENT_DEGRADED: &str = "DeploymentDegraded";
    /// `DeploymentReady`: the DGD was deleted.
    pub const DEPLOYMENT_DELETED: &str = "DeploymentDeleted";
}

/// Values that an unset field of the spec takes.
pub mod defaults {
    /// `workload.isl`, tokens (schema default of upstream's CRD).
    pub const ISL: u32 = 4_000;
    /// `workload.osl`, tokens (schema default of upstream's CRD).
    pub const OSL: u32 = 1_000;
    /// `sla.ttft`, milliseconds (default of upstream's Python types).
    pub const TTFT_MS: f64 = 2_000.0;
    /// `sla.itl`, milliseconds (default of upstream's Python types).
    pub const ITL_MS: f64 = 30.0;
    /// `modelCache.pvcMountPath` (schema default of upstream's CRD).
    pub const PVC_MOUNT_PATH: &str = "/opt/model-cache";
}

/// Rules across fields: one owner for what the CRD states as CEL and what [`resolve`](crate::resolve) checks.
pub mod rules {
    /// A rule across fields of one object.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Rule {
        /// The rule as CEL, true where it holds; `self` is the object.
        pub cel: &'static str,
        /// The rule in words.
        pub message: &'static str,
    }

    impl Rule {
        /// An entry of `x-kubernetes-validations`.
        #[cfg(feature = "schema")]
        pub fn to_json(self) -> serde_json::Value {
            serde_json::json!({"rule": self.cel, "message": self.message})
        }
    }

    /// On the spec: thorough search measures one engine.
    pub const MEASURED_BACKEND: Rule = Rule {
        cel: "!has(self.searchStrategy) || self.searchStrategy != 'thorough' || (has(self.backend) && self.backend != \
              'auto')",
        message: "searchStrategy \"thorough\" is incompatible with backend \"auto\"",
    };
    /// On `workload`: the load is given in one way.
    pub const ONE_LOAD: Rule = Rule {
        cel: "!has(self.concurrency) || !has(self.requestRate)",
        message: "only one of concurrency and requestRate may be given",
    };
    /// On `sla`: latency is bounded in one way.
    pub const ONE_TARGET: Rule = Rule {
        cel: "!has(self.e2eLatency) || (!has(self.ttft) && !has(self.itl))",
        message: "give either ttft and itl, or e2eLatency alone",
    };
    /// On `modelCache`: a path within a volume needs the volume.
    pub const CACHE_CLAIM: Rule = Rule {
        cel: "!has(self.pvcModelPath) || has(self.pvcName)",
        message: "pvcName is required with pvcModelPath",
    };
    /// On the whole object: names of Services and labels are made from its name.
    pub const NAME: Rule = Rule {
        cel: "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')",
        message: "the name must be a DNS label of at most 63 characters, since Services and labels carry it",
    };
}
