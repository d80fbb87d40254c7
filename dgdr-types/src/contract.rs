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
/// Name of the secret that may hold the Hugging Face token.
pub const HF_TOKEN_SECRET: &str = "hf-token-secret";
/// Name of the secret that the profiling Job pulls images with.
pub const IMAGE_PULL_SECRET: &str = "nvcr-imagepullsecret";

/// Annotation keys.
pub mod annotation {
    /// The generated DGD as YAML; its presence marks a DGD that is still to be created.
    pub const GENERATED_DGD_SPEC: &str = "nvidia.com/generated-dgd-spec";
    /// Further resources as multi-document YAML, at most [`MAX_ADDITIONAL_RESOURCES_BYTES`].
    pub const ADDITIONAL_RESOURCES: &str = "dgdr.nvidia.com/additional-resources";
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
