//! All-reduce by the engine's own kernel.

use super::curve::Curve;
use super::miss::{Measured, OperatorMiss};
use crate::{Axis, OperatorLatency, Source, SystemSpec};

const TABLE: &str = "custom_allreduce";

/// Cost of an all-reduce among a fixed number of GPUs.
#[derive(Debug, Clone)]
pub struct AllReduceCost {
    /// None for a single GPU, which has nothing to reduce.
    measured: Option<GroupCurve>,
}

impl AllReduceCost {
    pub(crate) fn resolve(measured: Measured<'_>, gpus: u32) -> Result<Self, OperatorMiss> {
        if gpus <= 1 {
            return Ok(Self { measured: None });
        }
        let node = measured.system.gpus_per_node;
        let curve = curve_of(measured, TABLE, &[gpus.min(node)])?
            .ok_or_else(|| measured.not_measured(TABLE, format!("num_gpus {}", gpus.min(node))))?;
        Ok(Self {
            measured: Some(GroupCurve::new(
                curve,
                measured.system,
                Group { largest: node, gpus },
            )),
        })
    }

    /// Latency of reducing `elements` elements (tokens × hidden size).
    ///
    /// # Errors
    /// None at present; the signature is that of the other operators.
    pub fn latency(&self, elements: u64) -> Result<OperatorLatency, OperatorMiss> {
        Ok(group_latency(self.measured.as_ref(), elements))
    }
}

/// A group of GPUs, and the largest one that was measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub(super) largest: u32,
    pub(super) gpus: u32,
}

/// Latency over message sizes of a group of GPUs, scaled from the largest measured one where the group is larger.
#[derive(Debug, Clone)]
pub(super) struct GroupCurve {
    curve: Curve,
    factor: f64,
    source: Source,
}

impl GroupCurve {
    pub(super) fn new(curve: Curve, system: &SystemSpec, group: Group) -> Self {
        let (factor, source) = if group.gpus > group.largest {
            (
                beyond(system, group.largest, group.gpus),
                Source::extrapolated(Axis::Gpus, u64::from(group.largest), u64::from(group.gpus)),
            )
        } else {
            (1.0, Source::Measured)
        };
        Self {
            curve,
            factor,
            source,
        }
    }
}

/// Latency of `elements` elements; a single GPU has no group and waits for nobody.
///
/// AIConfigurator looks the number of elements up where the table counts bytes; kept, because the predictions are
/// compared with it.
pub(super) fn group_latency(group: Option<&GroupCurve>, elements: u64) -> OperatorLatency {
    group.map_or(OperatorLatency::ZERO, |group| {
        let found = group.curve.proportional(Axis::Elements, elements);
        OperatorLatency {
            ms: found.ms * group.factor,
            source: found.source.worse(group.source),
        }
    })
}

/// The curve over message sizes of one slice; none where it was not measured.
pub(super) fn curve_of(
    measured: Measured<'_>,
    table: &'static str,
    key: &[u32],
) -> Result<Option<Curve>, OperatorMiss> {
    let directory = measured.directory(table)?;
    match directory.find(key) {
        Some(slice) => Ok(Curve::of_row(&*measured.file.grid(directory, slice)?, 0)),
        None => Ok(None),
    }
}

/// What a ring over `gpus` costs relative to the largest measured one: more data travels, over a slower link.
fn beyond(system: &SystemSpec, measured: u32, gpus: u32) -> f64 {
    let travels = |ranks: u32| (f64::from(ranks) - 1.0) / f64::from(ranks);
    travels(gpus) / travels(measured) * system.p2p_bandwidth(measured) / system.p2p_bandwidth(gpus)
}
