//! Bounds that are missed, and what would help.

use std::fmt;

use dgdr_perf_model::{Backend, MappingWidths};
use dgdr_units::{Fraction, Gpus, Milliseconds};
use serde::{Deserialize, Serialize};

/// A bound that is missed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "constraint")]
pub enum Gap {
    /// Time to first token.
    Ttft {
        /// The bound.
        target: Milliseconds,
        /// What the pick reaches.
        achieved: Milliseconds,
    },
    /// Time between tokens.
    Itl {
        /// The bound.
        target: Milliseconds,
        /// What the pick reaches.
        achieved: Milliseconds,
    },
    /// The whole request.
    RequestLatency {
        /// The bound.
        target: Milliseconds,
        /// What the pick reaches.
        achieved: Milliseconds,
    },
    /// The load needs more GPUs than there are.
    GpuBudget {
        /// GPUs for the whole load.
        needed: Gpus,
        /// GPUs of the budget.
        available: Gpus,
        /// Share of the load that the pick carries.
        served: Fraction,
    },
}

impl Gap {
    /// By what share the bound is missed: 0.1 for 10 % too much.
    pub fn excess(&self) -> f64 {
        match *self {
            Self::Ttft { target, achieved }
            | Self::Itl { target, achieved }
            | Self::RequestLatency { target, achieved } => relative_excess(achieved.get(), target.get()),
            Self::GpuBudget {
                needed, available, ..
            } => relative_excess(f64::from(needed.get()), f64::from(available.get())),
        }
    }
}

/// By what share `achieved` is above `target`; 0 when it is not.
pub(crate) fn relative_excess(achieved: f64, target: f64) -> f64 {
    if achieved <= target {
        0.0
    } else if target > 0.0 {
        achieved / target - 1.0
    } else {
        f64::MAX
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut latency = |name: &str, achieved: Milliseconds, target: Milliseconds| {
            write!(
                f,
                "{name} is {achieved:.1}, {:.1} ms over the target of {target:.1}",
                achieved.get() - target.get()
            )
        };
        match *self {
            Self::Ttft { target, achieved } => latency("TTFT", achieved, target),
            Self::Itl { target, achieved } => latency("ITL", achieved, target),
            Self::RequestLatency { target, achieved } => latency("request latency", achieved, target),
            Self::GpuBudget {
                needed,
                available,
                served,
            } => write!(
                f,
                "the load needs {needed}, {} are available: {:.1} % of it is served",
                available.get(),
                served.get() * 100.0
            ),
        }
    }
}

/// What would help.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
#[non_exhaustive]
pub enum Remedy {
    /// Allow a longer time to first token.
    RelaxTtft {
        /// The smallest bound that can be kept, the other bounds unchanged where that is possible.
        at_least: Milliseconds,
    },
    /// Allow a longer time between tokens.
    RelaxItl {
        /// The smallest bound that can be kept, the other bounds unchanged where that is possible.
        at_least: Milliseconds,
    },
    /// Allow a longer request.
    RelaxRequestLatency {
        /// The smallest bound that can be kept.
        at_least: Milliseconds,
    },
    /// Give more GPUs for the load.
    AddGpus {
        /// GPUs that carry the whole load.
        total: Gpus,
    },
    /// Lift the limit that kept a wider mapping from being tried.
    TryWider {
        /// The mapping that was not tried.
        mapping: MappingWidths,
        /// What to change.
        how: String,
    },
    /// Ask for less load.
    ReduceLoad {
        /// Share of the load that can be served.
        to: Fraction,
    },
    /// Compare other engines.
    TryBackend {
        /// The engine that was tried.
        tried: Backend,
    },
    /// Serve a smaller or more strongly quantised model.
    UseSmallerModel,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RelaxTtft { at_least } => write!(f, "relax sla.ttft to ≥ {}", upwards(*at_least)),
            Self::RelaxItl { at_least } => write!(f, "relax sla.itl to ≥ {}", upwards(*at_least)),
            Self::RelaxRequestLatency { at_least } => {
                write!(f, "relax sla.e2eLatency to ≥ {}", upwards(*at_least))
            }
            Self::AddGpus { total } => write!(f, "add GPUs: raise hardware.totalGpus to {}", total.get()),
            Self::TryWider { mapping, how } => write!(f, "allow {mapping}: {how}"),
            Self::ReduceLoad { to } => {
                write!(
                    f,
                    "reduce the load to {:.1} % of what was asked for",
                    to.get() * 100.0
                )
            }
            Self::TryBackend { tried } => {
                let others: Vec<&str> = Backend::ALL
                    .into_iter()
                    .filter(|backend| backend != tried)
                    .map(Backend::name)
                    .collect();
                write!(f, "try another backend: {}", others.join(" or "))
            }
            Self::UseSmallerModel => f.write_str("use a smaller or quantised model"),
        }
    }
}

/// A bound rounded up to a tenth, so that it can be kept as printed.
fn upwards(bound: Milliseconds) -> String {
    // A thousandth is below what any number here is good for, and spares "34.3" for 34.2 + 1e-14.
    format!("{:.1} ms", ((bound.get() - 0.001) * 10.0).ceil() / 10.0)
}
