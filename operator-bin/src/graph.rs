//! What a `DynamoGraphDeployment` in the cluster says of itself: whose it is, and how it goes.

use dgdr_types::contract::{annotation, label};
use dgdr_types::dgd::DgdVersion;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value};

use crate::decision::GraphState;

/// How a deployment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// The state that its own controller reports.
    pub state: GraphState,
    /// Replicas that are wanted.
    pub replicas: i32,
    /// Replicas that serve.
    pub available: i32,
}

/// Reads a deployment's status, in either version: a list of components, or services by name.
pub fn health(status: Option<&Value>) -> Health {
    let state = match status
        .and_then(|status| status.get("state"))
        .and_then(Value::as_str)
    {
        Some("successful") => GraphState::Successful,
        Some("failed") => GraphState::Failed,
        Some("pending") => GraphState::Pending,
        // Its controller has not looked at it yet.
        Some(_) | None => GraphState::Initializing,
    };
    let parts = status.and_then(|status| status.get("components").or_else(|| status.get("services")));
    let sum = |field: &str| {
        let parts = parts.and_then(Value::as_object).into_iter().flat_map(Map::values);
        let total: i64 = parts
            .filter_map(|part| part.get(field).and_then(Value::as_i64))
            .sum();
        i32::try_from(total).unwrap_or(i32::MAX)
    };
    Health {
        state,
        replicas: sum("replicas"),
        available: sum("availableReplicas"),
    }
}

/// Whether a stored deployment still has components: a CRD that stores another version without converting drops them.
pub fn has_components(document: &Value, version: DgdVersion) -> bool {
    let components = document
        .get("spec")
        .and_then(|spec| spec.get(version.components_field()));
    match components {
        Some(Value::Array(components)) => !components.is_empty(),
        Some(Value::Object(services)) => !services.is_empty(),
        Some(_) | None => false,
    }
}

/// Whose a deployment is, as a DGDR sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// It was made for this DGDR.
    Ours,
    /// It was made for an earlier DGDR of the same name.
    Earlier,
    /// Somebody applied it by hand; nobody claims it.
    Unclaimed,
    /// It was made for another DGDR, or another controller owns it.
    Another(String),
}

/// The DGDR that asks.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its UID.
    pub uid: &'a str,
}

/// Whose a deployment is.
pub fn ownership(metadata: &ObjectMeta, asker: Asker<'_>) -> Ownership {
    let text = |map: &Option<std::collections::BTreeMap<String, String>>, key: &str| {
        map.as_ref().and_then(|map| map.get(key)).cloned()
    };
    let controller = metadata
        .owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true) && owner.uid != asker.uid);
    if let Some(controller) = controller {
        return Ownership::Another(format!("{} {}", controller.kind, controller.name));
    }
    let Some(name) = text(&metadata.labels, label::DGDR_NAME) else {
        return Ownership::Unclaimed;
    };
    let namespace = text(&metadata.labels, label::DGDR_NAMESPACE).unwrap_or_default();
    if name != asker.name || namespace != asker.namespace {
        return Ownership::Another(format!("DynamoGraphDeploymentRequest {namespace}/{name}"));
    }
    match text(&metadata.annotations, annotation::UID) {
        Some(uid) if uid != asker.uid => Ownership::Earlier,
        // Upstream's operator marks no UID.
        Some(_) | None => Ownership::Ours,
    }
}

/// Whether a document has everything that a manifest asks for: what the API server filled in beside it does not count.
pub fn holds(document: &Value, manifest: &Value) -> bool {
    match (document, manifest) {
        (Value::Object(have), Value::Object(want)) => want
            .iter()
            .all(|(key, value)| have.get(key).is_some_and(|have| holds(have, value))),
        (Value::Array(have), Value::Array(want)) => {
            have.len() == want.len() && have.iter().zip(want).all(|(have, want)| holds(have, want))
        }
        (have, want) => have == want,
    }
}

#[cfg(test)]
mod tests {
    use dgdr_types::contract::{annotation, label};
    use dgdr_types::dgd::DgdVersion;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
    use serde_json::json;

    use super::{Asker, Health, Ownership, has_components, health, holds, ownership};
    use crate::decision::GraphState;

    const ASKER: Asker<'static> = Asker {
        name: "m",
        namespace: "n",
        uid: "u",
    };

    fn marked(name: &str, uid: Option<&str>) -> ObjectMeta {
        let labels = [(label::DGDR_NAME, name), (label::DGDR_NAMESPACE, "n")];
        ObjectMeta {
            labels: Some(
                labels
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
            ),
            annotations: uid.map(|uid| [(annotation::UID.to_owned(), uid.to_owned())].into()),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn a_deployment_belongs_to_whom_it_was_made_for() {
        assert_eq!(ownership(&marked("m", Some("u")), ASKER), Ownership::Ours);
        assert_eq!(ownership(&marked("m", None), ASKER), Ownership::Ours);
        assert_eq!(ownership(&marked("m", Some("old")), ASKER), Ownership::Earlier);
        assert_eq!(ownership(&ObjectMeta::default(), ASKER), Ownership::Unclaimed);
        let of_another = ownership(&marked("other", Some("u")), ASKER);
        assert_eq!(
            of_another,
            Ownership::Another("DynamoGraphDeploymentRequest n/other".to_owned())
        );
        let owned = ObjectMeta {
            owner_references: Some(vec![OwnerReference {
                kind: "Application".to_owned(),
                name: "shop".to_owned(),
                uid: "x".to_owned(),
                controller: Some(true),
                ..OwnerReference::default()
            }]),
            ..marked("m", Some("u"))
        };
        assert_eq!(
            ownership(&owned, ASKER),
            Ownership::Another("Application shop".to_owned())
        );
    }

    #[test]
    fn what_a_cluster_dropped_is_seen() {
        let new = json!({"spec": {"components": [{"name": "a"}]}});
        assert!(has_components(&new, DgdVersion::V1beta1));
        assert!(!has_components(&new, DgdVersion::V1alpha1));
        assert!(has_components(
            &json!({"spec": {"services": {"a": {}}}}),
            DgdVersion::V1alpha1
        ));
        assert!(!has_components(&json!({"spec": {}}), DgdVersion::V1beta1));
    }

    #[test]
    fn both_versions_say_how_they_go() {
        let parts = json!({"a": {"replicas": 2, "availableReplicas": 1}, "b": {"replicas": 1}});
        let expected = Health {
            state: GraphState::Pending,
            replicas: 3,
            available: 1,
        };
        assert_eq!(
            health(Some(&json!({"state": "pending", "components": parts}))),
            expected
        );
        assert_eq!(
            health(Some(&json!({"state": "pending", "services": parts}))),
            expected
        );
        assert_eq!(health(None).state, GraphState::Initializing);
        assert_eq!(
            health(Some(&json!({"state": "failed"}))).state,
            GraphState::Failed
        );
    }

    #[test]
    fn what_was_filled_in_does_not_count() {
        let have = json!({"a": [{"x": 1, "filled": true}], "b": "c"});
        assert!(holds(&have, &json!({"a": [{"x": 1}]})));
        assert!(!holds(&have, &json!({"a": [{"x": 2}]})));
        assert!(!holds(&have, &json!({"a": []})));
        assert!(!holds(&have, &json!({"d": 1})));
    }
}
