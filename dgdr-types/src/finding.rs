//! What is wrong with a request: one finding per fault, all reported together.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A place in the text, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// One fault of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Path of the field, for example `spec.sla.ttft`.
    pub path: String,
    /// Where the field stands in the text, when it came from a text.
    pub position: Option<Position>,
    /// The rejected value, when there is one.
    pub value: Option<String>,
    /// The rule that is broken.
    pub rule: String,
    /// What to do.
    pub fix: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if let Some(position) = self.position {
            write!(f, " ({position})")?;
        }
        write!(f, ": {}", self.rule)?;
        if let Some(value) = &self.value {
            write!(f, ", got {value}")?;
        }
        write!(f, "; {}", self.fix)
    }
}

/// All faults of a request, by position and path.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// The faults.
    pub fn as_slice(&self) -> &[Finding] {
        &self.0
    }

    /// Whether there is no fault.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// Sorts by position, faults without one last, then by path: the order in which a reader fixes them.
    pub(crate) fn sort(&mut self) {
        self.0.sort_by(|left, right| {
            let key = |finding: &Finding| (finding.position.is_none(), finding.position);
            key(left)
                .cmp(&key(right))
                .then_with(|| left.path.cmp(&right.path))
        });
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = if self.0.len() == 1 { "fault" } else { "faults" };
        write!(f, "{} {faults} in the request:", self.0.len())?;
        self.0.iter().try_for_each(|finding| write!(f, "\n- {finding}"))
    }
}

/// The element of `known` that `name` was probably meant to be.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    /// Jaro-Winkler similarity above which a name is worth suggesting; `gpuSKU` and `gpuSku` have 0.87.
    const SIMILAR: f64 = 0.8;
    let name = name.to_ascii_lowercase();
    known
        .into_iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&name, &candidate.to_ascii_lowercase()),
                candidate,
            )
        })
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}
