//! Why an override cannot be merged.

use std::fmt;

use dgdr_perf_model::Backend;
use dgdr_types::dgd::{ComponentGpus, DgdVersion, DocumentError};

/// Where overrides stand in a request.
pub(super) const ROOT: &str = "spec.overrides.dgd";

/// Why an override cannot be merged, and what to do. Paths are those of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverrideProblem {
    /// It is no deployment, or not as its version has it.
    #[error("{ROOT}.{0}")]
    Document(#[from] DocumentError),
    /// A field that only the other version has.
    #[error(
        "{ROOT}.{path}: {version} has no such field, {other} has: {}",
        if *version == DgdVersion::V1alpha1 { "write apiVersion: nvidia.com/v1beta1" } else { "write apiVersion: nvidia.com/v1alpha1" }
    )]
    MixedVersions {
        /// Path of the field.
        path: String,
        /// The version of the override.
        version: DgdVersion,
        /// The version that has it.
        other: DgdVersion,
    },
    /// A null.
    #[error("{ROOT}.{path}: must not be null, field deletion is not supported: remove it, or give a value")]
    Null {
        /// Path of the field.
        path: String,
    },
    /// A status.
    #[error("{ROOT}.status: a status cannot be overridden: remove it")]
    Status,
    /// A field that no version has.
    #[error("{ROOT}.{path}: {version} has no such field: {fix}")]
    UnknownField {
        /// Path of the field.
        path: String,
        /// The version of the override.
        version: DgdVersion,
        /// The field that was probably meant, or all that there are.
        fix: String,
    },
    /// A component that was not generated.
    #[error(
        "{ROOT}.{path}: the generated deployment, which serves with {backend}, has no such component: use one of {known}"
    )]
    UnknownComponent {
        /// Path of the component.
        path: String,
        /// The engine that was picked.
        backend: Backend,
        /// Components that there are.
        known: String,
    },
    /// A component that no deployment has.
    #[error("{ROOT}.{path}: no deployment for {engines} has such a component: use one of {known}")]
    ImpossibleComponent {
        /// Path of the component.
        path: String,
        /// Engines that may be picked.
        engines: String,
        /// Components that there may be.
        known: String,
    },
    /// Two parts that change one component.
    #[error("{ROOT}.{path}: changes `{component}`, which another part changes too: write both in one")]
    ComponentTwice {
        /// Path of the second.
        path: String,
        /// The component.
        component: String,
    },
    /// A value of another kind than what it would replace.
    #[error("{ROOT}.{path}: is {given}, not {wanted}: write {wanted}")]
    Kind {
        /// Path of the value.
        path: String,
        /// What was given.
        given: &'static str,
        /// What is there.
        wanted: &'static str,
    },
    /// An item of a list that does not say which it changes.
    #[error("{ROOT}.{path}: lacks {key}, which says what it changes: add it")]
    Keyless {
        /// Path of the item.
        path: String,
        /// Field that is missing.
        key: String,
    },
    /// A directive that is not known.
    #[error("{ROOT}.{path}: only `$patch: {{args: append}}` is known: write that, or remove it")]
    Directive {
        /// Path of the directive.
        path: String,
    },
    /// Arguments that would start nothing.
    #[error(
        "{ROOT}.{path}: replaces the command line and starts no engine: begin with `-m {module}`, or add \
         `$patch: {{args: append}}` beside args"
    )]
    StartsNothing {
        /// Path of the arguments.
        path: String,
        /// The module that starts the engine.
        module: String,
    },
    /// A line for a shell that nobody starts.
    #[error(
        "{ROOT}.{path}: {line:?} is a line for a shell, and none is started: write its words one by one, or add \
         `command: [/bin/sh, -c]`"
    )]
    ShellLine {
        /// Path of the arguments.
        path: String,
        /// The line.
        line: String,
    },
    /// Another model.
    #[error("{ROOT}.{path}: {flag} {value} would serve another model: remove it, and set spec.model")]
    Model {
        /// Path of the argument.
        path: String,
        /// The flag.
        flag: String,
        /// Its value.
        value: String,
    },
    /// No model.
    #[error(
        "{ROOT}.{path}: replaces the arguments and no longer says {flag} {value}: add it, or add `$patch: {{args: append}}` \
         beside args"
    )]
    NoModel {
        /// Path of the arguments.
        path: String,
        /// The flag.
        flag: String,
        /// Its value.
        value: String,
    },
    /// Another engine.
    #[error("{ROOT}.{path}: {value} is not of {backend}, which was picked: remove it, and set spec.backend")]
    Backend {
        /// Path of what names it.
        path: String,
        /// What names it.
        value: String,
        /// The engine that was picked.
        backend: Backend,
    },
    /// Engines on another number of GPUs than they are started for.
    #[error(
        "{ROOT}.{path}: gives each engine {given} GPUs, but it is started for {planned}: remove the GPU limit and \
         multinode, or change the parallel sizes too"
    )]
    EngineGpus {
        /// Path of the component.
        path: String,
        /// GPUs that the override gives.
        given: u64,
        /// GPUs that the flags use.
        planned: u64,
    },
    /// More GPUs than there are.
    #[error(
        "{ROOT}: the deployment would ask for {total} GPUs ({}), more than the {budget} of the budget: lower replicas, or \
         raise spec.hardware.totalGpus",
        sum(components)
    )]
    Budget {
        /// GPUs of all components.
        total: u64,
        /// GPUs that there are.
        budget: u64,
        /// What each component asks for.
        components: Vec<ComponentGpus>,
    },
    /// A `ConfigMap` that nobody makes.
    #[error(
        "{ROOT}.{path}: mounts the ConfigMap {name}, which is only made for a deployment with a planner: set \
         spec.features.planner, or remove it"
    )]
    NoConfigMap {
        /// Path of the name.
        path: String,
        /// The name.
        name: String,
    },
}

/// GPUs as a sum.
fn sum(components: &[ComponentGpus]) -> String {
    let terms: Vec<String> = components
        .iter()
        .filter(|component| component.total() > 0)
        .map(|component| {
            format!(
                "{} {} × {}",
                component.name,
                component.replicas,
                component.per_copy()
            )
        })
        .collect();
    terms.join(" + ")
}

/// Everything that is wrong with an override, one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideProblems(pub Vec<OverrideProblem>);

impl fmt::Display for OverrideProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [problem] = self.0.as_slice() {
            return problem.fmt(f);
        }
        write!(f, "{} faults in {ROOT}:", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(f, "\n- {problem}"))
    }
}

impl std::error::Error for OverrideProblems {}

impl From<OverrideProblem> for OverrideProblems {
    fn from(problem: OverrideProblem) -> Self {
        Self(vec![problem])
    }
}

impl From<DocumentError> for OverrideProblems {
    fn from(error: DocumentError) -> Self {
        OverrideProblem::Document(error).into()
    }
}
