//! What operators cost where nobody measured them: the roofline, at the efficiency that measured kernels reach.
//!
//! A kernel is bound by arithmetic, by memory or by the links between GPUs. For each of the three, the tables of a GPU
//! generation show what share of the speed of light its kernels reach as a function of how much they have to do:
//! little work costs a launch, much work comes near the datasheet. These curves are learned by `cargo xtask perf-data`
//! and come with the library; the latency of unmeasured work is the largest of its three speed-of-light latencies, each
//! over its efficiency.

mod curve;
mod generation;
mod learn;
mod learned;
mod speed_of_light;

use crate::graph::{GraphOperator, TokenShare, Work};
use crate::operators::StepShape;
use crate::provenance::{OperatorLatency, Source};
use crate::system::SystemSpec;
use crate::{Backend, PerfDatabase};

pub use curve::Curve;
pub use generation::Generation;
pub use learn::Lesson;
pub use learned::{Efficiencies, EfficiencyCurve};
pub use speed_of_light::{Bound, SpeedOfLight, Subject};

/// What to do about an operator without measured data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GapPolicy {
    /// An error names it.
    #[default]
    Refuse,
    /// It costs what [`RooflineCost`] says, and the provenance of every prediction shows the share.
    Roofline,
}

/// A sequence that no window or choice of tokens cuts short.
const SHORT: u64 = 64;

/// Cost of one operator without measured data.
#[derive(Debug, Clone)]
pub struct RooflineCost {
    work: Work,
    tokens: TokenShare,
    light: SpeedOfLight,
    curves: [&'static Curve; Bound::ALL.len()],
}

impl RooflineCost {
    /// The cost of an operator on a system; none for one that has parts, which are priced one by one, and for closed
    /// forms, which need no table.
    pub fn new(system: &'static SystemSpec, backend: Backend, operator: &GraphOperator) -> Option<Self> {
        let subject = Subject::of(&operator.work)?;
        let learned = Efficiencies::embedded();
        let curve = |bound| Some(&learned.curve((system, backend), &subject, bound)?.curve);
        let [arithmetic, memory, link] = Bound::ALL.map(curve);
        Some(Self {
            work: operator.work.clone(),
            tokens: operator.tokens,
            light: SpeedOfLight::new(system),
            curves: [arithmetic?, memory?, link?],
        })
    }

    /// Whether it costs more as sequences grow, whatever the number of tokens in the step.
    pub(crate) fn grows_with_sequence(&self) -> bool {
        let step = |sequence: u64| StepShape {
            batch: 1,
            new_tokens: SHORT,
            prefix: sequence - SHORT,
            sequence,
            tokens: SHORT,
            logits: 1,
        };
        let [short, long] =
            [SHORT, 64 * SHORT].map(|sequence| self.light.limits(&self.work, SHORT, &step(sequence)));
        short.iter().zip(long).any(|(short, long)| long > *short)
    }

    /// One run of the operator in a step.
    pub fn latency(&self, step: &StepShape) -> OperatorLatency {
        let limits = self.light.limits(&self.work, self.tokens.count(step), step);
        let ms = self
            .curves
            .iter()
            .zip(limits)
            .map(|(curve, limit)| curve.latency(limit))
            .fold(0.0, f64::max);
        OperatorLatency {
            ms,
            source: Source::Roofline,
        }
    }
}

impl PerfDatabase {
    /// The roofline cost of an operator on the system and engine of these tables, where they lack it and gaps may be
    /// filled.
    pub(crate) fn gap(&self, operator: &GraphOperator) -> Option<RooflineCost> {
        match self.gaps() {
            GapPolicy::Refuse => None,
            GapPolicy::Roofline => RooflineCost::new(self.system(), self.backend(), operator),
        }
    }
}

#[cfg(test)]
mod tests;
