//! Everything that was compared, and why the losers lost.

use std::fmt;

use dgdr_units::{Fraction, Gpus, Milliseconds};
use serde::{Deserialize, Serialize};

use super::configuration::Configuration;
use super::gap::Gap;
use crate::measurements::Role;

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
        /// Tokens per second that each user sees.
        for_each_user: f64,
        /// The same of the pick.
        best_for_each_user: f64,
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
                for_each_user,
                best_for_each_user,
            } => {
                let speeds = format!("{for_each_user:.1} vs {best_for_each_user:.1} tokens/s for each user");
                if for_each_user <= best_for_each_user {
                    write!(
                        f,
                        "dominated by the pick: {tokens_per_s_per_gpu:.0} vs {best:.0} tokens/s/GPU, {speeds}"
                    )
                } else {
                    write!(
                        f,
                        "fewer tokens: {tokens_per_s_per_gpu:.0} vs {best:.0} tokens/s/GPU, though {speeds}"
                    )
                }
            }
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParetoPoint {
    /// The configuration.
    #[serde(flatten)]
    pub configuration: Configuration,
    /// Whether it keeps the SLA.
    pub meets_sla: bool,
}

/// A mapping without a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
