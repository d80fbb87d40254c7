//! NumPy and pandas read what a run wrote.

use serde_json::json;

use super::Bench;
use super::script::{self, Finding, Script};

pub(super) fn check(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let runs: Vec<_> = bench.runs.iter().map(super::Run::to_json).collect();
    let script = Script {
        name: "readers",
        text: include_str!("readers.py"),
    };
    script::ask(&bench.peer, &bench.folder, script, &json!({ "runs": runs }))
}
