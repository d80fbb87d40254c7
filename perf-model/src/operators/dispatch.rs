//! Tokens on their way to the experts and back, within the ranks that attention ran on.

use dgdr_units::real;

use crate::backend::Backend;
use crate::graph::DispatchShape;
use crate::operators::{AllReduceCost, Collective, NcclCost, OperatorMiss, roofline};
use crate::quant::MoeQuant;
use crate::tables::PerfDatabase;
use crate::{OperatorLatency, SystemSpec};

/// The compute capability on which TensorRT-LLM gathers tokens in the format of the experts; on later ones too, but
/// AIConfigurator 0.12 takes them for older ones, and predictions are compared with it.
const BLACKWELL: u32 = 100;

/// Cost of sending tokens to the experts, or back, as a function of the number of tokens.
#[derive(Debug, Clone)]
pub struct DispatchCost {
    legs: Box<[BoundLeg]>,
}

/// One collective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Leg {
    by: Way,
    gpus: u32,
    /// Elements that travel for each element of an attention copy's tokens.
    elements: Ratio,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    EngineAllReduce,
    Nccl(Collective),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ratio {
    of: u32,
    over: u32,
}

#[derive(Debug, Clone)]
struct BoundLeg {
    cost: LegCost,
    /// Elements for one token, before the ratio's division.
    width: u64,
    over: u64,
}

#[derive(Debug, Clone)]
enum LegCost {
    EngineAllReduce(AllReduceCost),
    Nccl(NcclCost),
}

impl DispatchCost {
    pub(crate) fn resolve(database: &PerfDatabase, shape: DispatchShape) -> Result<Self, OperatorMiss> {
        let legs = shape
            .legs(database.system())
            .into_iter()
            .flatten()
            .map(|leg| {
                Ok(BoundLeg {
                    cost: match leg.by {
                        Way::EngineAllReduce => LegCost::EngineAllReduce(database.all_reduce(leg.gpus)?),
                        Way::Nccl(collective) => LegCost::Nccl(database.nccl(collective, leg.gpus)?),
                    },
                    width: u64::from(shape.hidden) * u64::from(leg.elements.of),
                    over: u64::from(leg.elements.over),
                })
            })
            .collect::<Result<_, OperatorMiss>>()?;
        Ok(Self { legs })
    }

    /// Latency for `tokens` tokens of each attention copy.
    ///
    /// # Errors
    /// Those of the collectives.
    pub fn latency(&self, tokens: u64) -> Result<OperatorLatency, OperatorMiss> {
        self.legs.iter().try_fold(OperatorLatency::ZERO, |total, leg| {
            let elements = tokens * leg.width / leg.over;
            let part = match &leg.cost {
                LegCost::EngineAllReduce(cost) => cost.latency(elements)?,
                LegCost::Nccl(cost) => cost.latency(elements)?,
            };
            Ok(OperatorLatency {
                ms: total.ms + part.ms,
                source: total.source.worse(part.source),
            })
        })
    }
}

impl Ratio {
    const ONE: Self = Self { of: 1, over: 1 };
}

impl DispatchShape {
    /// Milliseconds that `tokens` tokens of each attention copy travel at the full bandwidth between the ranks.
    pub(crate) fn link_ms(&self, system: &SystemSpec, tokens: u64) -> f64 {
        self.legs(system)
            .into_iter()
            .flatten()
            .map(|leg| {
                let elements = real(tokens) * f64::from(self.hidden) * f64::from(leg.elements.of)
                    / f64::from(leg.elements.over);
                match leg.by {
                    Way::EngineAllReduce | Way::Nccl(Collective::AllReduce) => {
                        roofline::all_reduce(system, elements, leg.gpus)
                    }
                    Way::Nccl(Collective::AllGather | Collective::AllToAll | Collective::ReduceScatter) => {
                        roofline::exchange(system, elements, leg.gpus)
                    }
                }
            })
            .sum()
    }

    fn ranks(&self) -> u32 {
        self.moe_tp * self.moe_ep
    }

    /// Ranks that share an attention copy.
    fn attention_ranks(&self) -> u32 {
        self.ranks() / self.attention_dp
    }

    /// The collectives that an engine runs, as AIConfigurator 0.12 has them.
    fn legs(&self, system: &SystemSpec) -> [Option<Leg>; 2] {
        let is_split = self.attention_ranks() > 1;
        let is_copied = self.attention_dp > 1;
        match self.backend {
            Backend::Vllm => {
                let reduces = is_split && !(self.before && self.attention_reduces);
                [
                    reduces.then(|| self.all_reduce()),
                    is_copied.then(|| self.exchange()),
                ]
            }
            Backend::Sglang => self.sglang_legs(),
            Backend::Trtllm if system.sm_version == Some(BLACKWELL) => {
                if is_copied {
                    [Some(self.narrow_exchange()), None]
                } else {
                    [is_split.then(|| self.all_reduce()), None]
                }
            }
            Backend::Trtllm => {
                if is_split {
                    [Some(self.all_reduce()), None]
                } else {
                    [is_copied.then(|| self.exchange()), None]
                }
            }
        }
    }

    /// SGLang keeps the tokens of an attention copy scattered between attention and experts.
    fn sglang_legs(&self) -> [Option<Leg>; 2] {
        let is_split = self.attention_ranks() > 1;
        let is_copied = self.attention_dp > 1;
        if is_split && is_copied {
            let collective = if self.before {
                Collective::ReduceScatter
            } else {
                Collective::AllGather
            };
            let within = Leg {
                by: Way::Nccl(collective),
                gpus: self.attention_ranks(),
                elements: Ratio::ONE,
            };
            [Some(within), Some(self.exchange())]
        } else if self.context_parallel > 1 {
            // A prompt is split over the ranks; a decoded token is on all of them already.
            let leg = match (self.prompts, self.before) {
                (true, _) => Some(Leg {
                    elements: Ratio::ONE,
                    ..self.exchange()
                }),
                (false, true) => None,
                (false, false) => Some(self.all_reduce()),
            };
            [leg, None]
        } else if is_split {
            [Some(self.all_reduce()), None]
        } else {
            [is_copied.then(|| self.exchange()), None]
        }
    }

    /// An all-reduce of the tokens of one attention copy stands for what its ranks exchange.
    fn all_reduce(&self) -> Leg {
        Leg {
            by: Way::EngineAllReduce,
            gpus: self.ranks(),
            elements: Ratio::ONE,
        }
    }

    /// The tokens of all attention copies come together, or are handed back.
    fn exchange(&self) -> Leg {
        let collective = if self.before {
            Collective::AllGather
        } else {
            Collective::ReduceScatter
        };
        Leg {
            by: Way::Nccl(collective),
            gpus: self.ranks(),
            elements: Ratio {
                of: self.attention_dp,
                over: 1,
            },
        }
    }

    /// The same, with tokens that are quantised before they are sent: NVFP4 in 4 bits and a scale of 8 bits for every 16
    /// elements. Results come back in 16 bits.
    fn narrow_exchange(&self) -> Leg {
        let width = match self.quant {
            _ if !self.before => Ratio::ONE,
            MoeQuant::Nvfp4 => Ratio { of: 9, over: 32 },
            MoeQuant::Fp8 | MoeQuant::Fp8Block => Ratio { of: 1, over: 2 },
            MoeQuant::Bfloat16
            | MoeQuant::W4a16Nvfp4
            | MoeQuant::Int4Wo
            | MoeQuant::W4afp8
            | MoeQuant::W4a16Mxfp4
            | MoeQuant::W4a16Mxfp4Cutlass
            | MoeQuant::W4a8Mxfp4Mxfp8
            | MoeQuant::W4a8Mxfp4Mxfp8Trtllm
            | MoeQuant::Nvfp4Wo => Ratio::ONE,
        };
        Leg {
            elements: Ratio {
                of: self.attention_dp * width.of,
                ..width
            },
            ..self.exchange()
        }
    }
}
