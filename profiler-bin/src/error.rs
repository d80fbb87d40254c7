//! Why a run ends without a result, and what to do about it.

use std::path::PathBuf;

use dgdr_interpolation::{BuildError, FormatError, QueryError};
use dgdr_load_generator::LoadError;
use dgdr_mock_engine::MockError;
use dgdr_perf_model::{ParallelMapping, PerfModelError};
use dgdr_sweep_planner::{Closest, Failure, PlannerError, Reason};
use dgdr_units::UnitError;

use crate::artifacts::WriteError;
use crate::exit_status::ExitStatus;
use crate::hardware::HardwareError;
use crate::model_source::ModelSourceError;
use crate::plots::PngError;
use dgdr_render::RenderError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfilerError {
    /// No request was given.
    #[error("no request was given: say --config FILE, --config '{{…}}' or --config -")]
    NoConfig,
    /// The request could not be read.
    #[error("cannot read the request {}: {source}", path.display())]
    ConfigUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The request is wrong.
    #[error(transparent)]
    Request(#[from] dgdr_types::DgdrError),
    /// An argument is wrong.
    #[error("{argument}: {problem}")]
    Argument {
        /// The argument as it is written on the command line, or the key of a JSON line.
        argument: &'static str,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A request asks for what this build cannot do.
    #[error("{field}: {value} {why}")]
    Unsupported {
        /// Path of the field.
        field: &'static str,
        /// Its value.
        value: String,
        /// Why, and what to do.
        why: &'static str,
    },
    /// The hardware is unknown or not covered.
    #[error(transparent)]
    Hardware(#[from] HardwareError),
    /// The model could not be found.
    #[error(transparent)]
    ModelSource(#[from] ModelSourceError),
    /// A model description makes no sense.
    #[error("model `{model}`: its {what} is zero; give the checkpoint's own config.json with --model-config")]
    Model {
        /// The model.
        model: String,
        /// What is zero.
        what: &'static str,
    },
    /// A folder of measurements cannot be used.
    #[error("--systems-dir {}: {problem}", folder.display())]
    Tables {
        /// The folder, or the file in it.
        folder: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A prediction cannot be made.
    #[error(transparent)]
    PerfModel(#[from] PerfModelError),
    /// The planner was asked nonsense.
    #[error(transparent)]
    Planner(#[from] PlannerError),
    /// A computed number is not a quantity.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// Nothing can be deployed.
    #[error("no configuration of `{model}` can be deployed{}", list(reasons))]
    Infeasible {
        /// The model.
        model: String,
        /// Why, one entry each candidate.
        reasons: Vec<Reason>,
    },
    /// The picked engine has no room for a KV cache.
    #[error("{mapping}: the KV cache of the picked decode engine is unknown: {failure}")]
    KvCapacity {
        /// The engine.
        mapping: ParallelMapping,
        /// Why.
        failure: Failure,
    },
    /// Too few points for a curve.
    #[error("the {engine} curve cannot be fitted: {source}")]
    Curve {
        /// The engine.
        engine: &'static str,
        /// Why.
        source: BuildError,
    },
    /// The deployment could not be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// A picture could not be drawn.
    #[error(transparent)]
    Plot(#[from] PngError),
    /// Data could not be encoded.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A result is larger than what passes it on.
    #[error("{what} would be {bytes} bytes, and a ConfigMap holds at most {limit}: {advice}")]
    TooLarge {
        /// Which result.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// Most that can be passed on.
        limit: usize,
        /// What makes it smaller.
        advice: &'static str,
    },
    /// A result could not be encoded.
    #[error("cannot encode {what}: {problem}")]
    Encode {
        /// What.
        what: &'static str,
        /// Why.
        problem: String,
    },
    /// A result could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Standard output could not be written.
    #[error("cannot write to standard output: {0}")]
    Stdout(#[from] std::io::Error),
    /// The data of a finished run could not be read.
    #[error("cannot read {}: {problem}; is it the output directory of a finished run?", path.display())]
    RunUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// A question outside the data of a run.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Load cannot be sent.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A simulated engine cannot serve.
    #[error(transparent)]
    MockEngine(#[from] MockError),
    /// Another load generator failed.
    #[error("{} {problem}", program.display())]
    LoadGenerator {
        /// The program.
        program: PathBuf,
        /// What went wrong.
        problem: String,
    },
    /// An engine did not do what it was told.
    #[error("{url}: {problem}")]
    EngineCall {
        /// What was called.
        url: String,
        /// What went wrong and what to do.
        problem: String,
    },
    /// The SLA is not met and the user insists on it.
    #[error("the SLA is not met: {}", .0.binding)]
    SlaNotMet(Box<Closest>),
}

/// Reasons, one a line.
fn list(reasons: &[Reason]) -> String {
    reasons.iter().fold(String::new(), |list, reason| {
        list + "\n  - " + &reason.to_string()
    })
}

impl ProfilerError {
    /// The exit code that it ends the process with.
    pub fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Load(LoadError::Connect { .. } | LoadError::System { .. })
            | Self::LoadGenerator { .. }
            | Self::EngineCall { .. } => ExitStatus::EngineFailed,
            Self::NoConfig
            | Self::Load(_)
            | Self::MockEngine(_)
            | Self::ConfigUnreadable { .. }
            | Self::Request(_)
            | Self::Argument { .. }
            | Self::Unsupported { .. }
            | Self::Hardware(_)
            | Self::ModelSource(_)
            | Self::Model { .. }
            | Self::Tables { .. }
            | Self::PerfModel(_)
            | Self::Planner(_)
            | Self::RunUnreadable { .. }
            | Self::Render(_)
            | Self::Query(_) => ExitStatus::Usage,
            Self::Infeasible { .. } | Self::KvCapacity { .. } | Self::Curve { .. } => ExitStatus::Infeasible,
            Self::SlaNotMet(_) => ExitStatus::SlaNotMet,
            Self::Write(_) | Self::Stdout(_) | Self::TooLarge { .. } => ExitStatus::OutputFailed,
            Self::Unit(_) | Self::Plot(_) | Self::Format(_) | Self::Encode { .. } => ExitStatus::Bug,
        }
    }

    /// A short name of the kind of failure, for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoConfig => "no-config",
            Self::ConfigUnreadable { .. } => "config-unreadable",
            Self::Request(error) => error.code(),
            Self::Argument { .. } => "invalid-argument",
            Self::Unsupported { .. } => "unsupported",
            Self::Hardware(_) => "unknown-hardware",
            Self::ModelSource(_) => "model-not-found",
            Self::Model { .. } => "invalid-model",
            Self::Tables { .. } => "tables-unreadable",
            Self::PerfModel(_) => "no-prediction",
            Self::Planner(_) => "invalid-question",
            Self::Infeasible { .. } => "infeasible",
            Self::KvCapacity { .. } => "no-kv-room",
            Self::Curve { .. } => "no-curve",
            Self::Render(RenderError::Override(_)) => "invalid-override",
            Self::Render(_) => "not-renderable",
            Self::RunUnreadable { .. } => "run-unreadable",
            Self::Query(_) => "out-of-range",
            Self::Load(LoadError::Connect { .. }) => "no-connection",
            Self::Load(_) => "no-load",
            Self::MockEngine(_) => "no-mock-engine",
            Self::LoadGenerator { .. } => "load-generator-failed",
            Self::EngineCall { .. } => "engine-call-failed",
            Self::SlaNotMet(_) => "sla-not-met",
            Self::TooLarge { .. } => "too-large",
            Self::Write(_) | Self::Stdout(_) => "not-writable",
            Self::Unit(_) | Self::Plot(_) | Self::Format(_) | Self::Encode { .. } => "bug",
        }
    }

    /// What to do about it, beyond what the message says.
    pub fn hints(&self) -> Vec<String> {
        if let Self::SlaNotMet(closest) = self {
            return closest.remedies.iter().map(ToString::to_string).collect();
        }
        let hint = if matches!(self, Self::Infeasible { .. }) {
            "use a smaller or quantised model, GPUs with more memory, or more GPUs per node"
        } else if matches!(self, Self::Write(_)) {
            "choose a writable directory with --output-dir"
        } else {
            return Vec::new();
        };
        vec![hint.to_owned()]
    }
}
