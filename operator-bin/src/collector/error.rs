//! Why results could not be passed on.

use std::path::PathBuf;

/// Why results could not be passed on. The last line of the container's log, and so its termination message.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// Neither a pod's service account nor a kubeconfig.
    #[error(
        "there is no way to the API server: {0}; the pod needs a service account token (or KUBECONFIG names a file)"
    )]
    NoAccess(#[source] kube::config::InferConfigError),
    /// The settings of the way to the API server are wrong.
    #[error("the client of the API server cannot be made: {0}")]
    Client(#[source] kube::Error),
    /// The system does not let signals be caught.
    #[error("signals cannot be caught: {0}")]
    Signals(#[source] std::io::Error),
    /// A part of the collector broke down.
    #[error("a task of the collector broke down: {0}")]
    Task(#[source] tokio::task::JoinError),
    /// The API server says no.
    #[error("{what} was refused ({code}): {message}; {remedy}")]
    Refused {
        /// What was asked.
        what: String,
        /// HTTP status.
        code: u16,
        /// The server's words.
        message: String,
        /// What to do.
        remedy: String,
    },
    /// The API server does not answer, or answers that it cannot.
    #[error("{what} failed: {problem}; is the API server reachable from the pod?")]
    Unreachable {
        /// What was asked.
        what: String,
        /// What happened.
        problem: String,
    },
    /// A file is there and cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The pod was stopped before the profiler gave its verdict.
    #[error("stopped before the profiler's verdict was passed on")]
    Interrupted,
}
