//! How one worker spreads a model over GPUs, and the only place where a worker's GPUs are counted.

use std::fmt;

use dgdr_units::Gpus;
use serde::{Deserialize, Serialize};

/// The widths of a parallel mapping, as a user or a table names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MappingWidths {
    /// Tensor parallelism of attention (and of the FFN of a dense model).
    pub tp: u32,
    /// Pipeline stages.
    pub pp: u32,
    /// Data-parallel copies of attention.
    pub attention_dp: u32,
    /// Tensor parallelism within one expert; 1 for a dense model.
    pub moe_tp: u32,
    /// Expert parallelism; 1 for a dense model.
    pub moe_ep: u32,
    /// Context parallelism: ranks that a prompt is split over (SGLang's prefill); written only where it is used.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub cp: u32,
}

impl MappingWidths {
    /// One GPU.
    pub const ONE: Self = Self {
        tp: 1,
        pp: 1,
        attention_dp: 1,
        moe_tp: 1,
        moe_ep: 1,
        cp: 1,
    };

    /// GPUs of one worker: `tp × pp × attention_dp × cp`.
    pub const fn gpus(self) -> Gpus {
        Gpus::new(
            self.tp
                .saturating_mul(self.pp)
                .saturating_mul(self.attention_dp)
                .saturating_mul(self.cp),
        )
    }
}

const fn one() -> u32 {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands the field by reference"
)]
const fn is_one(width: &u32) -> bool {
    *width == 1
}

/// Widths that do not form a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MappingError {
    /// A width is zero.
    #[error("every width of a parallel mapping must be at least 1, got {0:?}")]
    Zero(MappingWidths),
    /// Attention and experts would need different numbers of GPUs.
    #[error(
        "attention uses tp × attention_dp × cp = {} GPUs but the experts use moe_tp × moe_ep = {}: both must be equal",
        .0.tp * .0.attention_dp * .0.cp, .0.moe_tp * .0.moe_ep
    )]
    Unequal(MappingWidths),
    /// More GPUs than there are.
    #[error("a parallel mapping may take at most {MOST_GPUS} GPUs, got {0:?}")]
    TooWide(MappingWidths),
}

/// GPUs of the widest worker that is considered; beyond every cluster, and small enough that widths can be multiplied.
const MOST_GPUS: u32 = 1 << 16;

/// How one worker spreads a model over GPUs.
///
/// For a dense model `moe_tp = moe_ep = 1`; for MoE `tp × attention_dp × cp = moe_tp × moe_ep` holds by construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "MappingWidths", into = "MappingWidths")]
pub struct ParallelMapping(MappingWidths);

impl ParallelMapping {
    /// One GPU.
    pub const SINGLE: Self = Self(MappingWidths::ONE);

    /// Checks widths.
    ///
    /// # Errors
    /// [`MappingError`] when a width is zero, or when attention and experts need different GPU counts. Experts with
    /// `moe_tp = moe_ep = 1` mean "no experts" and are not compared.
    pub const fn new(widths: MappingWidths) -> Result<Self, MappingError> {
        let MappingWidths {
            tp,
            pp,
            attention_dp,
            moe_tp,
            moe_ep,
            cp,
        } = widths;
        if tp == 0 || pp == 0 || attention_dp == 0 || moe_tp == 0 || moe_ep == 0 || cp == 0 {
            return Err(MappingError::Zero(widths));
        }
        let attention = tp.saturating_mul(attention_dp).saturating_mul(cp);
        let experts = moe_tp.saturating_mul(moe_ep);
        if attention.saturating_mul(pp) > MOST_GPUS || experts > MOST_GPUS {
            return Err(MappingError::TooWide(widths));
        }
        if experts > 1 && experts != attention {
            return Err(MappingError::Unequal(widths));
        }
        Ok(Self(widths))
    }

    /// Tensor parallelism of a dense model over `n` GPUs.
    ///
    /// # Errors
    /// [`MappingError::Zero`] for `n = 0`.
    pub const fn tp(n: u32) -> Result<Self, MappingError> {
        Self::new(MappingWidths {
            tp: n,
            ..MappingWidths::ONE
        })
    }

    /// Tensor-parallel attention with expert-parallel MoE over `n` GPUs.
    ///
    /// # Errors
    /// [`MappingError::Zero`] for `n = 0`.
    pub const fn tep(n: u32) -> Result<Self, MappingError> {
        Self::new(MappingWidths {
            tp: n,
            moe_ep: n,
            ..MappingWidths::ONE
        })
    }

    /// Data-parallel attention with expert-parallel MoE over `n` GPUs.
    ///
    /// # Errors
    /// [`MappingError::Zero`] for `n = 0`.
    pub const fn dep(n: u32) -> Result<Self, MappingError> {
        Self::new(MappingWidths {
            attention_dp: n,
            moe_ep: n,
            ..MappingWidths::ONE
        })
    }

    /// The same GPUs for a model with experts: where the widths say nothing of experts, all ranks share each of them.
    #[must_use]
    pub const fn with_experts(self) -> Self {
        let MappingWidths {
            tp,
            attention_dp,
            moe_tp,
            moe_ep,
            cp,
            ..
        } = self.0;
        if moe_tp * moe_ep > 1 {
            return self;
        }
        Self(MappingWidths {
            moe_tp: tp * attention_dp * cp,
            ..self.0
        })
    }

    /// The widths.
    pub const fn widths(self) -> MappingWidths {
        self.0
    }

    /// GPUs of one worker.
    pub const fn gpus(self) -> Gpus {
        self.0.gpus()
    }
}

impl TryFrom<MappingWidths> for ParallelMapping {
    type Error = MappingError;
    fn try_from(widths: MappingWidths) -> Result<Self, MappingError> {
        Self::new(widths)
    }
}

impl From<ParallelMapping> for MappingWidths {
    fn from(mapping: ParallelMapping) -> Self {
        mapping.0
    }
}

impl fmt::Display for ParallelMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for MappingWidths {
    /// The field's own names: `TP4`, `TEP8`, `DEP16`, mixed ones spelt out, `CP` and `PP` added where a prompt or the
    /// layers are split.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tp,
            pp,
            attention_dp,
            moe_tp,
            moe_ep,
            cp,
        } = *self;
        if attention_dp == 1 && moe_ep == 1 {
            write!(f, "TP{tp}")?;
        } else if attention_dp == 1 && moe_tp == 1 {
            write!(f, "TEP{tp}")?;
        } else if tp == 1 && moe_tp == 1 && moe_ep > 1 {
            write!(f, "DEP{attention_dp}")?;
        } else if moe_tp * moe_ep == 1 {
            write!(f, "TP{tp}×DP{attention_dp}")?;
        } else {
            write!(f, "TP{tp}×DP{attention_dp}/MoE-TP{moe_tp}×EP{moe_ep}")?;
        }
        if cp > 1 {
            write!(f, " CP{cp}")?;
        }
        if pp > 1 { write!(f, " PP{pp}") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{MappingError, MappingWidths, ParallelMapping};
    use dgdr_units::Gpus;

    #[test]
    fn gpus_are_counted_once_for_every_kind() {
        assert_eq!(ParallelMapping::tp(4).unwrap().gpus(), Gpus::new(4));
        assert_eq!(ParallelMapping::tep(8).unwrap().gpus(), Gpus::new(8));
        assert_eq!(ParallelMapping::dep(16).unwrap().gpus(), Gpus::new(16));
    }

    #[test]
    fn experts_are_shared_by_all_ranks_where_nothing_is_said_of_them() {
        let shared = ParallelMapping::tp(4).unwrap().with_experts().widths();
        assert_eq!((shared.tp, shared.moe_tp, shared.moe_ep), (4, 4, 1));
        let dealt = ParallelMapping::tep(4).unwrap();
        assert_eq!(dealt.with_experts(), dealt);
    }

    #[test]
    fn mappings_are_named_as_the_field_names_them() {
        assert_eq!(ParallelMapping::tp(4).unwrap().to_string(), "TP4");
        assert_eq!(ParallelMapping::tep(8).unwrap().to_string(), "TEP8");
        assert_eq!(ParallelMapping::dep(8).unwrap().to_string(), "DEP8");
        let pipelined = MappingWidths {
            tp: 4,
            pp: 2,
            attention_dp: 1,
            moe_tp: 1,
            moe_ep: 1,
            cp: 1,
        };
        assert_eq!(ParallelMapping::new(pipelined).unwrap().to_string(), "TP4 PP2");
        let split = MappingWidths {
            tp: 2,
            moe_ep: 4,
            cp: 2,
            ..MappingWidths::ONE
        };
        assert_eq!(ParallelMapping::new(split).unwrap().to_string(), "TEP2 CP2");
    }

    #[test]
    fn attention_and_experts_share_the_same_gpus() {
        let widths = MappingWidths {
            tp: 4,
            pp: 1,
            attention_dp: 1,
            moe_tp: 1,
            moe_ep: 8,
            cp: 1,
        };
        assert_eq!(ParallelMapping::new(widths), Err(MappingError::Unequal(widths)));
        assert!(ParallelMapping::tp(0).is_err());
    }
}
