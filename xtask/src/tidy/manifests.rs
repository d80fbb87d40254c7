//! Versions are chosen once, in the workspace's manifest.

use super::{Finding, SourceFile};

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
    fn own_versions_are_found() {
        lines("[dependencies]\nserde = \"1\"\n", &[2]);
        lines("[dev-dependencies]\nserde = { version = \"1\" }\n", &[2]);
        lines("[dependencies.serde]\nversion = \"1\"\n", &[1]);
    }
}
