//! Why a deployment cannot be rendered.

use dgdr_perf_model::{Backend, KvQuant, ParallelMapping};
use dgdr_types::dgd::DocumentError;

use super::overrides::OverrideProblems;

/// Why a deployment cannot be rendered, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// The cluster would refuse the names.
    #[error(
        "deployment `{name}` and component `{component}` have {length} characters together, at most {limit} are allowed: \
         shorten metadata.name of the request or of spec.overrides.dgd"
    )]
    NameTooLong {
        /// Name of the deployment.
        name: String,
        /// Name of the component.
        component: String,
        /// Characters of both.
        length: usize,
        /// Characters allowed.
        limit: usize,
    },
    /// A worker's GPUs do not fill its nodes evenly.
    #[error(
        "{mapping} cannot be spread evenly over nodes of {per_node} GPUs: set hardware.numGpusPerNode to a divisor"
    )]
    UnevenNodes {
        /// The worker.
        mapping: ParallelMapping,
        /// GPUs of a node.
        per_node: u32,
    },
    /// No engine keeps its KV cache in this format.
    #[error(
        "{backend} has no {} KV cache: take a checkpoint whose KV cache is bfloat16 or fp8",
        .format.name()
    )]
    KvCacheFormat {
        /// The engine.
        backend: Backend,
        /// The format.
        format: KvQuant,
    },
    /// What a user changes cannot be merged.
    #[error(transparent)]
    Override(#[from] OverrideProblems),
    /// What is generated has no form in the version that is wanted.
    #[error("the generated deployment cannot be written: {0}")]
    Document(#[from] DocumentError),
    /// No YAML or JSON form.
    #[error("the deployment has no text form: {problem}")]
    Text {
        /// Why.
        problem: String,
    },
}
