//! The tests that documents name as evidence exist.

use std::collections::BTreeSet;

use super::Finding;
use super::tree::{Kind, SourceFile};

/// The documents that say which test holds what.
const DOCUMENTS: [&str; 2] = ["ARCHITECTURE.md", "docs/upstream-behaviour.md"];
/// Names of tests are sentences: with fewer breaks than these a code span names something else.
const LEAST_WORD_BREAKS: usize = 3;
/// Where the checks of `cargo xtask e2e` have their names.
const CHECKS: &str = "xtask/src/e2e";
/// What the name of such a check follows.
const CHECK: &str = "e2e ";

/// Looks each named test up among all functions, and each named check among all checks.
pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let functions: BTreeSet<&str> = files
        .iter()
        .filter(|file| file.kind == Kind::Rust)
        .flat_map(|file| file.text.split("fn ").skip(1))
        .map(name)
        .collect();
    let checks: BTreeSet<&str> = files
        .iter()
        .filter(|file| file.path.starts_with(CHECKS))
        .flat_map(|file| file.text.split("name: \"").skip(1))
        .filter_map(|text| text.split('"').next())
        .collect();
    let exists = |span: &str| match span.strip_prefix(CHECK) {
        Some(check) => checks.contains(check),
        None => !names_a_test(span) || functions.contains(span),
    };
    let documents = files
        .iter()
        .filter(|file| DOCUMENTS.contains(&file.path.as_str()));
    let mut findings = Vec::new();
    for file in documents {
        for (index, line) in file.text.lines().enumerate() {
            let spans = line.split('`').skip(1).step_by(2);
            for span in spans.filter(|span| !exists(span)) {
                let fix = format!("no test is called `{span}`: name the one that holds the rule");
                findings.push(Finding::new(&file.path, index + 1, "evidence", fix));
            }
        }
    }
    findings
}

/// The name that a text begins with.
fn name(text: &str) -> &str {
    text.split(|c: char| !is_of_a_name(c)).next().unwrap_or_default()
}

const fn is_of_a_name(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
}

fn names_a_test(span: &str) -> bool {
    span.chars().all(is_of_a_name) && span.matches('_').count() >= LEAST_WORD_BREAKS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_tests_exist() {
        let source = SourceFile::new("units/src/tests.rs", "fn gpus_are_counted_once() {}".to_owned());
        let document = "Held by `gpus_are_counted_once`.\nIn `raw_data`, by `budgets_are_never_exceeded`.\n";
        let document = SourceFile::new(DOCUMENTS[0], document.to_owned());
        let found = check(&[source, document]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].line, found[0].rule), (2, "evidence"));
    }

    #[test]
    fn named_checks_exist() {
        let source = SourceFile::new("xtask/src/e2e.rs", "Check { name: \"guide\", }".to_owned());
        let document = "Held by `e2e guide`.\nHeld by `e2e guidance`.\n";
        let document = SourceFile::new(DOCUMENTS[1], document.to_owned());
        let found = check(&[source, document]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].line, found[0].path.as_str()), (2, DOCUMENTS[1]));
    }
}
