//! Measures engines that speak OpenAI's protocol.
//!
//! A [`Workload`] says what is sent, a [`Schedule`] when; [`run`] sends it and answers with one [`Sample`] a request; [`Summary`]
//! makes figures of them, with confidence intervals, and says whether they can be trusted and why not.
//!
//! # What is measured, and when
//! - Times are those at which the kernel received bytes (`SO_TIMESTAMPNS`), not those at which this process came to
//!   read them; where the kernel tells none, the time of the read. A busy client does not show in latencies.
//! - `TCP_QUICKACK` is armed before and after every read, because a server without `TCP_NODELAY` holds its first
//!   tokens back until the client acknowledges the head of the response, 40 ms by default.
//! - In an open loop latencies count from the time at which a request was to be sent, so that a client (or server)
//!   that falls behind shows; in a closed loop from the time at which it was handed to the kernel.
//! - ITL is per token: a chunk of `k` tokens after `g` ms stands for `k` gaps of `g / k`.
//!
//! The pure parts ([`arrivals`], [`lengths`], [`trace`], [`statistics`], [`validity`], [`sse`], [`http1`], [`answer`])
//! know no clock and no network.
#![forbid(unsafe_code)]

pub mod aiperf;
pub mod answer;
pub mod arrivals;
mod connection;
pub mod dice;
pub mod endpoint;
mod error;
pub mod http1;
pub mod lengths;
pub mod prompt;
mod request;
mod run;
mod sample;
pub mod sse;
pub mod statistics;
mod summary;
mod tokenizer;
pub mod trace;
pub mod validity;
mod wire;
mod workload;

pub use endpoint::{Api, Endpoint, Target};
pub use error::LoadError;
pub use prompt::PromptWriter;
pub use request::Request;
pub use run::{Progress, Run, Schedule, run};
pub use sample::{Chunk, CountedBy, Failure, Sample};
pub use summary::Summary;
pub use tokenizer::TokenCounter;
pub use workload::{KvReuse, Prepared, Shapes, Workload};
