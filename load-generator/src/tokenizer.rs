//! Counting tokens as the engine does.

use std::path::{Path, PathBuf};

use crate::error::LoadError;

/// A tokenizer in Hugging Face's form (`tokenizer.json`).
#[derive(Debug)]
pub struct TokenCounter {
    path: PathBuf,
    tokenizer: tokenizers::Tokenizer,
}

impl TokenCounter {
    /// Reads `tokenizer.json`, or the directory that holds it.
    ///
    /// # Errors
    /// [`LoadError::Tokenizer`] when it is not there or no tokenizer.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let path = if path.is_dir() {
            path.join("tokenizer.json")
        } else {
            path.to_owned()
        };
        let tokenizer = tokenizers::Tokenizer::from_file(&path).map_err(|error| LoadError::Tokenizer {
            path: path.clone(),
            problem: format!("{error}; give the directory of a model that holds a tokenizer.json"),
        })?;
        Ok(Self { path, tokenizer })
    }

    /// Tokens of a text, without those that a model puts around it.
    ///
    /// # Errors
    /// [`LoadError::Tokenizer`] when the tokenizer cannot read the text.
    pub fn count(&self, text: &str) -> Result<u32, LoadError> {
        let encoding = self
            .tokenizer
            .encode_fast(text, false)
            .map_err(|error| self.problem(error.to_string()))?;
        Ok(u32::try_from(encoding.get_ids().len()).unwrap_or(u32::MAX))
    }

    /// Words of letters, each one token with a space before it and also at the beginning of a text, in the order of
    /// the vocabulary; at most `most`.
    ///
    /// # Errors
    /// [`LoadError::Tokenizer`] when there are too few of them to write prompts.
    pub(crate) fn words(&self, most: usize) -> Result<Vec<String>, LoadError> {
        let mut tokens: Vec<(u32, String)> = self
            .tokenizer
            .get_vocab(false)
            .into_iter()
            .map(|(token, id)| (id, token))
            .collect();
        tokens.sort_unstable();
        let mut words = Vec::new();
        for (_, token) in &tokens {
            // Vocabularies mark the space before a word in one of these ways.
            let Some(word) = token.strip_prefix(['Ġ', '▁', ' ']) else {
                continue;
            };
            if word.len() < 3 || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
                continue;
            }
            if self.count(word)? == 1 && self.count(&format!(" {word} {word}"))? == 2 {
                words.push(word.to_owned());
                if words.len() == most {
                    break;
                }
            }
        }
        if words.len() < Self::FEWEST_WORDS {
            return Err(self.problem(format!(
                "only {} of its tokens are whole words, too few to write prompts of exact length; leave --tokenizer out",
                words.len()
            )));
        }
        Ok(words)
    }

    /// Fewer words would make prompts alike.
    const FEWEST_WORDS: usize = 64;

    fn problem(&self, problem: String) -> LoadError {
        LoadError::Tokenizer {
            path: self.path.clone(),
            problem,
        }
    }
}
