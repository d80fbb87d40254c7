//! What the documents promise.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use dgdr_profiler::exit_status::ExitStatus;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_table_of_exit_codes_is_the_enum() {
    let page = read("docs/exit-codes.md");
    let written: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| code"))
        .collect();
    let expected: Vec<String> = ExitStatus::ALL
        .iter()
        .map(|status| format!("| {} | {} |", status.code(), status.meaning()))
        .collect();
    assert_eq!(written, expected);
}

#[test]
fn every_sample_is_a_valid_request() {
    let mut samples = 0;
    for entry in std::fs::read_dir(root().join("deploy/samples")).expect("the samples") {
        let path = entry.expect("a readable directory").path();
        let text = std::fs::read_to_string(&path).expect("a readable sample");
        let request = dgdr_types::parse_request(&text).and_then(|request| dgdr_types::resolve(&request));
        assert!(request.is_ok(), "{}: {request:?}", path.display());
        samples += 1;
    }
    assert!(samples >= 4, "only {samples} samples");
}

/// The commands of the README that run this binary.
fn commands_of_the_readme() -> Vec<String> {
    read("README.md")
        .lines()
        .filter_map(|line| line.strip_prefix("cargo run --release -- "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_readme_s_commands_do_what_it_says() {
    let commands = commands_of_the_readme();
    assert!(!commands.is_empty());
    // As in a checkout, but what the run writes goes elsewhere.
    let checkout = tempfile::tempdir().expect("a directory");
    let samples = checkout.path().join("deploy/samples");
    std::fs::create_dir_all(&samples).expect("a directory");
    for entry in std::fs::read_dir(root().join("deploy/samples")).expect("the samples") {
        let path = entry.expect("a readable directory").path();
        std::fs::copy(&path, samples.join(path.file_name().expect("a file"))).expect("a copy");
    }
    let mut printed = String::new();
    for command in commands {
        let output = Command::new(env!("CARGO_BIN_EXE_dgdr-profiler"))
            .args(command.split_whitespace())
            .current_dir(&checkout)
            .assert()
            .success()
            .get_output()
            .clone();
        printed.push_str(&String::from_utf8_lossy(&output.stdout));
        printed.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    for line in shown_lines() {
        assert!(
            printed.contains(&line),
            "the README shows `{line}`, but this was printed:\n{printed}"
        );
    }
    let results = checkout.path().join("profiling_results");
    for promised in promised_files() {
        assert!(results.join(&promised).exists(), "the README promises {promised}");
    }
}

/// What the README shows of the output, above the table, whose columns it leaves out in part.
fn shown_lines() -> Vec<String> {
    let readme = read("README.md");
    let (_, after) = readme.split_once("```console\n").expect("the excerpt");
    let (excerpt, _) = after.split_once("\n\n   mode ").expect("the excerpt's table");
    excerpt.lines().map(str::to_owned).collect()
}

/// The files of the README's listing of the output directory.
fn promised_files() -> Vec<String> {
    let readme = read("README.md");
    let (_, after) = readme.split_once("```text\n").expect("the listing");
    let (listing, _) = after.split_once("```").expect("the listing's end");
    listing
        .lines()
        .flat_map(|line| {
            let names = line.split_once("  ").map_or(line, |(names, _)| names);
            names.split(", ").map(str::to_owned)
        })
        .collect()
}
