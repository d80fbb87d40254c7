//! What a profiler has written so far.
//!
//! The collector holds a token that the profiler may not have, and whatever it reads ends in a ConfigMap: it reads plain
//! files only, follows no links, and never more than a ConfigMap holds.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use dgdr_types::contract::{MAX_CONFIG_MAP_BYTES, file};
use jiff::Timestamp;
use rustix::fs::{Mode, OFlags};

use super::error::CollectError;
use crate::collection::{Found, ProfilerStatus, Progress};

/// Where a profiler writes.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    root: PathBuf,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// The status file; empty where there is none of this run.
    pub(super) status_text: String,
    content: Content,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Content {
    #[default]
    Nothing,
    Text(String),
    TooLarge(u64),
    Unusable(String),
}

impl Snapshot {
    /// The result, as far as it was looked for.
    pub(super) fn result(&self) -> Found<'_> {
        match &self.content {
            Content::Nothing => Found::Nothing,
            Content::Text(text) => Found::Text(text),
            Content::TooLarge(bytes) => Found::TooLarge { bytes: *bytes },
            Content::Unusable(problem) => Found::Unusable { problem },
        }
    }
}

impl Directory {
    /// This directory; it need not be there yet.
    pub(super) const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// What the run that began at `started` has written so far. The result is looked for once the status says that it is
    /// there: before, it may be half written.
    ///
    /// # Errors
    /// [`CollectError::Task`] when the thread that reads breaks down.
    pub(super) async fn read(&self, started: Timestamp) -> Result<Snapshot, CollectError> {
        let root = self.root.clone();
        tokio::task::spawn_blocking(move || look(&root, started))
            .await
            .map_err(CollectError::Task)
    }
}

fn look(root: &Path, started: Timestamp) -> Snapshot {
    let status_text = status_of_this_run(root, started);
    let is_success =
        ProfilerStatus::parse(&status_text).is_ok_and(|status| status.progress == Progress::Succeeded);
    let content = if is_success {
        result(read(&root.join(file::DEPLOYMENT)))
    } else {
        Content::Nothing
    };
    Snapshot { status_text, content }
}

/// The status file, unless an earlier run wrote it: a claimed volume may hold the results of many.
fn status_of_this_run(root: &Path, started: Timestamp) -> String {
    let (bytes, changed) = match read(&root.join(file::STATUS)) {
        Plain::Bytes { bytes, changed } => (bytes, changed),
        // What is no status file says nothing.
        Plain::Missing | Plain::TooLarge(_) | Plain::Unusable(_) => return String::new(),
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let told = ProfilerStatus::parse(&text)
        .ok()
        .and_then(|status| status.timestamp);
    // Times of pods and of status files are whole seconds.
    let is_earlier = told
        .or(changed)
        .is_some_and(|told| told.as_second() < started.as_second());
    if is_earlier { String::new() } else { text }
}

fn result(read: Plain) -> Content {
    match read {
        Plain::Missing => Content::Nothing,
        Plain::TooLarge(bytes) => Content::TooLarge(bytes),
        Plain::Unusable(problem) => Content::Unusable(problem),
        Plain::Bytes { bytes, .. } => String::from_utf8(bytes).map_or_else(
            |_| Content::Unusable("it is no UTF-8 text".to_owned()),
            Content::Text,
        ),
    }
}

/// A file that was looked at.
enum Plain {
    Missing,
    Bytes {
        bytes: Vec<u8>,
        changed: Option<Timestamp>,
    },
    TooLarge(u64),
    Unusable(String),
}

fn read(path: &Path) -> Plain {
    match read_plain(path) {
        Ok(plain) => plain,
        Err(error) if error.kind() == ErrorKind::NotFound => Plain::Missing,
        Err(error) => Plain::Unusable(error.to_string()),
    }
}

fn read_plain(path: &Path) -> std::io::Result<Plain> {
    // Without NONBLOCK, opening a pipe would wait for whoever writes into it.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => std::fs::File::from(file),
        Err(rustix::io::Errno::LOOP) => return Ok(Plain::Unusable("it is a link".to_owned())),
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(Plain::Unusable("it is no plain file".to_owned()));
    }
    let limit = u64::try_from(MAX_CONFIG_MAP_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_CONFIG_MAP_BYTES {
        return Ok(Plain::TooLarge(metadata.len().max(limit + 1)));
    }
    let changed = metadata.modified().ok().and_then(|time| time.try_into().ok());
    Ok(Plain::Bytes { bytes, changed })
}

#[cfg(test)]
mod tests;
