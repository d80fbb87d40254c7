//! Who may stand on whom, and what a pure crate must not bring along.

use std::path::Path;

use anyhow::{Context as _, ensure};

use super::Finding;
use crate::workspace::{self, Metadata, Package};

/// A crate's place in the house.
struct Floor {
    package: &'static str,
    folder: &'static str,
    /// Crates of ours that it may use.
    stands_on: &'static [&'static str],
    /// No input, output, async, clock or environment.
    pure: bool,
}

/// From the ground up; xtask may use anything.
const FLOORS: [Floor; 11] = [
    Floor {
        package: "dgdr-units",
        folder: "units",
        stands_on: &[],
        pure: true,
    },
    Floor {
        package: "dgdr-perf-model",
        folder: "perf-model",
        stands_on: &["dgdr-units"],
        pure: true,
    },
    Floor {
        package: "dgdr-measured-tables",
        folder: "measured-tables",
        stands_on: &["dgdr-units", "dgdr-perf-model"],
        pure: false,
    },
    Floor {
        package: "dgdr-interpolation",
        folder: "interpolation",
        stands_on: &["dgdr-units"],
        pure: true,
    },
    Floor {
        package: "dgdr-sweep-planner",
        folder: "sweep-planner",
        stands_on: &["dgdr-units", "dgdr-perf-model"],
        pure: true,
    },
    Floor {
        package: "dgdr-types",
        folder: "dgdr-types",
        stands_on: &["dgdr-units"],
        pure: true,
    },
    Floor {
        package: "dgdr-render",
        folder: "dgd-render",
        stands_on: &["dgdr-units", "dgdr-perf-model", "dgdr-types"],
        pure: true,
    },
    Floor {
        package: "dgdr-mock-engine",
        folder: "mock-engine",
        stands_on: &["dgdr-units", "dgdr-perf-model", "dgdr-interpolation"],
        pure: false,
    },
    // Its tests measure simulated engines.
    Floor {
        package: "dgdr-load-generator",
        folder: "load-generator",
        stands_on: &["dgdr-units", "dgdr-mock-engine"],
        pure: false,
    },
    Floor {
        package: "dgdr-profiler",
        folder: "profiler-bin",
        stands_on: &[
            "dgdr-units",
            "dgdr-perf-model",
            "dgdr-measured-tables",
            "dgdr-interpolation",
            "dgdr-sweep-planner",
            "dgdr-types",
            "dgdr-render",
            "dgdr-mock-engine",
            "dgdr-load-generator",
        ],
        pure: false,
    },
    Floor {
        package: "dgdr-operator",
        folder: "operator-bin",
        stands_on: &["dgdr-units", "dgdr-types", "dgdr-render", "dgdr-profiler"],
        pure: false,
    },
];

/// Crates that do I/O, in no default tree of a pure crate.
const IMPURE_CRATES: [&str; 10] = [
    "async-std",
    "hf-hub",
    "hyper",
    "kube-client",
    "mio",
    "rayon",
    "reqwest",
    "rustls",
    "tokio",
    "ureq",
];

/// Checks the workspace's dependencies against the floors.
pub(super) fn check(metadata: &Metadata) -> anyhow::Result<Vec<Finding>> {
    let mut findings: Vec<Finding> = metadata.packages.iter().flat_map(dependencies).collect();
    for floor in FLOORS.iter().filter(|floor| floor.pure) {
        findings.extend(impure(floor, &default_tree(floor.package)?));
    }
    Ok(findings)
}

fn dependencies(package: &Package) -> Vec<Finding> {
    if package.name == "xtask" {
        return Vec::new();
    }
    let Some(floor) = FLOORS.iter().find(|floor| floor.package == package.name) else {
        let fix = format!(
            "crate `{}` has no floor: argue for it in ARCHITECTURE.md and add it here",
            package.name
        );
        return vec![Finding::new("xtask/src/tidy/layers.rs", 1, "layers", fix)];
    };
    package
        .dependencies
        .iter()
        .filter(|dependency| {
            dependency.path.is_some() && !floor.stands_on.contains(&dependency.name.as_str())
        })
        .map(|dependency| {
            let fix = format!(
                "`{}` may not use `{}`: arrows point down",
                package.name, dependency.name
            );
            Finding::new(&format!("{}/Cargo.toml", floor.folder), 1, "layers", fix)
        })
        .collect()
}

fn impure(floor: &Floor, tree: &str) -> Vec<Finding> {
    tree.lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| IMPURE_CRATES.contains(name))
        .map(|name| {
            let fix = format!(
                "`{name}` is in the default tree of a pure crate: put what needs it behind a feature"
            );
            Finding::new(&format!("{}/Cargo.toml", floor.folder), 1, "purity", fix)
        })
        .collect()
}

/// One crate a line: its name, its version.
fn default_tree(package: &str) -> anyhow::Result<String> {
    let output = workspace::cargo()
        .args([
            "tree",
            "--package",
            package,
            "--edges",
            "normal",
            "--prefix",
            "none",
        ])
        .output()
        .context("cannot run cargo tree")?;
    ensure!(
        output.status.success(),
        "cargo tree of {package} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Every crate root forbids unsafe code itself, so that it still does when it is published.
pub(super) fn unsafe_code(metadata: &Metadata, root: &Path) -> Vec<Finding> {
    let roots = metadata
        .packages
        .iter()
        .flat_map(|package| &package.targets)
        .filter(|target| target.kind.iter().any(|kind| kind == "lib" || kind == "bin"));
    roots
        .filter(|target| {
            std::fs::read_to_string(&target.src_path)
                .is_ok_and(|text| !text.contains("#![forbid(unsafe_code)]"))
        })
        .map(|target| {
            let path = target.src_path.strip_prefix(root).unwrap_or(&target.src_path);
            Finding::new(
                &path.to_string_lossy(),
                1,
                "unsafe",
                "add `#![forbid(unsafe_code)]`",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, dependencies: &[(&str, bool)]) -> Package {
        Package {
            name: name.to_owned(),
            dependencies: dependencies
                .iter()
                .map(|(name, ours)| Dependency {
                    name: (*name).to_owned(),
                    path: ours.then(|| name.into()),
                })
                .collect(),
            targets: Vec::new(),
        }
    }

    #[test]
    fn arrows_point_down() {
        assert_eq!(
            dependencies(&package(
                "dgdr-sweep-planner",
                &[("dgdr-units", true), ("serde", false)]
            )),
            []
        );
        let upward = dependencies(&package("dgdr-units", &[("dgdr-perf-model", true)]));
        assert_eq!(upward.len(), 1);
        assert_eq!(upward[0].path, "units/Cargo.toml");
        assert_eq!(dependencies(&package("dgdr-attic", &[])).len(), 1);
        assert_eq!(dependencies(&package("xtask", &[("dgdr-profiler", true)])), []);
    }

    #[test]
    fn impure_crates_are_found_by_their_whole_name() {
        assert_eq!(impure(&FLOORS[0], "serde v1.0.0\ntokio-util v0.7.0\n"), []);
        assert_eq!(impure(&FLOORS[0], "serde v1.0.0\ntokio v1.54.1\n").len(), 1);
    }
}
