//! What the cluster asks of the operator: whether it lives, whether it works, and what it counts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Whether the operator is ready: it knows the cluster, or stands by for the one that leads.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says so.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Writes all metrics.
pub type MetricsText = Arc<dyn Fn() -> Result<String, std::fmt::Error> + Send + Sync>;

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
#[error("{what} cannot be served at {address}: {source}; give another address")]
pub struct ServeError {
    what: &'static str,
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

/// Serves `/healthz` and `/readyz` until it is told to stop.
///
/// # Errors
/// [`ServeError`] where the address is taken.
pub async fn serve_health(
    address: SocketAddr,
    readiness: Readiness,
    stop: watch::Receiver<bool>,
) -> Result<(), ServeError> {
    let router = Router::new()
        .route("/healthz", get(|| std::future::ready("ok")))
        .route("/readyz", get(ready))
        .with_state(readiness);
    serve("health", address, router, stop).await
}

/// Serves `/metrics` until it is told to stop.
///
/// # Errors
/// [`ServeError`] where the address is taken.
pub async fn serve_metrics(
    address: SocketAddr,
    text: MetricsText,
    stop: watch::Receiver<bool>,
) -> Result<(), ServeError> {
    let router = Router::new().route("/metrics", get(metrics)).with_state(text);
    serve("metrics", address, router, stop).await
}

async fn serve(
    what: &'static str,
    address: SocketAddr,
    router: Router,
    mut stop: watch::Receiver<bool>,
) -> Result<(), ServeError> {
    let failed = |source| ServeError {
        what,
        address,
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let stopped = async move {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    axum::serve(listener, router)
        .with_graceful_shutdown(stopped)
        .await
        .map_err(failed)
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    if readiness.get() {
        (StatusCode::OK, "ok")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the cluster's objects are being read",
        )
    }
}

async fn metrics(State(text): State<MetricsText>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match text() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
