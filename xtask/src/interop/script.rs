//! Runs a script with upstream's Python.

use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::peer::Peer;

/// What all scripts share.
const PRELUDE: &str = include_str!("prelude.py");
/// So much of the end of a log tells why a script broke off.
const SHOWN_LINES: usize = 25;

/// A script and its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Script {
    /// Its files are named after it.
    pub(super) name: &'static str,
    /// Its text; `question` is what it is asked, and it calls `answer` once.
    pub(super) text: &'static str,
}

/// One thing that a check looked at.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) subject: String,
    /// Whether it is as it should be.
    pub(super) passed: bool,
    /// What was seen.
    pub(super) detail: String,
}

impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = if self.passed { "ok" } else { "FAILED" };
        write!(f, "  {word:<6}  {:<44}  {}", self.subject, self.detail)
    }
}

/// Asks a script; its files stay in `folder`.
pub(super) fn ask<T: DeserializeOwned>(
    peer: &Peer,
    folder: &Path,
    script: Script,
    question: &Value,
) -> anyhow::Result<T> {
    fs::create_dir_all(folder)?;
    let file = |suffix: &str| folder.join(format!("{}.{suffix}", script.name));
    let (asked, answered, log) = (file("question.json"), file("answer.json"), file("log"));
    fs::write(&asked, serde_json::to_string(question)?)?;
    if answered.exists() {
        fs::remove_file(&answered)?;
    }
    let output = File::create(&log)?;
    let status = Command::new(peer.python())
        .args(["-c", &format!("{PRELUDE}\n{}", script.text)])
        .args([&asked, &answered])
        .current_dir(folder)
        // No script may ask the network for models or report usage.
        .envs([
            ("HF_HUB_OFFLINE", "1"),
            ("TRANSFORMERS_OFFLINE", "1"),
            ("DYN_LOG", "warn"),
        ])
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .status()
        .with_context(|| format!("cannot start {}", peer.python().display()))?;
    if !status.success() || !answered.exists() {
        bail!(
            "the script {} broke off ({status}):\n{}",
            script.name,
            end_of(&log)
        );
    }
    let answer = fs::read_to_string(&answered)?;
    serde_json::from_str(&answer)
        .with_context(|| format!("the script {} answered in an unknown form", script.name))
}

fn end_of(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line() {
        let finding = Finding {
            subject: "run".to_owned(),
            passed: false,
            detail: "why".to_owned(),
        };
        assert_eq!(finding.to_string(), format!("  FAILED  run{}why", " ".repeat(43)));
    }
}
