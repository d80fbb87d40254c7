//! The real binary, run as users run it.

mod bad_input;
mod commands;
mod profile;
mod run;
