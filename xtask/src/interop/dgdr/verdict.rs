//! What somebody says of a request.

use std::fmt::{self, Display, Formatter};

use dgdr_types::DgdrError;
use serde::Deserialize;

/// Accepted, or refused for reasons.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in crate::interop) struct Verdict {
    /// Whether the request can be worked with.
    pub(in crate::interop) accepted: bool,
    /// What is wrong, one fault each: the field and the rule.
    pub(super) reasons: Vec<String>,
}

impl Verdict {
    /// Ours on a text.
    pub(in crate::interop) fn ours(text: &str) -> Self {
        let reasons = match dgdr_types::parse_request(text).and_then(|raw| dgdr_types::resolve(&raw)) {
            Ok(_) => Vec::new(),
            Err(DgdrError::Invalid(findings)) => findings
                .as_slice()
                .iter()
                .map(|finding| format!("{}: {}", finding.path, finding.rule))
                .collect(),
            Err(error) => vec![error.to_string()],
        };
        Self {
            accepted: reasons.is_empty(),
            reasons,
        }
    }

    /// In a word.
    pub(super) const fn word(&self) -> &'static str {
        if self.accepted { "accept" } else { "refuse" }
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        if !self.accepted {
            write!(f, " ({})", self.reasons.join("; "))?;
        }
        Ok(())
    }
}

/// Who refuses what the other accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stricter {
    /// We do.
    Us,
    /// Upstream does.
    Upstream,
}

/// Two verdicts that differ.
#[derive(Debug)]
pub(super) struct Difference<'v> {
    /// Who refuses.
    pub(super) stricter: Stricter,
    /// Why.
    pub(super) reasons: &'v [String],
}

impl<'v> Difference<'v> {
    /// The difference of two verdicts that are not the same.
    pub(super) fn of(ours: &'v Verdict, theirs: &'v Verdict) -> Self {
        let (stricter, verdict) = if ours.accepted {
            (Stricter::Upstream, theirs)
        } else {
            (Stricter::Us, ours)
        };
        Self {
            stricter,
            reasons: &verdict.reasons,
        }
    }
}
