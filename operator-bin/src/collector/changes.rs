//! When files may have changed: the system says so, and now and then we look unasked.
//!
//! Two containers of a pod see one file system, whose kernel tells one of what the other writes, also where it lies on a
//! server. Sandboxed runtimes and user-space file systems may not tell, and a machine may have no watches left. So files
//! are read every ten seconds in any case, and as soon as that finds something that nobody told, every two.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dgdr_types::contract::file;
use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Between two looks where the system tells of changes.
const TOLD: Duration = Duration::from_secs(10);
/// Between two looks where it does not.
const UNTOLD: Duration = Duration::from_secs(2);

/// Why it is time to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hint {
    /// Something changed, or is due.
    Changed,
    /// No reason but time.
    Nothing,
}

/// Changes of a directory.
#[derive(Debug)]
pub(super) struct Changes {
    notify: Arc<Notify>,
    interval: Duration,
    // Tells as long as it lives.
    _watcher: Option<RecommendedWatcher>,
}

impl Changes {
    /// Changes of this directory, as far as the system tells of them.
    pub(super) fn of(directory: &Path) -> Self {
        let notify = Arc::new(Notify::new());
        let told = Arc::clone(&notify);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| matters(&event)) {
                // Many changes are one: who looks sees them all.
                told.notify_one();
            }
        })
        .and_then(|mut watcher| {
            watcher.watch(directory, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, directory = %directory.display(), "the system tells of no changes here");
        }
        Self {
            notify,
            interval: if watcher.is_ok() { TOLD } else { UNTOLD },
            _watcher: watcher.ok(),
        }
    }

    /// A change was found that nobody told of.
    pub(super) fn distrust(&mut self) {
        if self.interval != UNTOLD {
            tracing::info!("the file system does not tell of changes: it is looked at every two seconds");
            self.interval = UNTOLD;
        }
    }

    /// Waits for a change, until `due`, or for the time of an unasked look.
    pub(super) async fn next(&self, due: Option<Instant>) -> Hint {
        let unasked = Instant::now() + self.interval;
        let is_due = due.is_some_and(|due| due <= unasked);
        let until = due.map_or(unasked, |due| due.min(unasked));
        tokio::select! {
            () = self.notify.notified() => Hint::Changed,
            () = tokio::time::sleep_until(until.into()) => {
                if is_due { Hint::Changed } else { Hint::Nothing }
            }
        }
    }
}

/// Our own reading is told too, and must not wake us.
fn matters(event: &Event) -> bool {
    let is_change = match event.kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    };
    let is_ours = event
        .paths
        .iter()
        .filter_map(|path| path.file_name())
        .any(|name| name == OsStr::new(file::STATUS) || name == OsStr::new(file::DEPLOYMENT));
    event.need_rescan() || (is_change && is_ours)
}

#[cfg(test)]
mod tests;
