//! Which generated component a part means.

use dgdr_perf_model::Backend;
use dgdr_types::dgd::{DgdVersion, component_path};
use serde_json::Value;

use super::containers::role;
use crate::components::identity;
use crate::flags::Role;

/// The component that a name means, and what to say about it.
pub(super) struct Target {
    /// The component.
    pub(super) component: String,
    /// What its user should know, when it is not the component's own name.
    pub(super) warning: Option<String>,
}

/// What is looked for, and where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search<'a> {
    /// The generated components.
    pub(super) components: &'a [(String, &'a Value)],
    /// The engine that was picked.
    pub(super) backend: Backend,
    /// The version of the override.
    pub(super) version: DgdVersion,
}

impl Search<'_> {
    /// The component that a name means: its own, in any case of letters, or that of an old release.
    pub(super) fn find(&self, name: &str) -> Option<Target> {
        let exact = self.components.iter().find(|(known, _)| known == name);
        if let Some((known, _)) = exact {
            return Some(Target {
                component: known.clone(),
                warning: None,
            });
        }
        let path = component_path(self.version, name);
        if let Some((known, _)) = self
            .components
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            return Some(Target {
                component: known.clone(),
                warning: Some(format!("{path}: taken for `{known}`")),
            });
        }
        let known = self.old_name(name)?;
        Some(Target {
            warning: Some(format!(
                "{path}: an old release's name, taken for `{known}`: use that name"
            )),
            component: known,
        })
    }

    fn old_name(&self, name: &str) -> Option<String> {
        let roles: &[&str] = match old_role(name, self.backend)? {
            Role::Prefill => &["prefill"],
            // Upstream's aggregated vLLM template called its only worker so.
            Role::Decode => &["decode", "worker"],
            Role::Aggregated if !self.has_role("prefill") => &["worker", "decode"],
            Role::Aggregated => return None,
        };
        roles.iter().find_map(|wanted| {
            let found = self
                .components
                .iter()
                .find(|(_, component)| role(component) == Some(wanted));
            found.map(|(known, _)| known.clone())
        })
    }

    fn has_role(&self, wanted: &str) -> bool {
        self.components
            .iter()
            .any(|(_, component)| role(component) == Some(wanted))
    }

    /// All names, for people.
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.components.iter().map(|(name, _)| name.as_str()).collect();
        names.join(", ")
    }
}

/// What a worker of an old release does: they were called after engine and role, such as `VllmDecodeWorker`, and their
/// letters' case varied.
fn old_role(name: &str, backend: Backend) -> Option<Role> {
    let name = name.to_ascii_lowercase();
    Some(match name.strip_prefix(&backend.to_string())? {
        "worker" => Role::Aggregated,
        "decodeworker" => Role::Decode,
        "prefillworker" => Role::Prefill,
        _ => return None,
    })
}

/// Names of all components that a deployment may have, whatever is picked.
pub(super) fn possible_names(backends: &[Backend]) -> Vec<&'static str> {
    let mut names = vec!["Frontend", "Planner"];
    for backend in backends {
        for role in [Role::Aggregated, Role::Decode, Role::Prefill] {
            let (name, _) = identity(*backend, role);
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// Whether a name may mean a component of a deployment for one of these engines.
pub(super) fn is_possible(name: &str, backends: &[Backend]) -> bool {
    let is_name = possible_names(backends)
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name));
    is_name || backends.iter().any(|backend| old_role(name, *backend).is_some())
}
