//! What every reconciliation may use.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::Client;
use kube::runtime::events::Recorder;

use super::exporters::Exporters;
use super::latest::Latest;
use super::stores::{Scope, Stores};
use super::touch::Backlog;
use crate::inline::Profiler;
use crate::metrics::Metrics;
use crate::settings::Settings;

/// What every reconciliation may use.
pub(super) struct Context {
    /// The way to the API server.
    pub client: Client,
    /// Which namespaces are ours.
    pub scope: Scope,
    /// What is watched.
    pub stores: Stores,
    /// Our own writes.
    pub latest: Latest,
    /// Where users are told.
    pub recorder: Recorder,
    /// What exporters tell of GPUs.
    pub exporters: Exporters,
    /// What was told to us.
    pub settings: Settings,
    /// Simulates where no Job is needed.
    pub profiler: Profiler,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How often each request failed in a row.
    pub failures: Failures,
    /// Requests that wait to be looked at.
    pub backlog: Backlog,
}

impl Context {
    /// A request is gone: nothing more is known of it.
    pub(super) fn forget(&self, namespace: &str, name: &str) {
        self.latest.forget(namespace, name);
        self.failures.succeeded(namespace, name);
        self.backlog.remove(namespace, name);
    }
}

/// How often requests failed in a row, for waits that grow.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<BTreeMap<(String, String), u32>>);

/// First wait.
const FIRST: Duration = Duration::from_millis(250);
/// Longest wait.
const LONGEST: Duration = Duration::from_mins(1);

impl Failures {
    /// Counts a failure; the answer is how long to wait.
    pub(super) fn failed(&self, namespace: &str, name: &str) -> Duration {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = known.entry((namespace.to_owned(), name.to_owned())).or_default();
        let wait = FIRST.saturating_mul(2_u32.saturating_pow(*count)).min(LONGEST);
        *count = count.saturating_add(1);
        wait
    }

    /// Forgets failures.
    pub(super) fn succeeded(&self, namespace: &str, name: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(&(namespace.to_owned(), name.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Failures;

    #[test]
    fn waits_grow_up_to_a_minute() {
        let failures = Failures::default();
        let waits: Vec<u128> = (0..10).map(|_| failures.failed("n", "m").as_millis()).collect();
        assert_eq!(
            waits,
            [250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]
        );
        failures.succeeded("n", "m");
        assert_eq!(failures.failed("n", "m"), Duration::from_millis(250));
    }
}
