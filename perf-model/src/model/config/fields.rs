//! Typed fields of a configuration.

use serde_json::{Map, Value};

use crate::error::PerfModelError;

/// Widths are at most this, which is beyond every model and leaves room to multiply a few of them.
pub(super) const WIDEST: u32 = 1 << 20;
/// Heads are at most this many.
pub(super) const MOST_HEADS: u32 = 1 << 12;
/// A head is at most this wide.
pub(super) const WIDEST_HEAD: u32 = 1 << 14;

/// Fields of the decoder, wherever in the document they are.
pub(super) struct Fields<'a> {
    pub(super) model: &'a str,
    pub(super) object: &'a Map<String, Value>,
    /// Prefix of field paths in messages.
    pub(super) prefix: &'a str,
}

impl Fields<'_> {
    /// The first of `keys` that is present and not null.
    pub(super) fn value(&self, keys: &[&str]) -> Option<&Value> {
        self.named(keys).map(|(_, value)| value)
    }

    fn named<'k>(&self, keys: &[&'k str]) -> Option<(&'k str, &Value)> {
        keys.iter()
            .filter_map(|key| Some((*key, self.object.get(*key)?)))
            .find(|(_, value)| !value.is_null())
    }

    pub(super) fn error(&self, field: &str, problem: String) -> PerfModelError {
        PerfModelError::ModelConfig {
            model: self.model.to_owned(),
            field: format!("{}{field}", self.prefix),
            problem,
        }
    }

    /// A width under the first of `keys` that is present and not null.
    pub(super) fn optional(&self, keys: &[&str]) -> Result<Option<u32>, PerfModelError> {
        self.optional_to(keys, WIDEST)
    }

    /// A whole number of at most `most` under the first of `keys` that is present and not null.
    pub(super) fn optional_to(&self, keys: &[&str], most: u32) -> Result<Option<u32>, PerfModelError> {
        let Some((key, value)) = self.named(keys) else {
            return Ok(None);
        };
        match value.as_u64().and_then(|number| u32::try_from(number).ok()) {
            Some(number) if number <= most => Ok(Some(number)),
            _ => Err(self.error(
                key,
                format!(
                    "must be a whole number of at most {most}, got {}",
                    shortened(value)
                ),
            )),
        }
    }

    /// A width of at least 1.
    pub(super) fn required(&self, field: &str) -> Result<u32, PerfModelError> {
        self.required_to(&[field], WIDEST)
    }

    /// A whole number from 1 to `most` under the first of `keys` that is present and not null.
    pub(super) fn required_to(&self, keys: &[&str], most: u32) -> Result<u32, PerfModelError> {
        let field = self
            .named(keys)
            .map_or_else(|| keys.first().copied().unwrap_or_default(), |(key, _)| key);
        match self.optional_to(keys, most)? {
            Some(0) => Err(self.error(field, "must be at least 1, got 0".to_owned())),
            Some(number) => Ok(number),
            None => Err(self.error(field, "is missing".to_owned())),
        }
    }

    /// A width, or what stands for it where it is absent or 0.
    pub(super) fn width_or(&self, field: &str, otherwise: u32) -> Result<u32, PerfModelError> {
        self.present_or((field, WIDEST), otherwise)
    }

    /// A number of heads, or what stands for it where it is absent or 0.
    pub(super) fn heads_or(&self, field: &str, otherwise: u32) -> Result<u32, PerfModelError> {
        self.present_or((field, MOST_HEADS), otherwise)
    }

    /// The width of a head, or what stands for it where it is absent or 0.
    pub(super) fn head_dim_or(&self, field: &str, otherwise: u32) -> Result<u32, PerfModelError> {
        self.present_or((field, WIDEST_HEAD), otherwise)
    }

    fn present_or(&self, (field, most): (&str, u32), otherwise: u32) -> Result<u32, PerfModelError> {
        Ok(self
            .optional_to(&[field], most)?
            .filter(|width| *width > 0)
            .unwrap_or(otherwise))
    }

    /// A number of heads of at least 1.
    pub(super) fn heads(&self, field: &str) -> Result<u32, PerfModelError> {
        self.required_to(&[field], MOST_HEADS)
    }

    /// The width of a head, at least 1.
    pub(super) fn head_dim(&self, field: &str) -> Result<u32, PerfModelError> {
        self.required_to(&[field], WIDEST_HEAD)
    }

    /// The entries of a list of texts, one for each of `layers` layers.
    pub(super) fn kinds_of_layers(&self, field: &str, layers: u32) -> Result<Vec<&str>, PerfModelError> {
        let given = self.object.get(field).unwrap_or(&Value::Null);
        let kinds: Option<Vec<&str>> = given
            .as_array()
            .and_then(|kinds| kinds.iter().map(Value::as_str).collect());
        match kinds {
            Some(kinds) if u32::try_from(kinds.len()) == Ok(layers) => Ok(kinds),
            _ => {
                let problem = format!(
                    "must name the kind of each of {layers} layers, got {}",
                    shortened(given)
                );
                Err(self.error(field, problem))
            }
        }
    }

    /// The fields of an object within, named after `prefix`.
    pub(super) fn inside<'b>(&'b self, object: &'b Map<String, Value>, prefix: &'b str) -> Fields<'b> {
        Fields {
            model: self.model,
            object,
            prefix,
        }
    }

    pub(super) fn flag(&self, field: &str) -> bool {
        self.object.get(field).and_then(Value::as_bool).unwrap_or(false)
    }

    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.object.get(field).and_then(Value::as_str)
    }
}

/// A value as it is written, cut where it is long.
pub(super) fn shortened(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
