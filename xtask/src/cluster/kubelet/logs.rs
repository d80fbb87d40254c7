//! What `kubectl logs` asks a kubelet for.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path as UrlPath, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum_server::tls_rustls::RustlsConfig;
use serde::Deserialize;

use super::container::{end_of_log, log_file};
use crate::cluster::certificates;
use crate::cluster::folder::Folder;

/// How often a log that is followed is looked at.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// What may be asked for, in the API server's words.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wishes {
    follow: Option<bool>,
    previous: Option<bool>,
    tail_lines: Option<usize>,
}

/// Serves the logs of all pods of the folder until it is dropped.
pub(super) async fn serve(folder: Folder) -> anyhow::Result<()> {
    // Another part of the process may have chosen the same already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tls = RustlsConfig::from_pem_file(
        folder.certificate(certificates::KUBELET),
        folder.key(certificates::KUBELET),
    )
    .await?;
    let router = Router::new()
        .route("/containerLogs/{namespace}/{pod}/{container}", get(logs))
        .with_state(folder.pods());
    let address = SocketAddr::from(([127, 0, 0, 1], folder.ports().kubelet));
    axum_server::bind_rustls(address, tls)
        .serve(router.into_make_service())
        .await?;
    Ok(())
}

async fn logs(
    State(pods): State<PathBuf>,
    UrlPath((namespace, pod, container)): UrlPath<(String, String, String)>,
    Query(wishes): Query<Wishes>,
) -> Response {
    let back = i32::from(wishes.previous.unwrap_or_default());
    let Some(log) = find(&pods, &format!("{namespace}_{pod}_"), &container, back) else {
        let missing = format!("container \"{container}\" in pod \"{pod}\" is waiting to start");
        return (StatusCode::BAD_REQUEST, missing).into_response();
    };
    let text = fs::read(&log).unwrap_or_default();
    let position = text.len();
    let text = match wishes.tail_lines {
        None => text,
        Some(lines) => last_lines(&text, lines).to_vec(),
    };
    if !wishes.follow.unwrap_or_default() {
        return text.into_response();
    }
    let seen = Followed {
        log,
        position,
        ready: Some(text),
    };
    Body::from_stream(futures::stream::unfold(seen, Followed::more)).into_response()
}

/// The log of the container's last run, or of one before it.
fn find(pods: &Path, prefix: &str, container: &str, back: i32) -> Option<PathBuf> {
    let folder = fs::read_dir(pods)
        .ok()?
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with(prefix))?
        .path();
    let mut runs = 0;
    while log_file(&folder, container, runs).exists() {
        runs += 1;
    }
    let wanted = runs - 1 - back;
    (wanted >= 0).then(|| log_file(&folder, container, wanted))
}

fn last_lines(text: &[u8], lines: usize) -> &[u8] {
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let from = body
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, byte)| **byte == b'\n')
        .nth(lines.saturating_sub(1))
        .map_or(0, |(at, _)| at + 1);
    match lines {
        0 => &[],
        _ => text.get(from..).unwrap_or_default(),
    }
}

/// A log of which more may come.
struct Followed {
    log: PathBuf,
    position: usize,
    ready: Option<Vec<u8>>,
}

impl Followed {
    /// What was written since, as soon as there is something; none at its end.
    async fn more(mut self) -> Option<(std::io::Result<Vec<u8>>, Self)> {
        if let Some(text) = self.ready.take().filter(|text| !text.is_empty()) {
            return Some((Ok(text), self));
        }
        loop {
            // Looked for first: what is written before the end is read after it.
            let over = end_of_log(&self.log).exists() || !self.log.exists();
            match read_from(&self.log, self.position) {
                Ok(text) if text.is_empty() && over => return None,
                Ok(text) if text.is_empty() => tokio::time::sleep(BETWEEN_LOOKS).await,
                Ok(text) => {
                    self.position += text.len();
                    return Some((Ok(text), self));
                }
                Err(_) => return None,
            }
        }
    }
}

fn read_from(path: &Path, position: usize) -> anyhow::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    file.seek(SeekFrom::Start(u64::try_from(position)?))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_whole() {
        let text = b"a\nb\nc\n";
        for (lines, expected) in [
            (0, ""),
            (1, "c\n"),
            (2, "b\nc\n"),
            (3, "a\nb\nc\n"),
            (9, "a\nb\nc\n"),
        ] {
            assert_eq!(last_lines(text, lines), expected.as_bytes(), "{lines}");
        }
        assert_eq!(last_lines(b"a\nb", 1), b"b");
    }
}
