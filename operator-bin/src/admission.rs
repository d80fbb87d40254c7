//! The admission webhook: defaults, rules and versions for clusters whose CRD cannot state them, and upstream's words.
//!
//! Our own CRD states defaults and rules itself, so that the webhook is optional there: it adds the default image, the
//! findings of the parser, and warnings. What is refused, and in which words, is pure; around it stands one HTTPS server.

mod certificates;
mod conversion;
mod defaulting;
mod error;
mod review;
mod validation;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use axum_server::tls_rustls::RustlsConfig;
use dgdr_types::ImageReference;
use serde_json::Value;
use tokio::sync::watch;

pub use certificates::{Certificates, SelfMade};
pub use error::AdmissionError;
pub use validation::{Verdict, Violation, validate_create, validate_update};

use review::{Review, ReviewRequest};

/// Path of the handler that checks; upstream's, as the other two.
pub const VALIDATE_PATH: &str = "/validate-nvidia-com-v1beta1-dynamographdeploymentrequest";
/// Path of the handler that fills defaults.
pub const MUTATE_PATH: &str = "/mutate-nvidia-com-v1beta1-dynamographdeploymentrequest";
/// Path of the handler that converts between versions.
pub const CONVERT_PATH: &str = "/convert";

/// Most bytes of a review: an object of etcd's limit, old and new, with room for the review itself.
const MAX_REVIEW_BYTES: usize = 8 << 20;

/// How long requests in flight may take when the operator stops; API servers wait ten seconds for a webhook.
const GRACE: Duration = Duration::from_secs(10);

/// When to try again to serve.
const RETRY: Duration = Duration::from_secs(10);

/// What the rules depend on.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Image of a request that names none; none leaves it unset.
    pub default_image: Option<ImageReference>,
    /// Whether GPUs are discovered; without it, requests must state them.
    pub discovers_gpus: bool,
}

/// How the webhook is served.
#[derive(Debug, Clone)]
pub struct AdmissionOptions {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where its certificate comes from.
    pub certificates: Certificates,
    /// What its rules depend on.
    pub policy: Policy,
}

/// Serves the webhook until `shutdown` ends; requests in flight are finished first.
///
/// # Errors
/// [`AdmissionError`] where the first certificate cannot be had or the address is taken. Later trouble with certificates
/// is logged and tried again.
pub async fn serve(
    options: AdmissionOptions,
    client: kube::Client,
    shutdown: impl Future<Output = ()>,
) -> Result<(), AdmissionError> {
    let AdmissionOptions {
        address,
        certificates,
        policy,
    } = options;
    let keeper = certificates::Keeper::start(certificates, client).await?;
    let tls = RustlsConfig::from_config(keeper.current());
    let handle = axum_server::Handle::new();
    let server = axum_server::bind_rustls(address, tls.clone())
        .handle(handle.clone())
        .serve(router(policy).into_make_service());
    tracing::info!(%address, "the admission webhook listens");
    let stop = async {
        shutdown.await;
        handle.graceful_shutdown(Some(GRACE));
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        served = server => served.map_err(|source| AdmissionError::Listen { address, source }),
        never = stop => match never {},
        // A certificate that can no longer be renewed is no reason to stop: the present one still serves.
        never = keeper.keep(&tls) => match never {},
    }
}

/// Serves the webhook until it is told to stop, and again where it could not be served: the controller works without it,
/// and nothing else would bring it back.
pub async fn keep_serving(options: AdmissionOptions, client: kube::Client, stop: watch::Receiver<bool>) {
    loop {
        let mut stopped = stop.clone();
        let shutdown = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let Err(error) = serve(options.clone(), client.clone(), shutdown).await else {
            return;
        };
        tracing::error!(%error, "the admission webhook is not served; trying again");
        let mut stopped = stop.clone();
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

/// The handlers.
pub fn router(policy: Policy) -> Router {
    Router::new()
        .route(VALIDATE_PATH, post(validate))
        .route(MUTATE_PATH, post(mutate))
        .route(CONVERT_PATH, post(convert))
        .layer(DefaultBodyLimit::max(MAX_REVIEW_BYTES))
        .with_state(Arc::new(policy))
}

type Answer = Result<Json<Review>, (StatusCode, String)>;

async fn validate(State(policy): State<Arc<Policy>>, Json(review): Json<Review>) -> Answer {
    answer(review, |request| review::validate(request, &policy))
}

async fn mutate(State(policy): State<Arc<Policy>>, Json(review): Json<Review>) -> Answer {
    answer(review, |request| review::mutate(request, &policy))
}

fn answer(review: Review, decide: impl FnOnce(&ReviewRequest) -> review::ReviewResponse) -> Answer {
    review.answered(decide).map(Json).ok_or_else(|| {
        (
            StatusCode::BAD_REQUEST,
            "the AdmissionReview holds no request".to_owned(),
        )
    })
}

async fn convert(Json(review): Json<Value>) -> Result<Json<Value>, (StatusCode, String)> {
    conversion::answer(review)
        .map(Json)
        .map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

#[cfg(test)]
mod tests;
