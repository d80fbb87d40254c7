//! One request, from its first byte to what became of it.

use std::time::{Duration, Instant};

use crate::answer::{self, ServerTiming, Usage};
use crate::connection::{Connection, Dialer, Exchange, ExchangeError};
use crate::sample::{Chunk, CountedBy, Failure, Sample};
use crate::sse::SseParser;
use crate::tokenizer::TokenCounter;

/// A request that is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its place in the plan, from 0.
    pub index: usize,
    /// Tokens of the prompt.
    pub isl: u32,
    /// Tokens of the answer.
    pub osl: u32,
    /// As it goes over the wire.
    pub bytes: Vec<u8>,
}

/// From when times count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Start of the phase.
    pub(crate) epoch: Instant,
    /// When the request was to be sent.
    pub(crate) intended: Instant,
    /// Whether latencies count from there.
    pub(crate) counts_from_intended: bool,
    /// How long an answer may take.
    pub(crate) timeout: Duration,
}

/// Sends a request over a connection, a new one where there is none, and gives the connection back if it still serves.
pub(crate) async fn perform(
    request: &Request,
    timing: Timing,
    mut connection: Option<Connection>,
    (dialer, counter): (&Dialer, Option<&TokenCounter>),
) -> (Sample, Option<Connection>) {
    let mut listener = Listener {
        keeps_text: counter.is_some(),
        ..Listener::default()
    };
    let mut exchange = Exchange::default();
    let mut reused = false;
    let attempt = async {
        loop {
            let mut open = match connection.take() {
                Some(open) => open,
                None => dialer.open().await.map_err(|error| Failure::Connect {
                    problem: error.to_string(),
                })?,
            };
            reused = open.is_used();
            let result = open
                .exchange(&request.bytes, &mut exchange, |at, part| listener.take(at, part))
                .await;
            match result {
                Ok(()) => return Ok(exchange.keeps_alive.then_some(open)),
                // A server may close a connection that was idle while the request was under way: that is no failure.
                Err(_) if reused && exchange.end.is_none() => {}
                Err(error) => return Err(listener.interrupted(&error)),
            }
        }
    };
    let outcome = match tokio::time::timeout(timing.timeout, attempt).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::Timeout {
            seconds: timing.timeout.as_secs(),
        }),
    };
    let (connection, failure) = match outcome {
        Ok(connection) => (connection, listener.failure(exchange.status)),
        Err(failure) => (None, Some(failure)),
    };
    let ms = |at: Instant| milliseconds(timing.epoch, at);
    let now = Instant::now();
    let (chunks, counted_by) = listener.count(timing.epoch, counter);
    let sample = Sample {
        index: request.index,
        isl: request.isl,
        osl: request.osl,
        intended_ms: ms(timing.intended),
        sent_ms: ms(exchange.sent.unwrap_or(now)),
        counts_from_intended: timing.counts_from_intended,
        head_ms: exchange.head.map(ms),
        chunks,
        end_ms: ms(exchange.end.unwrap_or(now)),
        usage: listener.usage,
        server_timing: listener.timing,
        counted_by,
        reused_connection: reused,
        failure,
    };
    (sample, connection)
}

/// Signed milliseconds from one time to another.
fn milliseconds(from: Instant, to: Instant) -> f64 {
    match to.checked_duration_since(from) {
        Some(after) => after.as_secs_f64() * 1000.0,
        None => -from.duration_since(to).as_secs_f64() * 1000.0,
    }
}

/// An event that brought tokens.
#[derive(Debug)]
struct Arrival {
    at: Instant,
    /// Tokens, where the server says how many.
    told: Option<u32>,
    text: String,
}

/// Listens to a body.
#[derive(Debug, Default)]
struct Listener {
    events: SseParser,
    keeps_text: bool,
    arrivals: Vec<Arrival>,
    /// Sum of the tokens that the server told so far.
    running: u32,
    usage: Option<Usage>,
    timing: Option<ServerTiming>,
    is_finished: bool,
    error: Option<String>,
    malformed: Option<String>,
    /// The beginning of the body, for what is no stream.
    beginning: Vec<u8>,
}

/// Enough of a body to show what it is.
const BEGINNING_BYTES: usize = 2048;

impl Listener {
    fn take(&mut self, at: Instant, part: &[u8]) {
        if self.arrivals.is_empty() && self.beginning.len() < BEGINNING_BYTES {
            let more = part.len().min(BEGINNING_BYTES - self.beginning.len());
            self.beginning.extend_from_slice(&part[..more]);
        }
        let mut events = std::mem::take(&mut self.events);
        events.feed(part, |data| self.event(at, data));
        self.events = events;
    }

    fn event(&mut self, at: Instant, data: &[u8]) {
        let event = match answer::parse(data) {
            Ok(Some(event)) => event,
            Ok(None) => {
                self.is_finished = true;
                return;
            }
            Err(problem) => {
                self.malformed.get_or_insert(problem);
                return;
            }
        };
        self.is_finished |= event.finish_reason.is_some();
        self.timing = self.timing.or(event.timing);
        if event.error.is_some() {
            self.error = event.error;
        }
        let ids = u32::try_from(event.token_ids.len()).unwrap_or(u32::MAX);
        let mut told = (ids > 0).then_some(ids);
        if let Some(usage) = event.usage {
            // A running count comes with the tokens that it counts; the sum at the end with none.
            let grown = usage.completion_tokens.saturating_sub(self.running);
            if grown > 0 && (!event.text.is_empty() || ids > 0) {
                told = Some(grown);
            }
            self.usage = Some(usage);
        }
        if !event.text.is_empty() || told.is_some() {
            self.running += told.unwrap_or(0);
            self.arrivals.push(Arrival {
                at,
                told,
                text: if self.keeps_text {
                    event.text.into_owned()
                } else {
                    String::new()
                },
            });
        }
    }

    fn interrupted(&self, error: &ExchangeError) -> Failure {
        Failure::Truncated {
            problem: format!("{error} (after {} events with text)", self.arrivals.len()),
        }
    }

    /// What is wrong with a response that came to its end.
    fn failure(&mut self, status: u16) -> Option<Failure> {
        if status != 200 {
            return Some(Failure::Status {
                status,
                message: answer::complaint(&self.beginning),
            });
        }
        if let Some(message) = self.error.take() {
            return Some(Failure::Stream { message });
        }
        if let Some(problem) = self.malformed.take() {
            return Some(Failure::Malformed { problem });
        }
        if self.arrivals.is_empty() {
            return Some(if self.is_finished {
                Failure::Empty
            } else {
                Failure::Malformed {
                    problem: format!("no event: {}", answer::complaint(&self.beginning)),
                }
            });
        }
        (!self.is_finished).then(|| Failure::Truncated {
            problem: "the stream ended without finish_reason and [DONE]".to_owned(),
        })
    }

    /// Tokens by time of arrival, from the best source that there is.
    fn count(&self, epoch: Instant, counter: Option<&TokenCounter>) -> (Vec<Chunk>, CountedBy) {
        let sum = self
            .usage
            .map(|usage| usage.completion_tokens)
            .filter(|sum| *sum > 0);
        let told = self.arrivals.iter().map(|arrival| arrival.told);
        let counted = || {
            let counter = counter?;
            let each = self
                .arrivals
                .iter()
                .map(|arrival| counter.count(&arrival.text).ok());
            each.collect::<Option<Vec<u32>>>()
        };
        let (counts, counted_by) = if let Some(counts) = told.collect::<Option<Vec<u32>>>() {
            (counts, CountedBy::ServerEach)
        } else if let Some(sum) = sum {
            (spread(sum, self.arrivals.len(), counted), CountedBy::ServerSum)
        } else if let Some(counts) = counted() {
            (counts, CountedBy::Tokenizer)
        } else {
            (vec![1; self.arrivals.len()], CountedBy::Chunks)
        };
        let chunks = self.arrivals.iter().zip(counts).map(|(arrival, tokens)| Chunk {
            at_ms: milliseconds(epoch, arrival.at),
            tokens,
        });
        (chunks.collect(), counted_by)
    }
}

/// Spreads a sum over events: one each where that adds up, as the tokenizer counts where that does, else evenly.
fn spread(sum: u32, events: usize, counted: impl FnOnce() -> Option<Vec<u32>>) -> Vec<u32> {
    if usize::try_from(sum).is_ok_and(|sum| sum == events) {
        return vec![1; events];
    }
    if let Some(counts) = counted().filter(|counts| counts.iter().sum::<u32>() == sum) {
        return counts;
    }
    let sum = u64::from(sum);
    let events = u64::try_from(events).unwrap_or(u64::MAX);
    (0..events)
        .map(|event| (event + 1) * sum / events - event * sum / events)
        .map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX))
        .collect()
}

#[cfg(test)]
mod tests;
