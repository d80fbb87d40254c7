//! From the files of a profiler to the ConfigMap by which its results leave the pod.
//!
//! Pure: who watches the files and who writes the ConfigMap is told what to write. Upstream's profiler and ours have the
//! same contract of files, so both are collected alike.

use std::collections::BTreeMap;

use dgdr_types::contract::MAX_CONFIG_MAP_BYTES;
use dgdr_types::contract::file::{DEPLOYMENT as RESULT_FILE, STATUS as STATUS_FILE};
use dgdr_types::names::output_config_map_name;
use dgdr_types::spec::{Choice, ProfilingPhase};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use serde::Deserialize;

use crate::owner::Owner;

/// Keys of the ConfigMap, as upstream's operator reads them.
pub mod key {
    /// The profiler's sub-phase.
    pub const PHASE: &str = "phase";
    /// What it does, for people.
    pub const MESSAGE: &str = "message";
    /// `success` or `failed`, once it ended.
    pub const STATUS: &str = "profiler_status";
    /// Why it failed.
    pub const ERROR: &str = "profiler_error";
}

/// Value of [`key::STATUS`] of a profiler that ended well.
pub const SUCCESS: &str = "success";
/// Value of [`key::STATUS`] of a profiler that ended badly.
pub const FAILED: &str = "failed";

/// How long error texts may be: they become messages of conditions, which hold 32,768 bytes.
const MAX_ERROR_BYTES: usize = 16 * 1024;

/// Where a profiler stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfilerStatus {
    /// How it goes.
    pub progress: Progress,
    /// Its sub-phase; none before the first.
    pub phase: Option<ProfilingPhase>,
    /// What it does, for people.
    pub message: String,
    /// When it said so, by its own clock; none where it does not tell.
    pub timestamp: Option<Timestamp>,
}

/// How a profiler goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It works.
    Running,
    /// It ended well.
    Succeeded,
    /// It ended badly.
    Failed {
        /// Why.
        error: String,
    },
}

/// Why a status file says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// There is none.
    #[error("it wrote no {STATUS_FILE}")]
    Missing,
    /// No YAML, or not the keys that a status file has; it may be half written.
    #[error("{STATUS_FILE} cannot be read: {problem}")]
    Unreadable {
        /// What is wrong.
        problem: String,
    },
    /// A word of another contract.
    #[error("{STATUS_FILE}: {field} is {value:?}, known are {known}")]
    UnknownWord {
        /// Which key.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        known: String,
    },
}

#[derive(Debug, Deserialize)]
struct Wire {
    status: String,
    #[serde(default)]
    phase: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    timestamp: Option<String>,
}

impl ProfilerStatus {
    /// Reads a status file.
    ///
    /// # Errors
    /// [`StatusError`] for a file of another kind or of half its length.
    pub fn parse(text: &str) -> Result<Self, StatusError> {
        if text.is_empty() {
            return Err(StatusError::Missing);
        }
        let wire: Wire = serde_saphyr::from_str(text).map_err(|error| StatusError::Unreadable {
            problem: error.to_string(),
        })?;
        let message = wire.message.unwrap_or_default();
        let phase = wire
            .phase
            .filter(|phase| !phase.is_empty())
            .map(known_phase)
            .transpose()?;
        let progress = match wire.status.as_str() {
            "running" => Progress::Running,
            SUCCESS => Progress::Succeeded,
            FAILED => {
                let error = wire.error.filter(|error| !error.is_empty());
                Progress::Failed {
                    error: error.unwrap_or_else(|| message.clone()),
                }
            }
            other => {
                return Err(StatusError::UnknownWord {
                    field: "status",
                    value: other.to_owned(),
                    known: "running, success, failed".to_owned(),
                });
            }
        };
        Ok(Self {
            progress,
            phase,
            message,
            timestamp: wire.timestamp.and_then(|text| text.parse().ok()),
        })
    }
}

fn known_phase(name: String) -> Result<ProfilingPhase, StatusError> {
    ProfilingPhase::from_name(&name).ok_or_else(|| StatusError::UnknownWord {
        field: "phase",
        value: name,
        known: ProfilingPhase::ALL
            .iter()
            .map(|phase| phase.name())
            .collect::<Vec<_>>()
            .join(", "),
    })
}

/// How a profiler's container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code.
    pub exit_code: i32,
    /// The cluster's word for it, for example `OOMKilled`.
    pub reason: Option<String>,
    /// What it said last.
    pub message: Option<String>,
}

/// What became of a profiler's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// It wrote none.
    Nothing,
    /// It wrote one.
    Text(&'a str),
    /// It wrote one that no ConfigMap holds, and which was not read therefore.
    TooLarge {
        /// Its length.
        bytes: u64,
    },
    /// It wrote something else.
    Unusable {
        /// What is wrong with it.
        problem: &'a str,
    },
}

/// What a profiler left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left<'a> {
    /// Its status file as it is; empty where it wrote none.
    pub status_text: &'a str,
    /// Its result.
    pub result: Found<'a>,
    /// How its container ended; none while it runs.
    pub ended: Option<Ended>,
}

/// The entries of the ConfigMap for what a profiler has left so far; none while there is nothing new to say.
///
/// A profiler that ends without saying so has failed, whatever its last status; so has one whose result no ConfigMap holds.
pub fn entries(left: &Left<'_>) -> Option<BTreeMap<String, String>> {
    match (ProfilerStatus::parse(left.status_text), &left.ended) {
        (Ok(status), _) if status.progress == Progress::Succeeded => Some(success(&status, left)),
        (Ok(status), _) if matches!(status.progress, Progress::Failed { .. }) => {
            Some(failure(&status, left.status_text))
        }
        (Ok(status), Some(ended)) => Some(failure(&silent(&status, ended), left.status_text)),
        (Ok(status), None) => Some(progress(&status)),
        // A file that cannot be read is being written; unless nobody writes any more.
        (Err(_), None) => None,
        (Err(error), Some(ended)) => Some(failure(&unreadable(&error, ended), left.status_text)),
    }
}

fn progress(status: &ProfilerStatus) -> BTreeMap<String, String> {
    let phase = status
        .phase
        .map(|phase| (key::PHASE.to_owned(), phase.name().to_owned()));
    phase
        .into_iter()
        .chain([(key::MESSAGE.to_owned(), shortened(&status.message))])
        .collect()
}

fn success(status: &ProfilerStatus, left: &Left<'_>) -> BTreeMap<String, String> {
    let problem = match left.result {
        Found::Text(result) => {
            let mut entries = progress(status);
            entries.insert(key::STATUS.to_owned(), SUCCESS.to_owned());
            entries.insert(RESULT_FILE.to_owned(), result.to_owned());
            entries.insert(STATUS_FILE.to_owned(), left.status_text.to_owned());
            let bytes: usize = entries.iter().map(|(name, text)| name.len() + text.len()).sum();
            if bytes <= MAX_CONFIG_MAP_BYTES {
                return entries;
            }
            too_large(&result.len())
        }
        Found::TooLarge { bytes } => too_large(&bytes),
        Found::Nothing => format!("the profiler reports success and left no {RESULT_FILE}"),
        Found::Unusable { problem } => {
            format!("the profiler reports success, and its {RESULT_FILE} cannot be passed on: {problem}")
        }
    };
    failure(&failed(status, problem), left.status_text)
}

fn too_large(bytes: &dyn std::fmt::Display) -> String {
    format!(
        "{RESULT_FILE} is {bytes} bytes, and a ConfigMap holds at most {MAX_CONFIG_MAP_BYTES} in all: ask for fewer \
         points of the planner's curves"
    )
}

fn failure(status: &ProfilerStatus, status_text: &str) -> BTreeMap<String, String> {
    let mut entries = progress(status);
    entries.insert(key::STATUS.to_owned(), FAILED.to_owned());
    if let Progress::Failed { error } = &status.progress {
        entries.insert(key::ERROR.to_owned(), shortened(error));
    }
    entries.insert(STATUS_FILE.to_owned(), shortened(status_text));
    entries
}

fn failed(status: &ProfilerStatus, error: String) -> ProfilerStatus {
    ProfilerStatus {
        progress: Progress::Failed { error },
        ..status.clone()
    }
}

fn silent(status: &ProfilerStatus, ended: &Ended) -> ProfilerStatus {
    failed(
        status,
        format!("{} while it was running: {}", words(ended), status.message),
    )
}

fn unreadable(error: &StatusError, ended: &Ended) -> ProfilerStatus {
    ProfilerStatus {
        progress: Progress::Failed {
            error: format!("{}: {error}", words(ended)),
        },
        phase: None,
        message: "Profiler failed".to_owned(),
        timestamp: None,
    }
}

/// What helps a profiler that took more memory than it may.
const MORE_MEMORY: &str =
    "give it more memory with spec.overrides.profilingJob.template.spec.containers[profiler].resources";

fn words(ended: &Ended) -> String {
    let Ended {
        exit_code,
        reason,
        message,
    } = ended;
    let reason = reason
        .as_deref()
        .filter(|reason| *reason != "Completed" && *reason != "Error");
    let message = message
        .as_deref()
        .map(str::trim)
        .filter(|message| !message.is_empty());
    let reason = match reason {
        Some("OOMKilled") => format!(" (OOMKilled: {MORE_MEMORY})"),
        Some(reason) => format!(" ({reason})"),
        None => String::new(),
    };
    let message = message.map_or_else(String::new, |message| format!(" (its last words: {message})"));
    format!("the profiler ended with exit code {exit_code}{reason}{message}")
}

/// The end of a text that is too long: errors say last what happened.
fn shortened(text: &str) -> String {
    if text.len() <= MAX_ERROR_BYTES {
        return text.to_owned();
    }
    let mut start = text.len() - MAX_ERROR_BYTES;
    while !text.is_char_boundary(start) {
        start += 1;
    }
    format!("… {}", &text[start..])
}

/// The ConfigMap of a DGDR's results, which goes with it.
pub fn config_map(owner: Owner<'_>, entries: BTreeMap<String, String>) -> ConfigMap {
    ConfigMap {
        metadata: owner.metadata(output_config_map_name(owner.dgdr)),
        data: Some(entries),
        ..ConfigMap::default()
    }
}

#[cfg(test)]
mod tests;
