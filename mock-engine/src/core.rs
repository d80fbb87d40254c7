//! What all simulated engines have in common: requests in, tokens with their times out.

use std::time::Duration;

use dgdr_units::real;

use crate::error::MockError;

/// What bounds an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineLimits {
    /// Blocks of the KV cache.
    pub kv_blocks: u32,
    /// Tokens of one block.
    pub block_size: u32,
    /// Most requests that are served at a time.
    pub max_num_seqs: u32,
    /// Most tokens of one step.
    pub max_num_batched_tokens: u32,
    /// Whether long prompts are spread over steps and share them with decoding.
    pub chunked_prefill: bool,
    /// Whether leading blocks of prompts stay in the cache.
    pub prefix_caching: bool,
}

impl Default for EngineLimits {
    /// Those of vLLM on a large GPU with a small model.
    fn default() -> Self {
        Self {
            kv_blocks: 16_384,
            block_size: 16,
            max_num_seqs: 256,
            max_num_batched_tokens: 8192,
            chunked_prefill: true,
            prefix_caching: true,
        }
    }
}

impl EngineLimits {
    /// Tokens that the KV cache holds.
    pub fn kv_tokens(self) -> u64 {
        u64::from(self.kv_blocks) * u64::from(self.block_size)
    }

    /// Blocks that hold this many tokens.
    pub const fn blocks_of(self, tokens: u32) -> u32 {
        tokens.div_ceil(self.block_size)
    }

    /// # Errors
    /// [`MockError::Setting`] for a limit of zero, and steps that cannot hold all that decode.
    pub fn check(self) -> Result<Self, MockError> {
        let fields = [
            ("KV blocks", self.kv_blocks),
            ("block size", self.block_size),
            ("max_num_seqs", self.max_num_seqs),
            ("max_num_batched_tokens", self.max_num_batched_tokens),
        ];
        if let Some((field, _)) = fields.into_iter().find(|(_, value)| *value == 0) {
            return Err(MockError::Setting {
                field,
                problem: "must be at least 1".to_owned(),
            });
        }
        if self.max_num_batched_tokens < self.max_num_seqs {
            return Err(MockError::Setting {
                field: "max_num_batched_tokens",
                problem: format!("must be at least max_num_seqs, which is {}", self.max_num_seqs),
            });
        }
        Ok(self)
    }
}

/// A request to an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRequest {
    /// Its number.
    pub id: u64,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Names of the full blocks of the prompt: equal names are equal prefixes up to the end of that block.
    pub prefix_blocks: Vec<u64>,
    /// Tokens that it is answered with.
    pub output_tokens: u32,
}

impl NewRequest {
    /// Tokens of prompt and answer.
    pub const fn tokens(&self) -> u32 {
        self.prompt_tokens.saturating_add(self.output_tokens)
    }
}

/// A token that left an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Of which request.
    pub id: u64,
    /// When, since the engine's start.
    pub at: Duration,
    /// Prompt tokens that were not computed, because they were cached.
    pub cached_tokens: u32,
    /// When its request began to be computed.
    pub started: Duration,
    /// Whether it is the request's last.
    pub is_last: bool,
}

/// What an engine has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Requests that are served.
    pub running: u32,
    /// Requests that wait.
    pub waiting: u32,
    /// Blocks of the KV cache in use.
    pub used_blocks: u32,
    /// Requests that lost their blocks to others and are computed again.
    pub preemptions: u64,
}

impl Load {
    /// Share of the KV cache in use.
    pub fn kv_usage(self, limits: EngineLimits) -> f64 {
        real(u64::from(self.used_blocks)) / real(u64::from(limits.kv_blocks))
    }
}

/// A simulated engine without a clock: whoever runs it says when requests arrive, and lets it go on when it is due.
pub trait Core: Send {
    /// Takes in a request.
    fn arrive(&mut self, at: Duration, request: NewRequest);
    /// Forgets a request.
    fn cancel(&mut self, id: u64);
    /// When the next tokens leave; none while there is nothing to do.
    fn due(&self) -> Option<Duration>;
    /// Goes on to [`Core::due`]; the tokens that leave then are appended.
    fn advance(&mut self, tokens: &mut Vec<Token>);
    /// What it has to do.
    fn load(&self) -> Load;
}
