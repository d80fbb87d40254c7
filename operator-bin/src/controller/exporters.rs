//! The DCGM exporters, asked at most once a minute however many requests want to know.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::Mutex;
use tracing::debug;

use super::hardware::exporters;
use crate::discovery::dcgm::{self, ScrapedGpus};

/// How long an answer is believed.
const FRESH: Duration = Duration::from_mins(1);
/// How long one exporter may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Exporters that are asked at the same time.
const AT_ONCE: usize = 16;
/// Port of the exporter.
const PORT: u16 = 9400;
/// Most bytes of an answer: a node of 16 GPUs tells some 200 kB.
const MOST: usize = 16 << 20;

/// Answers of the exporters.
#[derive(Debug, Default)]
pub(super) struct Exporters(Mutex<Option<(Instant, Arc<Vec<ScrapedGpus>>)>>);

impl Exporters {
    /// What the exporters among these pods tell. Callers that come while one asks share its answer.
    pub(super) async fn ask(&self, pods: &[Arc<Pod>]) -> Arc<Vec<ScrapedGpus>> {
        let mut known = self.0.lock().await;
        if let Some((since, answer)) = known.as_ref()
            && since.elapsed() < FRESH
        {
            return Arc::clone(answer);
        }
        let client: Client<HttpConnector, Empty<&'static [u8]>> =
            Client::builder(TokioExecutor::new()).build_http();
        let answers = futures::stream::iter(exporters(pods).into_values())
            .map(|address| scrape(&client, address))
            .buffered(AT_ONCE)
            .filter_map(std::future::ready);
        let answer: Arc<Vec<ScrapedGpus>> = Arc::new(answers.collect().await);
        // Exporters that come up late must not be waited for.
        if !answer.is_empty() {
            *known = Some((Instant::now(), Arc::clone(&answer)));
        }
        answer
    }
}

async fn scrape(
    client: &Client<HttpConnector, Empty<&'static [u8]>>,
    address: String,
) -> Option<ScrapedGpus> {
    let url = url(&address);
    let asked = async {
        let uri = url.parse().ok()?;
        let answer = client.get(uri).await.ok()?;
        if !answer.status().is_success() {
            debug!(%url, status = %answer.status(), "an exporter does not answer as it should");
            return None;
        }
        let body = Limited::new(answer.into_body(), MOST).collect().await.ok()?;
        dcgm::parse(&String::from_utf8_lossy(&body.to_bytes()))
    };
    tokio::time::timeout(TIMEOUT, asked).await.ok().flatten()
}

fn url(address: &str) -> String {
    if address.contains(':') {
        format!("http://[{address}]:{PORT}/metrics")
    } else {
        format!("http://{address}:{PORT}/metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::url;

    #[test]
    fn addresses_of_both_kinds_are_asked() {
        assert_eq!(url("10.0.0.1"), "http://10.0.0.1:9400/metrics");
        assert_eq!(url("fd00::1"), "http://[fd00::1]:9400/metrics");
    }
}
