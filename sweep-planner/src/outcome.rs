//! What the planner decided, and everything that is needed to explain it.

use std::fmt;

use dgdr_perf_model::{ParallelMapping, Provenance};
use dgdr_units::{Fraction, Gpus, Milliseconds, RequestsPerSecond, TokensPerSecond};
use serde::Serialize;

use crate::candidates::Rejected;
use crate::measurements::{Failure, Role};

/// The answer to a problem.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// What was picked, if anything.
    pub outcome: Outcome,
    /// Everything that was compared.
    pub ranking: Ranking,
}

/// What was picked. An SLA is never relaxed silently.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The best configuration that keeps everything that was asked for.
    Met(Configuration),
    /// Nothing keeps everything: the nearest that can be had.
    Closest(Closest),
    /// Nothing can be deployed at all.
    Infeasible {
        /// Why, one entry each candidate; never empty.
        reasons: Vec<Reason>,
    },
}

impl Outcome {
    /// The picked configuration, met or closest.
    pub const fn configuration(&self) -> Option<&Configuration> {
        match self {
            Self::Met(configuration) => Some(configuration),
            Self::Closest(closest) => Some(&closest.pick),
            Self::Infeasible { .. } => None,
        }
    }
}

/// The nearest configuration, and how to get what was asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Closest {
    /// The nearest configuration.
    pub pick: Configuration,
    /// The bound that is missed by the largest share.
    pub binding: Gap,
    /// Other bounds that are missed too.
    pub also_missed: Vec<Gap>,
    /// What would help, the most direct first.
    pub remedies: Vec<Remedy>,
}

/// A bound that is missed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize)]
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
        /// The width that was not tried.
        tp: u32,
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
        tried: dgdr_perf_model::Backend,
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
            Self::TryWider { tp, how } => write!(f, "allow TP{tp}: {how}"),
            Self::ReduceLoad { to } => {
                write!(
                    f,
                    "reduce the load to {:.1} % of what was asked for",
                    to.get() * 100.0
                )
            }
            Self::TryBackend { tried } => {
                let others: Vec<&str> = dgdr_perf_model::Backend::ALL
                    .into_iter()
                    .filter(|backend| backend != tried)
                    .map(dgdr_perf_model::Backend::name)
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

/// One way to deploy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Configuration {
    /// What it reaches.
    #[serde(flatten)]
    pub performance: Performance,
    /// Copies of the layout.
    pub replicas: u32,
    /// GPUs of one copy.
    pub gpus: Gpus,
    /// Workers of one copy.
    #[serde(flatten)]
    pub layout: Layout,
}

impl Configuration {
    /// GPUs of all copies.
    pub fn total_gpus(&self) -> Gpus {
        self.gpus * self.replicas
    }
}

/// What a configuration reaches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Performance {
    /// Generated tokens per second and GPU of the copies.
    pub tokens_per_s_per_gpu: TokensPerSecond,
    /// Generated tokens per second of all copies, divided by all GPUs of the budget.
    pub tokens_per_s_per_gpu_cluster: TokensPerSecond,
    /// Tokens per second that one user sees: the inverse of ITL.
    pub tokens_per_s_per_user: TokensPerSecond,
    /// Time to first token, corrections included.
    #[serde(rename = "ttft_ms")]
    pub ttft: Milliseconds,
    /// Time between tokens, corrections included.
    #[serde(rename = "tpot_ms")]
    pub itl: Milliseconds,
    /// The whole request: `ttft + itl × (osl − 1)`.
    #[serde(rename = "request_latency_ms")]
    pub request_latency: Milliseconds,
    /// Completed requests per second of all copies.
    pub requests_per_s: RequestsPerSecond,
    /// Requests in flight in one copy.
    pub concurrency: u32,
    /// Sources of TTFT.
    pub ttft_sources: Provenance,
    /// Sources of ITL.
    pub itl_sources: Provenance,
}

/// Workers of one copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Layout {
    /// One worker for both roles.
    Aggregated {
        /// Requests in flight per attention data-parallel copy.
        batch_size: u32,
        /// Prompt tokens of a mixed step.
        context_tokens: u32,
        /// The worker.
        mapping: ParallelMapping,
    },
    /// Workers for each role.
    Disaggregated {
        /// Prefill workers.
        prefill: WorkerGroup,
        /// Decode workers.
        decode: WorkerGroup,
    },
}

impl Layout {
    /// Whether prefill and decode have workers of their own.
    pub const fn is_disaggregated(&self) -> bool {
        matches!(self, Self::Disaggregated { .. })
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aggregated {
                batch_size, mapping, ..
            } => write!(f, "{mapping}, batch {batch_size}"),
            Self::Disaggregated { prefill, decode } => {
                write!(f, "{prefill} prefill + {decode} decode")
            }
        }
    }
}

/// Equal workers of one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WorkerGroup {
    /// How many.
    pub workers: u32,
    /// Requests in flight per worker and attention data-parallel copy.
    pub batch_size: u32,
    /// Each of them.
    pub mapping: ParallelMapping,
}

impl fmt::Display for WorkerGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{} (batch {})", self.workers, self.mapping, self.batch_size)
    }
}

/// Everything that was compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranking {
    /// The better way of serving, if any configuration exists.
    pub chosen: Option<Chosen>,
    /// The best configuration of each mapping, best first.
    #[serde(rename = "agg")]
    pub aggregated: Vec<RankedEntry>,
    /// The best configuration of each decode mapping, best first.
    #[serde(rename = "disagg")]
    pub disaggregated: Vec<RankedEntry>,
    /// Configurations that no other one beats in both user speed and total throughput, fastest for the user first.
    pub pareto: Vec<ParetoPoint>,
    /// Mappings without a configuration, with the reason.
    pub rejected: Vec<Excluded>,
}

/// A way of serving that was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Chosen {
    /// Prefill and decode in one worker.
    #[serde(rename = "agg")]
    Aggregated,
    /// Workers for each role.
    #[serde(rename = "disagg")]
    Disaggregated,
}

/// A configuration with its place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankedEntry {
    /// Place within its list, from 1.
    pub rank: u32,
    /// The configuration.
    #[serde(flatten)]
    pub configuration: Configuration,
    /// Whether it keeps everything that was asked for.
    pub meets_sla: bool,
    /// Why it was not picked; none for the pick itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
}

/// Why a configuration was not picked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lost {
    /// It misses a bound.
    Missed(Gap),
    /// It misses the same bounds by more than the pick.
    FurtherOff {
        /// Sum of relative excesses.
        excess: f64,
        /// The same of the pick.
        best: f64,
    },
    /// Fewer tokens from the same budget.
    Slower {
        /// Tokens per second and GPU of the budget.
        tokens_per_s_per_gpu: f64,
        /// The same of the pick.
        best: f64,
    },
    /// More time between tokens, where latency is the goal.
    Laggier {
        /// Time between tokens.
        itl: Milliseconds,
        /// The same of the pick.
        best: Milliseconds,
    },
    /// More GPUs for the same load.
    MoreGpus {
        /// GPUs that it takes.
        gpus: Gpus,
        /// The same of the pick.
        best: Gpus,
    },
    /// A smaller share of the load.
    LessLoad {
        /// Share that it serves.
        served: Fraction,
        /// The same of the pick.
        best: Fraction,
    },
    /// Fewer tokens per GPU once prefill and decode are scaled to balance each other.
    LessEfficient {
        /// Tokens per second and GPU in balance.
        tokens_per_s_per_gpu: f64,
        /// The same of the pick.
        best: f64,
    },
    /// As good as the pick, but slower for each user, larger, or with more parts.
    Tied,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missed(gap) => write!(f, "misses the SLA: {gap}"),
            Self::FurtherOff { excess, best } => write!(
                f,
                "further from the SLA: {:.1} % off vs {:.1} %",
                excess * 100.0,
                best * 100.0
            ),
            Self::Slower {
                tokens_per_s_per_gpu,
                best,
            } => write!(f, "slower: {tokens_per_s_per_gpu:.0} vs {best:.0} tokens/s/GPU"),
            Self::Laggier { itl, best } => write!(f, "more time between tokens: {itl:.1} vs {best:.1}"),
            Self::MoreGpus { gpus, best } => {
                write!(f, "more GPUs for the same load: {} vs {}", gpus.get(), best.get())
            }
            Self::LessLoad { served, best } => write!(
                f,
                "serves less of the load: {:.1} % vs {:.1} %",
                served.get() * 100.0,
                best.get() * 100.0
            ),
            Self::LessEfficient {
                tokens_per_s_per_gpu,
                best,
            } => write!(
                f,
                "less efficient in balance: {tokens_per_s_per_gpu:.0} vs {best:.0} tokens/s/GPU"
            ),
            Self::Tied => f.write_str("tied, but slower for each user, larger, or with more parts"),
        }
    }
}

impl Serialize for Lost {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A configuration on the Pareto front.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParetoPoint {
    /// The configuration.
    #[serde(flatten)]
    pub configuration: Configuration,
    /// Whether it keeps the SLA.
    pub meets_sla: bool,
}

/// A mapping without a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Excluded {
    /// Its name.
    pub mapping: String,
    /// The role that failed; none for a mapping that was never tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Why, in words.
    pub reason: String,
    /// What would help, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// Why nothing can be deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// A mapping was rejected before measuring.
    Rejected(Rejected),
    /// A worker gave no usable number.
    Unmeasured {
        /// The worker.
        mapping: ParallelMapping,
        /// Its role.
        role: Role,
        /// Its first failure; none when nothing was recorded.
        failure: Option<Failure>,
    },
    /// Workers exist, but no combination fits the budget.
    NothingFits {
        /// GPUs of the smallest combination.
        needed: Gpus,
        /// GPUs of the budget.
        available: Gpus,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejected) => write!(
                f,
                "TP{}: {}; {}",
                rejected.tp,
                rejected.reason,
                rejected.reason.remedy()
            ),
            Self::Unmeasured {
                mapping,
                role,
                failure: Some(failure),
            } => write!(f, "{mapping} {role}: {failure}"),
            Self::Unmeasured { mapping, role, .. } => {
                write!(f, "{mapping} {role}: no measurement was recorded")
            }
            Self::NothingFits { needed, available } => write!(
                f,
                "the smallest deployment needs {needed} but hardware.totalGpus is {}; raise hardware.totalGpus or use \
                 aggregated serving",
                available.get()
            ),
        }
    }
}
