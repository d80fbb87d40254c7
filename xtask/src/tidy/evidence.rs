//! The tests that the architecture's invariants name exist.

use std::collections::BTreeSet;

use super::Finding;
use super::tree::{Kind, SourceFile};

/// The document that says which test holds which rule.
const DOCUMENT: &str = "ARCHITECTURE.md";
/// Names of tests are sentences: with fewer breaks than these a code span names something else.
const LEAST_WORD_BREAKS: usize = 3;

/// Looks each named test up among all functions.
pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let functions: BTreeSet<&str> = files
        .iter()
        .filter(|file| file.kind == Kind::Rust)
        .flat_map(|file| file.text.split("fn ").skip(1))
        .map(name)
        .collect();
    files
        .iter()
        .filter(|file| file.path == DOCUMENT)
        .flat_map(|file| file.text.lines().enumerate())
        .flat_map(|(index, line)| {
            line.split('`')
                .skip(1)
                .step_by(2)
                .map(move |span| (index + 1, span))
        })
        .filter(|(_, span)| names_a_test(span) && !functions.contains(span))
        .map(|(line, span)| {
            let fix = format!("no test is called `{span}`: name the one that holds the rule");
            Finding::new(DOCUMENT, line, "evidence", fix)
        })
        .collect()
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
        let document = SourceFile::new(DOCUMENT, document.to_owned());
        let found = check(&[source, document]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].line, found[0].rule), (2, "evidence"));
    }
}
