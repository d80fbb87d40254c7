//! The certificate that the webhook shows, and how it is kept valid.

mod files;
mod issued;
mod trust;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::AdmissionError;
use files::Files;
use trust::Shared;

/// Where the webhook's certificate comes from.
#[derive(Debug, Clone)]
pub enum Certificates {
    /// A folder with `tls.crt` and `tls.key`, as a mounted secret of cert-manager, which also tells the API server whom to
    /// trust. It is read again when it changes.
    Directory(PathBuf),
    /// The operator makes its own.
    SelfMade(SelfMade),
}

/// A certificate that the operator makes itself, shares between its replicas in a secret, renews after two thirds of its
/// life, and makes the API server trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfMade {
    /// Namespace of the operator.
    pub namespace: String,
    /// Name of the Service in front of the webhook.
    pub service: String,
    /// Name of the Secret.
    pub secret: String,
    /// Name of the ValidatingWebhookConfiguration and of the MutatingWebhookConfiguration.
    pub configuration: String,
}

/// A certificate chain and its key, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Pair {
    /// What a server shows; `place` says in errors where the pair is from.
    fn server(&self, place: &str) -> Result<Arc<ServerConfig>, AdmissionError> {
        let unusable = |problem: String| AdmissionError::Unusable {
            place: place.to_owned(),
            problem,
        };
        let chain = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| unusable(error.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| unusable(error.to_string()))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| unusable(error.to_string()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Keeps a certificate valid.
pub(super) struct Keeper {
    source: Source,
    current: Arc<ServerConfig>,
}

enum Source {
    Files(Files),
    Shared(Shared),
}

impl Keeper {
    /// Reads or makes the first certificate.
    pub(super) async fn start(
        certificates: Certificates,
        client: kube::Client,
    ) -> Result<Self, AdmissionError> {
        let (source, current) = match certificates {
            Certificates::Directory(folder) => {
                let files = Files::watch(folder)?;
                let current = files.read()?;
                (Source::Files(files), current)
            }
            Certificates::SelfMade(names) => {
                let shared = Shared::new(names, client);
                let current = shared.settle().await?.server;
                (Source::Shared(shared), current)
            }
        };
        Ok(Self { source, current })
    }

    /// What the server shows at first.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current)
    }

    /// Replaces what the server shows whenever it changes.
    pub(super) async fn keep(self, tls: &RustlsConfig) -> Infallible {
        match self.source {
            Source::Files(files) => files.keep(tls).await,
            Source::Shared(shared) => shared.keep(tls).await,
        }
    }
}

#[cfg(test)]
mod tests;
