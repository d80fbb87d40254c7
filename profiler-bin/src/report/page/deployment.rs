//! The deployment as text, and what else is known of the run.

use maud::{Markup, html};

use super::{Subject, facts};
use crate::plots::axis::short;

pub(super) fn section(subject: &Subject<'_>) -> Markup {
    html! {
        p { "This is " code { "final_config.yaml" } ", ready for " code { "kubectl apply -f" } "." }
        pre.copy { (subject.run.deployment) }
    }
}

pub(super) fn about(subject: &Subject<'_>) -> Markup {
    let record = &subject.run.record;
    let engines: Vec<String> = record
        .backends
        .iter()
        .map(|engine| format!("{} {}", engine.backend, engine.version))
        .collect();
    let versions = [
        ("dgdr-profiler", record.profiler_version.clone()),
        ("Layout of profile.json", record.schema_version.to_string()),
        ("Kernels measured on", engines.join(", ")),
    ];
    html! {
        h3 { "Warnings and assumptions" }
        @if record.warnings.is_empty() { p { "None." } }
        @else { ul { @for warning in &record.warnings { li { (warning) } } } }
        h3 { "Versions" }
        (facts(&versions))
        h3 { "Timings" }
        div.scroll { table id="timings" {
            thead { tr { th { "Step" } th.number { "ms" } } }
            tbody {
                @for (step, ms) in &record.timings.steps { tr { td { (step) } td.number { (short(*ms)) } } }
                tr { td { b { "all" } } td.number { b { (short(record.timings.total_ms)) } } }
            }
        } }
    }
}
