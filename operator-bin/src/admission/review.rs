//! Requests and answers of `admission.k8s.io/v1`.

use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Status, StatusCause, StatusDetails};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use dgdr_types::contract::{GROUP, KIND};

use super::Policy;
use super::defaulting::defaults;
use super::validation::{Verdict, Violation, validate_create, validate_update};

/// An `AdmissionReview`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Review {
    api_version: String,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<ReviewRequest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response: Option<ReviewResponse>,
}

/// What is to be admitted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReviewRequest {
    uid: String,
    operation: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    object: Value,
    #[serde(default)]
    old_object: Value,
}

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReviewResponse {
    uid: String,
    allowed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    patch_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    patch: Option<ByteString>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl Review {
    /// The review with its answer; none where nothing is asked.
    pub(super) fn answered(self, decide: impl FnOnce(&ReviewRequest) -> ReviewResponse) -> Option<Self> {
        let request = self.request?;
        Some(Self {
            response: Some(decide(&request)),
            request: None,
            ..self
        })
    }
}

impl ReviewRequest {
    /// What is being deleted must be let go, whatever it says.
    fn is_being_deleted(&self) -> bool {
        !self.object["metadata"]["deletionTimestamp"].is_null()
    }

    fn allowed(&self) -> ReviewResponse {
        ReviewResponse {
            uid: self.uid.clone(),
            allowed: true,
            status: None,
            patch_type: None,
            patch: None,
            warnings: Vec::new(),
        }
    }
}

/// Checks a request.
pub(super) fn validate(request: &ReviewRequest, policy: &Policy) -> ReviewResponse {
    if request.is_being_deleted() {
        return request.allowed();
    }
    let verdict = match request.operation.as_str() {
        "CREATE" => validate_create(&request.object, policy),
        "UPDATE" => validate_update(&request.old_object, &request.object, policy),
        _ => Verdict::default(),
    };
    let status = (!verdict.violations.is_empty()).then(|| invalid(&request.name, &verdict.violations));
    ReviewResponse {
        allowed: status.is_none(),
        status,
        warnings: verdict.warnings,
        ..request.allowed()
    }
}

/// Fills the defaults of a new request.
pub(super) fn mutate(request: &ReviewRequest, policy: &Policy) -> ReviewResponse {
    if request.operation != "CREATE" || request.is_being_deleted() {
        return request.allowed();
    }
    let patch = defaults(&request.object, policy);
    if patch.is_empty() {
        return request.allowed();
    }
    ReviewResponse {
        patch_type: Some("JSONPatch".to_owned()),
        patch: Some(ByteString(Value::from(patch).to_string().into_bytes())),
        ..request.allowed()
    }
}

/// What API machinery says of an invalid object.
fn invalid(name: &str, violations: &[Violation]) -> Status {
    let texts: Vec<String> = violations.iter().map(ToString::to_string).collect();
    let all = match texts.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    Status {
        status: Some("Failure".to_owned()),
        reason: Some("Invalid".to_owned()),
        code: Some(422),
        message: Some(format!("{KIND}.{GROUP} {name:?} is invalid: {all}")),
        details: Some(StatusDetails {
            name: Some(name.to_owned()),
            group: Some(GROUP.to_owned()),
            kind: Some(KIND.to_owned()),
            causes: Some(violations.iter().map(cause).collect()),
            ..StatusDetails::default()
        }),
        ..Status::default()
    }
}

fn cause(violation: &Violation) -> StatusCause {
    StatusCause {
        field: Some(violation.field.clone()),
        reason: Some(violation.kind.reason().to_owned()),
        message: Some(violation.problem()),
    }
}
