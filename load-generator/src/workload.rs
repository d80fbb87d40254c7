//! What is asked: lengths, prompts, warm-up.

use crate::dice::Dice;
use crate::endpoint::Target;
use crate::error::LoadError;
use crate::lengths::Lengths;
use crate::prompt::{PromptSpec, PromptWriter};
use crate::request::Request;
use crate::trace::TraceRequest;

/// Lengths and shared prefixes of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shapes {
    /// Drawn from distributions; every prompt is its own from its first token on.
    Drawn {
        /// Of prompts.
        isl: Lengths,
        /// Of answers.
        osl: Lengths,
    },
    /// As recorded, from the first line on; over again when there are more requests.
    Trace(Vec<TraceRequest>),
}

/// What the engine may find in its cache when it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KvReuse {
    /// Nothing: measured prompts were never seen before.
    #[default]
    Fresh,
    /// Their prompts: each is sent once, for an answer of one token, before anything is measured. That is how a decode
    /// engine is measured without its prefill.
    Warmed,
}

/// What is asked of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Lengths and shared prefixes.
    pub shapes: Shapes,
    /// Measured requests.
    pub requests: usize,
    /// Requests before the measured ones, of the same kind and with prompts of their own.
    pub warmup: usize,
    /// What may be cached.
    pub kv_reuse: KvReuse,
    /// What lengths, prompts and arrivals are drawn from.
    pub seed: u64,
}

/// Requests, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Sent first, and not measured.
    pub warmup: Vec<Request>,
    /// Measured.
    pub measured: Vec<Request>,
}

impl Workload {
    /// Writes all requests, so that nothing needs to be computed while they are sent.
    ///
    /// # Errors
    /// [`LoadError::Plan`] when nothing is asked, or prompts are of no use to the endpoint; [`LoadError::Tokenizer`]
    /// when a length cannot be met.
    pub fn prepare(&self, target: &Target, writer: &PromptWriter) -> Result<Prepared, LoadError> {
        if self.requests == 0 {
            return Err(LoadError::Plan {
                field: "requests",
                problem: "nothing is measured with 0 requests: ask for at least 1".to_owned(),
            });
        }
        let measured = (0..self.requests)
            .map(|index| self.request(Part::Measured, index, (target, writer)))
            .collect::<Result<Vec<_>, _>>()?;
        let mut warmup = (0..self.warmup)
            .map(|index| self.request(Part::Warmup, index, (target, writer)))
            .collect::<Result<Vec<_>, _>>()?;
        if self.kv_reuse == KvReuse::Warmed {
            for index in 0..self.requests {
                warmup.push(self.request(Part::Rehearsal, index, (target, writer))?);
            }
        }
        Ok(Prepared { warmup, measured })
    }

    fn request(
        &self,
        part: Part,
        index: usize,
        (target, writer): (&Target, &PromptWriter),
    ) -> Result<Request, LoadError> {
        let number = u64::try_from(index).unwrap_or(u64::MAX);
        let stream = match part {
            Part::Measured | Part::Rehearsal => number.wrapping_mul(2),
            Part::Warmup => number.wrapping_mul(2).wrapping_add(1),
        };
        let mut dice = Dice::stream(self.seed, stream.wrapping_add(2));
        let (isl, osl, blocks) = match &self.shapes {
            Shapes::Drawn { isl, osl } => (isl.draw(&mut dice), osl.draw(&mut dice), &[][..]),
            Shapes::Trace(trace) => {
                let request = trace.get(index % trace.len().max(1)).ok_or(LoadError::Plan {
                    field: "trace",
                    problem: "it holds no request".to_owned(),
                })?;
                // Blocks in a warm-up would fill the cache with what is to be measured.
                let blocks = match part {
                    Part::Measured | Part::Rehearsal => request.blocks.as_slice(),
                    Part::Warmup => &[],
                };
                (request.isl, request.osl, blocks)
            }
        };
        let prompt = writer.write(PromptSpec {
            tokens: isl,
            seed: dice.draw(),
            blocks,
            block_seed: self.seed,
        })?;
        let osl = if part == Part::Rehearsal { 1 } else { osl };
        Ok(Request {
            index,
            isl,
            osl,
            bytes: target.request(&prompt, osl)?,
        })
    }
}

/// Which requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Warmup,
    /// The measured prompts, before they are measured.
    Rehearsal,
    Measured,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{Api, Endpoint};

    fn prepared(kv_reuse: KvReuse, seed: u64) -> Prepared {
        let target = Target {
            endpoint: Endpoint::parse("h").expect("an endpoint"),
            api: Api::Completions,
            model: "m".to_owned(),
            api_key: None,
            extra: serde_json::Map::new(),
        };
        let workload = Workload {
            shapes: Shapes::Drawn {
                isl: Lengths::Fixed(40),
                osl: Lengths::Uniform { low: 5, high: 50 },
            },
            requests: 20,
            warmup: 3,
            kv_reuse,
            seed,
        };
        let writer = PromptWriter::Ids { vocabulary: 30_000 };
        workload.prepare(&target, &writer).expect("requests")
    }

    fn prompt(request: &Request) -> String {
        let text = String::from_utf8_lossy(&request.bytes).into_owned();
        let (_, ids) = text.split_once("\"prompt\":[").expect("a prompt");
        ids.split(']').next().expect("an end").to_owned()
    }

    #[test]
    fn the_seed_decides_everything_and_no_two_prompts_are_alike() {
        let one = prepared(KvReuse::Fresh, 1);
        assert_eq!(one, prepared(KvReuse::Fresh, 1));
        assert_ne!(one, prepared(KvReuse::Fresh, 2));
        let mut prompts: Vec<String> = one.measured.iter().chain(&one.warmup).map(prompt).collect();
        prompts.sort_unstable();
        prompts.dedup();
        assert_eq!((prompts.len(), one.warmup.len()), (23, 3));
        assert!(
            one.measured
                .iter()
                .any(|request| request.osl != one.measured[0].osl)
        );
    }

    #[test]
    fn a_rehearsal_sends_each_measured_prompt_once_for_one_token() {
        let warmed = prepared(KvReuse::Warmed, 1);
        assert_eq!(warmed.measured, prepared(KvReuse::Fresh, 1).measured);
        let rehearsed: Vec<String> = warmed.warmup[3..].iter().map(prompt).collect();
        let measured: Vec<String> = warmed.measured.iter().map(prompt).collect();
        assert_eq!(rehearsed, measured);
        assert!(warmed.warmup[3..].iter().all(|request| request.osl == 1));
    }
}
