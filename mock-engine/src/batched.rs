//! An engine that batches continuously: each step holds one token of all that decode, and prompts as far as there is
//! room.
//!
//! With chunked prefill decoding goes first and prompts fill what is left of a step (vLLM); without it a step takes in
//! whole prompts or decodes, prompts first (SGLang's default order). A request that no longer finds a block for its
//! next token displaces the one that came last, which is computed again. Prefixes are found from the moment on at which a
//! request that holds them is let in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::core::{Core, EngineLimits, Load, NewRequest, Token};
use crate::kv::{Holding, KvCache};
use crate::timing::{PrefillWork, StepModel, StepWork, duration};

/// An engine that batches continuously.
pub struct Batched {
    model: Box<dyn StepModel>,
    limits: EngineLimits,
    cache: KvCache,
    waiting: VecDeque<Sequence>,
    /// In the order in which they were let in.
    running: Vec<Sequence>,
    step: Option<Step>,
    preemptions: u64,
}

/// A request and how far it is.
#[derive(Debug)]
struct Sequence {
    request: NewRequest,
    /// Tokens to be computed before the next token comes: the prompt, and after a displacement what was answered.
    to_compute: u32,
    /// Tokens whose keys and values are there.
    computed: u32,
    answered: u32,
    cached_tokens: u32,
    started: Option<Duration>,
    holding: Holding,
}

impl Sequence {
    const fn is_prefilled(&self) -> bool {
        self.computed >= self.to_compute
    }

    const fn context(&self) -> u32 {
        self.request.prompt_tokens.saturating_add(self.answered)
    }
}

#[derive(Debug)]
struct Step {
    end: Duration,
    /// Tokens of prompts that it computes, by request.
    prefills: BTreeMap<u64, u32>,
    /// Requests that get a token, beside those whose prompt it ends.
    decodes: BTreeSet<u64>,
}

impl Batched {
    /// An idle engine.
    pub fn new(model: Box<dyn StepModel>, limits: EngineLimits) -> Self {
        Self {
            model,
            limits,
            cache: KvCache::new(limits.kv_blocks),
            waiting: VecDeque::new(),
            running: Vec::new(),
            step: None,
            preemptions: 0,
        }
    }

    /// Begins the next step, if there is anything to do.
    fn begin(&mut self, now: Duration) {
        let mut work = StepWork::default();
        let mut prefills = BTreeMap::new();
        let mut budget = self.limits.max_num_batched_tokens;
        let decodes = if self.limits.chunked_prefill {
            let decodes = self.decode(&mut work);
            budget = budget.saturating_sub(work.decodes);
            self.prefill(now, budget, (&mut work, &mut prefills));
            decodes
        } else {
            self.prefill(now, budget, (&mut work, &mut prefills));
            if prefills.is_empty() {
                self.decode(&mut work)
            } else {
                BTreeSet::new()
            }
        };
        self.step = (!prefills.is_empty() || !decodes.is_empty()).then(|| Step {
            end: now + duration(self.model.step_ms(&work)),
            prefills,
            decodes,
        });
    }

    /// Chooses who gets a token, and finds blocks for them.
    fn decode(&mut self, work: &mut StepWork) -> BTreeSet<u64> {
        let mut index = 0;
        while index < self.running.len() {
            let sequence = &mut self.running[index];
            let needed = self.limits.blocks_of(sequence.context() + 1);
            if !sequence.is_prefilled()
                || sequence.holding.blocks() >= needed
                || self.cache.grow(&mut sequence.holding)
            {
                index += 1;
                continue;
            }
            // The last one goes, perhaps this one itself; then it is tried again.
            self.displace_last();
        }
        let decoding = self.running.iter().filter(|sequence| sequence.is_prefilled());
        decoding
            .map(|sequence| {
                work.decodes += 1;
                work.decode_context += u64::from(sequence.context());
                sequence.request.id
            })
            .collect()
    }

    fn displace_last(&mut self) {
        if let Some(mut sequence) = self.running.pop() {
            self.cache.give_back(std::mem::take(&mut sequence.holding));
            sequence.to_compute = sequence.context();
            sequence.computed = 0;
            self.preemptions += 1;
            self.waiting.push_front(sequence);
        }
    }

    /// Goes on with prompts and lets new ones in.
    fn prefill(
        &mut self,
        now: Duration,
        mut budget: u32,
        (work, prefills): (&mut StepWork, &mut BTreeMap<u64, u32>),
    ) {
        for sequence in self.running.iter().filter(|sequence| !sequence.is_prefilled()) {
            budget -= add_prefill(sequence, budget, work, prefills);
        }
        while budget > 0 && self.load().running < self.limits.max_num_seqs {
            let Some(mut sequence) = self.waiting.pop_front() else {
                return;
            };
            if !self.admit(&mut sequence, now, (budget, prefills.is_empty())) {
                self.waiting.push_front(sequence);
                return;
            }
            budget -= add_prefill(&sequence, budget, work, prefills);
            self.running.push(sequence);
        }
    }

    /// Takes the blocks of a prompt; false when they, or a place in this step, are not to be had.
    fn admit(&mut self, sequence: &mut Sequence, now: Duration, (budget, is_first): (u32, bool)) -> bool {
        let names = if self.limits.prefix_caching {
            sequence.request.prefix_blocks.as_slice()
        } else {
            &[]
        };
        let found = u32::try_from(self.cache.cached(names)).unwrap_or(u32::MAX);
        // The last token of a prompt is always computed: it gives the first of the answer.
        let cached = found
            .saturating_mul(self.limits.block_size)
            .min(sequence.to_compute.saturating_sub(1));
        let whole = sequence.to_compute - cached;
        if !self.limits.chunked_prefill && whole > budget && !is_first {
            return false;
        }
        let named = u32::try_from(names.len()).unwrap_or(u32::MAX);
        let private = self
            .limits
            .blocks_of(sequence.to_compute + 1)
            .saturating_sub(named);
        let Some(holding) = self.cache.take(names, private) else {
            return false;
        };
        sequence.holding = holding;
        sequence.computed = cached;
        if sequence.started.is_none() {
            sequence.started = Some(now);
            sequence.cached_tokens = cached;
        }
        true
    }

    fn finish(&mut self, step: &Step, tokens: &mut Vec<Token>) {
        let mut ended = Vec::new();
        for sequence in &mut self.running {
            let id = sequence.request.id;
            let prefilled = step.prefills.get(&id).is_some_and(|computed| {
                sequence.computed += computed;
                sequence.is_prefilled()
            });
            if !prefilled && !step.decodes.contains(&id) {
                continue;
            }
            sequence.answered += 1;
            let is_last = sequence.answered >= sequence.request.output_tokens;
            tokens.push(Token {
                id,
                at: step.end,
                cached_tokens: sequence.cached_tokens,
                started: sequence.started.unwrap_or_default(),
                is_last,
            });
            if is_last {
                ended.push(id);
            }
        }
        for id in ended {
            self.remove(id);
        }
    }

    fn remove(&mut self, id: u64) {
        if let Some(index) = self.running.iter().position(|sequence| sequence.request.id == id) {
            let sequence = self.running.remove(index);
            self.cache.give_back(sequence.holding);
        }
    }
}

/// Adds as much of a prompt to a step as there is room; tokens of it. A prompt that is longer than any step takes
/// several, chunked or not.
fn add_prefill(
    sequence: &Sequence,
    budget: u32,
    work: &mut StepWork,
    prefills: &mut BTreeMap<u64, u32>,
) -> u32 {
    let new_tokens = (sequence.to_compute - sequence.computed).min(budget);
    if new_tokens > 0 {
        work.prefills.push(PrefillWork {
            new_tokens,
            context: sequence.computed,
        });
        prefills.insert(sequence.request.id, new_tokens);
    }
    new_tokens
}

impl Core for Batched {
    fn arrive(&mut self, at: Duration, request: NewRequest) {
        self.waiting.push_back(Sequence {
            to_compute: request.prompt_tokens.max(1),
            request,
            computed: 0,
            answered: 0,
            cached_tokens: 0,
            started: None,
            holding: Holding::default(),
        });
        if self.step.is_none() {
            self.begin(at);
        }
    }

    fn cancel(&mut self, id: u64) {
        self.waiting.retain(|sequence| sequence.request.id != id);
        self.remove(id);
    }

    fn due(&self) -> Option<Duration> {
        self.step.as_ref().map(|step| step.end)
    }

    fn advance(&mut self, tokens: &mut Vec<Token>) {
        if let Some(step) = self.step.take() {
            self.finish(&step, tokens);
            self.begin(step.end);
        }
    }

    fn load(&self) -> Load {
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        Load {
            running: count(self.running.len()),
            waiting: count(self.waiting.len()),
            used_blocks: self.cache.used(),
            preemptions: self.preemptions,
        }
    }
}

#[cfg(test)]
mod tests;
