//! Exchanges of tokens among the ranks of large expert parallelism.

use std::sync::Arc;

use dgdr_units::real;

use super::curve::Curve;
use super::grid_slice::{Axes, Blend, GridSlice};
use super::miss::{Measured, OperatorMiss};
use crate::backend::Backend;
use crate::tables::{Directory, Grid};
use crate::{Axis, OperatorLatency, Source};

mod choice;
mod library;

pub use library::{ExchangeLibrary, ExchangeStep, ExpertGroup, MessageFormat};

const TABLE: &str = "moe_a2a";

/// SGLang's measurements of one node are recorded for this many ranks, whatever the node has.
const SGLANG_NODE: u32 = 8;

/// The number of multiprocessors for which DeepEP's own settings on one node were measured.
const USUAL_MULTIPROCESSORS: u32 = 20;

/// One part of an exchange of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AllToAllShape {
    /// What exchanges them.
    pub library: ExchangeLibrary,
    /// Which part.
    pub step: ExchangeStep,
    /// Format in which tokens travel.
    pub message: MessageFormat,
    /// Ranks that exchange.
    pub ranks: u32,
    /// Nodes that they are on.
    pub nodes: u32,
    /// Elements of a token.
    pub hidden: u32,
    /// Experts that a token is sent to.
    pub per_token: u32,
    /// Experts.
    pub experts: u32,
    /// Multiprocessors given to the exchange; 0 where the library takes no such number.
    pub multiprocessors: u32,
    /// The engine.
    pub backend: Backend,
}

/// Cost of one part of an exchange as a function of the number of tokens on one rank.
#[derive(Debug, Clone)]
pub struct AllToAllCost {
    shape: AllToAllShape,
    measured_by: Measurements,
    /// How far the measured ranks are from those asked for.
    beyond: Source,
    measured_on: String,
}

#[derive(Debug, Clone)]
enum Measurements {
    /// For this number of multiprocessors.
    Line(Curve),
    /// For other numbers of multiprocessors.
    Plane(Box<GridSlice<2>>),
    /// The same, where the way there and the way back were measured together.
    Halves(Box<Halves>),
}

/// There and back together, which scatters less than either, and how they share it.
#[derive(Debug, Clone)]
struct Halves {
    both: GridSlice<2>,
    this: GridSlice<2>,
    other: GridSlice<2>,
}

const AXES: Axes<2> = Axes {
    names: [Axis::Multiprocessors, Axis::Tokens],
    blends: [Blend::Linear; 2],
};

/// The measured ranks that stand for those asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ranks {
    ranks: u32,
    nodes: u32,
}

impl AllToAllShape {
    fn wanted(&self) -> String {
        format!(
            "comm_backend {}, phase {}, comm_dtype {}, ep {}, nodes {}, hidden_size {}, topk {}, num_experts {}",
            self.library.name(),
            self.step.name(),
            self.message.name(),
            self.ranks,
            self.nodes,
            self.hidden,
            self.per_token,
            self.experts
        )
    }

    /// The ranks asked for, then those of a full node where these may stand for more nodes.
    fn candidates(&self, gpus_per_node: u32) -> impl Iterator<Item = Ranks> {
        let asked = Ranks {
            ranks: self.ranks,
            nodes: self.nodes,
        };
        let node = Ranks {
            ranks: match self.backend {
                Backend::Sglang => SGLANG_NODE,
                Backend::Trtllm | Backend::Vllm => gpus_per_node,
            },
            nodes: 1,
        };
        let scales = self.nodes > 1 && self.library.scales_from_one_node();
        std::iter::once(asked).chain(scales.then_some(node))
    }

    /// The format in which this part was measured: its own, fp8 for fp8 in blocks, or the only one of a library that
    /// has one.
    fn measured_format(&self, directory: &Directory) -> Option<u32> {
        let [library, step] = [self.library.name(), self.step.name()].map(|name| directory.word(name));
        let mut formats: Vec<u32> = (0..directory.slices())
            .map(|slice| directory.key(slice))
            .filter(|key| library == Some(key[0]) && step == Some(key[1]))
            .map(|key| key[2])
            .collect();
        formats.dedup();
        let measured = |name: &str| directory.word(name).filter(|word| formats.contains(word));
        measured(self.message.name())
            .or_else(|| {
                (self.message.name() == "fp8_block")
                    .then(|| measured("fp8"))
                    .flatten()
            })
            .or_else(|| measured(MessageFormat::Native.name()).filter(|_| formats.len() == 1))
    }

    /// The measurements of this part, and the ranks that they were made with.
    fn find(&self, measured: Measured<'_>) -> Result<Option<(Arc<Grid>, Ranks)>, OperatorMiss> {
        let Some(directory) = measured.file.directory(TABLE)? else {
            return Ok(None);
        };
        let words = [
            directory.word(self.library.name()),
            directory.word(self.step.name()),
            self.measured_format(directory),
        ];
        let [Some(library), Some(step), Some(format)] = words else {
            return Ok(None);
        };
        for ranks in self.candidates(measured.system.gpus_per_node) {
            let slice = directory.find(&[
                library,
                step,
                format,
                ranks.ranks,
                ranks.nodes,
                self.hidden,
                self.per_token,
                self.experts,
            ]);
            if let Some(slice) = slice {
                return Ok(Some((measured.file.grid(directory, slice)?, ranks)));
            }
        }
        Ok(None)
    }

    /// The other half of an exchange with DeepEP, with which it was measured together.
    fn other_half(&self) -> Option<Self> {
        let step = match self.step {
            _ if self.library != ExchangeLibrary::DeepepThroughput => return None,
            ExchangeStep::Prepare => return None,
            ExchangeStep::Dispatch => ExchangeStep::Combine,
            ExchangeStep::Combine => ExchangeStep::Dispatch,
        };
        Some(Self { step, ..*self })
    }
}

impl AllToAllCost {
    /// The ranks with which a part was measured in exactly its format: its own, or those that may stand for them.
    fn measured_ranks(measured: Measured<'_>, shape: &AllToAllShape) -> Option<Ranks> {
        let directory = measured.file.directory(TABLE).ok()??;
        let format = shape.measured_format(directory)?;
        if directory.word(shape.message.name()) != Some(format) {
            return None;
        }
        shape.find(measured).ok()?.map(|(_, ranks)| ranks)
    }

    pub(crate) fn resolve(measured: Measured<'_>, shape: AllToAllShape) -> Result<Self, OperatorMiss> {
        let missing = || measured.not_measured(TABLE, shape.wanted());
        let (grid, ranks) = shape.find(measured)?.ok_or_else(missing)?;
        let beyond = if ranks.ranks == shape.ranks {
            Source::Measured
        } else {
            Source::extrapolated(Axis::Gpus, u64::from(ranks.ranks), u64::from(shape.ranks))
        };
        let is_usual = shape.library != ExchangeLibrary::DeepepThroughput
            || (ranks.nodes == 1 && shape.multiprocessors == USUAL_MULTIPROCESSORS);
        let line = grid
            .axes()
            .first()
            .and_then(|axis| axis.binary_search(&shape.multiprocessors).ok())
            .filter(|_| is_usual)
            .and_then(|row| Curve::of_row(&grid, row));
        let measured_by = match line {
            Some(curve) => Measurements::Line(curve),
            None => Measurements::around(measured, &shape, grid)?.ok_or_else(missing)?,
        };
        Ok(Self {
            shape,
            measured_by,
            beyond,
            measured_on: measured.label(),
        })
    }

    /// Latency for `tokens` tokens on each rank.
    ///
    /// # Errors
    /// [`OperatorMiss::OutOfReach`] for no tokens.
    pub fn latency(&self, tokens: u64) -> Result<OperatorLatency, OperatorMiss> {
        let found = self.measured_by.latency(tokens);
        found
            .map(|found| OperatorLatency {
                source: found.source.worse(self.beyond),
                ..found
            })
            .ok_or_else(|| OperatorMiss::OutOfReach {
                operator: TABLE,
                wanted: format!("{}, {tokens} tokens", self.shape.wanted()),
                measured_on: self.measured_on.clone(),
            })
    }
}

impl Measurements {
    /// Measurements around a number of multiprocessors that has none of its own, or none that the reference takes.
    fn around(
        measured: Measured<'_>,
        shape: &AllToAllShape,
        grid: Arc<Grid>,
    ) -> Result<Option<Self>, OperatorMiss> {
        let view = |grid| GridSlice::new(grid, u64::from(shape.multiprocessors), AXES);
        let other = match shape.other_half() {
            Some(other) => other.find(measured)?,
            None => None,
        };
        let Some((other, _)) = other else {
            return Ok(view(grid).map(|plane| Self::Plane(Box::new(plane))));
        };
        let both = view(Arc::new(grid.sum(&other)));
        Ok(match (both, view(grid), view(other)) {
            (Some(both), Some(this), Some(other)) => {
                Some(Self::Halves(Box::new(Halves { both, this, other })))
            }
            _ => None,
        })
    }

    /// A message is as long as its tokens are many.
    fn latency(&self, tokens: u64) -> Option<OperatorLatency> {
        let plane = |plane: &GridSlice<2>| {
            let length = |at: [u64; 2]| real(at[1]);
            plane.latency([0, tokens], &length).filter(|_| tokens > 0)
        };
        match self {
            Self::Line(curve) => curve.held(tokens, real),
            Self::Plane(this) => plane(this),
            Self::Halves(halves) => {
                let [both, this, other] = [plane(&halves.both)?, plane(&halves.this)?, plane(&halves.other)?];
                Some(OperatorLatency {
                    ms: both.ms * this.ms / (this.ms + other.ms),
                    source: both.source.worse(this.source).worse(other.source),
                })
            }
        }
    }
}
