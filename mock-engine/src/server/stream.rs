//! An answer as a stream of events.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use futures::Stream;
use serde_json::{Value, json};

use super::Server;
use crate::core::Token;
use crate::engine::Served;
use crate::openai::{Asked, StreamOptions, Writer};

/// An answer as a stream of events.
pub(super) struct Answer {
    server: Arc<Server>,
    served: Served,
    writer: Writer,
    options: StreamOptions,
    wants_timing: bool,
    tokens: u32,
    first: Duration,
    /// After how many tokens the answer is cut off.
    cut_at: Option<u32>,
    is_done: bool,
}

impl Answer {
    pub(super) fn new(
        server: Arc<Server>,
        served: Served,
        writer: Writer,
        asked: &Asked,
        cut_at: Option<u32>,
    ) -> Self {
        Self {
            server,
            served,
            writer,
            options: asked.stream_options,
            wants_timing: asked.wants_timing(),
            tokens: 0,
            first: Duration::ZERO,
            cut_at,
            is_done: false,
        }
    }

    fn events(&mut self, token: Token) -> Vec<u8> {
        if self.tokens == 0 {
            self.first = token.at;
        }
        let number = self.tokens;
        self.tokens += 1;
        self.server
            .counters
            .generated_tokens
            .fetch_add(1, Ordering::Relaxed);
        let usage = |writer: &Writer, tokens| writer.usage(tokens, token.cached_tokens);
        let running = self
            .options
            .continuous_usage_stats
            .then(|| usage(&self.writer, self.tokens));
        let mut events = self.writer.token(number, running);
        if token.is_last {
            self.is_done = true;
            self.server.counters.succeeded.fetch_add(1, Ordering::Relaxed);
            let sum = self
                .options
                .include_usage
                .then(|| usage(&self.writer, self.tokens));
            let timing = self.wants_timing.then(|| self.timing(token));
            events.extend(self.writer.end(sum, timing));
        }
        events
    }

    /// The engine's own times, by the names of Dynamo's frontend.
    fn timing(&self, last: Token) -> Value {
        let ms = |from: Duration, to: Duration| to.saturating_sub(from).as_secs_f64() * 1000.0;
        let arrived = self.served.arrived();
        json!({
            "prefill_wait_time_ms": ms(arrived, last.started),
            "prefill_time_ms": ms(last.started, self.first),
            "ttft_ms": ms(arrived, self.first),
            "total_time_ms": ms(arrived, last.at),
        })
    }
}

impl Stream for Answer {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        if self.cut_at.is_some_and(|cut| self.tokens >= cut) {
            self.is_done = true;
            let cut = io::Error::new(io::ErrorKind::ConnectionAborted, "cut off, as asked");
            return Poll::Ready(Some(Err(cut)));
        }
        let Some(token) = ready!(self.served.poll_token(context)) else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(Ok(Bytes::from(self.events(token)))))
    }
}
