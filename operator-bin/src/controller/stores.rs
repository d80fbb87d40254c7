//! What the cluster holds, kept current by watches: nothing is polled.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use dgdr_types::contract::{GROUP, label};
use dgdr_types::dgd::{self, DgdVersion};
use futures::{Stream, StreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Node, PersistentVolumeClaim, Pod};
use kube::api::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::runtime::reflector::{self, ObjectRef, Store, store::Writer};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch as signal;
use tracing::{debug, info, warn};

use super::request::Request;
use super::slim;
use super::touch::{Touched, Toucher};

/// How long until it is asked again whether the deployment's CRD is installed.
const INSTALL_CHECK: Duration = Duration::from_secs(10);
/// How long until it is asked again after no answer.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Which namespaces are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// All of them.
    Cluster,
    /// One.
    Namespace(String),
}

impl Scope {
    /// The objects of a kind in this scope.
    pub(super) fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        match self {
            Self::Cluster => Api::all(client.clone()),
            Self::Namespace(namespace) => Api::namespaced(client.clone(), namespace),
        }
    }

    /// The objects of a kind that is known only at run time.
    pub(super) fn dynamic_api(&self, client: &Client, resource: &ApiResource) -> Api<DynamicObject> {
        match self {
            Self::Cluster => Api::all_with(client.clone(), resource),
            Self::Namespace(namespace) => Api::namespaced_with(client.clone(), namespace, resource),
        }
    }
}

/// The kind of deployments as the cluster serves it, with what there is of it.
#[derive(Debug, Clone)]
pub(super) struct Graphs {
    /// How its objects are addressed.
    pub resource: ApiResource,
    /// The newest version that both sides know.
    pub version: DgdVersion,
    store: Store<DynamicObject>,
}

impl Graphs {
    /// The deployment of a name.
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Arc<DynamicObject>> {
        let key = ObjectRef::new_with(name, self.resource.clone()).within(namespace);
        self.store.get(&key)
    }
}

/// Everything that is watched.
#[derive(Debug, Clone)]
pub(super) struct Stores {
    /// Requests.
    pub requests: Store<Request>,
    /// Profiling Jobs, without their templates.
    pub jobs: Store<Job>,
    /// Pods, as far as GPUs and troubles go.
    pub pods: Store<Pod>,
    /// ConfigMaps of requests, without their large entries.
    pub config_maps: Store<ConfigMap>,
    /// Names of volume claims.
    pub claims: Store<PartialObjectMeta<PersistentVolumeClaim>>,
    /// Nodes; none where they may not be read.
    pub nodes: Option<Store<Node>>,
    graphs: Arc<RwLock<Option<Graphs>>>,
    /// Whether it is known if the cluster serves deployments.
    has_asked: signal::Receiver<bool>,
}

impl Stores {
    /// Starts all watches. Requests that something happened to come out of the other end.
    pub(super) fn watch(client: &Client, scope: &Scope, with_nodes: bool) -> (Self, Touched) {
        let (requests, requests_writer) = reflector::store();
        let (jobs, jobs_writer) = reflector::store();
        let (pods, pods_writer) = reflector::store();
        let (config_maps, config_maps_writer) = reflector::store();
        let (claims, claims_writer) = reflector::store();
        let (nodes, nodes_writer) = reflector::store();
        let graphs = Arc::new(RwLock::new(None));
        let (asked, has_asked) = signal::channel(false);
        let stores = Self {
            requests,
            jobs,
            pods,
            config_maps,
            claims,
            nodes: with_nodes.then_some(nodes),
            graphs,
            has_asked,
        };
        let (toucher, touched) = Toucher::new(stores.clone());
        let all = watch::Config::default;
        let managed = format!("{}={}", label::MANAGED_BY, label::MANAGED_BY_OPERATOR);

        toucher.follow(
            watch(scope.api(client), all()),
            requests_writer,
            Request::slim,
            Toucher::request,
        );
        toucher.follow(
            watch(scope.api(client), all().labels(&managed)),
            jobs_writer,
            slim::job,
            Toucher::owned,
        );
        toucher.follow(
            watch(scope.api(client), all()),
            pods_writer,
            slim::pod,
            Toucher::pod,
        );
        toucher.follow(
            watch(scope.api(client), all().labels(&managed)),
            config_maps_writer,
            slim::config_map,
            Toucher::owned,
        );
        toucher.follow(
            watch(scope.api(client), all()),
            claims_writer,
            slim::claim,
            Toucher::claim,
        );
        if with_nodes {
            toucher.follow(
                watch(Api::all(client.clone()), all()),
                nodes_writer,
                slim::node,
                Toucher::node,
            );
        }
        tokio::spawn(follow_graphs(
            client.clone(),
            scope.clone(),
            stores.clone(),
            (toucher, asked),
        ));
        (stores, touched)
    }

    /// Waits until all that is watched is known.
    pub(super) async fn ready(&self) {
        let first = futures::future::join5(
            self.requests.wait_until_ready(),
            self.jobs.wait_until_ready(),
            self.pods.wait_until_ready(),
            self.config_maps.wait_until_ready(),
            self.claims.wait_until_ready(),
        );
        let _ = first.await;
        if let Some(nodes) = &self.nodes {
            let _ = nodes.wait_until_ready().await;
        }
        // Until the cluster said which deployments it serves, every deployment would look as if it were gone.
        let _ = self.has_asked.clone().wait_for(|asked| *asked).await;
        let graphs = self.graphs();
        if let Some(graphs) = graphs {
            let _ = graphs.store.wait_until_ready().await;
        }
    }

    /// The deployments, where the cluster serves them.
    pub(super) fn graphs(&self) -> Option<Graphs> {
        self.graphs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_graphs(&self, graphs: Option<Graphs>) {
        *self.graphs.write().unwrap_or_else(PoisonError::into_inner) = graphs;
    }
}

impl Toucher {
    /// Keeps a store current until the process ends: objects are made slim before they are kept, and touch requests.
    fn follow<K>(
        &self,
        events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
        writer: Writer<K>,
        slim: fn(&mut K),
        touch: fn(&Self, &K),
    ) where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
    {
        let events = events.default_backoff().modify(slim).reflect(writer);
        let toucher = self.clone();
        tokio::spawn(async move {
            let mut events = std::pin::pin!(events);
            let mut was_listed = false;
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::InitDone) => {
                        // What was deleted while nobody watched is told by no event.
                        if was_listed {
                            toucher.all();
                        }
                        was_listed = true;
                    }
                    Ok(event) => tell(&event, |object| touch(&toucher, object)),
                    Err(error) => debug!(kind = %K::kind(&()), %error, "a watch is opened again"),
                }
            }
        });
    }
}

fn tell<K>(event: &Event<K>, touched: impl Fn(&K)) {
    match event {
        Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) => touched(object),
        Event::Init | Event::InitDone => {}
    }
}

/// Follows deployments in the version that the cluster serves, and begins again where that changes.
async fn follow_graphs(
    client: Client,
    scope: Scope,
    stores: Stores,
    (toucher, asked): (Toucher, signal::Sender<bool>),
) {
    loop {
        let (resource, version) = match served(&client).await {
            Ok(Some(found)) => found,
            Ok(None) => {
                asked.send_replace(true);
                tokio::time::sleep(INSTALL_CHECK).await;
                continue;
            }
            Err(error) => {
                debug!(%error, "it is asked again which deployments are served");
                tokio::time::sleep(ASK_AGAIN).await;
                continue;
            }
        };
        info!(%version, "deployments are watched");
        let (store, writer) = {
            let writer = Writer::new(resource.clone());
            (writer.as_reader(), writer)
        };
        let events = watch(scope.dynamic_api(&client, &resource), watch::Config::default())
            .default_backoff()
            .modify(slim::graph)
            .reflect(writer);
        let graphs = Graphs {
            resource,
            version,
            store: store.clone(),
        };
        stores.set_graphs(Some(graphs));
        asked.send_replace(true);
        until_gone(events, &toucher).await;
        warn!(%version, "the cluster no longer serves deployments in this version");
        stores.set_graphs(None);
    }
}

async fn until_gone(
    events: impl Stream<Item = Result<Event<DynamicObject>, watcher::Error>>,
    toucher: &Toucher,
) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            // Those whose deployment is gone are told by no event.
            Ok(Event::InitDone) => toucher.all(),
            Ok(event) => tell(&event, |graph: &DynamicObject| toucher.graph(&graph.metadata)),
            Err(error) if is_gone(&error) => return,
            Err(error) => debug!(%error, "the watch of deployments is opened again"),
        }
    }
}

fn is_gone(error: &watcher::Error) -> bool {
    let cause = match error {
        watcher::Error::InitialListFailed(cause) | watcher::Error::WatchStartFailed(cause) => cause,
        watcher::Error::WatchError(status) => return status.code == 404,
        watcher::Error::WatchFailed(_) | watcher::Error::NoResourceVersion => return false,
    };
    matches!(cause, kube::Error::Api(status) if status.code == 404)
}

/// The newest version of deployments that the cluster serves and we know; none where it serves none of them.
///
/// # Errors
/// Whatever keeps the API server from saying so: that is no answer.
async fn served(client: &Client) -> Result<Option<(ApiResource, DgdVersion)>, kube::Error> {
    for version in DgdVersion::ALL.into_iter().rev() {
        let list = match client.list_api_group_resources(version.api_version()).await {
            Ok(list) => list,
            Err(kube::Error::Api(status)) if status.code == 404 => continue,
            Err(error) => return Err(error),
        };
        let found = list
            .resources
            .into_iter()
            .find(|resource| resource.kind == dgd::KIND);
        if let Some(found) = found {
            let resource = ApiResource {
                group: GROUP.to_owned(),
                version: version.name().to_owned(),
                api_version: version.api_version().to_owned(),
                kind: dgd::KIND.to_owned(),
                plural: found.name,
            };
            return Ok(Some((resource, version)));
        }
    }
    Ok(None)
}
