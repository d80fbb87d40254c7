//! Routed experts.

use super::curve::Curve;
use super::miss::{Measured, OperatorMiss};
use super::roofline;
use crate::graph::MoeShape;
use crate::quant::MoeQuant;
use crate::tables::Grid;
use crate::{OperatorLatency, SystemSpec};

const TABLE: &str = "moe";

/// Measurements of the kernel that TensorRT-LLM switches to for few tokens.
const LOW_LATENCY_TABLE: &str = "moe_low_latency";

/// Until how many tokens TensorRT-LLM runs that kernel.
const LOW_LATENCY_TOKENS: u64 = 128;

/// The distribution that stands for one that was not measured in a format.
pub(super) const ANY_DISTRIBUTION: &str = "uniform";

/// Cost of one layer's routed experts as a function of the number of tokens.
#[derive(Debug, Clone)]
pub struct MoeCost {
    system: &'static SystemSpec,
    shape: MoeShape,
    curve: Curve,
    /// For few tokens, where another kernel runs them.
    few: Option<Curve>,
    measured_on: String,
}

impl MoeShape {
    fn wanted(&self) -> String {
        format!(
            "moe_dtype {}, distribution {}, topk {}, num_experts {}, hidden_size {}, inter_size {}, moe_tp {}, moe_ep {}",
            self.quant.name(),
            self.distribution.name(),
            self.per_token,
            self.experts,
            self.hidden,
            self.intermediate,
            self.moe_tp,
            self.moe_ep
        )
    }

    /// The measurements of this shape in a table; none where there are none.
    fn curve(&self, measured: Measured<'_>, table: &'static str) -> Result<Option<Curve>, OperatorMiss> {
        let Some(directory) = measured.file.directory(table)? else {
            return Ok(None);
        };
        let Some(quant) = directory.word(self.quant.name()) else {
            return Ok(None);
        };
        let is_measured = |distribution: &u32| {
            (0..directory.slices()).any(|slice| directory.key(slice)[..2] == [quant, *distribution])
        };
        let distribution = directory
            .word(self.distribution.name())
            .filter(is_measured)
            .or_else(|| directory.word(ANY_DISTRIBUTION));
        let slice = distribution.and_then(|distribution| {
            directory.find(&[
                quant,
                distribution,
                self.per_token,
                self.experts,
                self.hidden,
                self.intermediate,
            ])
        });
        let Some(slice) = slice else {
            return Ok(None);
        };
        let grid = measured.file.grid(directory, slice)?;
        Ok(self.row(&grid))
    }

    /// The measurements of this split of the experts; none where it was not measured.
    fn row(&self, grid: &Grid) -> Option<Curve> {
        let [tps, eps, _] = grid.axes() else {
            return None;
        };
        let tp = tps.binary_search(&self.moe_tp).ok()?;
        let ep = eps.binary_search(&self.moe_ep).ok()?;
        Curve::of_row(grid, tp * eps.len() + ep)
    }

    /// Whether these experts were measured, with whatever distribution.
    pub(super) fn is_measured(&self, measured: Measured<'_>) -> bool {
        let Ok(Some(directory)) = measured.file.directory(TABLE) else {
            return false;
        };
        let sizes = [self.per_token, self.experts, self.hidden, self.intermediate];
        let quant = directory.word(self.quant.name());
        (0..directory.slices())
            .filter(|slice| {
                let key = directory.key(*slice);
                Some(key[0]) == quant && key[2..] == sizes
            })
            .filter_map(|slice| measured.file.grid(directory, slice).ok())
            .any(|grid| self.row(&grid).is_some())
    }
}

impl MoeCost {
    pub(crate) fn resolve(measured: Measured<'_>, shape: MoeShape) -> Result<Self, OperatorMiss> {
        let curve = shape
            .curve(measured, TABLE)?
            .ok_or_else(|| measured.not_measured(TABLE, shape.wanted()))?;
        let few = if shape.gated && shape.quant == MoeQuant::Nvfp4 {
            shape.curve(measured, LOW_LATENCY_TABLE)?
        } else {
            None
        };
        Ok(Self {
            system: measured.system,
            shape,
            curve,
            few,
            measured_on: measured.label(),
        })
    }

    /// Latency of the experts for `tokens` tokens of each attention copy; those of all copies come together here.
    ///
    /// # Errors
    /// [`OperatorMiss::OutOfReach`] for no tokens, and for fewer than the only number of tokens that was measured.
    pub fn latency(&self, tokens: u64) -> Result<OperatorLatency, OperatorMiss> {
        let tokens = tokens * u64::from(self.shape.attention_dp);
        let curve = match &self.few {
            Some(few) if tokens <= LOW_LATENCY_TOKENS => few,
            _ => &self.curve,
        };
        curve
            .held(tokens, |tokens| roofline::moe(self.system, tokens, &self.shape))
            .ok_or_else(|| OperatorMiss::OutOfReach {
                operator: TABLE,
                wanted: format!("{}, {tokens} tokens", self.shape.wanted()),
                measured_on: self.measured_on.clone(),
            })
    }
}
