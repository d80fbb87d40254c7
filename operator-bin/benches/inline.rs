//! What simulating in the operator costs: time a request, and memory after thousands of them.
//!
//! `cargo bench -p dgdr-operator --bench inline [-- NUMBER]`

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::io::Write;
use std::time::Instant;

use dgdr_operator::inline::{Profiler, UnknownModels};
use dgdr_types::dgd::DgdVersion;
use dgdr_types::names::DgdrName;
use serde_json::json;

/// Requests, unless said otherwise.
const REQUESTS: u64 = 5_000;
const MODELS: [&str; 4] = [
    "Qwen/Qwen3-32B",
    "deepseek-ai/DeepSeek-V3",
    "meta-llama/Meta-Llama-3.1-70B",
    "Qwen/Qwen3-30B-A3B",
];
const SYSTEMS: [&str; 4] = ["h200_sxm", "h100_sxm", "b200_sxm", "gb200"];

/// A spec of its own for every number.
fn config(number: u64) -> String {
    let pick =
        |choices: &[&'static str; 4], every: u64| choices[usize::try_from(number / every % 4).unwrap()];
    json!({
        "model": pick(&MODELS, 1), "backend": "auto",
        "image": "nvcr.io/nvidia/ai-dynamo/dynamo-planner:1.6.1",
        "hardware": {"gpuSku": pick(&SYSTEMS, 4), "numGpusPerNode": 8, "totalGpus": 32},
        "workload": {"isl": 1000 + number % 3000, "osl": 100 + number % 700},
        "sla": {"ttft": 500 + number % 2000, "itl": 20 + number % 40},
    })
    .to_string()
}

/// Resident memory of this process, MiB.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm
        .split_whitespace()
        .nth(1)
        .map_or(0, |pages| pages.parse().unwrap());
    (pages * 4096) >> 20
}

fn main() {
    // Cargo passes `--bench`.
    let asked = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let requests = asked.unwrap_or(REQUESTS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let profiler = Profiler::new(UnknownModels::UseJob);
    let name = DgdrName::new("sla").unwrap();
    let mut out = std::io::stdout().lock();
    for number in [0, 0, 1, 1] {
        let begin = Instant::now();
        let entries =
            runtime.block_on(profiler.profile(&config(number), &name, "serving", DgdVersion::default()));
        let took = begin.elapsed();
        writeln!(
            out,
            "{} alone: {took:.1?}, {}",
            config(number),
            entries["profiler_status"]
        )
        .unwrap();
    }
    writeln!(out, "resident: {} MiB", resident()).unwrap();
    let begin = Instant::now();
    let runs: Vec<_> = (0..requests)
        .map(|number| {
            let (profiler, name) = (profiler.clone(), name.clone());
            runtime.spawn(async move {
                let begin = Instant::now();
                let entries = profiler
                    .profile(&config(number), &name, "serving", DgdVersion::default())
                    .await;
                (entries["profiler_status"] == "success", begin.elapsed())
            })
        })
        .collect();
    let mut succeeded = 0_u64;
    let mut highest = 0;
    for run in runs {
        let (is_success, _) = runtime.block_on(run).unwrap();
        succeeded += u64::from(is_success);
        highest = highest.max(resident());
    }
    let took = begin.elapsed();
    writeln!(
        out,
        "{requests} requests: {took:.1?}, {succeeded} succeeded; resident {} MiB, highest {highest} MiB",
        resident()
    )
    .unwrap();
}
