//! When what is written: progress seldom, the end at once, nothing twice, and how long a refusal is borne.
//!
//! Pure: the clock is an argument.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::collection::{FAILED, key};

/// Entries of the ConfigMap.
pub(super) type Entries = BTreeMap<String, String>;

/// Between two updates of a profiler that works: people read no faster, and a thousand profilers must not drown the server.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a failure must read alike before it is believed: upstream's profiler writes its status file in place, and
/// `status: failed` may stand there before the error does.
const DOUBT: Duration = Duration::from_millis(200);
/// First and longest wait after a failed write.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(10);
/// How long a refusal is borne: roles and namespaces are made beside the Job and may come after it.
const REFUSED: Duration = Duration::from_mins(1);
/// How long after the verdict an absent server is waited for.
const ABSENT: Duration = Duration::from_mins(10);

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Write these.
    Write(Entries),
    /// Nothing before this time, or before something changes.
    Wait(Option<Instant>),
    /// Nothing any more: the verdict is passed on.
    Done,
}

/// How a write failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// It may succeed as it is; not before this time is over, if the server says one.
    Transient(Option<Duration>),
    /// The server says no.
    Refused,
}

/// Whether a failed write is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Persistence {
    /// Again, when [`Relay::next`] says so.
    Retry,
    /// No.
    GiveUp,
}

/// What is known and what was passed on.
#[derive(Debug, Default)]
pub(super) struct Relay {
    wanted: Option<Entries>,
    wanted_since: Option<Instant>,
    verdict_since: Option<Instant>,
    ended: bool,
    told: Option<Entries>,
    told_at: Option<Instant>,
    retry_at: Option<Instant>,
    failures: u32,
    refused_since: Option<Instant>,
}

impl Relay {
    /// The profiler's container has ended: what its files say now is the last word.
    pub(super) fn end(&mut self, now: Instant) {
        self.ended = true;
        self.verdict_since.get_or_insert(now);
    }

    /// What is to be passed on, as files and pod say now; none while they say nothing.
    pub(super) fn see(&mut self, entries: Option<Entries>, now: Instant) {
        let Some(entries) = entries else {
            // The file is being written: a doubtful verdict in it is read anew.
            self.wanted_since = Some(now);
            return;
        };
        if self.wanted.as_ref() == Some(&entries) {
            return;
        }
        let is_first_verdict = is_verdict(&entries) && !self.wanted.as_ref().is_some_and(is_verdict);
        if is_first_verdict {
            // The end does not wait for the next try of some progress.
            self.retry_at = None;
            self.failures = 0;
            self.verdict_since.get_or_insert(now);
        }
        self.wanted = Some(entries);
        self.wanted_since = Some(now);
    }

    /// What is to be done now.
    pub(super) fn next(&self, now: Instant) -> Next {
        let Some(wanted) = self.untold() else {
            return match &self.told {
                Some(told) if is_verdict(told) => Next::Done,
                _ => Next::Wait(None),
            };
        };
        let pause = if !is_verdict(&wanted) {
            self.told_at.map(|told| told + PAUSE)
        } else if is_failure(&wanted) && !self.ended {
            self.wanted_since.map(|since| since + DOUBT)
        } else {
            None
        };
        match pause.max(self.retry_at) {
            Some(due) if due > now => Next::Wait(Some(due)),
            _ => Next::Write(wanted),
        }
    }

    /// What is known and was not passed on yet.
    pub(super) fn untold(&self) -> Option<Entries> {
        self.wanted
            .clone()
            .filter(|wanted| self.told.as_ref() != Some(wanted))
    }

    /// These entries are passed on.
    pub(super) fn written(&mut self, entries: Entries, now: Instant) {
        self.told = Some(entries);
        self.told_at = Some(now);
        self.retry_at = None;
        self.failures = 0;
        self.refused_since = None;
    }

    /// A write failed.
    pub(super) fn failed(&mut self, failure: Failure, now: Instant) -> Persistence {
        let backoff = FIRST_RETRY
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST_RETRY);
        self.failures = self.failures.saturating_add(1);
        let (wait, is_over) = match failure {
            Failure::Transient(asked) => {
                self.refused_since = None;
                let is_over = self
                    .verdict_since
                    .is_some_and(|verdict| now.duration_since(verdict) >= ABSENT);
                (
                    asked.map_or(backoff, |asked| asked.clamp(backoff, LONGEST_RETRY)),
                    is_over,
                )
            }
            Failure::Refused => {
                let since = *self.refused_since.get_or_insert(now);
                (backoff, now.duration_since(since) >= REFUSED)
            }
        };
        self.retry_at = Some(now + wait);
        if is_over {
            Persistence::GiveUp
        } else {
            Persistence::Retry
        }
    }
}

fn is_verdict(entries: &Entries) -> bool {
    entries.contains_key(key::STATUS)
}

fn is_failure(entries: &Entries) -> bool {
    entries.get(key::STATUS).is_some_and(|status| status == FAILED)
}

#[cfg(test)]
mod tests;
