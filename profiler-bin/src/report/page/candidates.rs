//! Every mapping that was compared, and why it won or lost.

use maud::{Markup, html};

use super::run::{Engine, Entry};
use super::{Subject, latency, number, whole};
use crate::report::label;

/// Rows of one engine and way of serving; the rest is in `profile.json`.
const MOST_ROWS: usize = 40;

pub(super) fn section(subject: &Subject<'_>) -> Markup {
    html! {
        p { "The best configuration of each parallel mapping (of each decode mapping where prefill has workers of its own)." }
        @for engine in &subject.run.record.backends { (of_engine(engine, subject)) }
    }
}

fn of_engine(engine: &Engine, subject: &Subject<'_>) -> Markup {
    let ranking = &engine.decision.ranking;
    let chosen = engine.backend == subject.engine.backend;
    // The way of serving that has the best configuration comes first.
    let mut lists = [&ranking.agg, &ranking.disagg];
    lists.sort_by_key(|list| list.first().is_none_or(|best| best.lost.is_some()));
    let rows: Vec<&Entry> = lists
        .into_iter()
        .flat_map(|list| list.iter().take(MOST_ROWS))
        .collect();
    let left_out = ranking.agg.len() + ranking.disagg.len() - rows.len();
    html! {
        h3 { (engine.backend) " " (engine.version)
            span.small { " gemm " (engine.precision.gemm) ", experts " (engine.precision.moe) ", KV cache " (engine.precision.kv) } }
        div.scroll { table.sortable.candidates {
            thead { tr {
                th { "Configuration" }
                th.number { "GPUs" }
                th.number { "TTFT, ms" }
                th.number { "ITL, ms" }
                th.number { "Tokens/s/user" }
                th.number { "Tokens/s/GPU" }
                th.number { "of all GPUs" }
                th { "Why" }
            } }
            tbody { @for entry in rows { (row(entry, chosen)) } }
        } }
        @if left_out > 0 { p.small { (left_out) " more are in profile.json." } }
        @if !ranking.rejected.is_empty() {
            details {
                summary { "Not compared: " (ranking.rejected.len()) }
                ul { @for excluded in ranking.rejected.iter().take(MOST_ROWS) {
                    li {
                        b { (excluded.mapping) } @if let Some(role) = excluded.role { " " (role) } ": " (excluded.reason)
                        @if let Some(remedy) = &excluded.remedy { "; " (remedy) }
                    }
                } }
            }
        }
    }
}

fn row(entry: &Entry, chosen: bool) -> Markup {
    let it = &entry.configuration;
    let reached = &it.performance;
    let best = entry.lost.is_none();
    html! {
        tr.pick[best && chosen] {
            td { (label(it)) }
            (whole(it.total_gpus().get()))
            (latency(reached.ttft))
            (latency(reached.itl))
            (number(reached.tokens_per_s_per_user.get()))
            (number(reached.tokens_per_s_per_gpu.get()))
            (number(reached.tokens_per_s_per_gpu_cluster.get()))
            td {
                @match (&entry.lost, chosen) {
                    (None, true) => { b { "picked" } }
                    (None, false) => { "best of this engine" }
                    (Some(lost), _) => { (lost) }
                }
                @if !entry.meets_sla && best { ", misses the SLA" }
            }
        }
    }
}
