//! What the operator counts, with labels that cannot grow: no name of a request, no text of an error.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Prefix of all names.
const PREFIX: &str = "dgdr_operator";

/// Names of all metrics, as they are served.
pub const NAMES: [&str; 7] = [
    "dgdr_operator_reconcile_duration_seconds",
    "dgdr_operator_reconcile_errors_total",
    "dgdr_operator_requests",
    "dgdr_operator_queue_depth",
    "dgdr_operator_profiling_duration_seconds",
    "dgdr_operator_api_requests_total",
    "dgdr_operator_leader",
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Cause {
    cause: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InPhase {
    phase: &'static str,
}

/// A search that ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Search {
    /// `rapid` or `thorough`.
    pub strategy: &'static str,
    /// `succeeded` or `failed`.
    pub outcome: &'static str,
}

/// A request to the API server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ApiCall {
    /// Its HTTP method, or `WATCH`.
    pub verb: &'static str,
    /// Plural of the kind that it is about.
    pub resource: String,
    /// Status of the answer; 0 where none came.
    pub code: u16,
}

/// What is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    durations: Histogram,
    errors: Family<Cause, Counter>,
    phases: Family<InPhase, Gauge>,
    backlog: Gauge,
    searches: Family<Search, Histogram>,
    api: Family<ApiCall, Counter>,
    leader: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        // From a look that changes nothing to one that waits for a slow API server.
        let durations = Histogram::new(exponential_buckets(0.000_5, 2.0, 16));
        registry.register_with_unit(
            "reconcile_duration",
            "Time of one look at a request",
            Unit::Seconds,
            durations.clone(),
        );
        let errors = Family::default();
        registry.register("reconcile_errors", "Looks that ended in an error", errors.clone());
        let phases = Family::default();
        registry.register("requests", "Requests by phase", phases.clone());
        let backlog = Gauge::default();
        registry.register(
            "queue_depth",
            "Requests that wait to be looked at",
            backlog.clone(),
        );
        // From a simulation to a day of benchmarks.
        let searches: Family<Search, Histogram> =
            Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.1, 4.0, 11)));
        registry.register_with_unit(
            "profiling_duration",
            "Time from the start of profiling to its result",
            Unit::Seconds,
            searches.clone(),
        );
        let api = Family::default();
        registry.register("api_requests", "Requests to the API server", api.clone());
        let leader = Gauge::default();
        registry.register("leader", "Whether this process holds the lease", leader.clone());
        Self {
            registry: Mutex::new(registry),
            durations,
            errors,
            phases,
            backlog,
            searches,
            api,
            leader,
        }
    }
}

impl Metrics {
    /// A look at a request, and the word for its error.
    pub fn reconciled(&self, time: Duration, cause: Option<&'static str>) {
        self.durations.observe(time.as_secs_f64());
        if let Some(cause) = cause {
            self.errors.get_or_create(&Cause { cause }).inc();
        }
    }

    /// A search that ended.
    pub fn searched(&self, search: &Search, time: Duration) {
        self.searches.get_or_create(search).observe(time.as_secs_f64());
    }

    /// A request to the API server.
    pub fn called(&self, call: &ApiCall) {
        self.api.get_or_create(call).inc();
    }

    /// Whether this process holds the lease.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// How many requests are in a phase.
    pub fn in_phase(&self, phase: &'static str, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.phases.get_or_create(&InPhase { phase }).set(count);
    }

    /// How many requests wait to be looked at.
    pub fn backlog(&self, count: usize) {
        self.backlog.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Everything, as Prometheus reads it.
    ///
    /// # Errors
    /// When a value has no text form, which none has.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ApiCall, Metrics, NAMES, Search};

    #[test]
    fn every_metric_is_served_under_its_name() {
        let metrics = Metrics::default();
        metrics.reconciled(Duration::from_millis(3), Some("conflict"));
        let search = Search {
            strategy: "rapid",
            outcome: "succeeded",
        };
        metrics.searched(&search, Duration::from_secs(2));
        metrics.called(&ApiCall {
            verb: "GET",
            resource: "pods".to_owned(),
            code: 200,
        });
        metrics.in_phase("Ready", 3);
        let text = metrics.text().unwrap();
        for name in NAMES {
            let is_there = text
                .lines()
                .any(|line| !line.starts_with('#') && line.starts_with(name));
            assert!(is_there, "{name} is missing:\n{text}");
        }
    }
}
