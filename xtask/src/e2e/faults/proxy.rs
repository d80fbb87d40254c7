//! A way to the API server on which things go wrong: refusals, answers that are lost, watches that break off.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum_server::tls_rustls::RustlsConfig;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use serde_json::json;

use crate::cluster::certificates;
use crate::dice::Dice;
use crate::e2e::bench::Bench;

/// What the API server takes at most.
const MOST_BYTES: usize = 8 << 20;
/// How long a watch lives at most, in milliseconds.
const WATCH_LIFE: u32 = 4000;
/// How long a call is held up at most, in milliseconds.
const HOLD: u32 = 200;

/// How often things go wrong, in calls of a hundred.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mishaps {
    /// Refused without being done.
    pub(super) refused: u32,
    /// Done, and the answer lost.
    pub(super) lost: u32,
    /// Held up.
    pub(super) late: u32,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy)]
enum Mishap {
    None,
    Refused(StatusCode),
    /// Done, but the client is told of an error.
    Lost,
    /// Done, but the connection breaks within the answer.
    CutOff,
    Late(Duration),
    /// A watch that ends after this time, well or within an event.
    Ends(Duration, End),
}

#[derive(Debug, Clone, Copy)]
enum End {
    Well,
    Broken,
}

/// A proxy that works until it is dropped.
pub(super) struct Proxy {
    kubeconfig: PathBuf,
    way: Arc<Way>,
    handle: axum_server::Handle<std::net::SocketAddr>,
}

struct Way {
    client: kube::Client,
    mishaps: Mishaps,
    dice: Mutex<Dice>,
    counts: Mutex<BTreeMap<String, u64>>,
}

impl Proxy {
    /// Stands before the API server of the bench, with its certificate.
    pub(super) async fn start(bench: &Bench, mishaps: Mishaps) -> anyhow::Result<Self> {
        // Another part of the process may have chosen the same already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = bench.cluster.folder();
        let mut server = Kubeconfig::read_from(bench.cluster.admin_kubeconfig())?;
        for user in &mut server.auth_infos {
            // Whoever calls says by itself who it is.
            user.auth_info = Some(AuthInfo::default());
        }
        let config = kube::Config::from_custom_kubeconfig(server, &KubeConfigOptions::default()).await?;
        let way = Arc::new(Way {
            client: kube::Client::try_from(config)?,
            mishaps,
            dice: Mutex::new(Dice::new(bench.ground.seed)),
            counts: Mutex::default(),
        });
        let tls = RustlsConfig::from_pem_file(
            folder.certificate(certificates::API_SERVER),
            folder.key(certificates::API_SERVER),
        )
        .await?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let handle = axum_server::Handle::new();
        let router = Router::new().fallback(pass).with_state(Arc::clone(&way));
        let served = axum_server::from_tcp_rustls(listener, tls)?
            .handle(handle.clone())
            .serve(router.into_make_service());
        tokio::spawn(served);
        let mut client = Kubeconfig::read_from(&bench.operator_kubeconfig)?;
        for named in &mut client.clusters {
            let cluster = named.cluster.as_mut().context("a kubeconfig names no cluster")?;
            cluster.server = Some(format!("https://{address}"));
        }
        let kubeconfig = bench
            .folder()
            .join(format!("proxy-{}.kubeconfig", address.port()));
        std::fs::write(&kubeconfig, serde_json::to_vec_pretty(&client)?)?;
        Ok(Self {
            kubeconfig,
            way,
            handle,
        })
    }

    /// How the operator comes through it.
    pub(super) fn kubeconfig(&self) -> &std::path::Path {
        &self.kubeconfig
    }

    /// What has gone wrong so far, and how often.
    pub(super) fn told(&self) -> String {
        let counts = self.way.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (what, count) in counts.iter() {
            let comma = if text.is_empty() { "" } else { ", " };
            // A String takes everything.
            let _ = write!(text, "{comma}{count} {what}");
        }
        text
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

impl Way {
    fn draw(&self, method: &Method, is_watch: bool) -> Mishap {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        let Mishaps { refused, lost, late } = self.mishaps;
        let is_write = !matches!(*method, Method::GET | Method::HEAD);
        let mishap = if dice.percent(refused) {
            let codes: &[StatusCode] = if is_write {
                &[
                    StatusCode::CONFLICT,
                    StatusCode::TOO_MANY_REQUESTS,
                    StatusCode::INTERNAL_SERVER_ERROR,
                    StatusCode::SERVICE_UNAVAILABLE,
                ]
            } else {
                &[
                    StatusCode::TOO_MANY_REQUESTS,
                    StatusCode::INTERNAL_SERVER_ERROR,
                    StatusCode::GATEWAY_TIMEOUT,
                ]
            };
            dice.pick(codes)
                .map_or(Mishap::None, |code| Mishap::Refused(*code))
        } else if is_watch {
            let end = if dice.percent(50) { End::Well } else { End::Broken };
            Mishap::Ends(Duration::from_millis(u64::from(dice.up_to(WATCH_LIFE))), end)
        } else if dice.percent(lost) {
            if dice.percent(50) {
                Mishap::Lost
            } else {
                Mishap::CutOff
            }
        } else if dice.percent(late) {
            Mishap::Late(Duration::from_millis(u64::from(dice.up_to(HOLD))))
        } else {
            Mishap::None
        };
        drop(dice);
        self.count(mishap);
        mishap
    }

    fn count(&self, mishap: Mishap) {
        let what = match mishap {
            Mishap::None => "passed".to_owned(),
            Mishap::Refused(code) => format!("answered {}", code.as_u16()),
            Mishap::Lost | Mishap::CutOff => "done and not told".to_owned(),
            Mishap::Late(_) => "late".to_owned(),
            Mishap::Ends(..) => "watches ended".to_owned(),
        };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(what).or_default() += 1;
    }

    async fn forward(&self, request: Request) -> anyhow::Result<Response> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, MOST_BYTES).await?;
        let request = axum::http::Request::from_parts(parts, kube::client::Body::from(body));
        let answer = self.client.send(request).await?;
        Ok(answer.map(Body::new))
    }
}

async fn pass(State(way): State<Arc<Way>>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let is_watch = query.contains("watch=true");
    let mishap = way.draw(request.method(), is_watch);
    match mishap {
        Mishap::Refused(code) => return refusal(code),
        Mishap::Late(wait) => tokio::time::sleep(wait).await,
        Mishap::None | Mishap::Lost | Mishap::CutOff | Mishap::Ends(..) => {}
    }
    let Ok(answer) = way.forward(request).await else {
        return refusal(StatusCode::BAD_GATEWAY);
    };
    match mishap {
        Mishap::Lost => refusal(StatusCode::INTERNAL_SERVER_ERROR),
        Mishap::CutOff => cut_off(answer),
        Mishap::Ends(after, end) => ended(answer, after, end),
        Mishap::None | Mishap::Refused(_) | Mishap::Late(_) => answer,
    }
}

/// As the API server would say it.
fn refusal(code: StatusCode) -> Response {
    let reason = code.canonical_reason().unwrap_or_default().replace(' ', "");
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "something went wrong on the way",
        "reason": reason,
        "code": code.as_u16(),
    });
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (code, kind, status.to_string()).into_response()
}

fn broken() -> axum::Error {
    axum::Error::new(io::Error::from(io::ErrorKind::ConnectionReset))
}

/// The first half of the first piece, and no more.
fn cut_off(answer: Response) -> Response {
    let (parts, body) = answer.into_parts();
    let first = body
        .into_data_stream()
        .take(1)
        .map_ok(|piece: Bytes| piece.slice(..piece.len() / 2));
    let rest = stream::once(std::future::ready(Err(broken())));
    Response::from_parts(parts, Body::from_stream(first.chain(rest)))
}

fn ended(answer: Response, after: Duration, end: End) -> Response {
    let (parts, body) = answer.into_parts();
    let until = Box::pin(tokio::time::sleep(after));
    let events = body.into_data_stream().take_until(until);
    let rest = match end {
        End::Well => None,
        End::Broken => Some(Err(broken())),
    };
    Response::from_parts(parts, Body::from_stream(events.chain(stream::iter(rest))))
}
