//! Why the webhook cannot be served.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the webhook cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdmissionError {
    /// The address cannot be listened at.
    #[error("the admission webhook cannot be served at {address}: {source}; give another address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file of the certificate cannot be read.
    #[error("{path}: cannot be read: {source}; mount a secret with tls.crt and tls.key there")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Changes of the certificate cannot be watched.
    #[error("{path}: cannot be watched: {source}")]
    Watch {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: notify::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("{place}: holds no usable certificate and key: {problem}")]
    Unusable {
        /// Where they come from.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// A certificate cannot be made.
    #[error("no certificate can be made for {service}: {problem}")]
    Issue {
        /// Name of the service.
        service: String,
        /// What is wrong.
        problem: String,
    },
    /// The API server does not answer or does not allow it.
    #[error("{object}: {source}")]
    Api {
        /// Which object.
        object: String,
        /// What the API server says.
        source: kube::Error,
    },
}
