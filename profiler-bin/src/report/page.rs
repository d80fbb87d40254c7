//! `report.html`: a finished run on one page that needs nothing but itself.
//!
//! It is made from the files of a run alone, so that `profile` and `report` write the same bytes.

mod answer;
mod asked;
mod candidates;
mod chart;
mod curves;
mod deployment;
mod fronts;
mod run;
mod what_if;

use dgdr_sweep_planner::Configuration;
use dgdr_units::Milliseconds;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::artifacts::RECORD_FILE;
use crate::error::ProfilerError;
use crate::pipeline::price::GpuPrice;
use crate::plots::axis::{count, short};

pub use run::RunFiles;
use run::{Engine, Run};

/// The file's name.
pub const REPORT_FILE: &str = "report.html";

/// Nothing may be loaded from elsewhere, whatever ends up on the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// The page of a finished run. A `price` replaces the one that the run was told.
///
/// # Errors
/// [`ProfilerError::RunUnreadable`] when a file is not what a run writes.
pub fn page(files: RunFiles<'_>, price: Option<GpuPrice>) -> Result<String, ProfilerError> {
    let run = Run::read(files)?;
    let Some((engine, pick)) = run.record.winner() else {
        return Err(ProfilerError::RunUnreadable {
            path: files.directory.join(RECORD_FILE),
            problem: "it tells of no picked engine".to_owned(),
        });
    };
    let subject = Subject {
        run: &run,
        engine,
        pick,
        price: price.or(run.record.price),
    };
    Ok(document(&subject).into_string())
}

/// What all sections tell of.
struct Subject<'a> {
    run: &'a Run<'a>,
    /// The engine that was picked.
    engine: &'a Engine,
    /// The configuration that was picked.
    pick: &'a Configuration,
    /// Dollars for a GPU hour.
    price: Option<GpuPrice>,
}

fn document(subject: &Subject<'_>) -> Markup {
    let model = &subject.run.record.model.name;
    let sections: [(&str, &str, Markup); 9] = [
        ("asked", "What was asked", asked::section(subject)),
        ("binds", "What binds", answer::binds(subject)),
        ("picked", "What was picked", answer::picked(subject)),
        ("what-if", "What if", what_if::section(subject)),
        ("fronts", "Speed, throughput and cost", fronts::section(subject)),
        (
            "candidates",
            "Everything that was compared",
            candidates::section(subject),
        ),
        ("curves", "Curves for the planner", curves::section(subject)),
        ("deployment", "Deployment", deployment::section(subject)),
        ("about", "About this run", deployment::about(subject)),
    ];
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (model) " on " (subject.run.record.hardware.system) }
                style { (PreEscaped(include_str!("page/page.css"))) }
            }
            body {
                header {
                    h1 { (model) " on " (subject.run.record.hardware.total_gpus) " × " (subject.run.record.hardware.system) }
                    (answer::sentence(subject))
                }
                nav aria-label="Sections" {
                    @for (anchor, title, _) in &sections { a href={ "#" (anchor) } { (title) } }
                }
                main {
                    @for (anchor, title, content) in &sections {
                        section id=(anchor) aria-labelledby={ (anchor) "-title" } {
                            h2 id={ (anchor) "-title" } { (title) }
                            (content)
                        }
                    }
                }
                script { (PreEscaped(include_str!("page/page.js"))) }
            }
        }
    }
}

/// A term and what it is, where it is known.
fn facts(list: &[(&str, String)]) -> Markup {
    html! {
        dl {
            @for (term, value) in list {
                @if !value.is_empty() {
                    div { dt { (term) } dd { (value) } }
                }
            }
        }
    }
}

/// A cell that sorts by its number.
fn number(value: f64) -> Markup {
    html! { td.number data-value=(value) { (short(value)) } }
}

/// A number of a configuration; none where it has no such number.
type Reading<'a> = Box<dyn Fn(&Configuration) -> Option<f64> + 'a>;

/// A number in words, a dash where there is none.
fn or_dash(value: Option<f64>, words: fn(f64) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), words)
}

/// A cell with a latency in milliseconds.
fn latency(value: Milliseconds) -> Markup {
    html! { td.number data-value=(value.get()) { (ms(value.get())) } }
}

/// Milliseconds as precise as a target is compared with: 29.98 is not 30.
fn ms(value: f64) -> String {
    if value < 100.0 {
        format!("{value:.2}")
    } else {
        short(value)
    }
}

/// A cell that sorts by its whole number.
fn whole(value: u32) -> Markup {
    html! { td.number data-value=(value) { (count(u64::from(value))) } }
}

/// A signed share in percent: `+12 %`, `−0.3 %`, `same` where it rounds to nothing.
fn percent(share: f64) -> String {
    let size = (share * 100.0).abs();
    let words = if size < 0.05 {
        return "same".to_owned();
    } else if size < 9.95 {
        format!("{size:.1}")
    } else {
        format!("{size:.0}")
    };
    let sign = if share < 0.0 { '−' } else { '+' };
    // A number and its sign stay on one line.
    format!("{sign}{words}\u{a0}%")
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn shares_are_signed_and_as_precise_as_they_are_small() {
        let words = [0.25, -0.25, 0.0, 0.0004, -0.031, 0.0999].map(percent);
        assert_eq!(
            words,
            [
                "+25\u{a0}%",
                "−25\u{a0}%",
                "same",
                "same",
                "−3.1\u{a0}%",
                "+10\u{a0}%"
            ]
        );
    }
}
