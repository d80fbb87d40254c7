//! The planner reads the settings that we render.

use serde_json::json;

use super::script::{self, Finding, Script};
use super::{Bench, Run};

pub(super) fn check(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let runs: Vec<_> = bench.runs.iter().map(Run::to_json).collect();
    let script = Script {
        name: "planner_config",
        text: include_str!("planner_config.py"),
    };
    script::ask(&bench.peer, &bench.folder, script, &json!({ "runs": runs }))
}
