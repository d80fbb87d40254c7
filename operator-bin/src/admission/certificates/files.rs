//! A certificate in a folder that somebody else keeps valid.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum_server::tls_rustls::RustlsConfig;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use rustls::ServerConfig;
use tokio::sync::Notify;

use super::Pair;
use crate::admission::error::AdmissionError;

/// A watched folder.
pub(super) struct Files {
    folder: PathBuf,
    changed: Arc<Notify>,
    /// Watches until it is dropped.
    _watcher: RecommendedWatcher,
}

impl Files {
    pub(super) fn watch(folder: PathBuf) -> Result<Self, AdmissionError> {
        let failed = |source| AdmissionError::Watch {
            path: folder.clone(),
            source,
        };
        let changed = Arc::new(Notify::new());
        let tell = Arc::clone(&changed);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading is no change; it would be told of what it does itself.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                tell.notify_one();
            }
        })
        .map_err(failed)?;
        watcher
            .watch(&folder, RecursiveMode::NonRecursive)
            .map_err(failed)?;
        Ok(Self {
            folder,
            changed,
            _watcher: watcher,
        })
    }

    pub(super) fn read(&self) -> Result<Arc<ServerConfig>, AdmissionError> {
        let pair = Pair {
            certificate: read(&self.folder.join("tls.crt"))?,
            key: read(&self.folder.join("tls.key"))?,
        };
        pair.server(&self.folder.display().to_string())
    }

    /// A secret is mounted by exchanging one link; what is read half changed does not fit together, and a further event
    /// follows.
    pub(super) async fn keep(self, tls: &RustlsConfig) -> Infallible {
        loop {
            self.changed.notified().await;
            match self.read() {
                Ok(server) => {
                    tls.reload_from_config(server);
                    tracing::info!(folder = %self.folder.display(), "the webhook's certificate was read again");
                }
                Err(error) => tracing::warn!(%error, "the webhook keeps its certificate"),
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, AdmissionError> {
    std::fs::read(path).map_err(|source| AdmissionError::File {
        path: path.to_owned(),
        source,
    })
}
