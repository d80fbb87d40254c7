//! The request, as it was understood.

use dgdr_sweep_planner::{Goal, Load, Picking, Sla};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Subject, facts};
use crate::plots::axis::{count, short};

/// A field that the request left open.
#[derive(Deserialize)]
struct Assumed {
    path: String,
    value: String,
}

pub(super) fn section(subject: &Subject<'_>) -> Markup {
    let record = &subject.run.record;
    let problem = &subject.engine.problem;
    let hardware = &record.hardware;
    let engines: Vec<String> = record
        .backends
        .iter()
        .map(|engine| format!("{} {}", engine.backend, engine.version))
        .collect();
    let list = [
        ("Model", record.model.name.clone()),
        (
            "Architecture",
            format!(
                "{}, {} layers, context of {} tokens",
                record.model.architecture,
                record.model.layers,
                count(u64::from(record.model.context_length))
            ),
        ),
        (
            "Hardware",
            format!(
                "{} × {}, {} per node, {} GiB each",
                hardware.total_gpus,
                hardware.system,
                hardware.gpus_per_node,
                short(hardware.memory_gib)
            ),
        ),
        ("Engines compared", engines.join(", ")),
        (
            "Typical request",
            format!(
                "{} tokens in (ISL), {} tokens out (OSL)",
                count(u64::from(problem.workload.isl)),
                count(u64::from(problem.workload.osl))
            ),
        ),
        ("Goal", goal(problem.goal)),
        ("Picked by", picking(problem.picking)),
    ];
    let assumed: Vec<Assumed> = serde_json::from_value(record.request["assumed"].clone()).unwrap_or_default();
    html! {
        (facts(&list))
        @if !assumed.is_empty() || !hardware.filled.is_empty() {
            p { "Nobody said these, so they were filled in:" }
            ul {
                @for field in &hardware.filled { li { code { (field.field) } " = " (field.value) " (" (field.origin) ")" } }
                @for field in &assumed { li { code { (field.path) } " = " (field.value) " (default)" } }
            }
        }
        details {
            summary { "The whole request, resolved" }
            pre { (serde_json::to_string_pretty(&record.request).unwrap_or_default()) }
        }
    }
}

/// What was asked for in words.
pub(super) fn goal(goal: Goal) -> String {
    match goal {
        Goal::Sla(Sla::TokenLatency { ttft, itl }) => format!("TTFT ≤ {ttft}, ITL ≤ {itl}"),
        Goal::Sla(Sla::RequestLatency(latency)) => format!("request latency ≤ {latency}"),
        Goal::Throughput => "throughput, whatever the latency".to_owned(),
        Goal::Latency => "latency, whatever the throughput".to_owned(),
    }
}

fn picking(picking: Picking) -> String {
    match picking {
        Picking::BestThroughput => "the most tokens from all GPUs".to_owned(),
        Picking::LoadMatch(Load::Concurrency(requests)) => {
            format!("the fewest GPUs that carry {requests} requests in flight")
        }
        Picking::LoadMatch(Load::RequestRate(rate)) => format!("the fewest GPUs that carry {rate}"),
        Picking::Autoscale => "one worker of each role, scaled by the planner at run time".to_owned(),
    }
}
