//! Why a look at a request did not come to its end; it is looked at again, with waits that grow.

use std::time::Duration;

/// How long one look may take: an API server that hangs must not keep those who look.
pub(super) const LONGEST_LOOK: Duration = Duration::from_mins(1);

/// What may work later.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookError {
    /// The API server cannot be reached, or cannot do it now.
    #[error("{what}: {source}")]
    Api {
        /// What was to be read, written or done.
        what: &'static str,
        /// What went wrong.
        #[source]
        source: Box<kube::Error>,
    },
    /// The cluster does not know deployments yet.
    #[error(
        "the cluster serves no DynamoGraphDeployment in a version that this operator knows: install its CRD; the request \
         goes on by itself then"
    )]
    NoDeploymentKind,
    /// What is to be deployed is no longer there.
    #[error("the generated deployment is no longer in status.profilingResults.selectedConfig")]
    NoManifest,
    /// The API server did not answer in time.
    #[error("no answer from the API server for {} s", LONGEST_LOOK.as_secs())]
    TooSlow,
}

/// An answer of the API server that says what could not be done.
pub(super) fn failed(what: &'static str) -> impl FnOnce(kube::Error) -> LookError {
    move |source| LookError::Api {
        what,
        source: Box::new(source),
    }
}

impl LookError {
    /// A word for metrics.
    pub(super) fn cause(&self) -> &'static str {
        let source = match self {
            Self::Api { source, .. } => source,
            Self::NoDeploymentKind => return "no_deployment_kind",
            Self::NoManifest => return "no_manifest",
            Self::TooSlow => return "too_slow",
        };
        let kube::Error::Api(status) = source.as_ref() else {
            return "unreachable";
        };
        match status.code {
            403 => "forbidden",
            404 => "not_found",
            409 => "conflict",
            429 => "too_many_requests",
            500..=599 => "server_error",
            _ => "refused",
        }
    }

    /// What the API server says of something that it will never take.
    pub(super) fn refusal(&self) -> Option<&str> {
        let Self::Api { source, .. } = self else {
            return None;
        };
        let kube::Error::Api(status) = source.as_ref() else {
            return None;
        };
        matches!(status.code, 413 | 422).then_some(&status.message)
    }
}
