//! The controller: watches, decides, acts, and writes one status.
//!
//! It holds no state that the API server does not: it may be killed at any line, and goes on where it was.

mod act;
mod api_calls;
mod context;
mod error;
mod exporters;
mod hardware;
mod latest;
mod observe;
mod reconcile;
mod request;
mod slim;
mod stores;
mod touch;

use std::sync::Arc;
use std::time::Duration;

use dgdr_types::contract::FIELD_OWNER;
use dgdr_types::spec::{Choice as _, Phase};
use futures::StreamExt;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::client::ClientBuilder;
use kube::runtime::controller::{Config as WorkConfig, Error as WorkError};
use kube::runtime::events::{Recorder, Reporter};
use kube::{Api, Client, Config};
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use crate::admission::keep_serving;
use crate::inline::Profiler;
use crate::leadership::Candidate;
use crate::metrics::Metrics;
use crate::probes::{MetricsText, Readiness, ServeError, serve_health, serve_metrics};
use crate::settings::{DiscoverySource, Settings};
use api_calls::CountCalls;
use context::{Context, Failures};
use exporters::Exporters;
use latest::Latest;
use reconcile::{again, reconcile};
use stores::{Scope, Stores};

/// Time in which several changes of one request are looked at together.
const DEBOUNCE: Duration = Duration::from_millis(5);
/// Time that looks which are under way get when the operator ends.
const GRACE: Duration = Duration::from_secs(10);

/// Why the controller ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no cluster to talk to.
    #[error("no way to the API server: {0}; run in a pod, or set KUBECONFIG")]
    NoCluster(#[from] kube::config::InferConfigError),
    /// The cluster's certificates or addresses cannot be used.
    #[error("the API server cannot be used: {0}")]
    Client(#[from] kube::Error),
    /// An address is taken.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Another operator leads now.
    #[error("another operator leads, or the lease could not be renewed: this one ends, and is started anew")]
    LostLease,
}

/// Runs until it is told to stop.
///
/// # Errors
/// [`RunError`] where it cannot go on.
pub async fn run(settings: Settings, stop: watch::Receiver<bool>) -> Result<(), RunError> {
    let metrics = Arc::new(Metrics::default());
    let config = Config::infer().await?;
    let client = ClientBuilder::try_from(config)?
        .with_layer(&CountCalls(Arc::clone(&metrics)))
        .build();
    let readiness = Readiness::default();
    let health = serve_health(settings.health_address, readiness.clone(), stop.clone());
    // Every replica answers, whoever leads.
    let admission = settings
        .admission()
        .map(|options| tokio::spawn(keep_serving(options, client.clone(), stop.clone())));
    let work = lead(settings.clone(), client, metrics, (readiness, stop.clone()));
    let mut work = std::pin::pin!(work);
    let mut health = std::pin::pin!(health);
    let ended = tokio::select! {
        ended = &mut work => ended,
        ended = &mut health => {
            ended?;
            work.await
        }
    };
    if let Some(admission) = admission.filter(|_| *stop.borrow()) {
        let _ = tokio::time::timeout(GRACE, admission).await;
    }
    ended
}

/// Watches, and acts while it holds the lease.
async fn lead(
    settings: Settings,
    client: Client,
    metrics: Arc<Metrics>,
    (readiness, stop): (Readiness, watch::Receiver<bool>),
) -> Result<(), RunError> {
    let scope = settings
        .namespace
        .clone()
        .map_or(Scope::Cluster, Scope::Namespace);
    let mut stopping = stop.clone();
    let with_nodes = tokio::select! {
        with_nodes = reads_nodes(&client, &settings) => with_nodes,
        _ = stopping.wait_for(|stop| *stop) => return Ok(()),
    };
    let (stores, touched) = Stores::watch(&client, &scope, with_nodes);
    let context = Arc::new(Context {
        scope,
        latest: Latest::default(),
        recorder: Recorder::new(
            client.clone(),
            Reporter {
                controller: FIELD_OWNER.to_owned(),
                instance: Some(settings.pod_name.clone()),
            },
        ),
        exporters: Exporters::default(),
        metrics: Arc::clone(&metrics),
        failures: Failures::default(),
        backlog: touched.backlog(),
        client: client.clone(),
        stores: stores.clone(),
        profiler: Profiler::new(settings.unknown_models),
        settings,
    });
    let settings = &context.settings;
    let told = serve_metrics(settings.metrics_address, counted(&context), stop.clone());
    let told = tokio::spawn(told);
    let (leads, led) = watch::channel(!settings.leader_election);
    // The lease is held until the last look has ended.
    let (end, ended) = watch::channel(false);
    let campaign = settings.leader_election.then(|| {
        let identity = format!("{}_{}", settings.pod_name, std::process::id());
        let candidate = Candidate::new(client, &settings.pod_namespace, identity);
        tokio::spawn(candidate.campaign(leads, ended))
    });
    let result = act_as_leader(&context, touched, (led, readiness), stop).await;
    end.send_replace(true);
    if let Some(campaign) = campaign {
        let _ = tokio::time::timeout(GRACE, campaign).await;
    }
    told.abort();
    result
}

/// Waits until everything is known and the lease is held, then works until it is told to stop or the lease is lost.
async fn act_as_leader(
    context: &Arc<Context>,
    touched: touch::Touched,
    (mut led, readiness): (watch::Receiver<bool>, Readiness),
    stop: watch::Receiver<bool>,
) -> Result<(), RunError> {
    let mut stopping = stop.clone();
    tokio::select! {
        () = context.stores.ready() => {}
        _ = stopping.wait_for(|stop| *stop) => return Ok(()),
    }
    // A stand-by is ready as well: it could act at once.
    readiness.set(true);
    tokio::select! {
        _ = led.wait_for(|leads| *leads) => {}
        _ = stopping.wait_for(|stop| *stop) => return Ok(()),
    }
    context.metrics.leads(true);
    let out_of_time = async {
        let _ = stopping.wait_for(|stop| *stop).await;
        tokio::time::sleep(GRACE).await;
    };
    let result = tokio::select! {
        () = work(Arc::clone(context), touched, stop) => Ok(()),
        () = out_of_time => Ok(()),
        _ = led.wait_for(|leads| !*leads), if context.settings.leader_election => Err(RunError::LostLease),
    };
    context.metrics.leads(false);
    readiness.set(false);
    result
}

/// Looks at every request that something happened to, several at a time, each by one.
async fn work(context: Arc<Context>, touched: touch::Touched, mut stop: watch::Receiver<bool>) {
    let settings = &context.settings;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        namespace = settings.namespace.as_deref().unwrap_or("all"),
        workers = settings.workers,
        "the operator acts"
    );
    let stopped = async move {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    let queue = touched
        .stream()
        .take_until(stopped)
        .map(Ok::<_, std::convert::Infallible>);
    let config = WorkConfig::default()
        .debounce(DEBOUNCE)
        .concurrency(settings.workers);
    let looks = kube::runtime::applier(
        |request, context| Box::pin(reconcile(request, context)),
        |request, error, context: Arc<Context>| again(&request, error, &context),
        Arc::clone(&context),
        context.stores.requests.clone(),
        queue,
        config,
    );
    looks
        .for_each(|look| {
            match look {
                Ok((request, next)) => debug!(%request, ?next, "looked at"),
                // Deleted while it waited.
                Err(WorkError::ObjectNotFound(gone)) => {
                    context.forget(gone.namespace.as_deref().unwrap_or_default(), &gone.name);
                }
                // Errors of looks have been told with their request.
                Err(error) => debug!(%error, "not looked at"),
            }
            std::future::ready(())
        })
        .await;
}

/// Whether nodes are to be watched: where they may be.
async fn reads_nodes(client: &Client, settings: &Settings) -> bool {
    match settings.gpu_discovery {
        DiscoverySource::Off | DiscoverySource::Dcgm => return false,
        DiscoverySource::Auto | DiscoverySource::Nodes => {}
    }
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let ask = |verb: &str| SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                verb: Some(verb.to_owned()),
                resource: Some("nodes".to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    for verb in ["list", "watch"] {
        loop {
            match reviews.create(&PostParams::default(), &ask(verb)).await {
                Ok(review) if review.status.as_ref().is_some_and(|status| status.allowed) => break,
                Ok(_) => {
                    warn!("nodes may not be read: GPUs are discovered by DCGM exporters only");
                    return false;
                }
                Err(error) => {
                    error!(%error, "the API server does not answer yet");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
    true
}

/// Writes metrics; those that tell of what is watched are counted when somebody asks.
fn counted(context: &Arc<Context>) -> MetricsText {
    let context = Arc::clone(context);
    Arc::new(move || {
        let requests = context.stores.requests.state();
        for phase in Phase::ALL {
            let is_in = |request: &&Arc<request::Request>| {
                let found = request.status.get("phase").and_then(serde_json::Value::as_str);
                match found {
                    Some(found) => found == phase.name(),
                    None => *phase == Phase::Pending,
                }
            };
            context
                .metrics
                .in_phase(phase.name(), requests.iter().filter(is_in).count());
        }
        context.metrics.backlog(context.backlog.count());
        context.metrics.text()
    })
}
