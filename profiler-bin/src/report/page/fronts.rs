//! What every engine offers: user speed against throughput, and against cost.

use dgdr_sweep_planner::{Configuration, Goal, Sla};
use maud::{Markup, html};

use super::asked::goal;
use super::chart::{Bound, Chart, Direction, Dot, Named, Series, Side, Worse};
use super::run::Engine;
use super::{Reading, Subject, ms};
use crate::pipeline::price::cost;
use crate::plots::axis::{Axis, count, short};
use crate::report::label;

pub(super) fn section(subject: &Subject<'_>) -> Markup {
    let throughput = Quantity {
        title: "Throughput against user speed".to_owned(),
        label: "tokens/s per GPU of the budget".to_owned(),
        of: Box::new(|it: &Configuration| Some(whole_budget(subject, it))),
    };
    let unit = match subject.price {
        Some(price) => format!("dollars per 1,000 requests (${:.2}/GPU h)", price.dollars()),
        None => "GPU hours per 1,000 requests".to_owned(),
    };
    let price = subject.price;
    let cost = Quantity {
        title: "Cost against user speed, at full load".to_owned(),
        label: unit,
        of: Box::new(move |it: &Configuration| cost(it, price)),
    };
    html! {
        p {
            "Each point is a configuration that no other one of its engine beats in both user speed and throughput. "
            "Point at one, or focus a chart and use the arrow keys, to see what it is."
        }
        div.charts { (chart(subject, &throughput)) (chart(subject, &cost)) }
    }
}

/// What stands over the user speed.
struct Quantity<'a> {
    title: String,
    label: String,
    of: Reading<'a>,
}

/// Tokens per second and GPU with as many copies as the budget holds, however many a pick takes.
fn whole_budget(subject: &Subject<'_>, configuration: &Configuration) -> f64 {
    let total = subject.run.record.hardware.total_gpus.max(1);
    let copy = configuration.gpus.get().max(1);
    configuration.performance.tokens_per_s_per_gpu.get() * f64::from(total / copy * copy) / f64::from(total)
}

impl Quantity<'_> {
    fn place(&self, it: &Configuration) -> Option<[f64; 2]> {
        Some([it.performance.tokens_per_s_per_user.get(), (self.of)(it)?])
    }

    /// The front of an engine.
    fn series(&self, engine: &Engine) -> Series {
        let dots: Vec<Dot> = engine
            .decision
            .ranking
            .pareto
            .iter()
            .filter_map(|point| {
                Some(Dot {
                    at: self.place(&point.configuration)?,
                    tip: tip(&engine.backend, &point.configuration, point.meets_sla),
                    hollow: !point.meets_sla,
                })
            })
            .collect();
        Series {
            name: engine.backend.clone(),
            line: dots.iter().map(|dot| dot.at).collect(),
            dots,
        }
    }

    /// The runner-up, then the pick.
    fn named(&self, subject: &Subject<'_>) -> Vec<Named> {
        let record = &subject.run.record;
        let many = record.backends.len() > 1;
        let named = |class: &'static str, role: &str, (backend, it): (&str, &Configuration)| {
            let at = self.place(it)?;
            let engine = if many {
                format!(" ({backend})")
            } else {
                String::new()
            };
            Some(Named {
                at,
                words: format!("{role}{engine}: {}", short(at[1])),
                class,
            })
        };
        let second = record
            .runner_up
            .as_ref()
            .and_then(|it| named("second", "runner-up", (&it.backend, &it.configuration)));
        let first = named("pick", "picked", (&subject.engine.backend, subject.pick));
        second.into_iter().chain(first).collect()
    }
}

fn chart(subject: &Subject<'_>, quantity: &Quantity<'_>) -> Markup {
    let record = &subject.run.record;
    let series: Vec<Series> = record
        .backends
        .iter()
        .map(|engine| quantity.series(engine))
        .collect();
    let named = quantity.named(subject);
    let all = || {
        series
            .iter()
            .flat_map(|series| &series.line)
            .chain(named.iter().map(|named| &named.at))
    };
    let problem = &subject.engine.problem;
    let bound = match problem.goal {
        Goal::Sla(Sla::TokenLatency { itl, .. }) => Some(1000.0 / itl.get()),
        Goal::Sla(Sla::RequestLatency(_)) | Goal::Throughput | Goal::Latency => None,
    };
    let fastest = all().map(|[speed, _]| *speed).fold(0.0, f64::max);
    let near = bound.filter(|bound| *bound <= 4.0 * fastest);
    Chart {
        title: quantity.title.clone(),
        x: Side {
            axis: Axis::even_around(all().map(|[speed, _]| *speed).chain(near)),
            label: "user speed, tokens/s".to_owned(),
        },
        y: Side {
            axis: Axis::around(all().map(|[_, value]| *value)),
            label: quantity.label.clone(),
        },
        bounds: near
            .map(|at| Bound {
                at,
                direction: Direction::Upright,
                words: format!("SLA: {}", goal(problem.goal)),
                worse: Some(Worse::Below),
            })
            .into_iter()
            .collect(),
        hollow: Some("misses the SLA"),
        series,
        named,
    }
    .markup()
}

/// What is said of a configuration that is pointed at.
fn tip(backend: &str, it: &Configuration, meets_sla: bool) -> String {
    let reached = &it.performance;
    format!(
        "{backend}: {}\n{} tokens/s per user, {} tokens/s per GPU\nTTFT {} ms, ITL {} ms, {} GPUs\n{}",
        label(it),
        short(reached.tokens_per_s_per_user.get()),
        short(reached.tokens_per_s_per_gpu.get()),
        ms(reached.ttft.get()),
        ms(reached.itl.get()),
        count(u64::from(it.total_gpus().get())),
        if meets_sla {
            "keeps the SLA"
        } else {
            "misses the SLA"
        }
    )
}
