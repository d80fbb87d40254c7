//! The planner reads the settings that we render.

use serde_json::{Value, json};

use super::dgdr::draw;
use super::dgdr::verdict::Verdict;
use super::script::{self, Finding, Script};
use super::{Bench, Run, runs};
use crate::dice::Dice;

/// Requests with drawn settings that are profiled.
const DRAWN: u32 = 40;

pub(super) fn check(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let described: Vec<Value> = bench.runs.iter().map(Run::to_json).collect();
    let mut findings = judged(bench, &described)?;
    let drawn = judged(bench, &drawn(bench)?)?;
    let wrong: Vec<Finding> = drawn.iter().filter(|finding| !finding.passed).cloned().collect();
    findings.push(Finding {
        subject: format!("{} runs with drawn settings", drawn.len()),
        passed: wrong.is_empty() && !drawn.is_empty(),
        detail: format!("the planner takes the settings of {}", drawn.len() - wrong.len()),
    });
    findings.extend(wrong);
    Ok(findings)
}

fn judged(bench: &Bench, runs: &[Value]) -> anyhow::Result<Vec<Finding>> {
    let script = Script {
        name: "planner_config",
        text: include_str!("planner_config.py"),
    };
    script::ask(&bench.peer, &bench.folder, script, &json!({ "runs": runs }))
}

/// Runs with every setting that we accept, on one GPU, where engines are of one kind, and on more.
fn drawn(bench: &Bench) -> anyhow::Result<Vec<Value>> {
    let mut dice = Dice::new(bench.seed);
    let folder = bench.folder.join("drawn");
    super::fresh_folder(&folder)?;
    let mut described = Vec::new();
    for number in 0..DRAWN {
        let spec = loop {
            let mut spec = draw::with_planner(&mut dice);
            spec["model"] = json!("Qwen/Qwen3-0.6B");
            spec["hardware"]["totalGpus"] = json!(1 + 3 * (number % 2));
            if Verdict::ours(&spec.to_string()).accepted {
                break spec;
            }
        };
        let directory = folder.join(number.to_string());
        runs::profile(&bench.profiler, &spec.to_string(), &directory)?;
        described.push(json!({"name": spec["features"].to_string(), "directory": directory}));
    }
    Ok(described)
}
