//! Upstream's answers, and where they are kept for the next run.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::question::Reply;
use crate::peer::Peer;

/// Reads questions and writes answers, a line each.
const SCRIPT: &str = include_str!("upstream.py");
/// Where answers are kept, below the build directory. The release is pinned, so they stay true.
const KEPT: &str = "peer/answers.jsonl";

/// Asks one Python process everything.
pub(crate) fn ask(peer: &Peer, questions: &[Value]) -> anyhow::Result<Vec<Reply>> {
    let mut child = Command::new(peer.python())
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start the peer's Python")?;
    let Some(mut input) = child.stdin.take() else {
        bail!("the peer's Python has no input");
    };
    let lines: Vec<String> = questions.iter().map(Value::to_string).collect();
    let lines = lines.join("\n");
    let output = std::thread::scope(|scope| {
        // A process that ends early says why; that its input broke off does not matter then.
        scope.spawn(move || input.write_all(lines.as_bytes()).ok());
        child.wait_with_output()
    })?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the peer failed:\n{complaint}");
    let replies = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(serde_json::from_slice)
        .collect::<Result<Vec<Reply>, _>>()
        .context("the peer answered in an unknown form")?;
    ensure!(
        replies.len() == questions.len(),
        "the peer gave {} answers to {} questions:\n{complaint}",
        replies.len(),
        questions.len()
    );
    Ok(replies)
}

/// A kept answer.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    question: Value,
    reply: Reply,
}

/// Answers of earlier runs, by question.
#[derive(Debug)]
pub(crate) struct Memory {
    path: PathBuf,
    replies: BTreeMap<String, Reply>,
}

impl Memory {
    /// What earlier runs kept below the build directory.
    pub(crate) fn read(target: &Path) -> anyhow::Result<Self> {
        let path = target.join(KEPT);
        let mut replies = BTreeMap::new();
        if path.exists() {
            for line in fs::read_to_string(&path)?.lines() {
                // A line that an interrupted run left unfinished is asked again.
                if let Ok(kept) = serde_json::from_str::<Kept>(line) {
                    replies.insert(kept.question.to_string(), kept.reply);
                }
            }
        }
        Ok(Self { path, replies })
    }

    /// Answers in the order of the questions; asks only what is new.
    pub(crate) fn answer(&mut self, peer: &Peer, questions: &[Value]) -> anyhow::Result<Vec<Reply>> {
        let new: Vec<Value> = questions
            .iter()
            .filter(|question| !self.replies.contains_key(&question.to_string()))
            .cloned()
            .collect();
        if !new.is_empty() {
            let replies = ask(peer, &new)?;
            self.keep(new, replies)?;
        }
        questions
            .iter()
            .map(|question| self.replies.get(&question.to_string()).cloned())
            .collect::<Option<_>>()
            .context("an answer was lost")
    }

    fn keep(&mut self, questions: Vec<Value>, replies: Vec<Reply>) -> anyhow::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)?;
        for (question, reply) in questions.into_iter().zip(replies) {
            let kept = Kept { question, reply };
            writeln!(file, "{}", serde_json::to_string(&kept)?)?;
            self.replies.insert(kept.question.to_string(), kept.reply);
        }
        Ok(())
    }
}
