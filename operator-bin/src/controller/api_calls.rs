//! Counts what is asked of the API server.

use std::sync::Arc;
use std::task::{Context, Poll};

use axum::http::{Method, Request, Response, Uri};
use futures::FutureExt;
use futures::future::BoxFuture;
use tower::{Layer, Service};

use crate::metrics::{ApiCall, Metrics};

/// Puts a counter before a client.
#[derive(Debug, Clone)]
pub(super) struct CountCalls(pub Arc<Metrics>);

impl<S> Layer<S> for CountCalls {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted {
            inner,
            metrics: Arc::clone(&self.0),
        }
    }
}

/// A client with a counter before it.
#[derive(Debug, Clone)]
pub(super) struct Counted<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

impl<S, A, B> Service<Request<A>> for Counted<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<B>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let verb = verb(request.method(), request.uri());
        let resource = resource(request.uri().path()).to_owned();
        let metrics = Arc::clone(&self.metrics);
        let answered = self.inner.call(request);
        async move {
            let answer = answered.await;
            let code = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
            metrics.called(&ApiCall { verb, resource, code });
            answer
        }
        .boxed()
    }
}

fn verb(method: &Method, uri: &Uri) -> &'static str {
    let is_watch = uri.query().is_some_and(|query| query.contains("watch=true"));
    match *method {
        _ if is_watch => "WATCH",
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "OTHER",
    }
}

/// The plural in a path; what a path is about that names none.
fn resource(path: &str) -> &str {
    let mut parts = path.trim_matches('/').split('/');
    let rest: Vec<&str> = match parts.next() {
        Some("api") => parts.skip(1).collect(),
        Some("apis") => parts.skip(2).collect(),
        _ => return "other",
    };
    match rest.as_slice() {
        ["namespaces", _, resource, ..] | [resource, ..] => resource,
        [] => "discovery",
    }
}

#[cfg(test)]
mod tests {
    use super::resource;

    #[test]
    fn paths_are_counted_by_what_they_are_about() {
        assert_eq!(resource("/api/v1/namespaces/n/pods/p"), "pods");
        assert_eq!(resource("/api/v1/nodes"), "nodes");
        assert_eq!(resource("/apis/batch/v1/namespaces/n/jobs"), "jobs");
        assert_eq!(resource("/apis/nvidia.com/v1beta1"), "discovery");
        assert_eq!(resource("/version"), "other");
        assert_eq!(resource("/api/v1/namespaces/n"), "namespaces");
    }
}
