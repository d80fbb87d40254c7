//! NCCL collectives.

use super::all_reduce::{Group, GroupCurve, curve_of, group_latency};
use super::miss::{Measured, OperatorMiss};
use crate::OperatorLatency;

const TABLE: &str = "nccl";

/// What GPUs do together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Collective {
    /// Every rank gets all parts.
    AllGather,
    /// Every rank gets the sum.
    AllReduce,
    /// Every rank sends a part to every other.
    AllToAll,
    /// Every rank gets a part of the sum.
    ReduceScatter,
}

impl Collective {
    /// The name in the tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AllGather => "all_gather",
            Self::AllReduce => "all_reduce",
            Self::AllToAll => "alltoall",
            Self::ReduceScatter => "reduce_scatter",
        }
    }
}

/// Cost of a collective of 16-bit elements among a fixed number of GPUs.
#[derive(Debug, Clone)]
pub struct NcclCost {
    /// None for a single GPU, which has nobody to talk to.
    measured: Option<GroupCurve>,
}

impl NcclCost {
    pub(crate) fn resolve(
        measured: Measured<'_>,
        collective: Collective,
        gpus: u32,
    ) -> Result<Self, OperatorMiss> {
        if gpus <= 1 {
            return Ok(Self { measured: None });
        }
        let missing =
            || measured.not_measured(TABLE, format!("op_name {}, num_gpus {gpus}", collective.name()));
        let directory = measured.directory(TABLE)?;
        let word = directory.word(collective.name()).ok_or_else(missing)?;
        let most = (0..directory.slices())
            .map(|slice| directory.key(slice))
            .filter(|key| key[0] == word)
            .map(|key| key[1])
            .max()
            .ok_or_else(missing)?;
        let curve = curve_of(measured, TABLE, &[word, gpus.min(most)])?.ok_or_else(missing)?;
        Ok(Self {
            measured: Some(GroupCurve::new(
                curve,
                measured.system,
                Group { largest: most, gpus },
            )),
        })
    }

    /// Latency for `elements` elements.
    ///
    /// # Errors
    /// None at present; the signature is that of the other operators.
    pub fn latency(&self, elements: u64) -> Result<OperatorLatency, OperatorMiss> {
        Ok(group_latency(self.measured.as_ref(), elements))
    }
}
