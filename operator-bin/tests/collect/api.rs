//! As much of an API server as the collector speaks to, with faults on request.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch};
use futures::stream;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::PATIENCE;

/// How a write is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    /// With this status.
    Status(u16),
    /// With half an answer and a closed connection.
    Reset,
}

/// What may be done with the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Watched.
    Watch,
    /// Watched, in streams that break in the middle of an event.
    HalfWatch,
    /// Only read.
    GetOnly,
}

/// A ConfigMap that was written.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) query: String,
    pub(crate) object: Value,
}

impl Write {
    pub(crate) fn message(&self) -> String {
        self.object["data"]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

struct Shared {
    access: Mutex<Access>,
    answers: Mutex<VecDeque<Answer>>,
    writes: watch::Sender<Vec<Write>>,
    pod: watch::Sender<Value>,
    watches: watch::Sender<usize>,
}

/// The server; it ends with its runtime.
pub(crate) struct Api {
    shared: Arc<Shared>,
    address: SocketAddr,
    runtime: Runtime,
}

impl Api {
    pub(crate) fn start() -> Self {
        let api = Self::absent();
        api.come();
        api
    }

    /// An address where nobody listens yet.
    pub(crate) fn absent() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let shared = Shared {
            access: Mutex::new(Access::Watch),
            answers: Mutex::default(),
            writes: watch::Sender::default(),
            pod: watch::Sender::new(pod(None)),
            watches: watch::Sender::new(0),
        };
        Self {
            shared: Arc::new(shared),
            address,
            runtime: Runtime::new().unwrap(),
        }
    }

    pub(crate) fn come(&self) {
        let routes = Router::new()
            .route(
                "/api/v1/namespaces/serving/configmaps/dgdr-output-sla",
                patch(write),
            )
            .route("/api/v1/namespaces/serving/pods", get(watch_pod))
            .route("/api/v1/namespaces/serving/pods/profile-sla-abcde", get(get_pod))
            .with_state(Arc::clone(&self.shared));
        let address = self.address;
        let listener = self
            .runtime
            .block_on(async { tokio::net::TcpListener::bind(address).await.unwrap() });
        self.runtime
            .spawn(async move { axum::serve(listener, routes).await });
    }

    pub(crate) fn kubeconfig(&self) -> String {
        let (cluster, context) = (
            json!({"server": format!("http://{}", self.address)}),
            json!({"cluster": "it", "user": "it"}),
        );
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": cluster}],
            "contexts": [{"name": "it", "context": context}],
            "users": [{"name": "it", "user": {}}],
        })
        .to_string()
    }

    pub(crate) fn access(&self, access: Access) {
        *self.shared.access.lock().unwrap() = access;
    }

    pub(crate) fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.answers.lock().unwrap().extend(answers);
    }

    pub(crate) fn end_profiler(&self, exit_code: i32, reason: &str) {
        let ended = json!({"exitCode": exit_code, "reason": reason});
        self.shared.pod.send_replace(pod(Some(ended)));
    }

    pub(crate) fn writes(&self) -> Vec<Write> {
        self.shared.writes.borrow().clone()
    }

    pub(crate) fn wait_for(&self, wanted: impl Fn(&Write) -> bool) {
        let mut writes = self.shared.writes.subscribe();
        let arrived = writes.wait_for(|writes| writes.iter().any(&wanted));
        let arrived = self
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, arrived).await.is_ok() });
        assert!(arrived, "never written: {:?}", self.writes());
    }

    pub(crate) fn wait_for_watch(&self) {
        let mut watches = self.shared.watches.subscribe();
        self.runtime
            .block_on(async { watches.wait_for(|count| *count > 0).await.map(|_| ()) })
            .unwrap();
    }
}

fn pod(ended: Option<Value>) -> Value {
    let state = ended.map_or_else(|| json!({"running": {}}), |ended| json!({"terminated": ended}));
    let begun = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let container = |name: &str, state: Value| json!({"name": name, "image": "i", "imageID": "i", "ready": true, "restartCount": 0, "state": state});
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "profile-sla-abcde", "namespace": "serving", "resourceVersion": "1"},
        "status": {
            "startTime": begun,
            "containerStatuses": [
                container("output-copier", json!({"running": {}})),
                container("profiler", state),
            ],
        },
    })
}

fn refusal(code: u16) -> Response {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "message": "as the test wants", "reason": "Test",
    });
    let code = StatusCode::from_u16(code).unwrap();
    (
        code,
        [(header::CONTENT_TYPE, "application/json")],
        status.to_string(),
    )
        .into_response()
}

fn broken(half: &'static str) -> Body {
    let chunks = [
        Ok(Bytes::from_static(half.as_bytes())),
        Err(std::io::Error::other("as the test wants")),
    ];
    Body::from_stream(stream::iter(chunks))
}

async fn write(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, body: Bytes) -> Response {
    match shared.answers.lock().unwrap().pop_front() {
        Some(Answer::Status(code)) => return refusal(code),
        Some(Answer::Reset) => return broken("{\"kind\":\"Conf").into_response(),
        None => {}
    }
    // What applies is YAML or JSON; kube sends the latter.
    let object: Value = serde_json::from_slice(&body).unwrap();
    let query = query.unwrap_or_default();
    shared
        .writes
        .send_modify(|writes| writes.push(Write { query, object }));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn get_pod(State(shared): State<Arc<Shared>>) -> Response {
    let pod = shared.pod.borrow().to_string();
    ([(header::CONTENT_TYPE, "application/json")], pod).into_response()
}

async fn watch_pod(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let access = *shared.access.lock().unwrap();
    let query = query.unwrap_or_default();
    assert!(
        query.contains("watch=true"),
        "the pod is watched, never listed: {query}"
    );
    if access == Access::GetOnly {
        return refusal(403);
    }
    if access == Access::HalfWatch {
        *shared.access.lock().unwrap() = Access::Watch;
        return broken("{\"type\":\"ADDED\",\"obj").into_response();
    }
    shared.watches.send_modify(|count| *count += 1);
    let changes = shared.pod.subscribe();
    let events = stream::unfold((changes, "ADDED"), |(mut changes, kind)| async move {
        if kind == "MODIFIED" {
            changes.changed().await.ok()?;
        }
        let object = changes.borrow_and_update().clone();
        let line = format!("{}\n", json!({"type": kind, "object": object}));
        Some((Ok::<_, std::io::Error>(Bytes::from(line)), (changes, "MODIFIED")))
    });
    Body::from_stream(events).into_response()
}
