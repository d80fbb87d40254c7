//! The batched products around decode attention to latents.

use super::curve::Curve;
use super::miss::{Measured, OperatorMiss};
use super::roofline::{self, MlaBmmWork};
use crate::graph::{MlaBmmShape, MlaBmmSide};
use crate::{Axis, GemmQuant, OperatorLatency, Source, SystemSpec};

const TABLE: &str = "mla_bmm";

/// Cost of one batched product.
#[derive(Debug, Clone)]
pub struct MlaBmmCost {
    system: &'static SystemSpec,
    shape: MlaBmmShape,
    curve: Curve,
    /// Heads over those that the curve was measured with.
    share: f64,
}

impl MlaBmmSide {
    /// The name used in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pre => "mla_gen_pre",
            Self::Post => "mla_gen_post",
        }
    }
}

impl MlaBmmShape {
    fn wanted(self) -> String {
        format!(
            "bmm_dtype {}, op_name {}, {} heads",
            self.quant.name(),
            self.side.name(),
            self.heads
        )
    }
}

impl MlaBmmCost {
    /// A format that was not measured is priced as bfloat16; a number of heads that was not measured, as its share of
    /// the next power of two.
    pub(crate) fn resolve(measured: Measured<'_>, shape: MlaBmmShape) -> Result<Self, OperatorMiss> {
        let missing = || measured.not_measured(TABLE, shape.wanted());
        if !measured.system.has_rate(shape.quant.rate()) {
            return Err(missing());
        }
        let of = |quant: GemmQuant| measured.grid(TABLE, &[quant.name(), shape.side.name()]);
        let grid = match of(shape.quant)? {
            Some(grid) => grid,
            None => of(GemmQuant::Bfloat16)?.ok_or_else(missing)?,
        };
        let heads = grid.axes().first().ok_or_else(missing)?;
        let row = |wanted: u32| {
            let row = heads.binary_search(&wanted).ok()?;
            Some((
                Curve::of_row(&grid, row)?,
                f64::from(shape.heads) / f64::from(wanted),
            ))
        };
        let (curve, share) = row(shape.heads)
            .or_else(|| row(shape.heads.checked_next_power_of_two()?))
            .ok_or_else(missing)?;
        Ok(Self {
            system: measured.system,
            shape,
            curve,
            share,
        })
    }

    /// Latency for `tokens`: linear between measured numbers of them, beyond by the roofline.
    pub fn latency(&self, tokens: u64) -> OperatorLatency {
        let found = self.curve.inside(tokens).unwrap_or_else(|| {
            let end = self.curve.end_near(tokens);
            OperatorLatency {
                ms: end.ms * self.roofline(tokens) / self.roofline(end.key),
                source: Source::extrapolated(Axis::Tokens, end.key, tokens),
            }
        });
        found.times(self.share)
    }

    fn roofline(&self, tokens: u64) -> f64 {
        roofline::mla_bmm(
            self.system,
            MlaBmmWork {
                tokens,
                heads: u64::from(self.shape.heads),
                quant: self.shape.quant,
            },
        )
    }
}

#[cfg(test)]
mod tests;
