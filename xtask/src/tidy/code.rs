//! Rules for Rust sources, and one for all text.

use super::{Finding, SourceFile};

/// Most lines of a source file, tests apart.
const MOST_FILE_LINES: usize = 600;
/// Module names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = [
    "utils", "util", "helpers", "helper", "common", "manager", "misc", "stuff",
];
/// Libraries without files, clocks, environment, network and threads.
const PURE_SOURCES: [&str; 5] = [
    "units/src/",
    "perf-model/src/",
    "interpolation/src/",
    "sweep-planner/src/",
    "dgdr-types/src/",
];
/// What a pure library must not name.
const IMPURE: [&str; 8] = [
    "std::fs",
    "std::env::",
    "std::net",
    "std::process",
    "std::thread",
    "Instant::now",
    "SystemTime",
    "env::var",
];
/// Notes that are never read again; split, so that this file does not break its own rule.
const REMINDERS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
/// Places of one machine, split likewise.
const MACHINE_PATHS: [&str; 4] = [
    concat!("/wo", "rk/"),
    concat!("/tm", "p/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
];

/// Checks a Rust source.
pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    let mut findings: Vec<Finding> = names(file).into_iter().collect();
    findings.extend(reminders(file));
    if file.is_test() {
        return findings;
    }
    if file.path.contains("/src/") && !file.text.starts_with("//!") {
        findings.push(Finding::new(
            &file.path,
            1,
            "module-docs",
            "say in `//!` what the module holds",
        ));
    }
    let lines = file.code_lines().count();
    if lines > MOST_FILE_LINES {
        let fix = format!("{lines} lines, split it below {MOST_FILE_LINES}");
        findings.push(Finding::new(&file.path, 1, "file-length", fix));
    }
    findings.extend(purity(file));
    findings
}

fn names(file: &SourceFile) -> Option<Finding> {
    let name = file.path.rsplit('/').next()?;
    if name == "mod.rs" {
        return Some(Finding::new(
            &file.path,
            1,
            "mod-rs",
            "name the file after the module: `foo.rs` beside `foo/`",
        ));
    }
    let empty = EMPTY_NAMES.contains(&name.strip_suffix(".rs")?);
    empty.then(|| {
        Finding::new(
            &file.path,
            1,
            "module-name",
            "name the module after what it holds",
        )
    })
}

fn reminders(file: &SourceFile) -> Vec<Finding> {
    file.text
        .lines()
        .enumerate()
        .filter(|(_, line)| words(line).any(|word| REMINDERS.contains(&word)))
        .map(|(index, _)| {
            Finding::new(
                &file.path,
                index + 1,
                "reminder",
                "do it now, or write an issue and remove the note",
            )
        })
        .collect()
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric())
}

fn purity(file: &SourceFile) -> Vec<Finding> {
    if !PURE_SOURCES.iter().any(|source| file.path.starts_with(source)) {
        return Vec::new();
    }
    file.code_lines()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .filter_map(|(number, line)| {
            let named = IMPURE.iter().find(|name| line.contains(**name))?;
            let fix = format!("`{named}` does not belong in a pure crate: take the value as an argument");
            Some(Finding::new(&file.path, number, "purity", fix))
        })
        .collect()
}

/// Paths of one machine in anything but tests.
pub(super) fn machine_paths(file: &SourceFile) -> Vec<Finding> {
    // The paths of an image are the same wherever it runs.
    if file.is_test() || file.path.ends_with("Dockerfile") {
        return Vec::new();
    }
    file.code_lines()
        .filter_map(|(number, line)| {
            let place = MACHINE_PATHS.iter().find(|place| names_place(line, place))?;
            let fix = format!("`{place}` exists on one machine only: use a relative path");
            Some(Finding::new(&file.path, number, "machine-path", fix))
        })
        .collect()
}

/// Whether the line names the place itself, not a path or URL that goes through a directory of that name.
fn names_place(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line.get(..at).and_then(|head| head.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '/' | '_' | '-' | '}' | ')' | '*'))
    })
}

#[cfg(test)]
mod tests;
