//! `cargo xtask tidy`: the rules of the house that neither compiler nor clippy checks.
//!
//! Each finding is one line, `path:line: rule: what to do`.

use std::fmt::{self, Display, Formatter};
use std::process::ExitCode;

use crate::workspace::{self, Metadata};

mod code;
mod evidence;
mod layers;
mod manifests;
mod markdown;
mod tree;

use tree::{Kind, SourceFile};

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Path below the workspace root.
    path: String,
    line: usize,
    rule: &'static str,
    fix: String,
}

impl Finding {
    fn new(path: &str, line: usize, rule: &'static str, fix: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            rule,
            fix: fix.into(),
        }
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.fix)
    }
}

/// Prints the findings; fails when there are any.
pub(crate) fn run(tasks: &[String]) -> anyhow::Result<ExitCode> {
    let findings = findings(tasks)?;
    for finding in &findings {
        crate::suite::report::say(&finding.to_string())?;
    }
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Checks everything; `tasks` are the names of xtask's tasks, which documents may mention.
pub(crate) fn findings(tasks: &[String]) -> anyhow::Result<Vec<Finding>> {
    let root = workspace::root();
    let files = tree::read(root)?;
    let metadata = Metadata::read()?;
    let mut findings = layers::check(&metadata)?;
    findings.extend(layers::unsafe_code(&metadata, root));
    findings.extend(tree::data_size(root)?);
    findings.extend(evidence::check(&files));
    findings.extend(manifests::unused(&files));
    for file in &files {
        findings.extend(match file.kind {
            Kind::Rust => code::check(file),
            Kind::Manifest => manifests::check(file),
            Kind::Markdown => markdown::check(file, root, tasks),
            Kind::Other => Vec::new(),
        });
        findings.extend(code::machine_paths(file));
    }
    findings.sort();
    Ok(findings)
}
