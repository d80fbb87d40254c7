//! What a run's exit code means: a public contract with scripts and Jobs.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// Done, also when the SLA was only approached (the outcome says so).
    Done,
    /// Bad usage or an invalid spec.
    Usage,
    /// Nothing feasible.
    Infeasible,
    /// `--strict-sla` was given and the SLA is not met.
    SlaNotMet,
    /// An engine or the cluster failed.
    EngineFailed,
    /// Output could not be written.
    OutputFailed,
    /// A bug of ours.
    Bug,
}

impl ExitStatus {
    /// All of them, in ascending order of code.
    pub const ALL: [Self; 7] = [
        Self::Done,
        Self::Usage,
        Self::Infeasible,
        Self::SlaNotMet,
        Self::EngineFailed,
        Self::OutputFailed,
        Self::Bug,
    ];

    /// The process exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Usage => 2,
            Self::Infeasible => 3,
            Self::SlaNotMet => 4,
            Self::EngineFailed => 5,
            Self::OutputFailed => 6,
            Self::Bug => 70,
        }
    }

    /// One line of meaning, as the documentation prints it.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done (also when the SLA was only approached: the outcome says so)",
            Self::Usage => "bad usage or invalid spec",
            Self::Infeasible => "nothing feasible",
            Self::SlaNotMet => "`--strict-sla` and the SLA is not met",
            Self::EngineFailed => "an engine or the cluster failed",
            Self::OutputFailed => "output could not be written",
            Self::Bug => "a bug of ours: please report it",
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}
