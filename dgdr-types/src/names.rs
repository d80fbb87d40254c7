//! Names of the objects that belong to a DGDR: the one place where they are made.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A DGDR's name is the value of a label on everything made for it; label values hold 63 characters.
pub const MAX_DGDR_NAME: usize = 63;
/// A Job's name becomes the `job-name` label of its pods; label values hold 63 characters.
pub const MAX_JOB_NAME: usize = 63;
/// Upstream's operator refuses a DGD whose name and component name together are longer: Grove derives pod clique
/// names from both.
pub const MAX_DGD_AND_COMPONENT: usize = 45;
/// Longest component name that any template uses (`TRTLLMWorker`).
pub const LONGEST_COMPONENT: usize = 12;
/// Longest DGD name that leaves room for every component.
pub const MAX_DGD_NAME: usize = MAX_DGD_AND_COMPONENT - LONGEST_COMPONENT;

/// The name of a DGDR: a DNS label, so that names of Services can be made from it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DgdrName(String);

/// Why a text is not the name of a DGDR.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is not a name: use 1 to {MAX_DGDR_NAME} characters a-z, 0-9 and '-', first and last no '-'"
)]
pub struct NameError {
    /// The rejected text.
    pub name: String,
}

impl DgdrName {
    /// Checks a name.
    ///
    /// # Errors
    /// When it is empty, longer than [`MAX_DGDR_NAME`] or no DNS label.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        if is_dns_label(&name) {
            Ok(Self(name))
        } else {
            Err(NameError { name })
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DgdrName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DgdrName {
    type Error = NameError;
    fn try_from(name: String) -> Result<Self, NameError> {
        Self::new(name)
    }
}

impl From<DgdrName> for String {
    fn from(name: DgdrName) -> Self {
        name.0
    }
}

/// Whether a text is a DNS label (RFC 1123): 1 to 63 of `a-z0-9-`, first and last no `-`.
pub fn is_dns_label(text: &str) -> bool {
    (1..=MAX_DGDR_NAME).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Name of the profiling Job of a DGDR.
pub fn job_name(dgdr: &DgdrName) -> String {
    shorten(&format!("profile-{dgdr}"), MAX_JOB_NAME)
}

/// Name of the ConfigMap with the profiler's output. ConfigMap names hold 253 characters: never shortened.
pub fn output_config_map_name(dgdr: &DgdrName) -> String {
    format!("dgdr-output-{dgdr}")
}

/// Name of the DGD that is generated for a DGDR, unless `overrides.dgd.metadata.name` gives another.
pub fn dgd_name(dgdr: &DgdrName) -> String {
    shorten(&format!("{dgdr}-dgd"), MAX_DGD_NAME)
}

/// Name of the ConfigMap with the planner's settings: stable for a DGDR, so that a rerun replaces it.
pub fn planner_config_map_name(dgdr: &DgdrName) -> String {
    format!("planner-config-{dgdr}")
}

/// Name of the ConfigMap with the planner's profile data: stable for a DGDR, so that a rerun replaces it.
pub fn profile_data_config_map_name(dgdr: &DgdrName) -> String {
    format!("planner-profile-data-{dgdr}")
}

/// A `ConfigMap` that is generated beside a deployment with a planner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannerConfigMap {
    /// The planner's settings.
    Settings,
    /// Curves of the engines.
    ProfileData,
}

/// Which generated `ConfigMap` a name means: our own stable name for this DGDR, the fixed name of the profiler guide, or
/// that with the four hexadecimal digits which upstream draws anew for each run.
pub fn planner_config_map(name: &str, dgdr: Option<&DgdrName>) -> Option<PlannerConfigMap> {
    let is_hex = |text: &str| text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    [
        ("planner-config", PlannerConfigMap::Settings),
        ("planner-profile-data", PlannerConfigMap::ProfileData),
    ]
    .into_iter()
    .find(|(fixed, _)| {
        name.strip_prefix(fixed).is_some_and(|rest| {
            rest.is_empty()
                || rest
                    .strip_prefix('-')
                    .is_some_and(|suffix| is_hex(suffix) || dgdr.is_some_and(|dgdr| dgdr.as_str() == suffix))
        })
    })
    .map(|(_, kind)| kind)
}

/// The name itself where it fits, else its head, a dash and eight hexadecimal digits of its hash: two long names
/// with one head stay apart, and one name always shortens to the same.
///
/// `limit` must be at least 10 for the head to keep a character.
pub fn shorten(name: &str, limit: usize) -> String {
    const HASH_AND_DASH: usize = 9;
    if name.len() <= limit {
        return name.to_owned();
    }
    let mut end = limit.saturating_sub(HASH_AND_DASH);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let head = name[..end].trim_end_matches(['-', '.']);
    format!("{head}-{:08x}", fnv1a(name))
}

/// FNV-1a, 32 bit: names need to differ, not to resist an attacker.
fn fnv1a(text: &str) -> u32 {
    const OFFSET: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    text.bytes()
        .fold(OFFSET, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests;
