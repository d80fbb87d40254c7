//! The one object that is written.

use std::time::Duration;

use dgdr_types::contract::{FIELD_OWNER, PROFILING_SERVICE_ACCOUNT};
use dgdr_types::names::{DgdrName, output_config_map_name};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};

use super::Arguments;
use super::error::CollectError;
use super::relay::{Entries, Failure};
use crate::collection::config_map;
use crate::owner::Owner;

/// How long a write may take before it is tried again.
const PATIENCE: Duration = Duration::from_secs(15);

/// A request that the API server did not serve.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Whether it may be tried again.
    pub(super) kind: Failure,
    /// What to tell.
    pub(super) error: CollectError,
}

impl Refusal {
    /// Whether the server said no.
    pub(super) fn is_final(&self) -> bool {
        self.kind == Failure::Refused
    }
}

/// Writes the ConfigMap of one DGDR.
pub(super) struct Writer {
    config_maps: Api<ConfigMap>,
    dgdr: DgdrName,
    namespace: String,
    uid: String,
    generation: Option<i64>,
}

impl Writer {
    /// Writes for the DGDR of these arguments.
    pub(super) fn new(client: Client, arguments: &Arguments) -> Self {
        Self {
            config_maps: Api::namespaced(client, &arguments.namespace),
            dgdr: arguments.dgdr.clone(),
            namespace: arguments.namespace.clone(),
            uid: arguments.uid.clone(),
            generation: arguments.generation,
        }
    }

    /// Makes the ConfigMap hold exactly these entries.
    ///
    /// # Errors
    /// [`Refusal`] when the server did not take it.
    pub(super) async fn apply(&self, entries: &Entries) -> Result<(), Refusal> {
        let owner = Owner {
            dgdr: &self.dgdr,
            namespace: &self.namespace,
            uid: &self.uid,
            generation: self.generation,
        };
        let name = output_config_map_name(&self.dgdr);
        let what = format!("writing ConfigMap {}/{name}", self.namespace);
        let object = config_map(owner, entries.clone());
        let parameters = PatchParams::apply(FIELD_OWNER).force();
        let patch = Patch::Apply(&object);
        let written = self.config_maps.patch(&name, &parameters, &patch);
        match tokio::time::timeout(PATIENCE, written).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(classify(&what, error)),
            Err(_elapsed) => Err(Refusal {
                kind: Failure::Transient(None),
                error: CollectError::Unreachable {
                    what,
                    problem: format!("no answer within {} s", PATIENCE.as_secs()),
                },
            }),
        }
    }
}

/// Whether an error is worth another try, and how it is told.
pub(super) fn classify(what: &str, error: kube::Error) -> Refusal {
    let what = what.to_owned();
    let kube::Error::Api(status) = error else {
        let problem = with_causes(&error);
        return Refusal {
            kind: Failure::Transient(None),
            error: CollectError::Unreachable { what, problem },
        };
    };
    if is_no(status.code) {
        return Refusal {
            kind: Failure::Refused,
            error: CollectError::Refused {
                what,
                code: status.code,
                message: status.message,
                remedy: remedy(status.code),
            },
        };
    }
    let asked = status
        .details
        .as_ref()
        .map_or(0, |details| details.retry_after_seconds);
    Refusal {
        kind: Failure::Transient((asked > 0).then(|| Duration::from_secs(asked.into()))),
        error: CollectError::Unreachable {
            what,
            problem: status.to_string(),
        },
    }
}

/// Whether a status means that the same request will be refused again. 408, 409 and 429 do not.
const fn is_no(code: u16) -> bool {
    matches!(code, 400..=499) && !matches!(code, 408 | 409 | 429)
}

fn remedy(code: u16) -> String {
    match code {
        401 | 403 => format!(
            "the pod's service account ({PROFILING_SERVICE_ACCOUNT} unless overridden) needs the role of profiling Jobs in \
             this namespace"
        ),
        404 => "look whether the namespace and the pod still exist".to_owned(),
        _ => "look for an admission policy that forbids it".to_owned(),
    }
}

/// An error and what it rests on: an HTTP client's own text tells only that something failed.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text
}
