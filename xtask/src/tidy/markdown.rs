//! Documents point at things that exist.

use std::path::Path;

use super::{Finding, SourceFile};

/// Checks a document; `tasks` are the tasks that `cargo xtask` knows.
pub(super) fn check(file: &SourceFile, root: &Path, tasks: &[String]) -> Vec<Finding> {
    let folder = root
        .join(&file.path)
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default();
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for target in links(&without_code(line)) {
            if is_relative(target) && !folder.join(without_anchor(target)).exists() {
                let fix = format!("`{target}` does not exist: correct or remove the link");
                findings.push(Finding::new(&file.path, index + 1, "link", fix));
            }
        }
        if let Some(task) = unknown_task(line, tasks) {
            let fix = format!("xtask has no task `{task}`");
            findings.push(Finding::new(&file.path, index + 1, "command", fix));
        }
    }
    findings
}

/// The line without its code spans, in which brackets are no links.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// Targets of `[text](target)`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
}

fn is_relative(target: &str) -> bool {
    !target.is_empty()
        && !target.contains("://")
        && !target.starts_with('#')
        && !target.starts_with("mailto:")
}

fn without_anchor(target: &str) -> &str {
    target.split_once('#').map_or(target, |(path, _)| path)
}

/// A task after `cargo xtask` that does not exist.
fn unknown_task<'a>(line: &'a str, tasks: &[String]) -> Option<&'a str> {
    line.split("cargo xtask ").skip(1).find_map(|rest| {
        let task = rest
            .split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'))
            .next()
            .unwrap_or_default();
        (!task.is_empty() && !tasks.iter().any(|known| known == task)).then_some(task)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn rules(text: &str, expected: &[&str]) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = SourceFile::new("README.md", text.to_owned());
        let found: Vec<&str> = check(&file, root, &["tidy".to_owned(), "perf-data".to_owned()])
            .iter()
            .map(|finding| finding.rule)
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn links_resolve() {
        rules("See [the manifest](Cargo.toml) and [main](src/main.rs#L1).", &[]);
        rules(
            "See [nothing](missing.md), [this](#anchor), [that](https://example.org/x).",
            &["link"],
        );
    }

    #[test]
    fn tasks_exist() {
        rules(
            "Run `cargo xtask tidy` or `cargo xtask perf-data --from DIR`.",
            &[],
        );
        rules("Run `cargo xtask polish`.", &["command"]);
        rules("Run `cargo xtask <task>`.", &[]);
    }
}
