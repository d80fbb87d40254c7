//! How long a step takes.

use std::time::Duration;

use dgdr_interpolation::{DecodePlace, DecodeSurface, OutOfRange, PrefillCurve};
use dgdr_perf_model::{ContextQuery, DecodeStepQuery, Engine as ModelledEngine};
use dgdr_units::{Fraction, Tokens, floor_count, real};

/// A prompt, or a part of one, in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefillWork {
    /// Tokens that are computed.
    pub new_tokens: u32,
    /// Tokens before them, whose keys and values are there already.
    pub context: u32,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepWork {
    /// Prompts.
    pub prefills: Vec<PrefillWork>,
    /// Requests that get one more token.
    pub decodes: u32,
    /// Tokens in the contexts of these, together.
    pub decode_context: u64,
}

impl StepWork {
    /// Mean context of a decoding request, tokens.
    pub fn mean_context(&self) -> f64 {
        real(self.decode_context) / f64::from(self.decodes.max(1))
    }
}

/// How long steps take.
pub trait StepModel: Send {
    /// Milliseconds of a step.
    fn step_ms(&self, work: &StepWork) -> f64;
}

/// Where times come from.
pub enum Timing {
    /// Fixed, whatever else is served.
    Fixed {
        /// To the first token.
        ttft: Duration,
        /// Between later ones.
        itl: Duration,
    },
    /// By what a step holds.
    Steps(Box<dyn StepModel>),
}

/// Measured or predicted curves of a finished run: a prompt takes what the prefill curve says for its new tokens, a
/// decode step what the surface says for its KV usage and mean context; a step with both takes their sum.
#[derive(Debug)]
pub struct Curves {
    /// TTFT over input length.
    pub prefill: PrefillCurve,
    /// ITL over KV usage and context length.
    pub decode: DecodeSurface,
}

impl StepModel for Curves {
    fn step_ms(&self, work: &StepWork) -> f64 {
        let tokens: u64 = work
            .prefills
            .iter()
            .map(|prefill| u64::from(prefill.new_tokens))
            .sum();
        let mut ms = 0.0;
        if tokens > 0 {
            let ttft = self.prefill.ttft(Tokens::new(tokens), OutOfRange::Extrapolate);
            ms += ttft.map_or(0.0, |reading| reading.value.get());
        }
        if work.decodes > 0 {
            let capacity = real(self.decode.max_kv_tokens().get()).max(1.0);
            let usage = (real(work.decode_context) / capacity).min(1.0);
            let place = Fraction::new(usage).map(|kv_usage| DecodePlace {
                kv_usage,
                context_length: work.mean_context(),
            });
            let itl = place
                .ok()
                .and_then(|place| self.decode.itl(place, OutOfRange::Extrapolate).ok());
            ms += itl.map_or(0.0, |reading| reading.value.get());
        }
        ms
    }
}

/// The performance model: prompts of a step as one batch of their mean length, decoding requests as one batch of their
/// mean context, each spread over the attention copies; a step with both takes their sum.
pub struct Modelled(pub ModelledEngine);

impl StepModel for Modelled {
    fn step_ms(&self, work: &StepWork) -> f64 {
        let copies = self.0.mapping().widths().attention_dp.max(1);
        let mut ms = 0.0;
        if let Ok(requests @ 1..) = u32::try_from(work.prefills.len()) {
            let sum = |tokens: fn(&PrefillWork) -> u32| -> u64 {
                work.prefills
                    .iter()
                    .map(|prefill| u64::from(tokens(prefill)))
                    .sum()
            };
            let mean = |sum: u64| u32::try_from(sum.div_ceil(u64::from(requests))).unwrap_or(u32::MAX);
            let context = mean(sum(|prefill| prefill.context));
            let query = ContextQuery {
                batch: requests.div_ceil(copies),
                isl: mean(sum(|prefill| prefill.new_tokens))
                    .max(1)
                    .saturating_add(context),
                prefix: context,
            };
            ms += self
                .0
                .static_context(query)
                .map_or(0.0, |run| run.ttft.value.get());
        }
        if work.decodes > 0 {
            let query = DecodeStepQuery {
                batch: work.decodes.div_ceil(copies),
                context_length: u32::try_from(floor_count(work.mean_context().round()))
                    .unwrap_or(u32::MAX)
                    .max(1),
            };
            ms += self.0.decode_step(query).map_or(0.0, |step| step.value.get());
        }
        ms
    }
}

/// A step of this many milliseconds, at least a microsecond, so that time goes on.
pub(crate) fn duration(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1000.0)
        .unwrap_or_default()
        .max(Duration::from_micros(1))
}
