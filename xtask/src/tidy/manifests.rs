//! Versions are chosen once, in the workspace's manifest, and nothing is declared that is not used.

use super::tree::Kind;
use super::{Finding, SourceFile};

/// Named by no source, and still needed.
const SILENT: [(&str, &str); 1] = [
    // Chooses the Kubernetes version that `kube` derives for.
    ("dgdr-types", "k8s-openapi"),
];

/// Checks a member's manifest.
pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    // The workspace's own manifest is where versions belong.
    if file.path == "Cargo.toml" {
        return Vec::new();
    }
    let mut in_dependencies = false;
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[') {
            in_dependencies = section.trim_end_matches(']').ends_with("dependencies");
            if section.contains("dependencies.") {
                findings.push(pin(file, index, "write it on one line with `workspace = true`"));
            }
        } else if in_dependencies && line.contains('=') && !line.starts_with('#') && !inherits(line) {
            findings.push(pin(
                file,
                index,
                "move the version to [workspace.dependencies] and inherit it",
            ));
        }
    }
    findings
}

fn pin(file: &SourceFile, index: usize, fix: &str) -> Finding {
    Finding::new(&file.path, index + 1, "pins", fix)
}

/// Finds dependencies that no source names, and versions of the workspace that no member inherits.
pub(super) fn unused(files: &[SourceFile]) -> Vec<Finding> {
    let manifests = || files.iter().filter(|file| file.kind == Kind::Manifest);
    let mut findings = Vec::new();
    let mut inherited = Vec::new();
    for manifest in manifests() {
        let Some(folder) = manifest.path.strip_suffix("/Cargo.toml") else {
            continue;
        };
        let names = |crate_name: &str| {
            files
                .iter()
                .filter(|file| file.kind == Kind::Rust && file.path.starts_with(&format!("{folder}/")))
                .any(|file| is_named(&file.text, crate_name))
        };
        for (index, dependency) in dependencies(&manifest.text) {
            if !names(&dependency.replace('-', "_")) && !SILENT.contains(&(folder, dependency)) {
                findings.push(unused_at(manifest, index, "no source names it: remove it"));
            }
            inherited.push(dependency);
        }
    }
    for manifest in manifests().filter(|file| file.path == "Cargo.toml") {
        for (index, dependency) in dependencies(&manifest.text) {
            if !inherited.contains(&dependency) {
                findings.push(unused_at(manifest, index, "no member inherits it: remove it"));
            }
        }
    }
    findings
}

fn unused_at(manifest: &SourceFile, index: usize, fix: &str) -> Finding {
    Finding::new(&manifest.path, index + 1, "unused-dependency", fix)
}

/// Names in the sections of dependencies, each with the index of its line.
fn dependencies(manifest: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_dependencies = false;
    manifest.lines().enumerate().filter_map(move |(index, line)| {
        if let Some(section) = line.strip_prefix('[') {
            in_dependencies = section.trim_end_matches(']').ends_with("dependencies");
            return None;
        }
        let name = line.split(['=', '.']).next()?.trim();
        (in_dependencies && line.contains('=') && !line.starts_with(['#', ' '])).then_some((index, name))
    })
}

/// Whether the text has the word, not a longer one that holds it.
fn is_named(text: &str, word: &str) -> bool {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .any(|found| found == word)
}

fn inherits(line: &str) -> bool {
    line.contains(".workspace = true") || line.contains("{ workspace = true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn lines(text: &str, expected: &[usize]) {
        let file = SourceFile::new("units/Cargo.toml", text.to_owned());
        let found: Vec<usize> = check(&file).iter().map(|finding| finding.line).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn inherited_versions_pass() {
        lines(
            "[dependencies]\nserde.workspace = true\nzip = { workspace = true, optional = true }\n",
            &[],
        );
        lines("[features]\nnpz = [\"dep:zip\"]\n", &[]);
    }

    #[test]
    fn what_nobody_uses_is_found() {
        let files = [
            SourceFile::new(
                "Cargo.toml",
                "[workspace.dependencies]\nserde = \"1\"\nsha2 = \"1\"\nsyn = \"3\"\n".to_owned(),
            ),
            SourceFile::new(
                "units/Cargo.toml",
                "[dependencies]\nserde.workspace = true\nsyn = { workspace = true }\n".to_owned(),
            ),
            SourceFile::new(
                "units/src/lib.rs",
                "use serde::Serialize;\nuse synth::x;\n".to_owned(),
            ),
            SourceFile::new("xtask/src/main.rs", "use syn::File;\n".to_owned()),
        ];
        let found: Vec<String> = unused(&files).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "units/Cargo.toml:3: unused-dependency: no source names it: remove it",
                "Cargo.toml:3: unused-dependency: no member inherits it: remove it",
            ]
        );
    }

    #[test]
    fn own_versions_are_found() {
        lines("[dependencies]\nserde = \"1\"\n", &[2]);
        lines("[dev-dependencies]\nserde = { version = \"1\" }\n", &[2]);
        lines("[dependencies.serde]\nversion = \"1\"\n", &[1]);
    }
}
