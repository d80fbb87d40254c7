//! Matrix multiplications.

use std::sync::Arc;

use dgdr_units::real;

use super::miss::{Measured, OperatorMiss};
use super::roofline::{self, GemmWork};
use super::scaling::StaticScaling;
use crate::tables::Grid;
use crate::{Axis, GemmQuant, OperatorLatency, Source, SystemSpec};

mod sites;

use sites::{Site, Sites};

const TABLE: &str = "gemm";

/// One projection of one layer on one GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GemmShape {
    /// Output features.
    pub n: u32,
    /// Input features.
    pub k: u32,
    /// Format of operands.
    pub quant: GemmQuant,
    /// Whether the input arrives in the low precision already (output projection and second FFN projection), which
    /// spares a statically scaled GEMM the conversion.
    pub low_precision_input: bool,
    /// Whether it costs its roofline where nothing near it was measured: projections to a few features, narrower than
    /// any that is worth measuring.
    pub roofline_when_far: bool,
}

/// Cost of a projection as a function of the number of tokens.
#[derive(Debug, Clone)]
pub struct GemmCost {
    system: &'static SystemSpec,
    shape: GemmShape,
    /// Format whose measurements are used, and whose roofline they are scaled by.
    measured_quant: GemmQuant,
    grid: Arc<Grid>,
    sites: Sites,
    scaling: Option<StaticScaling>,
    measured_on: String,
}

impl GemmCost {
    pub(crate) fn resolve(measured: Measured<'_>, shape: GemmShape) -> Result<Self, OperatorMiss> {
        // Static scales were not measured on their own: the dynamic kernel less the work that they spare.
        let measured_quant = if shape.quant == GemmQuant::Fp8Static {
            GemmQuant::Fp8
        } else {
            shape.quant
        };
        let directory = measured.directory(TABLE)?;
        let slice = directory
            .word(measured_quant.name())
            .and_then(|word| directory.find(&[word]))
            .ok_or_else(|| measured.not_measured(TABLE, format!("gemm_dtype {}", measured_quant.name())))?;
        let grid = measured.file.grid(directory, slice)?;
        let scaling = (shape.quant == GemmQuant::Fp8Static)
            .then(|| StaticScaling::resolve(measured, shape))
            .transpose()?;
        Ok(Self {
            system: measured.system,
            shape,
            measured_quant,
            sites: Sites::around(&grid, shape.n, shape.k),
            grid,
            scaling,
            measured_on: measured.label(),
        })
    }

    /// Latency of the projection of `m` tokens.
    ///
    /// # Errors
    /// [`OperatorMiss::OutOfReach`] for a shape with no measured one near enough, unless it costs its roofline then.
    pub fn latency(&self, m: u64) -> Result<OperatorLatency, OperatorMiss> {
        let measured = match &self.sites {
            Sites::Known(site) => self.at_site(*site, m),
            Sites::Ranked(ranked) => self.by_neighbours(ranked, m),
        };
        let nearby = measured.or_else(|| {
            self.shape.roofline_when_far.then(|| OperatorLatency {
                ms: self.roofline_here(m),
                source: Source::Roofline,
            })
        });
        let measured = nearby.ok_or_else(|| OperatorMiss::OutOfReach {
            operator: TABLE,
            wanted: format!(
                "m {m}, n {}, k {}, gemm_dtype {}",
                self.shape.n,
                self.shape.k,
                self.shape.quant.name()
            ),
            measured_on: self.measured_on.clone(),
        })?;
        Ok(match &self.scaling {
            None => measured,
            Some(scaling) => OperatorLatency {
                ms: (measured.ms - scaling.spared_ms(m)).max(self.roofline_here(m)),
                source: measured.source.worse(Source::Interpolated),
            },
        })
    }

    fn roofline_here(&self, m: u64) -> f64 {
        self.roofline(m, self.shape.n, self.shape.k)
    }

    fn roofline(&self, m: u64, n: u32, k: u32) -> f64 {
        let work = GemmWork {
            m,
            n: u64::from(n),
            k: u64::from(k),
            quant: self.measured_quant,
        };
        roofline::gemm(self.system, work)
    }

    /// On the measured curve of one site; beyond its ends, at the median utilisation of the three last points.
    fn at_site(&self, site: Site, m: u64) -> Option<OperatorLatency> {
        let axis = self.grid.axes().last()?;
        let split = axis.partition_point(|measured| u64::from(*measured) < m);
        if let Some(found) = site.inside(&self.grid, m, split) {
            return Some(found);
        }
        let utilisation = |offset: usize| {
            let ms = self.grid.latency(site.start + offset)?;
            Some(self.roofline(u64::from(axis[offset]), site.n, site.k) / ms)
        };
        let mut tail = [0.0; 3];
        let mut count = 0;
        let (low, high) = (0..axis.len(), (0..axis.len()).rev());
        let offsets: &mut dyn Iterator<Item = usize> = if split == 0 { &mut { low } } else { &mut { high } };
        for (slot, utilisation) in tail.iter_mut().zip(offsets.filter_map(utilisation)) {
            *slot = utilisation;
            count += 1;
        }
        let ms = self.roofline(m, site.n, site.k) / median(&mut tail[..count])?;
        Some(OperatorLatency {
            ms,
            source: Source::extrapolated(Axis::Tokens, site.nearest(axis, m), m),
        })
    }

    /// At the utilisation of the nearest measured sites, weighted by the inverse square of their distance.
    fn by_neighbours(&self, ranked: &sites::Ranked, m: u64) -> Option<OperatorLatency> {
        let (mut sum, mut total, mut source) = (0.0, 0.0, Source::Interpolated);
        for neighbour in ranked.neighbours(&self.grid, m)?.into_iter().flatten() {
            let site = neighbour.site;
            let found = self.at_site(site, m)?;
            let weight = 1.0 / (neighbour.octaves * neighbour.octaves + 1e-12);
            sum += weight * self.roofline(m, site.n, site.k) / found.ms;
            total += weight;
            source = source.worse(found.source);
        }
        if let Some(beyond) = ranked.beyond() {
            source = source.worse(Source::Extrapolated(beyond));
        }
        let ms = self.roofline_here(m) / (sum / total);
        (real(m) > 0.0 && total > 0.0).then_some(OperatorLatency { ms, source })
    }
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle).copied()?;
    if values.len() % 2 == 1 {
        Some(upper)
    } else {
        Some(f64::midpoint(values[middle - 1], upper))
    }
}

#[cfg(test)]
mod tests;
