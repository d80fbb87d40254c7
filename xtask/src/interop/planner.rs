//! The planner loads our curves, fits its model to them, and is asked where we know what the curves say.

use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::script::{self, Finding, Script};
use super::{Bench, Run};

/// How far a time to first token may be from our curve at the workload's input length.
///
/// The planner fits one straight line to a curve that bends upwards with the input, and averages neighbouring points.
const TTFT_BOUND: f64 = 0.2;
/// How far the time between tokens may be from our surface at the workload's context, over the lower half of
/// the cache.
const ITL_BOUND: f64 = 0.2;
/// Shares of the cache at which the surface is asked.
const USAGES: [f64; 3] = [0.15, 0.35, 0.55];

pub(super) fn check(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let runs = bench
        .runs
        .iter()
        .map(|run| Ok(places(bench, run)?.on(run)))
        .collect::<anyhow::Result<Vec<Value>>>()?;
    let script = Script {
        name: "planner",
        text: include_str!("planner.py"),
    };
    let question = json!({
        "runs": runs,
        "ttft_bound": TTFT_BOUND,
        "itl_bound": ITL_BOUND,
    });
    script::ask(&bench.peer, &bench.folder.join("planner"), script, &question)
}

/// Where curves are asked, and what they say.
#[derive(Debug)]
pub(super) struct Places {
    /// Input length, tokens, and time to first token, milliseconds.
    pub(super) prefill: (u64, f64),
    /// Share of the cache, context length, and time between tokens, milliseconds.
    pub(super) decode: Vec<(f64, u64, f64)>,
    /// Time between tokens of a request that is alone, milliseconds.
    pub(super) alone_itl_ms: f64,
    /// Lengths of the requests, tokens.
    pub(super) workload: (u64, u64),
}

impl Places {
    fn on(&self, run: &Run) -> Value {
        json!({
            "name": run.name,
            "directory": run.directory,
            "isl": self.workload.0,
            "osl": self.workload.1,
            "ttft_ms": self.prefill.1,
            "decode": self.decode,
        })
    }
}

#[derive(Debug, Deserialize)]
struct Reply {
    ttft_ms: Option<f64>,
    itl_ms: Option<f64>,
}

/// Asks our own curves.
pub(super) fn places(bench: &Bench, run: &Run) -> anyhow::Result<Places> {
    let (isl, osl) = workload(run)?;
    let context = isl + osl / 2;
    let ttft = query(bench, run, &["prefill", "--isl", &isl.to_string()])?
        .ttft_ms
        .context("a prefill curve has no time to first token")?;
    let decode = USAGES
        .iter()
        .map(|usage| {
            let (usage_text, context_text) = (usage.to_string(), context.to_string());
            let arguments = [
                "decode",
                "--kv-usage",
                &usage_text,
                "--context-length",
                &context_text,
            ];
            let itl = query(bench, run, &arguments)?.itl_ms;
            Ok((
                *usage,
                context,
                itl.context("a surface has no time between tokens")?,
            ))
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(Places {
        alone_itl_ms: itl_of(bench, run, (1, context))?,
        prefill: (isl, ttft),
        decode,
        workload: (isl, osl),
    })
}

/// Time between tokens of so many requests of so much context, milliseconds.
pub(super) fn itl_of(bench: &Bench, run: &Run, (requests, context): (u64, u64)) -> anyhow::Result<f64> {
    #[derive(Deserialize)]
    struct Surface {
        max_kv_tokens: u64,
    }
    let surface: Surface = serde_json::from_str(&run.file("decode_raw_data.json")?)?;
    let usage = to_real(requests * context) / to_real(surface.max_kv_tokens);
    let arguments = [
        "decode",
        "--kv-usage",
        &usage.to_string(),
        "--context-length",
        &context.to_string(),
        "--extrapolate",
    ];
    let itl = query(bench, run, &arguments)?.itl_ms;
    itl.context("a surface has no time between tokens")
}

/// Counts of tokens are far below 2^32.
fn to_real(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Input and output length of a run's request.
fn workload(run: &Run) -> anyhow::Result<(u64, u64)> {
    let raw = dgdr_types::parse_request(run.request)?;
    let request = dgdr_types::resolve(&raw)?;
    Ok((request.workload.isl.get(), request.workload.osl.get()))
}

fn query(bench: &Bench, run: &Run, arguments: &[&str]) -> anyhow::Result<Reply> {
    let output = Command::new(&bench.profiler)
        .arg("query")
        .arg(&run.directory)
        .args(arguments)
        .args(["--output", "json"])
        .output()?;
    ensure!(
        output.status.success(),
        "query {} of {} failed: {}",
        arguments.join(" "),
        run.name,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    serde_json::from_slice(&output.stdout).context("query answered in an unknown form")
}
