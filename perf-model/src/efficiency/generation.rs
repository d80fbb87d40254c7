//! Which measured GPUs speak for the others.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::system::SystemSpec;

/// A generation of GPUs that some system of was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Generation {
    /// Ampere, and older ones.
    Ampere,
    /// Hopper, and Ada.
    Hopper,
    /// Blackwell, and newer ones.
    Blackwell,
}

impl Generation {
    /// All generations, oldest first.
    pub const ALL: [Self; 3] = [Self::Ampere, Self::Hopper, Self::Blackwell];

    /// The generation that a system belongs to, or is nearest to: by compute capability, and for other makers' GPUs by
    /// the rate of bfloat16.
    pub fn of(system: &SystemSpec) -> Self {
        match system.sm_version {
            Some(0..=88) => Self::Ampere,
            Some(89..=99) => Self::Hopper,
            Some(_) => Self::Blackwell,
            None => Self::ALL
                .into_iter()
                .min_by(|a, b| a.distance(system).total_cmp(&b.distance(system)))
                .unwrap_or(Self::Ampere),
        }
    }

    /// Octaves between a system's rate of bfloat16 and that of the generation's measured GPUs.
    fn distance(self, system: &SystemSpec) -> f64 {
        let typical: f64 = match self {
            Self::Ampere => 312e12,
            Self::Hopper => 989e12,
            Self::Blackwell => 2250e12,
        };
        (system.bfloat16_flops / typical).log2().abs()
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ampere => "Ampere",
            Self::Hopper => "Hopper",
            Self::Blackwell => "Blackwell",
        })
    }
}
