//! What a webhook refuses, what it lets pass that was wrong before, and what it warns of.

use std::fmt;

use dgdr_types::contract::rules;
use dgdr_types::{DgdrError, Finding, ImageReference, RawRequest, immutability, resolve};
use serde_json::Value;

use super::Policy;
use crate::profiling_job;

/// How a field is wrong, as API machinery tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViolationKind {
    /// It is missing.
    Required,
    /// Its value is wrong.
    Invalid(String),
    /// It may not be there, or not change.
    Forbidden,
}

impl ViolationKind {
    /// The machine's word.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid(_) => "FieldValueInvalid",
            Self::Forbidden => "FieldValueForbidden",
        }
    }
}

/// A rule that a request breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field.
    pub field: String,
    /// How it is wrong.
    pub kind: ViolationKind,
    /// What is wrong and what to do.
    pub detail: String,
}

impl Violation {
    /// The violation without its field.
    pub fn problem(&self) -> String {
        let detail = &self.detail;
        match &self.kind {
            ViolationKind::Required => format!("Required value: {detail}"),
            ViolationKind::Invalid(value) => format!("Invalid value: {value}: {detail}"),
            ViolationKind::Forbidden => format!("Forbidden: {detail}"),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem())
    }
}

/// What is said of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Why it is refused; empty where it is not. Upstream's rules come first, in upstream's order.
    pub violations: Vec<Violation>,
    /// What its user should know.
    pub warnings: Vec<String>,
}

/// What is said of a new request.
pub fn validate_create(object: &Value, policy: &Policy) -> Verdict {
    if is_enveloped(object) {
        return Verdict::default();
    }
    let (violations, warnings) = check(object, policy);
    Verdict { violations, warnings }
}

/// What is said of a change: only what is newly wrong counts, so that an object that was stored under older rules can
/// still be changed elsewhere.
pub fn validate_update(old: &Value, new: &Value, policy: &Policy) -> Verdict {
    if is_enveloped(new) || old["spec"] == new["spec"] {
        // Labels and the like are free, and nothing needs to be said again.
        return Verdict::default();
    }
    let mut violations = Vec::new();
    if let Err(late) = immutability::check_update(old, new) {
        violations.push(Violation {
            field: "spec".to_owned(),
            kind: ViolationKind::Forbidden,
            detail: late.to_string(),
        });
    }
    let (now, warnings) = check(new, policy);
    let (before, _) = check(old, policy);
    let rechecks_version = version_counts(old, new);
    violations.extend(now.into_iter().filter(|violation| {
        if violation.field == VERSION_FIELD && violation.kind == ViolationKind::Required {
            rechecks_version
        } else {
            !before.contains(violation)
        }
    }));
    Verdict { violations, warnings }
}

const VERSION_FIELD: &str = "spec.runtimeVersionOverride";

/// Whether a change makes the runtime's version matter anew.
fn version_counts(old: &Value, new: &Value) -> bool {
    let (old, new) = (&old["spec"], &new["spec"]);
    let is_changed = |field: &str| old[field] != new[field];
    let is_switched_on = old["autoApply"] == false && new["autoApply"] != false;
    is_changed("image") || is_changed("runtimeVersionOverride") || is_switched_on
}

/// A request of a newer version within this one has its own rules.
fn is_enveloped(object: &Value) -> bool {
    object["spec"].get("v1beta2").is_some()
}

fn check(object: &Value, policy: &Policy) -> (Vec<Violation>, Vec<String>) {
    let spec = &object["spec"];
    let mut violations: Vec<Violation> = [discovery(spec, policy), version(spec)]
        .into_iter()
        .flatten()
        .collect();
    let mut warnings = Vec::new();
    match resolve(&RawRequest::from_value(object.clone())) {
        Ok(request) => {
            // Here it is a rule.
            let doubts = request.warnings.into_iter();
            warnings.extend(doubts.filter(|doubt| !doubt.starts_with(VERSION_FIELD)));
            let ignored = request.overrides.profiling_job.as_ref();
            warnings.extend(
                ignored
                    .into_iter()
                    .flat_map(profiling_job::ignored_overrides)
                    .map(|path| format!("{path}, so that it has no effect")),
            );
        }
        Err(DgdrError::Invalid(findings)) => {
            violations.extend(findings.as_slice().iter().map(violation));
        }
        // A value tree has no syntax that could be wrong.
        Err(other) => violations.push(Violation {
            field: "spec".to_owned(),
            kind: ViolationKind::Forbidden,
            detail: other.to_string(),
        }),
    }
    // Stable: what is not upstream's keeps its order behind.
    violations.sort_by_key(|violation| {
        let upstream = ["spec.hardware", "spec.searchStrategy", VERSION_FIELD];
        upstream
            .iter()
            .position(|field| *field == violation.field)
            .unwrap_or(upstream.len())
    });
    warnings.extend(deprecated_targets(&spec["overrides"]["dgd"]));
    (violations, warnings)
}

fn discovery(spec: &Value, policy: &Policy) -> Option<Violation> {
    let states_gpus = ["gpuSku", "vramMb", "numGpusPerNode"]
        .iter()
        .any(|field| !spec["hardware"][*field].is_null());
    (!policy.discovers_gpus && !states_gpus).then(|| Violation {
        field: "spec.hardware".to_owned(),
        kind: ViolationKind::Required,
        detail: "GPU hardware configuration is required when GPU discovery is disabled".to_owned(),
    })
}

fn version(spec: &Value) -> Option<Violation> {
    let image: ImageReference = spec["image"].as_str()?.parse().ok()?;
    let is_unknown = image.tagged_version().is_none() && spec["runtimeVersionOverride"].is_null();
    is_unknown.then(|| Violation {
        field: VERSION_FIELD.to_owned(),
        kind: ViolationKind::Required,
        detail: "is required when spec.image has no parseable semantic-version tag".to_owned(),
    })
}

fn violation(finding: &Finding) -> Violation {
    let rule = if finding.rule == rules::MEASURED_BACKEND.message {
        "is incompatible with spec.backend \"auto\""
    } else {
        &finding.rule
    };
    let (kind, detail) = match &finding.value {
        Some(value) => (
            ViolationKind::Invalid(value.clone()),
            format!("{rule}; {}", finding.fix),
        ),
        None if rule == "is required" => (ViolationKind::Required, finding.fix.clone()),
        None => (ViolationKind::Forbidden, format!("{rule}; {}", finding.fix)),
    };
    Violation {
        field: finding.path.clone(),
        kind,
        detail,
    }
}

/// Names of components in earlier releases, and what to write today.
const RENAMED: [(&str, &str); 9] = [
    ("VllmWorker", "worker"),
    ("VllmPrefillWorker", "prefill"),
    ("TRTLLMPrefillWorker", "prefill"),
    ("SGLangPrefillWorker", "prefill"),
    ("SglangPrefillWorker", "prefill"),
    ("VllmDecodeWorker", "worker (aggregate) or decode (disaggregated)"),
    (
        "SGLangDecodeWorker",
        "worker (aggregate) or decode (disaggregated)",
    ),
    (
        "SglangDecodeWorker",
        "worker (aggregate) or decode (disaggregated)",
    ),
    ("TRTLLMDecodeWorker", "decode"),
];

fn deprecated_targets(dgd: &Value) -> Vec<String> {
    let components = dgd["spec"]["components"].as_array().into_iter().flatten();
    let services = dgd["spec"]["services"].as_object().into_iter().flatten();
    let named = components
        .filter_map(|component| component["name"].as_str())
        .map(|name| (format!("components[name={name}]"), name));
    let keyed = services.map(|(name, _)| (format!("services.{name}"), name.as_str()));
    let mut warnings: Vec<String> = named
        .chain(keyed)
        .filter_map(|(path, name)| {
            let (_, today) = RENAMED.iter().find(|(old, _)| *old == name)?;
            Some(format!(
                "spec.overrides.dgd.spec.{path}: override target {name:?} is deprecated; use {today}. Legacy-name \
                 translation will be removed in a future release"
            ))
        })
        .collect();
    warnings.sort();
    warnings
}

#[cfg(test)]
mod tests;
