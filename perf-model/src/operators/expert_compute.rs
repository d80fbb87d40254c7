//! Routed experts under large expert parallelism, whose tokens were exchanged before.

use super::curve::Curve;
use super::miss::{Measured, OperatorMiss};
use super::moe::{ANY_DISTRIBUTION, MoeCost};
use super::roofline;
use crate::backend::Backend;
use crate::graph::{MoeShape, Phase};
use crate::quant::MoeQuant;
use crate::tables::{Directory, Grid};
use crate::{OperatorLatency, SystemSpec};

const TABLE: &str = "expert_compute";

/// Routed experts of one layer on one GPU, each GPU with whole ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExpertComputeShape {
    /// The experts; not split, so that `moe_tp` is 1.
    pub moe: MoeShape,
    /// Places for experts on all GPUs together: as many as experts, or more where popular ones are doubled.
    pub slots: u32,
    /// Whose tokens they work on.
    pub phase: Phase,
    /// The engine.
    pub backend: Backend,
}

/// Cost of such experts as a function of the number of tokens.
#[derive(Debug, Clone)]
pub struct ExpertComputeCost {
    system: &'static SystemSpec,
    shape: ExpertComputeShape,
    measured_by: Measurements,
    measured_on: String,
}

#[derive(Debug, Clone)]
enum Measurements {
    /// Of their own.
    Own(Curve),
    /// Of the same experts without an exchange before them.
    Usual(MoeCost),
}

impl ExpertComputeShape {
    fn wanted(&self) -> String {
        let moe = &self.moe;
        format!(
            "moe_dtype {}, distribution {}, phase {}, topk {}, num_experts {}, slots {}, hidden_size {}, inter_size {}, \
             ep {}",
            moe.quant.name(),
            moe.distribution.name(),
            self.phase_name(),
            moe.per_token,
            moe.experts,
            self.slots,
            moe.hidden,
            moe.intermediate,
            moe.moe_ep
        )
    }

    /// What the GPUs hold: an expert in every slot.
    const fn placed(&self) -> MoeShape {
        MoeShape {
            experts: self.slots,
            ..self.moe
        }
    }

    /// Speed of light for `tokens` tokens of each attention copy.
    pub(crate) fn roofline(&self, system: &SystemSpec, tokens: u64) -> f64 {
        roofline::moe(system, tokens * u64::from(self.moe.attention_dp), &self.placed())
    }

    const fn phase_name(&self) -> &'static str {
        match self.phase {
            Phase::Context => "context",
            Phase::Generation => "generation",
        }
    }

    /// The kernel that the engine runs, where that was measured; else the first that was.
    fn kernel(&self, directory: &Directory, system: &SystemSpec) -> Option<u32> {
        let is_blackwell = system.sm_version.is_some_and(|version| version >= 100);
        let runs = match self.backend {
            Backend::Sglang | Backend::Vllm => "deepep_moe",
            Backend::Trtllm if is_blackwell && self.moe.quant == MoeQuant::Fp8Block => "deepgemm",
            Backend::Trtllm => "moe_torch_flow",
        };
        let mut kernels = (0..directory.slices()).map(|slice| directory.key(slice)[0]);
        directory
            .word(runs)
            .filter(|kernel| kernels.clone().any(|measured| measured == *kernel))
            .or_else(|| kernels.next())
    }

    /// Measurements of these experts; none where there are none.
    fn curve(&self, measured: Measured<'_>) -> Result<Option<Curve>, OperatorMiss> {
        let Some(directory) = measured.file.directory(TABLE)? else {
            return Ok(None);
        };
        let moe = &self.moe;
        let kernel = self.kernel(directory, measured.system);
        let [quant, phase] = [moe.quant.name(), self.phase_name()].map(|name| directory.word(name));
        let (Some(kernel), Some(quant), Some(phase)) = (kernel, quant, phase) else {
            return Ok(None);
        };
        let is_measured = |distribution: &u32| {
            (0..directory.slices()).any(|slice| directory.key(slice)[..3] == [kernel, quant, *distribution])
        };
        let slice = [moe.distribution.name(), ANY_DISTRIBUTION]
            .into_iter()
            .filter_map(|name| directory.word(name))
            .find(is_measured)
            .and_then(|distribution| {
                directory.find(&[
                    kernel,
                    quant,
                    distribution,
                    phase,
                    moe.per_token,
                    moe.experts,
                    self.slots,
                    moe.hidden,
                    moe.intermediate,
                ])
            });
        let Some(slice) = slice else {
            return Ok(None);
        };
        let grid = measured.file.grid(directory, slice)?;
        let row = grid
            .axes()
            .first()
            .and_then(|axis| axis.binary_search(&moe.moe_ep).ok());
        Ok(row.and_then(|row| Curve::of_row(&grid, row)))
    }

    /// Whether these experts were measured, with whatever kernel, distribution and number of slots.
    pub(super) fn is_measured(&self, measured: Measured<'_>) -> bool {
        let own = self.is_measured_itself(measured).unwrap_or(false);
        own || self.usual().is_some_and(|usual| usual.is_measured(measured))
    }

    fn is_measured_itself(&self, measured: Measured<'_>) -> Option<bool> {
        let directory = measured.file.directory(TABLE).ok()??;
        let moe = &self.moe;
        let [quant, phase] = [moe.quant.name(), self.phase_name()].map(|name| directory.word(name));
        let (quant, phase) = (quant?, phase?);
        let sizes = [moe.hidden, moe.intermediate];
        let found = (0..directory.slices())
            .filter(|slice| {
                let key = directory.key(*slice);
                key[1] == quant && key[3..6] == [phase, moe.per_token, moe.experts] && key[7..] == sizes
            })
            .filter_map(|slice| measured.file.grid(directory, slice).ok())
            .any(|grid| has_row(&grid, moe.moe_ep));
        Some(found)
    }

    /// The same experts without an exchange before them; SGLang runs others then.
    fn usual(&self) -> Option<MoeShape> {
        (self.backend != Backend::Sglang).then_some(self.moe)
    }
}

/// Whether anything was measured at a coordinate of the first of two axes.
fn has_row(grid: &Grid, coordinate: u32) -> bool {
    let row = grid
        .axes()
        .first()
        .and_then(|axis| axis.binary_search(&coordinate).ok());
    row.is_some_and(|row| Curve::of_row(grid, row).is_some())
}

impl ExpertComputeCost {
    pub(crate) fn resolve(measured: Measured<'_>, shape: ExpertComputeShape) -> Result<Self, OperatorMiss> {
        let own = shape.curve(measured)?.map(Measurements::Own);
        let measured_by = match (own, shape.usual()) {
            (Some(own), _) => own,
            (None, Some(usual)) => Measurements::Usual(MoeCost::resolve(measured, usual)?),
            (None, None) => return Err(measured.not_measured(TABLE, shape.wanted())),
        };
        Ok(Self {
            system: measured.system,
            shape,
            measured_by,
            measured_on: measured.label(),
        })
    }

    /// Latency of the experts for `tokens` tokens of each attention copy; those of all copies come together here.
    ///
    /// # Errors
    /// [`OperatorMiss::OutOfReach`] for no tokens, and for fewer than the only number of tokens that was measured.
    pub fn latency(&self, tokens: u64) -> Result<OperatorLatency, OperatorMiss> {
        let curve = match &self.measured_by {
            Measurements::Own(curve) => curve,
            Measurements::Usual(cost) => return cost.latency(tokens),
        };
        let tokens = tokens * u64::from(self.shape.moe.attention_dp);
        let placed = self.shape.placed();
        curve
            .held(tokens, |tokens| roofline::moe(self.system, tokens, &placed))
            .ok_or_else(|| OperatorMiss::OutOfReach {
                operator: TABLE,
                wanted: format!("{}, {tokens} tokens", self.shape.wanted()),
                measured_on: self.measured_on.clone(),
            })
    }
}
