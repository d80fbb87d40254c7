//! Why a request cannot be used.

use crate::finding::{Findings, Position};

/// A request that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DgdrError {
    /// The text is neither YAML nor JSON; the message shows the place.
    #[error("the request is not valid YAML or JSON: {message}")]
    Syntax {
        /// What the parser says, with a snippet of the text.
        message: String,
        /// Where, when the parser knows.
        position: Option<Position>,
    },
    /// The text holds no document.
    #[error("the request is empty: give a DynamoGraphDeploymentRequest or its spec, with at least `model`")]
    Empty,
    /// The request breaks rules; all of them are listed.
    #[error("{0}")]
    Invalid(Findings),
    /// An object of a version that cannot be converted.
    #[error("apiVersion: {found:?} is no version of this resource; write nvidia.com/v1beta1")]
    UnknownVersion {
        /// The `apiVersion`.
        found: String,
    },
    /// An object of another kind cannot be converted.
    #[error("kind: {found:?} cannot be converted here; write DynamoGraphDeploymentRequest")]
    OtherKind {
        /// The `kind`.
        found: String,
    },
    /// A request that YAML cannot hold.
    #[error("the request cannot be written as YAML: {message}")]
    Unprintable {
        /// What the writer says.
        message: String,
    },
    /// A `--set` argument is not `path=value`.
    #[error("`{argument}` sets nothing: write spec.path.to.field=value, for example spec.sla.ttft=300")]
    SetSyntax {
        /// The argument.
        argument: String,
    },
    /// A `--set` argument leads through a value that has no fields.
    #[error("`{argument}` cannot be set: {blocked} is {kind}, which has no fields")]
    SetBlocked {
        /// The argument.
        argument: String,
        /// Path of the value that is in the way.
        blocked: String,
        /// What stands there.
        kind: &'static str,
    },
    /// The value of a `--set` argument is not YAML.
    #[error("`{argument}` cannot be set: its value is not YAML: {message}")]
    SetValue {
        /// The argument.
        argument: String,
        /// What the parser says.
        message: String,
    },
}

impl DgdrError {
    /// A short name of the kind of failure, for logs, metrics and conditions.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "invalid-syntax",
            Self::Empty => "empty-request",
            Self::Invalid(_) => "invalid-request",
            Self::UnknownVersion { .. } => "unknown-version",
            Self::OtherKind { .. } => "other-kind",
            Self::Unprintable { .. } => "unprintable-request",
            Self::SetSyntax { .. } | Self::SetBlocked { .. } | Self::SetValue { .. } => "invalid-set",
        }
    }
}
