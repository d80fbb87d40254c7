//! The real binary, run as users run it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bad_input;
mod commands;
mod features;
mod job;
mod overrides;
mod profile;
mod report;
mod run;
mod sensitivity;
mod tables;
