//! `pareto.csv`: configurations that no other one beats in both user speed and total throughput.

use dgdr_sweep_planner::{Layout, WorkerGroup};

use crate::pipeline::study::Study;

/// The columns, in order.
const HEADER: [&str; 14] = [
    "backend",
    "mode",
    "meets_sla",
    "tokens_per_s_per_user",
    "tokens_per_s_per_gpu",
    "tokens_per_s_per_gpu_cluster",
    "ttft_ms",
    "tpot_ms",
    "request_latency_ms",
    "concurrency",
    "replicas",
    "gpus",
    "prefill",
    "decode",
];

/// The fronts of all engines that were compared, as CSV.
///
/// # Errors
/// When a row cannot be encoded.
pub fn pareto_csv(studies: &[Study]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for study in studies {
        for point in &study.decision.ranking.pareto {
            let configuration = &point.configuration;
            let reached = &configuration.performance;
            let (mode, prefill, decode) = match &configuration.layout {
                Layout::Aggregated {
                    mapping, batch_size, ..
                } => {
                    let worker = format!("1×{mapping} (batch {batch_size})");
                    ("agg", worker.clone(), worker)
                }
                Layout::Disaggregated { prefill, decode } => ("disagg", name(prefill), name(decode)),
            };
            writer.write_record([
                study.backend.name().to_owned(),
                mode.to_owned(),
                point.meets_sla.to_string(),
                number(reached.tokens_per_s_per_user.get()),
                number(reached.tokens_per_s_per_gpu.get()),
                number(reached.tokens_per_s_per_gpu_cluster.get()),
                number(reached.ttft.get()),
                number(reached.itl.get()),
                number(reached.request_latency.get()),
                reached.concurrency.to_string(),
                configuration.replicas.to_string(),
                configuration.gpus.get().to_string(),
                prefill,
                decode,
            ])?;
        }
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

fn name(group: &WorkerGroup) -> String {
    group.to_string()
}

/// Three decimals: beyond what any of these numbers is good for.
fn number(value: f64) -> String {
    format!("{value:.3}")
}
