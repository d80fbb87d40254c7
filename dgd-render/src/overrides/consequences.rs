//! What a merged deployment no longer is: as predicted, within the budget, startable.

use dgdr_perf_model::Backend;
use dgdr_types::dgd::{ComponentGpus, DgdVersion, component_gpus, component_path, components};
use dgdr_units::Gpus;
use serde_json::Value;

use super::Findings;
use super::containers::{is_engine, main_container, main_container_path, texts};
use super::predicted::{changes, spreads_alike};
use super::problem::{OverrideProblem, OverrideProblems};

/// A deployment before and after.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'a> {
    /// As generated, in the override's version.
    pub(super) before: &'a Value,
    /// Merged, in the same version.
    pub(super) after: &'a Value,
    /// That version.
    pub(super) version: DgdVersion,
    /// The engine that was picked.
    pub(super) backend: Backend,
    /// GPUs that there are.
    pub(super) budget: Gpus,
}

/// Looks at all of them.
///
/// # Errors
/// When a number is none, or the deployment no longer is one.
pub(super) fn judge(change: Change<'_>, found: &mut Findings) -> Result<(), OverrideProblems> {
    check_framework(change, found);
    let gpus = (component_gpus(change.before)?, component_gpus(change.after)?);
    let before = components(change.before, change.version)?;
    let after = components(change.after, change.version)?;
    for (name, merged) in &after {
        let Some((_, generated)) = before.iter().find(|(known, _)| known == name) else {
            continue;
        };
        let component = Component {
            path: component_path(change.version, name),
            before: generated,
            after: merged,
        };
        component.judge_environment(change.version, found);
        if is_engine(generated) {
            component.judge_engine(change, found);
            let of = |list: &[ComponentGpus]| list.iter().find(|gpus| gpus.name == *name).cloned();
            if let (Some(planned), Some(given)) = (of(&gpus.0), of(&gpus.1)) {
                component.judge_gpus(&planned, &given, change.version, found);
            }
        }
    }
    let (planned, total): (u64, u64) = (total(&gpus.0), total(&gpus.1));
    let budget = u64::from(change.budget.get());
    if total > budget && total > planned {
        found.problems.push(OverrideProblem::Budget {
            total,
            budget,
            components: gpus.1,
        });
    }
    Ok(())
}

fn total(components: &[ComponentGpus]) -> u64 {
    components
        .iter()
        .map(ComponentGpus::total)
        .fold(0, u64::saturating_add)
}

fn check_framework(change: Change<'_>, found: &mut Findings) {
    let of = |document: &Value| document.get("spec")?.get("backendFramework").cloned();
    let (before, after) = (of(change.before), of(change.after));
    if before != after && after != Some(change.backend.to_string().into()) {
        found.problems.push(OverrideProblem::Backend {
            path: "spec.backendFramework".to_owned(),
            value: after
                .as_ref()
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            backend: change.backend,
        });
    }
}

/// A component before and after.
struct Component<'a> {
    path: String,
    before: &'a Value,
    after: &'a Value,
}

impl Component<'_> {
    fn main(&self, version: DgdVersion) -> Option<(&Value, &Value)> {
        Some((
            main_container(self.before, version)?,
            main_container(self.after, version)?,
        ))
    }

    /// Sources of variables are a list without keys: one that replaces them may lose a secret.
    fn judge_environment(&self, version: DgdVersion, found: &mut Findings) {
        let Some((before, after)) = self.main(version) else {
            return;
        };
        let sources = |container: &Value| container.get("envFrom").and_then(Value::as_array).cloned();
        let kept = sources(after).unwrap_or_default();
        for lost in sources(before).unwrap_or_default() {
            let name = |source: &Value| {
                source
                    .get("secretRef")
                    .and_then(|secret| secret.get("name"))
                    .cloned()
            };
            let is_kept = kept
                .iter()
                .any(|source| *source == lost || (name(source).is_some() && name(source) == name(&lost)));
            if !is_kept {
                found.warnings.push(format!(
                    "{}: its envFrom replaces the generated one, and {lost} is lost: repeat it to keep it",
                    self.path
                ));
            }
        }
    }

    fn judge_engine(&self, change: Change<'_>, found: &mut Findings) {
        let Some((before, after)) = self.main(change.version) else {
            return;
        };
        if let Some(image) = after.get("image").and_then(Value::as_str)
            && let Some(other) = other_engine(image, change.backend)
        {
            found.problems.push(OverrideProblem::Backend {
                path: format!("{}.{}.image", self.path, main_container_path(change.version)),
                value: other.to_owned(),
                backend: change.backend,
            });
        }
        let changes = changes(&arguments(before), &arguments(after));
        for (changed, meaning) in [
            (changes.predicted, "the prediction no longer holds"),
            (changes.role, "the engine may no longer find the others"),
        ] {
            if !changed.is_empty() {
                found
                    .warnings
                    .push(format!("{}: {meaning}: {}", self.path, changed.join("; ")));
            }
        }
    }

    fn judge_gpus(
        &self,
        planned: &ComponentGpus,
        given: &ComponentGpus,
        version: DgdVersion,
        found: &mut Findings,
    ) {
        if planned.replicas != given.replicas {
            found.warnings.push(format!(
                "{}: the predicted throughput no longer holds: replicas is {}, planned {}",
                self.path, given.replicas, planned.replicas
            ));
        }
        if planned.per_copy() == given.per_copy() {
            return;
        }
        let Some((before, after)) = self.main(version) else {
            return;
        };
        let is_same_engine = spreads_alike(&arguments(before), &arguments(after))
            && before.get("command") == after.get("command");
        if is_same_engine && planned.per_copy() > 0 {
            found.problems.push(OverrideProblem::EngineGpus {
                path: self.path.clone(),
                given: given.per_copy(),
                planned: planned.per_copy(),
            });
        } else {
            found.warnings.push(format!(
                "{}: the prediction no longer holds: {} GPUs for each engine, planned {}",
                self.path,
                given.per_copy(),
                planned.per_copy()
            ));
        }
    }
}

fn arguments(container: &Value) -> Vec<String> {
    texts(container.get("args")).unwrap_or_default()
}

/// The runtime of another engine, by the name of its image.
fn other_engine(image: &str, backend: Backend) -> Option<&str> {
    let last = image.rsplit('/').next()?;
    let name = last.split(['@', ':']).next()?;
    let of = match name {
        "vllm-runtime" => Backend::Vllm,
        "sglang-runtime" => Backend::Sglang,
        "tensorrtllm-runtime" => Backend::Trtllm,
        _ => return None,
    };
    (of != backend).then_some(name)
}
