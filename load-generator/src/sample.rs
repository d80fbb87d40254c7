//! What became of one request.

use serde::Serialize;

use crate::answer::{ServerTiming, Usage};

/// Tokens that arrived together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Chunk {
    /// When, ms after the start of the run.
    pub at_ms: f64,
    /// How many.
    pub tokens: u32,
}

/// How the tokens of an answer were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CountedBy {
    /// The server told the numbers or a running count with every chunk.
    ServerEach,
    /// The server told the sum at the end.
    ServerSum,
    /// Our tokenizer counted the text.
    Tokenizer,
    /// Nobody told: one token a chunk is assumed.
    Chunks,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Failure {
    /// No connection.
    #[error("no connection: {problem}")]
    Connect {
        /// What the system says.
        problem: String,
    },
    /// The server refused the request.
    #[error("status {status}: {message}")]
    Status {
        /// HTTP status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// The server reported an error within the stream.
    #[error("error in the stream: {message}")]
    Stream {
        /// What it says.
        message: String,
    },
    /// The answer ended early.
    #[error("the answer was cut off: {problem}")]
    Truncated {
        /// Where.
        problem: String,
    },
    /// What came is no answer.
    #[error("malformed answer: {problem}")]
    Malformed {
        /// What is wrong with it.
        problem: String,
    },
    /// Nothing was answered in time.
    #[error("no complete answer after {seconds} s")]
    Timeout {
        /// The limit.
        seconds: u64,
    },
    /// The answer is empty.
    #[error("the answer holds no token")]
    Empty,
}

/// What became of one request. Times are ms after the start of its phase.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    /// Its place in the plan, from 0.
    pub index: usize,
    /// Tokens of the prompt, as asked.
    pub isl: u32,
    /// Tokens of the answer, as asked.
    pub osl: u32,
    /// When it was to be sent.
    pub intended_ms: f64,
    /// When its first byte was handed to the kernel.
    pub sent_ms: f64,
    /// Whether latencies count from the intended time: in an open loop they do.
    pub counts_from_intended: bool,
    /// When the head of the response arrived.
    pub head_ms: Option<f64>,
    /// Tokens as they arrived.
    pub chunks: Vec<Chunk>,
    /// When its last byte arrived, or when it failed.
    pub end_ms: f64,
    /// What the server says it used.
    pub usage: Option<Usage>,
    /// The times that the server says it took.
    pub server_timing: Option<ServerTiming>,
    /// How tokens were counted.
    pub counted_by: CountedBy,
    /// Whether it went over a connection that had served others.
    pub reused_connection: bool,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

impl Sample {
    /// From when latencies count.
    pub const fn start_ms(&self) -> f64 {
        if self.counts_from_intended {
            self.intended_ms
        } else {
            self.sent_ms
        }
    }

    /// How late it was sent, ms.
    pub fn send_lag_ms(&self) -> f64 {
        (self.sent_ms - self.intended_ms).max(0.0)
    }

    /// Tokens of the answer.
    pub fn output_tokens(&self) -> u32 {
        self.chunks.iter().map(|chunk| chunk.tokens).sum()
    }

    /// Time to the first token, ms.
    pub fn ttft_ms(&self) -> Option<f64> {
        self.chunks.first().map(|first| first.at_ms - self.start_ms())
    }

    /// Time to the last token, ms.
    pub fn e2e_ms(&self) -> Option<f64> {
        self.chunks.last().map(|last| last.at_ms - self.start_ms())
    }

    /// Time from first to last token over the tokens behind the first, ms: also the mean of [`Self::gaps`].
    pub fn tpot_ms(&self) -> Option<f64> {
        let (first, last) = (self.chunks.first()?, self.chunks.last()?);
        let later = self.output_tokens().checked_sub(1).filter(|later| *later > 0)?;
        Some((last.at_ms - first.at_ms) / f64::from(later))
    }

    /// Times between tokens, ms, each with the number of tokens that it stands for: a chunk of `k` tokens `g` ms after
    /// the one before is `k` gaps of `g / k`; tokens that came together with the first have none.
    pub fn gaps(&self) -> impl Iterator<Item = (f64, u32)> + '_ {
        let together = self
            .chunks
            .first()
            .map_or(0, |first| first.tokens.saturating_sub(1));
        let pairs = self.chunks.iter().zip(self.chunks.iter().skip(1));
        let later = pairs
            .filter(|(_, chunk)| chunk.tokens > 0)
            .map(|(before, chunk)| {
                (
                    (chunk.at_ms - before.at_ms) / f64::from(chunk.tokens),
                    chunk.tokens,
                )
            });
        std::iter::once((0.0, together))
            .filter(|(_, tokens)| *tokens > 0)
            .chain(later)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn sample(chunks: Vec<Chunk>) -> Sample {
        Sample {
            index: 0,
            isl: 10,
            osl: 5,
            intended_ms: 1.0,
            sent_ms: 3.0,
            counts_from_intended: true,
            head_ms: None,
            end_ms: chunks.last().map_or(3.0, |last| last.at_ms),
            chunks,
            usage: None,
            server_timing: None,
            counted_by: CountedBy::Chunks,
            reused_connection: true,
            failure: None,
        }
    }

    #[test]
    fn latencies_count_from_the_intended_time_in_an_open_loop_only() {
        let chunks = [(11.0, 1), (21.0, 2), (31.0, 1)];
        let chunks = chunks.map(|(at_ms, tokens)| Chunk { at_ms, tokens });
        let mut sample = sample(chunks.to_vec());
        let same = |value: Option<f64>, expected: f64| {
            assert!((value.expect("a value") - expected).abs() < 1e-9, "{value:?}");
        };
        same(sample.ttft_ms(), 10.0);
        same(sample.e2e_ms(), 30.0);
        sample.counts_from_intended = false;
        same(sample.ttft_ms(), 8.0);
        same(sample.tpot_ms(), 20.0 / 3.0);
        assert_eq!(
            sample.gaps().map(|(_, tokens)| tokens).collect::<Vec<_>>(),
            [2, 1]
        );
    }

    proptest! {
        #[test]
        fn gaps_stand_for_all_later_tokens_and_average_tpot(
            arrivals in prop::collection::vec((0.0_f64..50.0, 1_u32..5), 1..30),
        ) {
            let mut now = 10.0;
            let chunks = arrivals.into_iter().map(|(gap, tokens)| {
                now += gap;
                Chunk { at_ms: now, tokens }
            });
            let sample = sample(chunks.collect());
            let (sum, count) = sample.gaps().fold((0.0, 0), |(sum, count), (gap, tokens)| {
                (sum + gap * f64::from(tokens), count + tokens)
            });
            prop_assert_eq!(count, sample.output_tokens() - 1);
            if let Some(tpot) = sample.tpot_ms() {
                prop_assert!((sum / f64::from(count) - tpot).abs() < 1e-9);
            } else {
                prop_assert_eq!(sample.output_tokens(), 1);
            }
        }
    }
}
