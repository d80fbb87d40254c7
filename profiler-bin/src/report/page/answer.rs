//! The answer: in one sentence, what holds it back, and what it rests on.

use dgdr_perf_model::{Provenance, SourceKind};
use dgdr_sweep_planner::{Configuration, Goal, Picking, Sla};
use dgdr_units::Milliseconds;
use maud::{Markup, html};

use super::run::Outcome;
use super::what_if::picked as picked_now;
use super::{Reading, Subject, ms, or_dash, percent};
use crate::pipeline::price::{cost, gpu_hours};
use crate::plots::axis::{count, exact, short};
use crate::report::sensitivity::quantity;
use crate::report::{headroom, label, sources};

/// The answer in one sentence.
pub(super) fn sentence(subject: &Subject<'_>) -> Markup {
    let pick = subject.pick;
    let reached = &pick.performance;
    let met = matches!(subject.engine.decision.outcome, Outcome::Met(_));
    let total = f64::from(pick.total_gpus().get());
    let all = reached.tokens_per_s_per_gpu.get() * total;
    let verdict = match (subject.engine.problem.goal, met) {
        (Goal::Sla(_), true) => "the SLA is met",
        (_, true) => "everything that was asked for is kept",
        (_, false) => "the SLA is NOT met, this is the closest",
    };
    html! {
        p.answer.missed[!met] {
            "Serve with " b { (subject.engine.backend) ": " (label(pick)) } ", on "
            (pick.total_gpus().get()) " of " (subject.run.record.hardware.total_gpus) " GPUs: "
            b { (short(all)) " tokens/s" } " (" (short(reached.tokens_per_s_per_gpu.get())) " per GPU) at TTFT "
            (ms(reached.ttft.get())) " ms and ITL " (ms(reached.itl.get())) " ms; " (verdict) "."
        }
    }
}

/// Bounds with what is left of them, and which of them costs throughput.
pub(super) fn binds(subject: &Subject<'_>) -> Markup {
    let outcome = &subject.engine.decision.outcome;
    let rows = bounds(subject);
    html! {
        (verdict(subject))
        @if !rows.is_empty() {
            div.scroll { table {
                thead { tr { th { "Bound" } th.number { "Target" } th.number { "Reached" } th.number { "Room" } th { "" } } }
                tbody { @for bound in &rows {
                    @let used = bound.reached.get() / bound.target.get();
                    tr {
                        td { (bound.name) }
                        td.number { (ms(bound.target.get())) " ms" }
                        td.number { (ms(bound.reached.get())) " ms" }
                        td.number { (room(used)) }
                        td { (meter(used)) }
                    }
                } }
            } }
        }
        @if let Outcome::Closest(closest) = outcome {
            p { "To meet it:" }
            ul { @for remedy in &closest.remedies { li { (remedy) } } }
        }
    }
}

fn verdict(subject: &Subject<'_>) -> Markup {
    let record = &subject.run.record;
    match &subject.engine.decision.outcome {
        Outcome::Closest(closest) => html! {
            p { b { "Missed: " (closest.binding) "." } }
            @for gap in &closest.also_missed { p { "Also missed: " (gap) "." } }
        },
        Outcome::Met(_) | Outcome::Infeasible { .. } => {
            let now = picked_now(subject);
            let changes = headroom(&record.sensitivity, now);
            let brittle: Vec<String> = changes
                .brittle()
                .map(|change| {
                    let (name, value) = quantity(change);
                    format!("{name} {value}")
                })
                .collect();
            html! {
                @if let Some((change, gain)) = changes.best() {
                    @let (name, value) = quantity(change);
                    p { b { "The " (name) " binds." } " At " (value) " instead of " (exact(change.from)) " the answer would be "
                        (gain) ": " (change.pick.as_deref().unwrap_or("nothing")) "." }
                } @else if !bounds(subject).is_empty() {
                    p { b { "No target costs throughput." } " A quarter more room in any of them changes next to nothing." }
                } @else {
                    p { "No latency target was given: the GPUs and the memory of each are all that binds." }
                }
                @if !brittle.is_empty() {
                    p { "There is little room: nothing that was compared keeps " (brittle.join(", or ")) "." }
                }
            }
        }
    }
}

/// A bound on a latency.
struct LatencyBound {
    name: &'static str,
    target: Milliseconds,
    reached: Milliseconds,
}

fn bounds(subject: &Subject<'_>) -> Vec<LatencyBound> {
    let reached = &subject.pick.performance;
    match subject.engine.problem.goal {
        Goal::Sla(Sla::TokenLatency { ttft, itl }) => vec![
            LatencyBound {
                name: "Time to first token (TTFT)",
                target: ttft,
                reached: reached.ttft,
            },
            LatencyBound {
                name: "Time between tokens (ITL)",
                target: itl,
                reached: reached.itl,
            },
        ],
        Goal::Sla(Sla::RequestLatency(target)) => vec![LatencyBound {
            name: "Whole request",
            target,
            reached: reached.request_latency,
        }],
        Goal::Throughput | Goal::Latency => Vec::new(),
    }
}

/// What is left of a bound, or by how much it is missed.
fn room(used: f64) -> String {
    let left = 100.0 * (1.0 - used);
    if left < 0.0 {
        format!("{} % over", short(-left))
    } else {
        format!("{} %", short(left))
    }
}

/// How much of a bound is used up.
fn meter(used: f64) -> Markup {
    let width = (used.clamp(0.0, 1.0) * 100.0).round();
    html! {
        div.meter role="img" aria-label={ (short(used * 100.0)) " % of the target" } {
            div.over[used > 1.0] style={ "width:" (width) "%" } {}
        }
    }
}

/// The picked configuration, beside what came second.
pub(super) fn picked(subject: &Subject<'_>) -> Markup {
    let second = subject.run.record.runner_up.as_ref();
    let pick = subject.pick;
    let rows = numbers(subject);
    html! {
        div.scroll { table.compare {
            thead { tr {
                th { "" }
                th.number { "Picked" }
                @if second.is_some() { th.number { "Runner-up" } th.number { "Runner-up against pick" } }
            } }
            tbody {
                tr { td { "Engine" } td.number { (subject.engine.backend) }
                    @if let Some(second) = second { td.number { (second.backend) } td {} } }
                tr { td { "Configuration" } td.words { (label(pick)) }
                    @if let Some(second) = second { td.words { (label(&second.configuration)) } td {} } }
                @for row in &rows {
                    @let value = (row.of)(pick);
                    tr {
                        td { (row.name) }
                        td.number { (or_dash(value, row.words)) }
                        @if let Some(second) = second {
                            @let other = (row.of)(&second.configuration);
                            td.number { (or_dash(other, row.words)) }
                            td.number { @if let (Some(value), Some(other)) = (value, other) { @if value > 0.0 { (percent(other / value - 1.0)) } } }
                        }
                    }
                }
            }
        } }
        @if let Some(second) = second {
            p { "The runner-up lost: " (second.lost) "."
                @if !second.meets_sla { " It does not keep what was asked for." } }
        } @else {
            p { "Nothing else could be deployed, so there is no runner-up." }
        }
        h3 { "What the prediction rests on" }
        (origin("TTFT", &pick.performance.ttft_sources))
        (origin("ITL", &pick.performance.itl_sources))
        p.small {
            "Shares of the predicted latency: from kernels measured at exactly this size, interpolated between measured sizes, "
            "extrapolated beyond them, from a roofline where nothing was measured, and from closed forms."
        }
    }
}

/// A number of a configuration.
struct Quantity<'a> {
    name: String,
    of: Reading<'a>,
    words: fn(f64) -> String,
}

fn numbers<'a>(subject: &Subject<'_>) -> Vec<Quantity<'a>> {
    let quantity = |name: &str, of: fn(&Configuration) -> f64| Quantity {
        name: name.to_owned(),
        of: Box::new(move |configuration| Some(of(configuration))),
        words: short,
    };
    let latency = |name: &str, of: fn(&Configuration) -> f64| Quantity {
        words: ms,
        ..quantity(name, of)
    };
    let mut list = vec![
        latency("Time to first token, ms", |it| it.performance.ttft.get()),
        latency("Time between tokens, ms", |it| it.performance.itl.get()),
        latency("Whole request, ms", |it| it.performance.request_latency.get()),
        quantity("Tokens/s per user", |it| {
            it.performance.tokens_per_s_per_user.get()
        }),
        quantity("Tokens/s per GPU in use", |it| {
            it.performance.tokens_per_s_per_gpu.get()
        }),
        quantity("Tokens/s of the deployment", |it| {
            it.performance.tokens_per_s_per_gpu.get() * f64::from(it.total_gpus().get())
        }),
        quantity("Requests/s of the deployment", |it| {
            it.performance.requests_per_s.get()
        }),
        quantity("Requests in flight", |it| {
            f64::from(it.performance.concurrency) * f64::from(it.replicas)
        }),
        quantity("GPUs", |it| f64::from(it.total_gpus().get())),
        Quantity {
            name: "GPU hours per 1,000 requests".to_owned(),
            of: Box::new(gpu_hours),
            words: short,
        },
    ];
    if let Some(price) = subject.price {
        list.push(Quantity {
            name: format!(
                "Dollars per 1,000 requests (${:.2} per GPU hour)",
                price.dollars()
            ),
            of: Box::new(move |configuration| cost(configuration, Some(price))),
            words: short,
        });
    }
    if matches!(subject.engine.problem.picking, Picking::BestThroughput) {
        list.insert(
            6,
            quantity("Tokens/s per GPU of the budget", |it| {
                it.performance.tokens_per_s_per_gpu_cluster.get()
            }),
        );
    }
    list
}

/// A bar of shares, and the same in words.
fn origin(name: &str, provenance: &Provenance) -> Markup {
    html! {
        div.origin {
            b { (name) } ": " (sources(provenance))
            div.shares aria-hidden="true" {
                @for kind in SourceKind::ALL {
                    @let share = provenance.share(kind) * 100.0;
                    @if share > 0.0 { div class=(kind.name()) style={ "width:" (format!("{share:.2}")) "%" } {} }
                }
            }
        }
    }
}

/// A whole number for people, from a real one.
pub(super) fn rounded(value: f64) -> String {
    count(dgdr_units::floor_count(value.round()))
}
