//! The files that are checked.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::Finding;

/// What a file is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Rust source.
    Rust,
    /// A `Cargo.toml`.
    Manifest,
    /// A document.
    Markdown,
    /// Other text.
    Other,
}

/// A file of the workspace.
#[derive(Debug)]
pub(super) struct SourceFile {
    /// Path below the root, with `/`.
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) text: String,
}

impl SourceFile {
    pub(super) fn new(path: &str, text: String) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        let extension = Path::new(name)
            .extension()
            .and_then(|extension| extension.to_str());
        let kind = match (name, extension) {
            ("Cargo.toml", _) => Kind::Manifest,
            (_, Some("rs")) => Kind::Rust,
            (_, Some("md")) => Kind::Markdown,
            _ => Kind::Other,
        };
        Self {
            path: path.to_owned(),
            kind,
            text,
        }
    }

    /// Whether the file only serves tests, benches or their data.
    pub(super) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| {
            matches!(
                part,
                "tests" | "tests.rs" | "benches" | "snapshots" | "fixture.rs"
            )
        })
    }

    /// The lines before the file's own test module, counted from 1.
    pub(super) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
            .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
    }
}

/// Directories that hold nothing committed.
const NOT_OURS: [&str; 4] = ["target", ".git", "profiling_results", "__pycache__"];

/// Reads every text file below `root`.
pub(super) fn read(root: &Path) -> anyhow::Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    collect(root, "", &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn collect(directory: &Path, prefix: &str, files: &mut Vec<SourceFile>) -> anyhow::Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            if !NOT_OURS.contains(&name.as_str()) {
                collect(&entry.path(), &format!("{path}/"), files)?;
            }
        } else if let Ok(text) = String::from_utf8(fs::read(entry.path())?) {
            files.push(SourceFile::new(&path, text));
        }
    }
    Ok(())
}

/// Most bytes of `perf-model/data`: a registry takes no larger crate.
const MOST_DATA_BYTES: u64 = 10_000_000;
const DATA: &str = "perf-model/data";

/// Keeps the performance model publishable.
pub(super) fn data_size(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let bytes = size_of_directory(&root.join(DATA))?;
    Ok((bytes > MOST_DATA_BYTES)
        .then(|| {
            let fix = format!("it takes {bytes} bytes, keep it below {MOST_DATA_BYTES}");
            Finding::new(DATA, 1, "data-size", fix)
        })
        .into_iter()
        .collect())
}

fn size_of_directory(directory: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() {
            size_of_directory(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(bytes)
}
