//! HTTP before an engine.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Json, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use axum::{Router, body::Bytes};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::engine::{Engine, Served};
use crate::error::MockError;
use crate::faults::{Fate, Faults};
use crate::metrics::{self, Counters};
use crate::openai::{self, Asked, Kind, Writer};

mod stream;

use stream::Answer;

/// What an engine is known as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name of the model.
    pub model: String,
    /// Longest context that it takes, tokens.
    pub context_length: u32,
}

/// An engine with HTTP before it.
#[derive(Debug)]
pub struct Server {
    engine: Engine,
    identity: Identity,
    faults: Mutex<Faults>,
    started: Instant,
    requests: AtomicU64,
    counters: Counters,
    is_profiled: AtomicBool,
    on_out_of_memory: fn(),
}

impl Server {
    /// Puts HTTP before an engine; `on_out_of_memory` is called when the fault of that name is due, and should end the
    /// process.
    pub fn new(engine: Engine, identity: Identity, faults: Faults, on_out_of_memory: fn()) -> Self {
        Self {
            engine,
            identity,
            faults: Mutex::new(faults),
            started: Instant::now(),
            requests: AtomicU64::new(0),
            counters: Counters::default(),
            is_profiled: AtomicBool::new(false),
            on_out_of_memory,
        }
    }

    fn faults(&self) -> Faults {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ready(&self) -> bool {
        let slow = Duration::from_secs(self.faults().slow_start_s.unwrap_or(0));
        self.started.elapsed() >= slow
    }
}

/// Serves until the future is dropped.
///
/// # Errors
/// [`MockError::System`] when the socket cannot be used.
pub async fn serve(listener: TcpListener, server: Arc<Server>) -> Result<(), MockError> {
    let listener = listener.tap_io(|stream| {
        // Without it the first tokens would wait for the client's acknowledgement.
        let _unsupported = stream.set_nodelay(true);
    });
    axum::serve(listener, router(server))
        .await
        .map_err(|source| MockError::System {
            what: "serve",
            source,
        })
}

fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/completions", post(completion))
        .route("/v1/models", get(models))
        .route("/health", get(health))
        .route("/metrics", get(prometheus))
        .route("/server_info", get(server_info))
        .route("/get_server_info", get(server_info))
        .route("/start_profile", post(start_profile))
        .route("/stop_profile", post(stop_profile))
        .route("/engine/start_profile", post(start_profile))
        .route("/engine/stop_profile", post(stop_profile))
        .route("/mock/faults", get(tell_faults).post(set_faults))
        .with_state(server)
}

type Shared = State<Arc<Server>>;

async fn chat(State(server): Shared, body: Bytes) -> Response {
    answer(server, Kind::Chat, &body).await
}

async fn completion(State(server): Shared, body: Bytes) -> Response {
    answer(server, Kind::Completion, &body).await
}

async fn answer(server: Arc<Server>, kind: Kind, body: &[u8]) -> Response {
    let number = server.requests.fetch_add(1, Ordering::Relaxed) + 1;
    if !server.is_ready() {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "the engine is starting");
    }
    let asked: Asked = match serde_json::from_slice(body) {
        Ok(asked) => asked,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    if asked
        .model
        .as_ref()
        .is_some_and(|model| *model != server.identity.model)
    {
        return refuse(StatusCode::NOT_FOUND, "the model does not exist");
    }
    let fate = server.faults().fate(number);
    match fate {
        Fate::OutOfMemory => {
            (server.on_out_of_memory)();
            return refuse(StatusCode::INTERNAL_SERVER_ERROR, "CUDA out of memory");
        }
        Fate::Refused => return refuse(StatusCode::INTERNAL_SERVER_ERROR, "internal error"),
        Fate::Stalled => server.engine.stall(true),
        Fate::Served | Fate::Truncated => {}
    }
    let reading = asked.read(server.engine.limits().block_size);
    let output_tokens = asked.output_tokens();
    let is_too_long = reading.tokens.saturating_add(output_tokens) > server.identity.context_length;
    let served = if is_too_long {
        None
    } else {
        server.engine.serve(reading.tokens, reading.blocks, output_tokens)
    };
    let Some(served) = served else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "prompt and answer are longer than the context length or the KV cache",
        );
    };
    server
        .counters
        .prompt_tokens
        .fetch_add(u64::from(reading.tokens), Ordering::Relaxed);
    let writer = Writer::new(kind, &server.identity.model, number, reading.tokens);
    if asked.stream {
        let cut_at = (fate == Fate::Truncated).then_some(output_tokens / 2);
        let answer = Answer::new(server, served, writer, &asked, cut_at);
        let headers = [(header::CONTENT_TYPE, "text/event-stream")];
        (headers, Body::from_stream(answer)).into_response()
    } else {
        whole(&server, served, &writer).await
    }
}

async fn whole(server: &Server, mut served: Served, writer: &Writer) -> Response {
    let (mut tokens, mut cached) = (0, 0);
    while let Some(token) = served.token().await {
        tokens += 1;
        cached = token.cached_tokens;
        server.counters.generated_tokens.fetch_add(1, Ordering::Relaxed);
    }
    server.counters.succeeded.fetch_add(1, Ordering::Relaxed);
    Json(writer.whole(tokens, &writer.usage(tokens, cached))).into_response()
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(openai::error(status.as_u16(), message))).into_response()
}

async fn models(State(server): Shared) -> Json<Value> {
    let model = json!({
        "id": server.identity.model,
        "object": "model",
        "created": 0,
        "owned_by": "mock-engine",
        "max_model_len": server.identity.context_length,
    });
    let data = if server.is_ready() {
        vec![model]
    } else {
        Vec::new()
    };
    Json(json!({"object": "list", "data": data}))
}

async fn health(State(server): Shared) -> StatusCode {
    if server.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

async fn prometheus(State(server): Shared) -> Response {
    let engine = &server.engine;
    let text = metrics::text(
        &server.identity.model,
        engine.limits(),
        engine.load(),
        &server.counters,
    );
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

async fn server_info(State(server): Shared) -> Json<Value> {
    let engine = &server.engine;
    Json(metrics::server_info(
        &server.identity.model,
        engine.limits(),
        engine.load(),
    ))
}

async fn start_profile(State(server): Shared) -> Response {
    if server.is_profiled.swap(true, Ordering::Relaxed) {
        return refuse(
            StatusCode::BAD_REQUEST,
            "profiling is already in progress, call stop_profile first",
        );
    }
    "Start profiling.\n".into_response()
}

async fn stop_profile(State(server): Shared) -> Response {
    if !server.is_profiled.swap(false, Ordering::Relaxed) {
        return refuse(
            StatusCode::BAD_REQUEST,
            "profiling is not in progress, call start_profile first",
        );
    }
    "Stop profiling. This will take some time.\n".into_response()
}

async fn tell_faults(State(server): Shared) -> Json<Faults> {
    Json(server.faults())
}

async fn set_faults(State(server): Shared, body: Bytes) -> Response {
    match serde_json::from_slice::<Faults>(&body) {
        Ok(faults) => {
            *server.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
            server.engine.stall(false);
            Json(faults).into_response()
        }
        Err(error) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

/// Binds an address.
///
/// # Errors
/// [`MockError::System`] when it is not free.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, MockError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| MockError::System {
            what: "listen",
            source,
        })
}
