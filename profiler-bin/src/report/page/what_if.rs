//! What would be picked if the request asked for a quarter less or more.

use dgdr_sweep_planner::Picking;
use maud::{Markup, html};

use super::run::Outcome;
use super::{Subject, or_dash, percent};
use crate::pipeline::sensitivity::Ending;
use crate::plots::axis::short;
use crate::report::sensitivity::{Picked, quantity};

pub(super) fn section(subject: &Subject<'_>) -> Markup {
    let changes = &subject.run.record.sensitivity;
    if changes.is_empty() {
        return html! { p { "Nothing was varied in this run." } };
    }
    let now = picked(subject);
    html! {
        p { "The planner decided again for " (subject.engine.backend) " with one quantity changed at a time, on the same predictions." }
        div.scroll { table {
            thead { tr {
                th { "If" } th { "then" } th { "Pick" }
                th.number { "GPUs" } th.number { "Tokens/s per GPU" } th.number { "against now" }
                th.number { "Tokens/s" } th.number { "against now" }
            } }
            tbody { @for change in changes {
                @let (name, value) = quantity(change);
                tr {
                    td { (name) " were " (value) " (" (percent(change.to / change.from - 1.0)) ")" }
                    td { (match change.outcome { Ending::Met => "kept", Ending::Closest => "NOT kept", Ending::Infeasible => "nothing fits" }) }
                    td {
                        @if change.differs { (change.pick.as_deref().unwrap_or("nothing")) }
                        @else { "the same layout" }
                    }
                    td.number { @if let Some(gpus) = change.gpus { (gpus) } }
                    (compared(change.tokens_per_s_per_gpu, now.tokens_per_s_per_gpu))
                    (compared(change.tokens_per_s, now.tokens_per_s_per_gpu * f64::from(now.gpus)))
                }
            } }
        } }
    }
}

fn compared(then: Option<f64>, now: f64) -> Markup {
    html! {
        td.number { (or_dash(then, short)) }
        td.number { @if let Some(then) = then { @if now > 0.0 { (percent(then / now - 1.0)) } } }
    }
}

/// What was picked, as far as a change is compared with it.
pub(super) fn picked(subject: &Subject<'_>) -> Picked {
    Picked {
        tokens_per_s_per_gpu: subject.pick.performance.tokens_per_s_per_gpu.get(),
        gpus: subject.pick.total_gpus().get(),
        met: matches!(subject.engine.decision.outcome, Outcome::Met(_)),
        fewest_gpus: matches!(subject.engine.problem.picking, Picking::LoadMatch(_)),
    }
}
