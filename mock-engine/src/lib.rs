//! An engine with OpenAI's protocol and simulated timing: the ground truth of tests, and something to try without GPUs.
//!
//! Requests are batched continuously in virtual steps that take as long as a [`StepModel`] says, and tokens leave on
//! the real clock at the ends of these steps. Each answer can carry the times at which the engine meant to give its
//! tokens, so that what a client measures can be compared with what was meant.
//!
//! The pure parts ([`core`], [`kv`], [`batched`], [`paced`], [`timing`], [`faults`]) know no clock; [`Engine`] runs
//! them on a thread, and [`serve`] puts HTTP before it.
#![forbid(unsafe_code)]

pub mod batched;
pub mod core;
mod engine;
mod error;
pub mod faults;
pub mod kv;
mod metrics;
mod openai;
pub mod paced;
mod server;
pub mod timing;

pub use core::EngineLimits;
pub use engine::Engine;
pub use error::MockError;
pub use faults::Faults;
pub use server::{Identity, Server, bind, serve};
pub use timing::{StepModel, Timing};
