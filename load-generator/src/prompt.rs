//! Prompts of exact length, each of its own or with shared blocks.

use crate::dice::Dice;
use crate::error::LoadError;
use crate::tokenizer::TokenCounter;
use crate::trace::BLOCK_TOKENS;

/// What a model is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// Words.
    Text(String),
    /// Token numbers.
    Ids(Vec<u32>),
}

/// Writes prompts.
#[derive(Debug)]
pub enum PromptWriter {
    /// Words that are one token each, counted by the model's own tokenizer.
    Counted {
        /// Counts.
        counter: Box<TokenCounter>,
        /// Words of one token.
        words: Vec<String>,
    },
    /// English words so common that every vocabulary holds them whole; nobody checks.
    Common,
    /// Token numbers below a bound, for servers that take them: exact without a tokenizer.
    Ids {
        /// Size of the vocabulary.
        vocabulary: u32,
    },
}

/// What is asked of a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptSpec<'a> {
    /// Tokens.
    pub tokens: u32,
    /// Prompts of different seeds differ from their first token on, blocks apart.
    pub seed: u64,
    /// Names of leading blocks: the same name gives the same tokens in every prompt of a run.
    pub blocks: &'a [u64],
    /// What the blocks of a run are drawn from.
    pub block_seed: u64,
}

/// Words that are drawn from.
const MOST_WORDS: usize = 4096;
/// Corrections of a prompt whose words are not one token each next to one another.
const MOST_CORRECTIONS: u32 = 32;
/// Numbers below are bytes and control tokens in common vocabularies.
const FIRST_ID: u32 = 1000;

/// One token each, with and without a space before it, in the vocabularies of Llama, Qwen, Mistral, DeepSeek and GPT.
const COMMON_WORDS: [&str; 64] = [
    "able",
    "about",
    "after",
    "again",
    "all",
    "also",
    "always",
    "and",
    "another",
    "any",
    "are",
    "area",
    "back",
    "because",
    "been",
    "before",
    "being",
    "best",
    "between",
    "book",
    "both",
    "but",
    "call",
    "can",
    "case",
    "change",
    "children",
    "city",
    "come",
    "could",
    "country",
    "day",
    "different",
    "does",
    "down",
    "each",
    "end",
    "even",
    "every",
    "example",
    "fact",
    "family",
    "few",
    "first",
    "food",
    "for",
    "form",
    "found",
    "from",
    "get",
    "give",
    "good",
    "government",
    "great",
    "group",
    "hand",
    "hard",
    "have",
    "head",
    "help",
    "here",
    "high",
    "home",
    "house",
];

impl PromptWriter {
    /// A writer that counts with a tokenizer.
    ///
    /// # Errors
    /// [`LoadError::Tokenizer`] when its vocabulary is of no use.
    pub fn counted(counter: TokenCounter) -> Result<Self, LoadError> {
        let words = counter.words(MOST_WORDS)?;
        Ok(Self::Counted {
            counter: Box::new(counter),
            words,
        })
    }

    /// Whether the lengths of its prompts are certain.
    pub const fn is_exact(&self) -> bool {
        !matches!(self, Self::Common)
    }

    /// The tokenizer, where one counts.
    pub const fn counter(&self) -> Option<&TokenCounter> {
        match self {
            Self::Counted { counter, .. } => Some(counter),
            Self::Common | Self::Ids { .. } => None,
        }
    }

    /// Writes a prompt of exactly as many tokens as asked.
    ///
    /// # Errors
    /// [`LoadError::Tokenizer`] when the length cannot be met.
    pub fn write(&self, spec: PromptSpec<'_>) -> Result<Prompt, LoadError> {
        match self {
            Self::Counted { counter, words } => exact(counter, words, spec),
            Self::Common => Ok(Prompt::Text(text(&COMMON_WORDS, spec, spec.tokens))),
            Self::Ids { vocabulary } => {
                let first = FIRST_ID.min(vocabulary / 2);
                let span = u64::from(vocabulary.saturating_sub(first));
                let id = |dice: &mut Dice| first + u32::try_from(dice.below(span)).unwrap_or(0);
                Ok(Prompt::Ids(pieces(spec, spec.tokens, id)))
            }
        }
    }
}

/// A text that the tokenizer itself finds to be of the wanted length.
fn exact(counter: &TokenCounter, words: &[String], spec: PromptSpec<'_>) -> Result<Prompt, LoadError> {
    let mut asked = spec.tokens;
    let mut counted = 0;
    for _ in 0..MOST_CORRECTIONS {
        let prompt = text(words, spec, asked);
        counted = counter.count(&prompt)?;
        if counted == spec.tokens {
            return Ok(Prompt::Text(prompt));
        }
        asked = asked.saturating_add(spec.tokens).saturating_sub(counted).max(1);
    }
    Err(LoadError::Plan {
        field: "prompts",
        problem: format!(
            "no text of exactly {} tokens was found, the nearest has {counted}: leave --tokenizer out",
            spec.tokens
        ),
    })
}

/// Words with a space before each, so that each stays a token of its own wherever the text is put.
fn text<W: AsRef<str>>(words: &[W], spec: PromptSpec<'_>, count: u32) -> String {
    let chosen = pieces(spec, count, |dice| dice.pick(words).map_or("", AsRef::as_ref));
    let mut text = String::with_capacity(chosen.len() * 8);
    for word in chosen {
        text.push(' ');
        text.push_str(word);
    }
    text
}

/// Named blocks first, then what belongs to this prompt alone.
fn pieces<T>(spec: PromptSpec<'_>, count: u32, mut draw: impl FnMut(&mut Dice) -> T) -> Vec<T> {
    let mut pieces = Vec::new();
    let mut left = count;
    for block in spec.blocks {
        let mut dice = Dice::stream(spec.block_seed, *block);
        let length = left.min(BLOCK_TOKENS);
        pieces.extend((0..length).map(|_| draw(&mut dice)));
        left -= length;
    }
    let mut dice = Dice::stream(spec.seed, 0);
    pieces.extend((0..left).map(|_| draw(&mut dice)));
    pieces
}

#[cfg(test)]
mod tests;
