//! Which changes of a spec come too late: as CEL for API servers, and as a function for the admission webhook.
//!
//! Once a request is being profiled its spec is fixed, as upstream's webhook has it. A request that is not deployed unasked
//! may still get its runtime version, which counts when the deployment is created, and in `Ready` may be told to deploy.

use std::fmt;

use serde_json::Value;
#[cfg(feature = "kube")]
use serde_json::json;

use crate::spec::{Choice, Phase};

/// Phases whose spec is fixed.
const FIXED: [Phase; 4] = [Phase::Profiling, Phase::Ready, Phase::Deploying, Phase::Deployed];
/// Fields that may change in `Profiling` and `Ready` while `autoApply` is false.
const DEFERRED: [&str; 1] = ["runtimeVersionOverride"];
/// The field that may in `Ready` be switched on.
const SWITCH: &str = "autoApply";

/// A change that comes too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLate {
    /// Where the request stands.
    pub phase: Phase,
}

impl fmt::Display for TooLate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "updates are forbidden while the resource is in phase \"{}\"; delete and recreate the resource to change its \
             spec",
            self.phase
        )
    }
}

/// Whether an update of a DGDR changes its spec too late.
///
/// # Errors
/// [`TooLate`] where it does.
pub fn check_update(old: &Value, new: &Value) -> Result<(), TooLate> {
    let phase = old["status"]["phase"].as_str().and_then(Phase::from_name);
    let Some(phase) = phase.filter(|phase| FIXED.contains(phase)) else {
        return Ok(());
    };
    let (old, new) = (&old["spec"], &new["spec"]);
    let is_deferred = old[SWITCH] == false;
    let may_change = |field: &str| match phase {
        Phase::Profiling => is_deferred && DEFERRED.contains(&field),
        Phase::Ready => is_deferred && (DEFERRED.contains(&field) || field == SWITCH),
        Phase::Pending | Phase::Deploying | Phase::Deployed | Phase::Failed => false,
    };
    let fields = [old, new]
        .into_iter()
        .filter_map(Value::as_object)
        .flat_map(|spec| spec.keys());
    let changed = fields
        .map(String::as_str)
        .find(|field| old[*field] != new[*field] && !may_change(field));
    changed.map_or(Ok(()), |_| Err(TooLate { phase }))
}

/// The same as an entry of `x-kubernetes-validations` of the whole object, for a spec of these fields.
#[cfg(feature = "kube")]
pub(crate) fn rule<'f>(fields: impl IntoIterator<Item = &'f str>) -> Value {
    let phases = |phases: &[Phase]| {
        let names: Vec<String> = phases.iter().map(|phase| format!("'{phase}'")).collect();
        format!("oldSelf.status.phase in [{}]", names.join(", "))
    };
    let fixed = fields
        .into_iter()
        .filter(|field| *field != SWITCH && !DEFERRED.contains(field))
        .map(|field| {
            format!(
                "(has(self.spec.{field}) ? has(oldSelf.spec.{field}) && self.spec.{field} == oldSelf.spec.{field} : \
                 !has(oldSelf.spec.{field}))"
            )
        })
        .collect::<Vec<_>>()
        .join(" && ");
    let is_off = |object: &str| format!("has({object}.spec.{SWITCH}) && !{object}.spec.{SWITCH}");
    let cel = format!(
        "!has(oldSelf.status) || !has(oldSelf.status.phase) || !({}) || self.spec == oldSelf.spec || ({} && {} && \
         (oldSelf.status.phase == '{}' || ({})) && {fixed})",
        phases(&FIXED),
        phases(&[Phase::Profiling, Phase::Ready]),
        is_off("oldSelf"),
        Phase::Ready,
        is_off("self"),
    );
    json!({
        "rule": cel,
        "reason": "FieldValueForbidden",
        "fieldPath": ".spec",
        "message": "updates are forbidden once profiling has started; delete and recreate the resource to change its spec",
        "messageExpression": "'updates are forbidden while the resource is in phase \"' + oldSelf.status.phase + '\"; \
                              delete and recreate the resource to change its spec'",
    })
}

#[cfg(test)]
mod tests;
