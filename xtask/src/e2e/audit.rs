//! What the API server wrote down of its ServiceAccounts' calls.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Deserialize;

use super::manifests::OPERATOR_USER;

/// The audit log of a cluster.
#[derive(Debug)]
pub(super) struct Audit {
    path: PathBuf,
}

/// A call that was answered.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Call {
    /// Which verb, as in roles.
    pub(super) verb: String,
    /// To what.
    #[serde(rename = "requestURI")]
    pub(super) uri: String,
    /// Whose.
    pub(super) user: User,
    /// How it was answered; none of a watch that broke off.
    #[serde(default)]
    pub(super) response_status: Answer,
}

/// Who called.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct User {
    /// The name that roles are bound to.
    pub(super) username: String,
}

/// The answer of a call.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Answer {
    /// As of HTTP.
    #[serde(default)]
    pub(super) code: u16,
}

const FORBIDDEN: u16 = 403;

impl Audit {
    /// The log in that file.
    pub(super) const fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// How long it is by now: from here on is what comes next.
    pub(super) fn length(&self) -> anyhow::Result<u64> {
        match std::fs::metadata(&self.path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error).with_context(|| format!("cannot look at {}", self.path.display())),
        }
    }

    /// All calls since the log had that length.
    pub(super) fn since(&self, length: u64) -> anyhow::Result<Vec<Call>> {
        if self.length()? == 0 {
            return Ok(Vec::new());
        }
        let mut file =
            File::open(&self.path).with_context(|| format!("cannot open {}", self.path.display()))?;
        file.seek(SeekFrom::Start(length))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        // The last line may still be written.
        let whole = text
            .rfind('\n')
            .map_or("", |end| text.get(..end).unwrap_or_default());
        whole
            .lines()
            .map(|line| serde_json::from_str(line).context("a line of the audit log is no call"))
            .collect()
    }

    /// The calls that the roles of the cluster's operator did not allow, each once.
    pub(super) fn refused_to_operator(&self, length: u64) -> anyhow::Result<Vec<String>> {
        self.refused(OPERATOR_USER, length)
    }

    /// The same of any user.
    pub(super) fn refused(&self, user: &str, length: u64) -> anyhow::Result<Vec<String>> {
        let mut refused: Vec<String> = self
            .since(length)?
            .into_iter()
            .filter(|call| call.response_status.code == FORBIDDEN && call.user.username == user)
            .map(|call| format!("{} {}", call.verb, call.uri))
            .collect();
        refused.sort();
        refused.dedup();
        Ok(refused)
    }
}
