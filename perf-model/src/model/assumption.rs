//! What is taken for granted of a model because its configuration, or our knowledge of it, says too little.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ModelFamily;

/// Something taken for granted; prints as a sentence without its stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Assumption {
    /// The architecture is not known by name: its fields are those of this family.
    FamilyOfFields {
        /// The architecture.
        architecture: String,
        /// The family.
        family: ModelFamily,
    },
    /// Layers that look back over a window only are priced as if they looked at all tokens.
    FullAttention {
        /// Tokens of the window.
        window: u32,
    },
    /// The feed-forward network is taken to have a gate, which this activation need not mean.
    GatedNetwork {
        /// The activation.
        activation: String,
    },
}

impl fmt::Display for Assumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FamilyOfFields { architecture, family } => write!(
                f,
                "architecture `{architecture}` is not known by name; by its fields it is taken as {}",
                family.describe()
            ),
            Self::FullAttention { window } => write!(
                f,
                "layers that look back {window} tokens are priced as if they looked at all, which is an upper bound"
            ),
            Self::GatedNetwork { activation } => write!(
                f,
                "the feed-forward network is taken to have a gate beside its up projection, which activation \
                 `{activation}` does not say"
            ),
        }
    }
}
