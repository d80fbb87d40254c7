//! Parts of a deployment that users write themselves (`spec.overrides.dgd`), merged over what is generated.
//!
//! A part is merged in the version that it is written in: the generated deployment is converted to that version first,
//! and the result to the version that is wanted. So each version keeps its own rules, and what cannot be said in the
//! other is an error with the user's own path. Documents are merged, not types: fields that this crate does not know
//! survive.

mod arguments;
mod check;
mod config_maps;
mod consequences;
mod containers;
mod merge;
mod pods;
mod predicted;
mod problem;
mod targets;
mod vocabulary;

use dgdr_perf_model::Backend;
use dgdr_types::dgd::{ConfigMap, DgdVersion, component_path, components, convert};
use dgdr_units::Gpus;
use serde_json::{Map, Value};

pub use problem::{OverrideProblem, OverrideProblems};

use arguments::{ArgumentsMode, Generated, settle};
use consequences::{Change, judge};
use containers::{given_containers, is_engine, main_container};
use merge::{Place, below, merge};
use problem::ROOT;
use targets::{Search, is_possible, possible_names};

/// Annotations in which upstream's operator keeps what it could not convert.
const CONVERSION_PREFIX: &str = "nvidia.com/dgd-";
/// Labels and annotations that tie a deployment to its DGDR.
const OWNER_PREFIX: &str = "dgdr.nvidia.com/";

/// A part of a deployment that can be merged as far as can be said without knowing what is generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DgdOverride {
    document: Value,
    version: DgdVersion,
}

/// What a part is merged into.
#[derive(Debug, Clone, Copy)]
pub struct OverrideTarget<'a> {
    /// The generated deployment, in either version.
    pub deployment: &'a Value,
    /// What is made beside it.
    pub config_maps: &'a [ConfigMap],
    /// The engine that was picked.
    pub backend: Backend,
    /// GPUs that there are.
    pub budget: Gpus,
    /// The version that is wanted.
    pub version: DgdVersion,
}

/// A merged deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The deployment, in the version that was wanted.
    pub document: Value,
    /// What its user should know.
    pub warnings: Vec<String>,
}

/// What is found on the way.
#[derive(Debug, Default)]
struct Findings {
    problems: Vec<OverrideProblem>,
    warnings: Vec<String>,
}

impl DgdOverride {
    /// Checks a part. Without `apiVersion` it is v1alpha1, as upstream has it.
    ///
    /// # Errors
    /// Everything that is wrong whatever will be generated: kind, version, fields of the other version or of none, nulls,
    /// a status.
    pub fn parse(given: &Map<String, Value>) -> Result<Self, OverrideProblems> {
        let document = Value::Object(given.clone());
        let version = DgdVersion::of(&document)?;
        let problems = check::problems(&document, version);
        if problems.is_empty() {
            Ok(Self { document, version })
        } else {
            Err(OverrideProblems(problems))
        }
    }

    /// Checks the names of components, before it is known which engine will serve.
    ///
    /// # Errors
    /// For every component that no deployment for these engines can have.
    pub fn check_names(&self, backends: &[Backend]) -> Result<(), OverrideProblems> {
        let problems: Vec<OverrideProblem> = components(&self.document, self.version)?
            .into_iter()
            .filter(|(name, _)| !is_possible(name, backends))
            .map(|(name, _)| OverrideProblem::ImpossibleComponent {
                path: component_path(self.version, &name),
                engines: backends
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", "),
                known: possible_names(backends).join(", "),
            })
            .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(OverrideProblems(problems))
        }
    }

    /// Merges it over a generated deployment.
    ///
    /// # Errors
    /// Everything that the result would get wrong: an unknown component, another model or engine, more GPUs than there
    /// are, and what the wanted version cannot say.
    pub fn apply(&self, target: OverrideTarget<'_>) -> Result<Merged, OverrideProblems> {
        let mut found = Findings::default();
        let before = convert(target.deployment, self.version)?.document;
        let part = self.part(&before, target, &mut found)?;
        stop(&mut found)?;
        let mut after = before.clone();
        merge(&mut after, part, Place { path: "", field: "" })?;
        judge(
            Change {
                before: &before,
                after: &after,
                version: self.version,
                backend: target.backend,
                budget: target.budget,
            },
            &mut found,
        )?;
        stop(&mut found)?;
        let converted = convert(&after, target.version)?;
        found.warnings.extend(converted.notices);
        Ok(Merged {
            document: converted.document,
            warnings: found
                .warnings
                .into_iter()
                .map(|warning| format!("{ROOT}.{warning}"))
                .collect(),
        })
    }

    /// The part with everything settled that depends on what it is merged into.
    fn part(
        &self,
        before: &Value,
        target: OverrideTarget<'_>,
        found: &mut Findings,
    ) -> Result<Value, OverrideProblems> {
        let mut part = self.document.clone();
        if let Value::Object(fields) = &mut part {
            fields.remove("apiVersion");
            fields.remove("kind");
            if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
                sanitize(metadata, found);
            }
        }
        config_maps::rename(&mut part, "", target.config_maps, found);
        let generated = components(before, self.version)?;
        let search = Search {
            components: &generated,
            backend: target.backend,
            version: self.version,
        };
        let field = self.version.components_field();
        let Some(given) = part.get_mut("spec").and_then(|spec| spec.get_mut(field)) else {
            return Ok(part);
        };
        let mut settled: Vec<(String, Value)> = Vec::new();
        for (name, component) in listed(given.take()) {
            let path = component_path(self.version, &name);
            let Some(target) = search.find(&name) else {
                found.problems.push(OverrideProblem::UnknownComponent {
                    path,
                    backend: target.backend,
                    known: search.names(),
                });
                continue;
            };
            found.warnings.extend(target.warning);
            if settled.iter().any(|(known, _)| *known == target.component) {
                found.problems.push(OverrideProblem::ComponentTwice {
                    path,
                    component: target.component,
                });
                continue;
            }
            let whole = generated
                .iter()
                .find(|(known, _)| *known == target.component)
                .map(|(_, component)| *component);
            let mut component = component;
            if let Some(whole) = whole {
                self.settle_component(&mut component, (whole, search.backend), &path, found);
            }
            pods::judge(&component, self.version, &path, found);
            settled.push((target.component, component));
        }
        *given = self.unlisted(settled);
        Ok(part)
    }

    /// Keeps the role, and settles the command lines.
    fn settle_component(
        &self,
        component: &mut Value,
        (whole, backend): (&Value, Backend),
        path: &str,
        found: &mut Findings,
    ) {
        if let Value::Object(fields) = component {
            for field in ["type", "componentType", "subComponentType"] {
                if let Some(given) = fields.remove(field)
                    && whole.get(field) != Some(&given)
                {
                    found.warnings.push(format!(
                        "{path}.{field}: {given} is ignored, since what a component does was planned"
                    ));
                }
            }
        }
        for container in given_containers(component, self.version) {
            let is_main = container.is_main;
            let path = format!("{path}.{}", container.path);
            let appends = self.version == DgdVersion::V1alpha1 && is_main && is_engine(whole);
            settle(
                container.fields,
                Generated {
                    container: main_container(whole, self.version).filter(|_| is_main),
                    backend,
                    mode: if appends {
                        ArgumentsMode::Append
                    } else {
                        ArgumentsMode::Replace
                    },
                    path: &path,
                },
                found,
            );
        }
    }

    /// Components as their version keeps them.
    fn unlisted(&self, components: Vec<(String, Value)>) -> Value {
        match self.version {
            DgdVersion::V1alpha1 => Value::Object(components.into_iter().collect()),
            DgdVersion::V1beta1 => components
                .into_iter()
                .map(|(name, mut component)| {
                    if let Value::Object(fields) = &mut component {
                        fields.insert("name".to_owned(), name.into());
                    }
                    component
                })
                .collect(),
        }
    }
}

/// Components of either version by name; their names were checked.
fn listed(components: Value) -> Vec<(String, Value)> {
    match components {
        Value::Object(services) => services.into_iter().collect(),
        Value::Array(components) => components
            .into_iter()
            .filter_map(|component| {
                let name = containers::name_of(&component)?.to_owned();
                Some((name, component))
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// Only labels and annotations are merged; the name was taken before anything was rendered.
fn sanitize(metadata: &mut Map<String, Value>, found: &mut Findings) {
    metadata.remove("name");
    metadata.retain(|field, _| {
        let is_merged = matches!(field.as_str(), "labels" | "annotations");
        if !is_merged {
            found.warnings.push(format!(
                "metadata.{field}: ignored, only name, labels and annotations are merged"
            ));
        }
        is_merged
    });
    for (field, values) in metadata {
        let path = below("metadata", field);
        if let Value::Object(values) = values {
            values.retain(|key, _| {
                let is_reserved = key.starts_with(CONVERSION_PREFIX) || key.starts_with(OWNER_PREFIX);
                if is_reserved {
                    found
                        .warnings
                        .push(format!("{path}.{key}: ignored, the operator writes it"));
                }
                !is_reserved
            });
        }
    }
}

/// Ends with the problems, if there are any.
fn stop(found: &mut Findings) -> Result<(), OverrideProblems> {
    if found.problems.is_empty() {
        return Ok(());
    }
    Err(OverrideProblems(std::mem::take(&mut found.problems)))
}

#[cfg(test)]
mod tests;
