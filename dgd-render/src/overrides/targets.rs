//! Which generated component a part means.

use dgdr_perf_model::Backend;
use dgdr_types::dgd::{DgdVersion, component_path};
use serde_json::Value;

use super::containers::role;

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

    /// Workers of old releases were called after engine and role: `VllmDecodeWorker`.
    fn old_name(&self, name: &str) -> Option<String> {
        let prefix = match self.backend {
            Backend::Vllm => "Vllm",
            Backend::Sglang => "SGLang",
            Backend::Trtllm => "TRTLLM",
        };
        let roles: &[&str] = match name.strip_prefix(prefix)? {
            "PrefillWorker" => &["prefill"],
            // Upstream's aggregated vLLM template called its only worker so.
            "DecodeWorker" => &["decode", "worker"],
            "Worker" if !self.has_role("prefill") => &["worker", "decode"],
            _ => return None,
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
