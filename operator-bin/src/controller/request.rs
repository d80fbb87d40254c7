//! A DGDR as the controller keeps it: read leniently, and without what it does not need.

use std::borrow::Cow;

use dgdr_types::contract::{API_VERSION, GROUP, KIND, PLURAL, VERSION};
use dgdr_types::names::{DgdrName, dgd_name};
use dgdr_types::spec::DgdrStatus;
use dgdr_types::{DgdrError, RawRequest, ResolvedRequest, resolve};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;
use serde_json::{Value, json};

/// A DGDR, with spec and status as the API server has them: a field that this operator does not know must not keep it from
/// watching all others.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Request {
    /// Metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Spec.
    #[serde(default)]
    pub spec: Value,
    /// Status.
    #[serde(default)]
    pub status: Value,
}

impl Resource for Request {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// What is kept in place of a generated deployment: that there is one.
const PLACEHOLDER: &str = "{}";

impl Request {
    /// Drops what is large and never looked at; thousands of requests fit in memory so.
    pub(super) fn slim(&mut self) {
        self.metadata.managed_fields = None;
        if let Some(annotations) = &mut self.metadata.annotations {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
        if let Some(selected) = self.status.pointer_mut("/profilingResults/selectedConfig") {
            *selected = serde_json::from_str(PLACEHOLDER).unwrap_or_default();
        }
    }

    /// Its name, as far as the API server allows others than we do.
    pub(super) fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// Its namespace.
    pub(super) fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// Its UID.
    pub(super) fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// Generation of its spec.
    pub(super) fn generation(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }

    /// Version of the whole object, as a number: API servers count upwards.
    pub(super) fn resource_version(&self) -> u64 {
        let version = self.metadata.resource_version.as_deref();
        version
            .and_then(|version| version.parse().ok())
            .unwrap_or_default()
    }

    /// Whether it is being deleted.
    pub(super) const fn is_going(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Whether another API version's content travels in it, which only that version's controller understands.
    pub(super) fn is_envelope(&self) -> bool {
        self.spec
            .get("v1beta2")
            .is_some_and(|envelope| !envelope.is_null())
    }

    /// Its status.
    ///
    /// # Errors
    /// A status that nobody but another program can have written.
    pub(super) fn status(&self) -> Result<DgdrStatus, serde_json::Error> {
        if self.status.is_null() {
            return Ok(DgdrStatus::default());
        }
        DgdrStatus::deserialize(&self.status)
    }

    /// The request, checked.
    ///
    /// # Errors
    /// All faults of the spec.
    pub(super) fn resolved(&self) -> Result<ResolvedRequest, DgdrError> {
        resolve(&RawRequest::from_value(json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": self.name(), "namespace": self.namespace()},
            "spec": self.spec,
        })))
    }

    /// Name of its deployment: the user's, else one of its own.
    pub(super) fn deployment_name(&self, dgdr: &DgdrName) -> String {
        let given = self
            .spec
            .pointer("/overrides/dgd/metadata/name")
            .and_then(Value::as_str);
        given
            .filter(|name| !name.is_empty())
            .map_or_else(|| dgd_name(dgdr), str::to_owned)
    }

    /// Whether its result is deployed unasked.
    pub(super) fn auto_apply(&self) -> bool {
        self.spec.get("autoApply").and_then(Value::as_bool) != Some(false)
    }

    /// How events and logs speak of it.
    pub(super) fn reference(&self) -> ObjectReference {
        self.object_ref(&())
    }
}

#[cfg(test)]
mod tests {
    use dgdr_types::names::DgdrName;
    use serde_json::json;

    use super::Request;

    fn request(spec: &serde_json::Value, status: &serde_json::Value) -> Request {
        serde_json::from_value(json!({
            "metadata": {"name": "m", "namespace": "n", "resourceVersion": "12"},
            "spec": spec, "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn what_is_large_is_dropped_and_remembered_as_present() {
        let mut kept = request(
            &json!({}),
            &json!({"phase": "Ready", "profilingResults": {"selectedConfig": {"kind": "DynamoGraphDeployment"}}}),
        );
        kept.slim();
        let results = kept.status().unwrap().profiling_results.unwrap();
        assert_eq!(results.selected_config, Some(serde_json::Map::new()));
        assert_eq!(kept.resource_version(), 12);
    }

    #[test]
    fn fields_of_other_versions_are_read_over() {
        let foreign = request(&json!({"v1beta2": {"modelRef": {}}}), &json!({"v1beta2": {}}));
        assert!(foreign.is_envelope());
        assert!(foreign.status().unwrap().phase.is_none());
        assert!(request(&json!({}), &json!({"phase": "Lost"})).status().is_err());
    }

    #[test]
    fn a_deployment_is_named_by_the_user_where_it_is() {
        let name = DgdrName::new("m").unwrap();
        let named = |dgd: serde_json::Value| {
            request(&json!({"overrides": {"dgd": dgd}}), &json!(null)).deployment_name(&name)
        };
        assert_eq!(named(json!({"metadata": {"name": "mine"}})), "mine");
        assert_eq!(named(json!({"metadata": {"name": ""}})), "m-dgd");
        assert_eq!(named(json!({"metadata": 3})), "m-dgd");
        assert_eq!(named(json!({})), "m-dgd");
        assert_eq!(named(json!("malformed")), "m-dgd");
    }
}
