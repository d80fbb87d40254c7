//! Each rule finds its breach, and nothing else.

use super::*;

#[track_caller]
fn rules(path: &str, text: &str, expected: &[(&str, usize)]) {
    let file = SourceFile::new(path, text.to_owned());
    let mut found = check(&file);
    found.extend(machine_paths(&file));
    let found: Vec<(&str, usize)> = found.iter().map(|finding| (finding.rule, finding.line)).collect();
    assert_eq!(found, expected, "{path}");
}

#[test]
fn a_clean_file_has_no_finding() {
    rules(
        "units/src/count.rs",
        "//! Counts.\n\n/// Adds.\npub fn add(a: u32) -> u32 {\n    a\n}\n",
        &[],
    );
}

#[test]
fn names_say_what_is_inside() {
    rules("units/src/utils.rs", "//! Things.\n", &[("module-name", 1)]);
    rules("units/src/count/mod.rs", "//! Counts.\n", &[("mod-rs", 1)]);
}

#[test]
fn modules_have_documentation() {
    rules("units/src/count.rs", "fn f() {}\n", &[("module-docs", 1)]);
    rules("units/src/count/tests.rs", "fn f() {}\n", &[]);
}

#[test]
fn pure_crates_touch_nothing() {
    let text = "//! Reads.\n// std::fs in a comment is fine.\nuse std::fs::File;\n";
    rules("perf-model/src/tables.rs", text, &[("purity", 3)]);
    rules("profiler-bin/src/artifacts.rs", text, &[]);
    let tested = "//! Reads.\n#[cfg(test)]\nmod tests {\n    use std::fs::File;\n}\n";
    rules("perf-model/src/tables.rs", tested, &[]);
}

#[test]
fn long_files_are_found_outside_tests() {
    let long = format!("//! Long.\n{}", "fn f() {}\n".repeat(600));
    rules("xtask/src/long.rs", &long, &[("file-length", 1)]);
    rules("xtask/src/long/tests.rs", &long, &[]);
    let tested = format!(
        "//! Long.\n#[cfg(test)]\nmod tests {{\n{}}}\n",
        "fn f() {}\n".repeat(600)
    );
    rules("xtask/src/long.rs", &tested, &[]);
}

#[test]
fn reminders_are_words() {
    let text = format!("//! Notes.\n// {}: later\n", REMINDERS[0]);
    rules("xtask/src/notes.rs", &text, &[("reminder", 2)]);
    rules("xtask/src/notes.rs", "//! Notes.\nconst TODOS: u8 = 1;\n", &[]);
}

#[test]
fn machine_paths_are_absolute() {
    let place = MACHINE_PATHS[1];
    let text = format!("//! Places.\nconst A: &str = \"{place}x\";\nconst B: &str = \"var{place}x\";\n");
    rules("xtask/src/places.rs", &text, &[("machine-path", 2)]);
}
