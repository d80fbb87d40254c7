//! The versions of an engine that can be asked for.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// `query_versions.yaml`: what each engine's current and previous version are.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Slots {
    #[serde(default)]
    defaults: BTreeMap<String, Slot>,
    #[serde(default)]
    overrides: BTreeMap<String, BTreeMap<String, Slot>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Slot {
    current: String,
    #[serde(default)]
    previous: Option<String>,
}

/// The versions of one engine on one system that have a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionSlots {
    /// The newest complete collection.
    pub current: String,
    /// The one before it.
    pub previous: Option<String>,
    /// Newer measurements of some kernels; older ones stand in for the rest.
    pub next: Option<String>,
}

impl VersionSlots {
    /// The version that a request means: none and `current`, `previous`, `next`, or one of these by number.
    pub fn resolve(&self, asked: Option<&str>) -> Option<&str> {
        match asked {
            None | Some("current") => Some(&self.current),
            Some("previous") => self.previous.as_deref(),
            Some("next") => self.next.as_deref(),
            Some(version) => [Some(&self.current), self.previous.as_ref(), self.next.as_ref()]
                .into_iter()
                .flatten()
                .find(|known| *known == version)
                .map(String::as_str),
        }
    }

    /// What can be asked for, for people.
    pub(crate) fn describe(&self) -> String {
        [
            ("current", Some(&self.current)),
            ("previous", self.previous.as_ref()),
            ("next", self.next.as_ref()),
        ]
        .into_iter()
        .filter_map(|(name, version)| Some(format!("{name} ({})", version?)))
        .collect::<Vec<_>>()
        .join(", ")
    }
}

impl Slots {
    /// The slots of an engine on a system, `next` apart, and whether they are the system's own.
    pub(crate) fn authored(&self, system: &str, engine: &str) -> Option<(VersionSlots, bool)> {
        let own = self.overrides.get(system).and_then(|engines| engines.get(engine));
        let slot = own.or_else(|| self.defaults.get(engine))?;
        let slots = VersionSlots {
            current: slot.current.clone(),
            previous: slot.previous.clone(),
            next: None,
        };
        Some((slots, own.is_some()))
    }

    /// Systems with versions of an engine of their own; their measurements say nothing of the others' next one.
    pub(crate) fn with_own(&self, engine: &str) -> BTreeSet<&str> {
        self.overrides
            .iter()
            .filter(|(_, engines)| engines.contains_key(engine))
            .map(|(system, _)| system.as_str())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::VersionSlots;

    #[test]
    fn a_version_is_found_by_slot_and_by_number() {
        let slots = VersionSlots {
            current: "1.3.0rc20".to_owned(),
            previous: None,
            next: Some("1.3.0rc23".to_owned()),
        };
        assert_eq!(slots.resolve(None), Some("1.3.0rc20"));
        assert_eq!(slots.resolve(Some("next")), Some("1.3.0rc23"));
        assert_eq!(slots.resolve(Some("1.3.0rc23")), Some("1.3.0rc23"));
        assert_eq!(slots.resolve(Some("previous")), None);
        assert_eq!(slots.resolve(Some("1.2.0")), None);
        assert_eq!(slots.describe(), "current (1.3.0rc20), next (1.3.0rc23)");
    }
}
