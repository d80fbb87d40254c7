//! The pairs of fields that both versions have.

use serde_json::{Value, json};

use super::DgdrVersion;
use super::field::{Holds, at, reach, set};
use crate::contract::PROFILER_CONTAINER;

/// Where the pod of `overrides.profilingJob` is described.
const POD: [&str; 4] = ["overrides", "profilingJob", "template", "spec"];

/// A part of a `spec` or `status` in one version.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// One field.
    Field(&'static [&'static str], Holds),
    /// v1alpha1's two images, of which the profiler's counts.
    Image,
    /// A field of the pod in v1beta1's `overrides.profilingJob`.
    Pod(&'static str, Holds),
    /// The resources of the profiler there.
    Resources,
    /// v1alpha1's state, and whether it created a deployment.
    State,
    /// The name of v1alpha1's deployment.
    DeploymentName,
}

/// A value on its way to the other version.
type Carry = fn(Option<Value>) -> Option<Value>;

/// A part in both versions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    alpha: Part,
    beta: Part,
    to_beta: Carry,
    to_alpha: Carry,
}

/// A part that needs no translation.
const fn same(alpha: Part, beta: Part) -> Pair {
    const KEEP: Carry = |value| value;
    Pair {
        alpha,
        beta,
        to_beta: KEEP,
        to_alpha: KEEP,
    }
}

/// One field of each version that needs no translation.
const fn fields(alpha: &'static [&'static str], beta: &'static [&'static str], holds: Holds) -> Pair {
    same(Part::Field(alpha, holds), Part::Field(beta, holds))
}

/// Pairs of `spec`.
pub(super) const SPEC: &[Pair] = &[
    fields(&["model"], &["model"], Holds::Text),
    fields(
        &["runtimeVersionOverride"],
        &["runtimeVersionOverride"],
        Holds::Text,
    ),
    Pair {
        to_alpha: |backend| backend.or_else(|| Some(json!("auto"))),
        ..fields(&["backend"], &["backend"], Holds::Text)
    },
    Pair {
        to_beta: |apply| apply.or(Some(Value::Bool(false))),
        to_alpha: |apply| apply.or(Some(Value::Bool(true))),
        ..fields(&["autoApply"], &["autoApply"], Holds::Bool)
    },
    Pair {
        // Off is v1alpha1's default, which its API server writes out, and v1beta1's meaning of unset.
        to_beta: |mocker| mocker.filter(|is_on| *is_on == Value::Bool(true)),
        to_alpha: |mocker| mocker.or(Some(Value::Bool(false))),
        ..fields(&["useMocker"], &["features", "mocker", "enabled"], Holds::Bool)
    },
    same(Part::Image, Part::Field(&["image"], Holds::FilledText)),
    fields(
        &["profilingConfig", "config", "sla", "ttft"],
        &["sla", "ttft"],
        Holds::Number,
    ),
    fields(
        &["profilingConfig", "config", "sla", "itl"],
        &["sla", "itl"],
        Holds::Number,
    ),
    fields(
        &["profilingConfig", "config", "sla", "optimizationType"],
        &["sla", "optimizationType"],
        Holds::Text,
    ),
    fields(
        &["profilingConfig", "config", "sla", "isl"],
        &["workload", "isl"],
        Holds::Whole,
    ),
    fields(
        &["profilingConfig", "config", "sla", "osl"],
        &["workload", "osl"],
        Holds::Whole,
    ),
    fields(
        &["profilingConfig", "config", "deployment", "modelCache", "pvcName"],
        &["modelCache", "pvcName"],
        Holds::Text,
    ),
    fields(
        &[
            "profilingConfig",
            "config",
            "deployment",
            "modelCache",
            "modelPathInPvc",
        ],
        &["modelCache", "pvcModelPath"],
        Holds::Text,
    ),
    fields(
        &[
            "profilingConfig",
            "config",
            "deployment",
            "modelCache",
            "pvcMountPath",
        ],
        &["modelCache", "pvcMountPath"],
        Holds::Text,
    ),
    fields(
        &["profilingConfig", "config", "planner"],
        &["features", "planner"],
        Holds::Object,
    ),
    same(
        Part::Field(&["profilingConfig", "resources"], Holds::Object),
        Part::Resources,
    ),
    same(
        Part::Field(&["profilingConfig", "tolerations"], Holds::List),
        Part::Pod("tolerations", Holds::List),
    ),
    same(
        Part::Field(&["profilingConfig", "nodeSelector"], Holds::Object),
        Part::Pod("nodeSelector", Holds::Object),
    ),
];

/// Pairs of `status`.
pub(super) const STATUS: &[Pair] = &[
    Pair {
        to_beta: |state| state.map(|state| json!(phase_of(&state))),
        to_alpha: |phase| Some(state_of(phase.as_ref().and_then(Value::as_str))),
        ..same(Part::State, Part::Field(&["phase"], Holds::Text))
    },
    same(Part::DeploymentName, Part::Field(&["dgdName"], Holds::Text)),
    fields(
        &["generatedDeployment"],
        &["profilingResults", "selectedConfig"],
        Holds::Object,
    ),
    fields(&["conditions"], &["conditions"], Holds::List),
    fields(&["observedGeneration"], &["observedGeneration"], Holds::Whole),
];

fn phase_of(state: &Value) -> &'static str {
    match state["state"].as_str().unwrap_or_default() {
        "Profiling" => "Profiling",
        "Deploying" => "Deploying",
        "Failed" => "Failed",
        "Ready" if state["created"] == true => "Deployed",
        // A deployment that was deleted leaves what was generated.
        "Ready" | "DeploymentDeleted" => "Ready",
        _ => "Pending",
    }
}

fn state_of(phase: Option<&str>) -> Value {
    match phase {
        Some("Deployed") => json!({"state": "Ready", "created": true}),
        Some(state @ ("Profiling" | "Deploying" | "Failed" | "Ready")) => json!({"state": state}),
        Some(_) | None => json!({"state": "Pending"}),
    }
}

impl Part {
    fn get(self, of: &Value) -> Option<Value> {
        match self {
            Self::Field(path, holds) => at(of, path).and_then(|value| holds.read(value)),
            Self::Image => [
                ["profilingConfig", "profilerImage"],
                ["deploymentOverrides", "workersImage"],
            ]
            .iter()
            .find_map(|path| at(of, path).and_then(|image| Holds::FilledText.read(image))),
            Self::Pod(field, holds) => at(of, &POD)?.get(field).and_then(|value| holds.read(value)),
            Self::Resources => {
                let containers = at(of, &POD)?.get("containers")?.as_array()?;
                let resources = containers.get(profiler_of(containers)?)?.get("resources")?;
                Holds::Object.read(resources)
            }
            Self::State => {
                let mut state = json!({"state": of.get("state")?.as_str()?});
                if at(of, &["deployment", "created"]) == Some(&Value::Bool(true)) {
                    state["created"] = json!(true);
                }
                Some(state)
            }
            Self::DeploymentName => at(of, &["deployment", "name"]).and_then(|name| Holds::Text.read(name)),
        }
    }

    fn set(self, of: &mut Value, new: Option<Value>) {
        match self {
            Self::Field(path, _) => set(of, path, new),
            Self::Image => {
                if new.is_none() {
                    // It would count once the profiler's is gone.
                    set(of, &["deploymentOverrides", "workersImage"], None);
                }
                // Required, so that an unset one is empty.
                let image = new.unwrap_or_else(|| json!(""));
                set(of, &["profilingConfig", "profilerImage"], Some(image));
            }
            Self::Pod(field, _) => set_in_pod(of, field, new),
            Self::Resources => set_resources(of, new),
            Self::State => set_state(of, &new.unwrap_or_default()),
            Self::DeploymentName => {
                if new.is_some() {
                    fill_deployment_state(of, "initializing");
                }
                set(of, &["deployment", "name"], new);
            }
        }
    }
}

/// Which container is the profiler, as the merge of `overrides.profilingJob` has it: that of its name, else the first
/// without a name.
fn profiler_of(containers: &[Value]) -> Option<usize> {
    let name = |container: &Value| container.get("name").and_then(Value::as_str).map(str::to_owned);
    let named = containers
        .iter()
        .position(|container| name(container).as_deref() == Some(PROFILER_CONTAINER));
    named.or_else(|| {
        containers
            .iter()
            .position(|container| name(container).is_none_or(|name| name.is_empty()))
    })
}

fn set_in_pod(of: &mut Value, field: &str, new: Option<Value>) {
    let Some(new) = new else {
        let path = [POD.as_slice(), &[field]].concat();
        return set(of, &path, None);
    };
    let pod = reach(of, &POD);
    if !pod.is_object() {
        // Upstream's schema requires the list.
        *pod = json!({"containers": []});
    }
    pod[field] = new;
}

fn set_resources(of: &mut Value, new: Option<Value>) {
    if new.is_none() && at(of, &POD).is_none() {
        return;
    }
    let containers = &mut reach(of, &POD)["containers"];
    if !containers.is_array() {
        *containers = json!([]);
    }
    let Some(containers) = containers.as_array_mut() else {
        return;
    };
    let known = profiler_of(containers).and_then(|place| containers.get_mut(place));
    match (known, new) {
        (Some(profiler), new) => set(profiler, &["resources"], new),
        (None, Some(resources)) => {
            containers.push(json!({"name": PROFILER_CONTAINER, "resources": resources}));
        }
        (None, None) => {}
    }
}

fn set_state(of: &mut Value, new: &Value) {
    let is_created = new["created"] == true;
    of["state"] = new["state"].clone();
    if is_created {
        fill_deployment_state(of, "successful");
        of["deployment"]["created"] = json!(true);
    } else if at(of, &["deployment", "created"]) == Some(&Value::Bool(true)) {
        of["deployment"]["created"] = json!(false);
    }
}

/// v1alpha1 requires it of every deployment.
fn fill_deployment_state(of: &mut Value, state: &str) {
    let known = reach(of, &["deployment", "state"]);
    if known.is_null() {
        *known = json!(state);
    }
}

/// Which pairs are translated, and to which version.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) pairs: &'static [Pair],
    pub(super) to: DgdrVersion,
}

/// A `spec` or `status` in the other version. It starts from what was preserved, where fields that the source has not
/// changed since stay as they were.
pub(super) fn translate(source: &Value, preserved: Option<&Value>, way: Way) -> Value {
    let mut target = preserved.cloned().unwrap_or_else(|| json!({}));
    for pair in way.pairs {
        let (from, to, there, back) = match way.to {
            DgdrVersion::V1alpha1 => (pair.beta, pair.alpha, pair.to_alpha, pair.to_beta),
            DgdrVersion::V1beta1 => (pair.alpha, pair.beta, pair.to_beta, pair.to_alpha),
        };
        let value = there(from.get(source));
        // Compared as the target has it: what it cannot tell apart has not changed.
        let is_unchanged = preserved.is_some_and(|preserved| {
            let before = to.get(preserved);
            before == value || there(back(before)) == value
        });
        if !is_unchanged {
            to.set(&mut target, value);
        }
    }
    target
}
