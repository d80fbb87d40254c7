//! The API versions that a deployment is written in.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::document::DocumentError;
use super::{API_VERSION, KIND};

/// An API version of a `DynamoGraphDeployment`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum DgdVersion {
    /// `nvidia.com/v1alpha1`: services by name. The only version of release 1.0 and before.
    V1alpha1,
    /// `nvidia.com/v1beta1`: a list of components with pod templates.
    #[default]
    V1beta1,
}

impl DgdVersion {
    /// Every version, oldest first.
    pub const ALL: [Self; 2] = [Self::V1alpha1, Self::V1beta1];

    /// `v1alpha1` or `v1beta1`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1alpha1 => "v1alpha1",
            Self::V1beta1 => "v1beta1",
        }
    }

    /// What `apiVersion` says.
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::V1alpha1 => "nvidia.com/v1alpha1",
            Self::V1beta1 => API_VERSION,
        }
    }

    /// Field of `spec` that holds the components.
    pub const fn components_field(self) -> &'static str {
        match self {
            Self::V1alpha1 => "services",
            Self::V1beta1 => "components",
        }
    }

    /// The version of a document. One that names neither `apiVersion` nor `kind` is read as v1alpha1, as upstream does.
    ///
    /// # Errors
    /// When it is another kind, or another version of this one.
    pub fn of(document: &Value) -> Result<Self, DocumentError> {
        if let Some(kind) = document.get("kind").filter(|kind| *kind != KIND) {
            return Err(DocumentError::new(
                "kind",
                format!("{kind} is not {KIND}"),
                "give parts of a DynamoGraphDeployment",
            ));
        }
        match document.get("apiVersion") {
            None => Ok(Self::V1alpha1),
            Some(given) => Self::ALL
                .into_iter()
                .find(|version| given == version.api_version())
                .ok_or_else(|| {
                    DocumentError::new(
                        "apiVersion",
                        format!("{given} is no version of {KIND}"),
                        "write nvidia.com/v1alpha1 or nvidia.com/v1beta1",
                    )
                }),
        }
    }
}

impl fmt::Display for DgdVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no version of a DynamoGraphDeployment: use v1alpha1 or v1beta1")]
pub struct DgdVersionError {
    /// The text.
    pub text: String,
}

impl FromStr for DgdVersion {
    type Err = DgdVersionError;
    fn from_str(text: &str) -> Result<Self, DgdVersionError> {
        Self::ALL
            .into_iter()
            .find(|version| version.name() == text || version.api_version() == text)
            .ok_or_else(|| DgdVersionError {
                text: text.to_owned(),
            })
    }
}
