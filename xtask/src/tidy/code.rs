//! Rules for Rust sources, and one for all text.

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Attribute, Block, ImplItemFn, ItemFn, ItemMod, TraitItemFn};

use super::{Finding, SourceFile};

/// Most lines of a source file, tests apart.
const MOST_FILE_LINES: usize = 600;
/// Most lines of a function, tests apart.
const MOST_FUNCTION_LINES: usize = 80;
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
    findings.extend(functions(file));
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
    if file.is_test() {
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

fn functions(file: &SourceFile) -> Vec<Finding> {
    match syn::parse_file(&file.text) {
        Ok(parsed) => {
            let mut lengths = Lengths::default();
            lengths.visit_file(&parsed);
            lengths
                .too_long
                .iter()
                .map(|(line, lines)| {
                    let fix = format!("{lines} lines, split it below {MOST_FUNCTION_LINES}");
                    Finding::new(&file.path, *line, "function-length", fix)
                })
                .collect()
        }
        Err(error) => {
            let line = error.span().start().line;
            vec![Finding::new(&file.path, line, "syntax", error.to_string())]
        }
    }
}

/// Finds functions that are too long, tests apart.
#[derive(Default)]
struct Lengths {
    /// First line and number of lines.
    too_long: Vec<(usize, usize)>,
}

impl Lengths {
    fn measure(&mut self, block: &Block) {
        let (first, last) = (block.span().start().line, block.span().end().line);
        let lines = last + 1 - first;
        if lines > MOST_FUNCTION_LINES {
            self.too_long.push((first, lines));
        }
    }
}

impl<'ast> Visit<'ast> for Lengths {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !item.attrs.iter().any(is_cfg_test) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.measure(&item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.measure(&item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(block) = &item.default {
            self.measure(block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

fn is_cfg_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<syn::Ident>()
            .is_ok_and(|argument| argument == "test")
}

#[cfg(test)]
mod tests;
