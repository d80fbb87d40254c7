//! When the pod began, and how its profiler ended.
//!
//! A watch of the one pod. Where the service account may not watch (upstream's own role allows it to get only), the pod
//! is asked for every two seconds.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use kube::api::{WatchEvent, WatchParams};
use kube::{Api, Client};
use tokio::sync::watch;

use super::error::CollectError;
use super::writer::{Refusal, classify};
use crate::collection::Ended;
use crate::profiling_job::PROFILER;

/// How long a watch lasts; it says first how things are, so that a new one misses nothing.
const WATCH_SECONDS: u32 = 60;
/// After this silence a connection is taken for dead.
pub(super) const SILENCE: Duration = Duration::from_secs(75);
/// Between two questions where watching is refused, and after a fault.
const PAUSE: Duration = Duration::from_secs(2);
/// How long a refusal is borne: the role may come after the Job.
const REFUSED: Duration = Duration::from_mins(1);

/// What is known of the pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sight {
    /// When it began.
    pub(super) started: Option<Timestamp>,
    /// How the profiler ended; none while it runs.
    pub(super) ended: Option<Ended>,
}

impl Sight {
    fn of(pod: &Pod) -> Self {
        let status = pod.status.as_ref();
        let started = status
            .and_then(|status| status.start_time.as_ref())
            .or(pod.metadata.creation_timestamp.as_ref())
            .map(|time| time.0);
        let ended = status
            .and_then(|status| status.container_statuses.as_ref())
            .into_iter()
            .flatten()
            .filter(|container| container.name == PROFILER)
            .find_map(|container| container.state.as_ref()?.terminated.as_ref());
        Self {
            started,
            ended: ended.map(Ended::of),
        }
    }
}

impl Ended {
    fn of(state: &ContainerStateTerminated) -> Self {
        let ContainerStateTerminated {
            exit_code,
            reason,
            message,
            container_id: _,
            finished_at: _,
            signal: _,
            started_at: _,
        } = state;
        Self {
            exit_code: *exit_code,
            reason: reason.clone(),
            message: message.clone(),
        }
    }
}

/// Tells `sender` of every change of the pod.
///
/// # Errors
/// [`CollectError::Refused`] when the pod may not be read.
pub(super) async fn follow(
    client: Client,
    namespace: String,
    name: String,
    sender: watch::Sender<Sight>,
) -> Result<Infallible, CollectError> {
    let pods: Api<Pod> = Api::namespaced(client, &namespace);
    let what = format!("reading pod {namespace}/{name}");
    let mut refused_since = None;
    loop {
        let watched = watch_once(&pods, &name, &sender).await;
        let asked = match watched {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::debug!(%error, "the pod is not watched");
                pods.get(&name).await.map(|pod| publish(&sender, &pod))
            }
        };
        match asked.map_err(|error| classify(&what, error)) {
            Ok(()) => refused_since = None,
            Err(refusal) => {
                tracing::warn!(error = %refusal.error, "the pod could not be read");
                bear(refusal, &mut refused_since)?;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Watches until the server ends it.
async fn watch_once(pods: &Api<Pod>, name: &str, sender: &watch::Sender<Sight>) -> Result<(), kube::Error> {
    let parameters = WatchParams::default()
        .fields(&format!("metadata.name={name}"))
        // With bookmarks the server takes this for a streaming list, which needs an etcd of 3.5 or newer.
        .disable_bookmarks()
        .timeout(WATCH_SECONDS);
    // From version 0 on, the server says first how the pod is.
    let mut events = Box::pin(pods.watch(&parameters, "0").await?);
    while let Some(event) = events.try_next().await? {
        match event {
            WatchEvent::Added(pod) | WatchEvent::Modified(pod) => publish(sender, &pod),
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
            WatchEvent::Deleted(_) | WatchEvent::Bookmark(_) => {}
        }
    }
    Ok(())
}

fn publish(sender: &watch::Sender<Sight>, pod: &Pod) {
    let sight = Sight::of(pod);
    sender.send_if_modified(|known| {
        let is_news = *known != sight;
        *known = sight;
        is_news
    });
}

fn bear(refusal: Refusal, since: &mut Option<Instant>) -> Result<(), CollectError> {
    if !refusal.is_final() {
        *since = None;
        return Ok(());
    }
    let first = *since.get_or_insert_with(Instant::now);
    if first.elapsed() < REFUSED {
        Ok(())
    } else {
        Err(refusal.error)
    }
}
