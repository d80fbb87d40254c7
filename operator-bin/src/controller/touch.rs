//! Which request is to be looked at again when something changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use dgdr_types::contract::{KIND, label};
use dgdr_types::dgd::GPU_RESOURCE;
use futures::Stream;
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::request::Request;
use super::stores::Stores;

/// Label of a deployment's pods: the name of the deployment.
pub(super) const GRAPH_LABEL: &str = "nvidia.com/dynamo-graph-deployment-name";
/// Label of a Job's pods: the name of the Job.
pub(super) const JOB_LABEL: &str = "batch.kubernetes.io/job-name";

/// Requests that something happened to.
#[derive(Debug)]
pub(super) struct Touched {
    receiver: UnboundedReceiver<ObjectRef<Request>>,
    queued: Backlog,
    backlog: Backlog,
}

impl Touched {
    /// Requests that wait to be looked at.
    pub(super) fn backlog(&self) -> Backlog {
        self.backlog.clone()
    }

    /// One after the other. What happens to a request after it was taken up is told again.
    pub(super) fn stream(mut self) -> impl Stream<Item = ObjectRef<Request>> {
        futures::stream::poll_fn(move |context| {
            let taken = self.receiver.poll_recv(context);
            if let Poll::Ready(Some(request)) = &taken {
                let namespace = request.namespace.as_deref().unwrap_or_default();
                self.queued.remove(namespace, &request.name);
            }
            taken
        })
    }
}

/// Requests that wait to be looked at, by namespace and name.
#[derive(Debug, Clone, Default)]
pub(super) struct Backlog(Arc<Mutex<BTreeSet<(String, String)>>>);

impl Backlog {
    /// True where it did not wait already.
    fn add(&self, namespace: &str, name: &str) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert((namespace.to_owned(), name.to_owned()))
    }

    /// A request is being looked at.
    pub(super) fn remove(&self, namespace: &str, name: &str) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// How many wait.
    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Finds the requests that a change concerns.
#[derive(Debug, Clone)]
pub(super) struct Toucher {
    stores: Stores,
    sender: UnboundedSender<ObjectRef<Request>>,
    nodes: Arc<Mutex<BTreeMap<String, Node>>>,
    queued: Backlog,
    backlog: Backlog,
}

impl Toucher {
    pub(super) fn new(stores: Stores) -> (Self, Touched) {
        let (sender, receiver) = unbounded_channel();
        let (queued, backlog) = (Backlog::default(), Backlog::default());
        let touched = Touched {
            receiver,
            queued: queued.clone(),
            backlog: backlog.clone(),
        };
        let toucher = Self {
            stores,
            sender,
            nodes: Arc::default(),
            queued,
            backlog,
        };
        (toucher, touched)
    }

    fn touch(&self, namespace: &str, name: &str) {
        self.backlog.add(namespace, name);
        // Once is enough until it is taken up: a stand-by, which takes up nothing, must not gather changes for days.
        if self.queued.add(namespace, name) {
            // Nobody listens any more only while the process ends.
            let _ = self.sender.send(ObjectRef::new(name).within(namespace));
        }
    }

    pub(super) fn request(&self, request: &Request) {
        self.touch(request.namespace(), request.name());
    }

    /// By its owner.
    pub(super) fn owned<K: Resource<DynamicType = ()>>(&self, object: &K) {
        let metadata = object.meta();
        let owner = metadata
            .owner_references
            .iter()
            .flatten()
            .find(|owner| owner.kind == KIND);
        match (owner, &metadata.namespace) {
            (Some(owner), Some(namespace)) => self.touch(namespace, &owner.name),
            _ => {
                self.labelled(metadata);
            }
        }
    }

    /// By its labels.
    pub(super) fn labelled(&self, metadata: &ObjectMeta) -> bool {
        let labels = metadata.labels.as_ref();
        let label = |key: &str| labels.and_then(|labels| labels.get(key));
        let (Some(name), Some(namespace)) = (label(label::DGDR_NAME), label(label::DGDR_NAMESPACE)) else {
            return false;
        };
        self.touch(namespace, name);
        true
    }

    /// A deployment: by its labels, else by its name, since users apply some by hand.
    pub(super) fn graph(&self, metadata: &ObjectMeta) {
        if self.labelled(metadata) {
            return;
        }
        let (Some(namespace), Some(name)) = (&metadata.namespace, &metadata.name) else {
            return;
        };
        self.named_graph(namespace, name);
    }

    fn named_graph(&self, namespace: &str, name: &str) {
        let wanted = |request: &Request| {
            request.namespace() == namespace
                && request.status.get("dgdName").and_then(serde_json::Value::as_str) == Some(name)
        };
        for request in self.stores.requests.state_filter(wanted) {
            self.request(&request);
        }
    }

    /// A pod: of a Job, of a deployment, or one that holds GPUs that somebody waits for.
    pub(super) fn pod(&self, pod: &Pod) {
        let labels = pod.metadata.labels.as_ref();
        let label = |key: &str| labels.and_then(|labels| labels.get(key));
        let Some(namespace) = pod.metadata.namespace.as_deref() else {
            return;
        };
        // By the owner of its Job: the name of a Job may be a shortened one. One that is not known yet will be told itself.
        let job = label(JOB_LABEL).map(|job| ObjectRef::new(job).within(namespace));
        if let Some(job) = job.and_then(|job| self.stores.jobs.get(&job)) {
            self.owned(&*job);
        }
        if let Some(graph) = label(GRAPH_LABEL) {
            let known = self
                .stores
                .graphs()
                .and_then(|graphs| graphs.get(namespace, graph));
            match known {
                Some(known) => self.graph(&known.metadata),
                None => self.named_graph(namespace, graph),
            }
        }
        if holds_gpus(pod) {
            self.waiting();
        }
    }

    /// A claim that may be waited for.
    pub(super) fn claim(&self, claim: &PartialObjectMeta<PersistentVolumeClaim>) {
        let metadata = &claim.metadata;
        let (Some(namespace), Some(name)) = (&metadata.namespace, &metadata.name) else {
            return;
        };
        let wants = |request: &Request| {
            let wanted = request.spec.pointer("/modelCache/pvcName");
            request.namespace() == namespace && wanted.and_then(serde_json::Value::as_str) == Some(name)
        };
        for request in self.stores.requests.state_filter(wants) {
            self.request(&request);
        }
    }

    /// A node: only where something changed that counts.
    pub(super) fn node(&self, node: &Node) {
        let name = node.metadata.name.clone().unwrap_or_default();
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if nodes.get(&name) == Some(node) {
            return;
        }
        nodes.insert(name, node.clone());
        drop(nodes);
        self.waiting();
    }

    /// All requests: something was missed.
    pub(super) fn all(&self) {
        for request in self.stores.requests.state() {
            self.request(&request);
        }
    }

    /// All requests that may wait for GPUs.
    fn waiting(&self) {
        let waits = |request: &Request| {
            let phase = request.status.get("phase").and_then(serde_json::Value::as_str);
            phase.is_none_or(|phase| phase == "Pending")
        };
        for request in self.stores.requests.state_filter(waits) {
            self.request(&request);
        }
    }
}

fn holds_gpus(pod: &Pod) -> bool {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers
        .filter_map(|container| container.resources.as_ref()?.limits.as_ref())
        .any(|limits| limits.contains_key(GPU_RESOURCE))
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use kube::runtime::reflector::ObjectRef;
    use tokio::sync::mpsc::unbounded_channel;

    use super::{Backlog, Touched};

    #[tokio::test]
    async fn a_request_waits_once_until_it_is_taken_up() {
        let (sender, receiver) = unbounded_channel();
        let touched = Touched {
            receiver,
            queued: Backlog::default(),
            backlog: Backlog::default(),
        };
        let queued = touched.queued.clone();
        let happened = |name: &str| {
            if queued.add("n", name) {
                sender.send(ObjectRef::new(name).within("n")).unwrap();
            }
        };
        let mut stream = std::pin::pin!(touched.stream());
        for name in ["a", "a", "b", "a"] {
            happened(name);
        }
        assert_eq!(queued.count(), 2);
        assert_eq!(stream.next().await.unwrap().name, "a");
        happened("a");
        assert_eq!(stream.next().await.unwrap().name, "b");
        assert_eq!(
            stream.next().await.unwrap().name,
            "a",
            "it happened after it was taken up"
        );
        assert_eq!(queued.count(), 0);
    }
}
