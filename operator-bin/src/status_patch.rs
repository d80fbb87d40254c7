//! The one write that brings a DGDR's status up to date: what changed, and nothing else.

use dgdr_types::spec::DgdrStatus;
use serde_json::{Map, Value, json};

/// A JSON merge patch from one status to another, bound to the version of the object that it was decided on; none where
/// nothing changed.
///
/// Fields that are not ours are left alone. What was discovered is written along with other changes only: a CRD of
/// upstream's drops it, and what is dropped must not be written forever.
pub fn status_patch(before: &DgdrStatus, after: &DgdrStatus, resource_version: &str) -> Option<Value> {
    let comparable = |status: &DgdrStatus| DgdrStatus {
        hardware: None,
        ..status.clone()
    };
    if comparable(before) == comparable(after) {
        return None;
    }
    let fields = |status: &DgdrStatus| match serde_json::to_value(status) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => Map::new(),
    };
    let (before, mut after) = (fields(before), fields(after));
    let mut changed = Map::new();
    for name in before.keys() {
        if !after.contains_key(name) {
            changed.insert(name.clone(), Value::Null);
        }
    }
    after.retain(|name, value| before.get(name) != Some(value));
    changed.extend(after);
    Some(json!({"metadata": {"resourceVersion": resource_version}, "status": changed}))
}

#[cfg(test)]
mod tests {
    use dgdr_types::spec::{DgdrStatus, DiscoveredHardware, Phase, ProfilingPhase};
    use serde_json::json;

    use super::status_patch;

    #[test]
    fn only_what_changed_is_written() {
        let before = DgdrStatus {
            phase: Some(Phase::Profiling),
            profiling_phase: Some(ProfilingPhase::SweepingDecode),
            profiling_job_name: Some("profile-m".to_owned()),
            ..DgdrStatus::default()
        };
        let after = DgdrStatus {
            phase: Some(Phase::Deploying),
            profiling_phase: None,
            dgd_name: Some("m-dgd".to_owned()),
            ..before.clone()
        };
        assert_eq!(
            status_patch(&before, &after, "7"),
            Some(json!({
                "metadata": {"resourceVersion": "7"},
                "status": {"phase": "Deploying", "profilingPhase": null, "dgdName": "m-dgd"},
            }))
        );
        assert_eq!(status_patch(&after, &after, "8"), None);
    }

    #[test]
    fn what_a_cluster_drops_is_not_written_forever() {
        let before = DgdrStatus::default();
        let after = DgdrStatus {
            hardware: Some(DiscoveredHardware::default()),
            ..DgdrStatus::default()
        };
        assert_eq!(status_patch(&before, &after, "7"), None);
    }
}
