//! What stands around the spec: apiVersion, kind and metadata.

use serde_json::{Map, Value};

use super::reader::{Fault, Report, read_field, shown};
use crate::contract::{API_VERSION, KIND, rules};
use crate::finding::nearest;
use crate::names::DgdrName;
use crate::spec::DgdrSpec;

/// A DGDR with its faulty fields left out.
#[derive(Default)]
pub(super) struct Envelope {
    pub(super) name: Option<DgdrName>,
    pub(super) namespace: Option<String>,
    pub(super) spec: DgdrSpec,
}

const TOP: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

/// Reads a whole DGDR; every fault goes into the report.
pub(super) fn read(document: &Value, report: &mut Report<'_>) -> Envelope {
    let Some(fields) = document.as_object() else {
        let fault = Fault::new(
            "a request must be an object",
            "give a DynamoGraphDeploymentRequest or its spec, with at least `model`",
        );
        report.fault("the request", Some(shown(document)), fault);
        return Envelope::default();
    };
    for key in fields.keys().filter(|key| !TOP.contains(&key.as_str())) {
        let fix = nearest(key, TOP).map_or_else(
            || "fields of the request belong below `spec`".to_owned(),
            |known| format!("did you mean `{known}`?"),
        );
        report.fault(key, None, Fault::new("unknown field", fix));
    }
    check_type(fields, report);
    let (name, namespace) = read_metadata(fields.get("metadata"), report);
    let spec = match fields.get("spec") {
        // `resolve` says that `spec.model` is missing.
        None | Some(Value::Null) => DgdrSpec::default(),
        Some(spec) if spec.get("v1beta2").is_some() => {
            let fault = Fault::new(
                "a v1beta2 envelope cannot be read",
                "write the request in the fields of nvidia.com/v1beta1",
            );
            report.fault("spec.v1beta2", None, fault);
            DgdrSpec::default()
        }
        given => read_field(given, "spec", report).unwrap_or_default(),
    };
    Envelope {
        name,
        namespace,
        spec,
    }
}

fn check_type(fields: &Map<String, Value>, report: &mut Report<'_>) {
    let api_version: Option<String> = read_field(fields.get("apiVersion"), "apiVersion", report);
    if let Some(given) = api_version.filter(|given| given != API_VERSION) {
        let fault = Fault::new(
            format!("must be {API_VERSION}"),
            "convert the object (the API server does, on `kubectl get dynamographdeploymentrequests.v1beta1.nvidia.com`)",
        );
        report.fault("apiVersion", Some(format!("{given:?}")), fault);
    }
    let kind: Option<String> = read_field(fields.get("kind"), "kind", report);
    if let Some(given) = kind.filter(|given| given != KIND) {
        report.fault(
            "kind",
            Some(format!("{given:?}")),
            Fault::new(format!("must be {KIND}"), "give a request, not another object"),
        );
    }
}

fn read_metadata(metadata: Option<&Value>, report: &mut Report<'_>) -> (Option<DgdrName>, Option<String>) {
    let Some(metadata) = metadata.filter(|metadata| !metadata.is_null()) else {
        return (None, None);
    };
    let Some(fields) = metadata.as_object() else {
        report.fault(
            "metadata",
            Some(shown(metadata)),
            Fault::new("must be an object", "write `name` below it, indented"),
        );
        return (None, None);
    };
    let name: Option<String> = read_field(fields.get("name"), "metadata.name", report);
    let parsed = name.clone().and_then(|name| DgdrName::new(name).ok());
    if let (Some(name), None) = (name, &parsed) {
        let fault = Fault::new(rules::NAME.message, "use a-z, 0-9 and '-', first and last no '-'");
        report.fault("metadata.name", Some(format!("{name:?}")), fault);
    }
    (
        parsed,
        read_field(fields.get("namespace"), "metadata.namespace", report),
    )
}
