//! The mocker takes our curves: converted, and in live processes that answer requests on this machine.

use serde_json::{Value, json};

use super::planner::{itl_of, places};
use super::script::{self, Finding, Script};
use super::{Bench, Run};

/// How far served latencies may be from what the mocker was given, as a share.
///
/// A rendered mocker is given our curves as the table that it reads. A folder of results is replaced by straight lines
/// first, which lose much of a curve that bends: such a mocker is judged by the line.
const BOUND: f64 = 0.1;
/// The same under load, where the clients of this machine are in each other's way.
const LOADED_BOUND: f64 = 0.2;
/// What frontend, transport and reading of the prompt add to a time to first token, milliseconds at most.
const OVERHEAD_MS: f64 = 40.0;

/// Requests at once.
const REQUESTS: u64 = 16;
/// Prompt of each, tokens: short, so that all have started when the first is well under way.
const PROMPT: u64 = 512;
/// Answer of each, tokens. The first third, in which others start, and the end, in which others stop, are left out.
const ANSWER: u64 = 300;

pub(super) fn check(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let runs = bench
        .runs
        .iter()
        .map(|run| described(bench, run))
        .collect::<anyhow::Result<Vec<Value>>>()?;
    let script = Script {
        name: "mocker",
        text: include_str!("mocker.py"),
    };
    let question = json!({
        "runs": runs,
        "bound": BOUND,
        "loaded_bound": LOADED_BOUND,
        "overhead_ms": OVERHEAD_MS,
        "load": {"requests": REQUESTS, "isl": PROMPT, "osl": ANSWER},
    });
    script::ask(&bench.peer, &bench.folder.join("mocker"), script, &question)
}

fn described(bench: &Bench, run: &Run) -> anyhow::Result<Value> {
    let request = dgdr_types::resolve(&dgdr_types::parse_request(run.request)?)?;
    let places = places(bench, run)?;
    let mut described = run.to_json();
    described["mocked"] = json!(request.features.mocker);
    described["engine"] = json!(request.backend);
    described["isl"] = json!(places.workload.0);
    described["ttft_ms"] = json!(places.prefill.1);
    described["alone_itl_ms"] = json!(places.alone_itl_ms);
    let middle = PROMPT + ANSWER * 2 / 3;
    described["loaded_itl_ms"] = json!(itl_of(bench, run, (REQUESTS, middle))?);
    Ok(described)
}
