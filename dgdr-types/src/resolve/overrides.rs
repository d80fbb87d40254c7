//! Overrides: free in what they hold, but of the right kind.

use serde_json::Value;

use super::Resolver;
use super::reader::{Fault, shown};
use crate::names::is_dns_label;
use crate::resolved::Overrides;
use crate::spec::{Open, OverridesSpec};

/// What a DGD may be written in; without apiVersion and kind it is read as the first.
const DGD_VERSIONS: [&str; 2] = ["nvidia.com/v1alpha1", "nvidia.com/v1beta1"];
const DGD_KIND: &str = "DynamoGraphDeployment";

impl Resolver<'_> {
    pub(super) fn overrides(&mut self, given: OverridesSpec) -> Overrides {
        let OverridesSpec {
            profiling_job,
            dgd,
            trust_remote_code,
        } = given;
        if let Some(dgd) = &dgd {
            self.check_dgd(dgd);
        }
        Overrides {
            profiling_job,
            dgd,
            trust_remote_code: trust_remote_code.unwrap_or(false),
        }
    }

    /// What upstream finds only once profiling is over.
    fn check_dgd(&mut self, dgd: &Open) {
        let is_text_of =
            |value: &Value, allowed: &[&str]| value.as_str().is_some_and(|text| allowed.contains(&text));
        if let Some(version) = dgd
            .get("apiVersion")
            .filter(|version| !is_text_of(version, &DGD_VERSIONS))
        {
            let fault = Fault::new(
                format!("must be {}", DGD_VERSIONS.join(" or ")),
                "write one of them",
            );
            self.fault("spec.overrides.dgd.apiVersion", Some(shown(version)), fault);
        }
        if let Some(kind) = dgd.get("kind").filter(|kind| !is_text_of(kind, &[DGD_KIND])) {
            let fault = Fault::new(
                format!("must be {DGD_KIND}"),
                "give parts of a DGD, not of another object",
            );
            self.fault("spec.overrides.dgd.kind", Some(shown(kind)), fault);
        }
        if dgd.contains_key("status") {
            let fault = Fault::new("a status cannot be overridden", "remove it");
            self.fault("spec.overrides.dgd.status", None, fault);
        }
        let name = dgd.get("metadata").and_then(|metadata| metadata.get("name"));
        if let Some(name) = name.filter(|name| !name.as_str().is_some_and(is_dns_label)) {
            let fault = Fault::new(
                "must be a DNS label of at most 63 characters",
                "use a-z, 0-9 and '-', first and last no '-'",
            );
            self.fault("spec.overrides.dgd.metadata.name", Some(shown(name)), fault);
        }
    }
}
