//! What a step works on, as its operators see it.

use super::{ContextTokens, GenerationTokens};

/// The tokens of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StepShape {
    /// Sequences, per attention copy; drafts count as sequences of their own.
    pub batch: u64,
    /// Tokens of each sequence that are computed in this step.
    pub new_tokens: u64,
    /// Tokens of each sequence that were in the cache before prefill.
    pub prefix: u64,
    /// Tokens of each sequence once the step is done.
    pub sequence: u64,
    /// Tokens in the step.
    pub tokens: u64,
    /// Sequences that need logits.
    pub logits: u64,
}

impl StepShape {
    /// A prefill of `batch` prompts, each `new_tokens` longer than its cached `prefix`.
    pub const fn context(tokens: ContextTokens) -> Self {
        let ContextTokens {
            batch,
            new_tokens,
            prefix,
        } = tokens;
        Self {
            batch,
            new_tokens,
            prefix,
            sequence: new_tokens + prefix,
            tokens: batch * new_tokens,
            logits: batch,
        }
    }

    /// A decode step: one token, and one row of logits, for each sequence.
    pub const fn generation(tokens: GenerationTokens) -> Self {
        Self {
            batch: tokens.batch,
            new_tokens: 1,
            prefix: 0,
            sequence: tokens.sequence,
            tokens: tokens.batch,
            logits: tokens.batch,
        }
    }

    pub(crate) const fn context_tokens(&self) -> ContextTokens {
        ContextTokens {
            batch: self.batch,
            new_tokens: self.new_tokens,
            prefix: self.prefix,
        }
    }

    pub(crate) const fn generation_tokens(&self) -> GenerationTokens {
        GenerationTokens {
            batch: self.batch,
            sequence: self.sequence,
        }
    }
}
