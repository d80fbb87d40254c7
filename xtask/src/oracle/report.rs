//! The tables that a comparison prints.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::compare::{Outcome, Row, Tally};
use super::question::{Answer, Reply};

/// Operators of one row that are printed.
const MOST_OPERATORS: usize = 5;
/// Operators that differ less are not.
const LEAST_OPERATOR_DIFFERENCE: f64 = 0.001;
/// Operators of an aggregated worker's decode step begin with this.
const DECODE: &str = "decode ";
/// Longest reason that is printed.
const MOST_REASON: usize = 220;

/// Groups rows by what `key` says of them.
fn tallies(rows: &[Row], key: impl Fn(&Row) -> String) -> BTreeMap<String, Tally> {
    let mut groups: BTreeMap<String, Tally> = BTreeMap::new();
    for row in rows {
        groups.entry(key(row)).or_default().add(row.outcome());
    }
    groups
}

/// The tables by model, system, engine and mode, and the sums.
pub(crate) fn tables(rows: &[Row]) -> String {
    let mut text = String::new();
    table(
        &mut text,
        "model",
        &tallies(rows, |row| row.question.model.clone()),
    );
    table(
        &mut text,
        "system",
        &tallies(rows, |row| row.question.platform.system.to_owned()),
    );
    table(
        &mut text,
        "engine",
        &tallies(rows, |row| row.question.platform.backend.to_string()),
    );
    table(
        &mut text,
        "mode",
        &tallies(rows, |row| row.question.mode.name().to_owned()),
    );
    table(
        &mut text,
        "experts on",
        &tallies(rows, |row| row.question.kind().to_owned()),
    );
    table(&mut text, "", &tallies(rows, |_| "all".to_owned()));
    text
}

fn table(text: &mut String, title: &str, groups: &BTreeMap<String, Tally>) {
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{title:<50} {:>5} {:>8} {:>5} {:>9} {:>8} {:>8} {:>8} {:>10}",
        "asked", "upstream", "both", "only ours", "<= 0.1 %", "<= 1 %", "verdicts", "worst"
    );
    for (name, tally) in groups {
        let _ = writeln!(
            text,
            "{name:<50} {:>5} {:>8} {:>5} {:>9} {:>8} {:>8} {:>8} {:>9.3}%",
            tally.asked,
            tally.upstream,
            tally.both,
            tally.only_ours,
            percent(tally.close_share()),
            percent(tally.near_share()),
            tally.verdicts,
            tally.worst * 100.0,
        );
    }
    text.push('\n');
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", share * 100.0))
}

/// The rows that differ most, with both answers.
pub(crate) fn worst_rows(rows: &[Row], count: usize) -> String {
    let mut differing: Vec<(f64, &Row)> = rows
        .iter()
        .filter_map(|row| match row.outcome() {
            Outcome::Both(difference) => Some((difference.worst(), row)),
            Outcome::OnlyUpstream { .. } | Outcome::OnlyOurs { .. } | Outcome::Neither => None,
        })
        .collect();
    differing.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut text = format!("the {count} rows that differ most, upstream above us\n");
    for (worst, row) in differing.into_iter().take(count) {
        let _ = writeln!(text, "{:>9.3}% {}", worst * 100.0, describe(row));
        let _ = writeln!(text, "           {}", numbers(&row.upstream));
        let _ = writeln!(text, "           {}", numbers(&row.ours));
        if let (Ok(upstream), Ok(ours)) = (&row.upstream, &row.ours) {
            let _ = writeln!(
                text,
                "           {}",
                operators(&upstream.operators, &ours.operators)
            );
        }
    }
    text
}

/// Why one side has no answer where the other has: each reason with its rows' number and an example.
pub(crate) fn reasons(rows: &[Row]) -> String {
    let mut groups: BTreeMap<(&str, String), (u32, String)> = BTreeMap::new();
    for row in rows {
        let (side, reason) = match row.outcome() {
            Outcome::OnlyUpstream { our_reason } => ("we refuse", our_reason),
            Outcome::OnlyOurs { upstream_reason } => ("upstream refuses", upstream_reason),
            Outcome::Both(_) | Outcome::Neither => continue,
        };
        let group = groups.entry((side, without_numbers(reason))).or_insert_with(|| {
            let reason: String = reason.chars().take(MOST_REASON).collect();
            (0, format!("{reason} [{}]", describe(row)))
        });
        group.0 += 1;
    }
    let mut sorted: Vec<_> = groups.into_iter().collect();
    sorted.sort_by(|a, b| a.0.0.cmp(b.0.0).then(b.1.0.cmp(&a.1.0)));
    let mut text = "rows that only one side answers: how many, and why the other refuses\n".to_owned();
    for ((side, _), (count, example)) in sorted {
        let _ = writeln!(text, "{count:>5} {side}: {example}");
    }
    text
}

/// Reasons that differ in numbers only are one.
fn without_numbers(reason: &str) -> String {
    let mut text = String::new();
    for c in reason.chars() {
        if c.is_ascii_digit() {
            if !text.ends_with('#') {
                text.push('#');
            }
        } else {
            text.push(c);
        }
    }
    text
}

fn describe(row: &Row) -> String {
    let question = &row.question;
    format!(
        "{} {} {} {} {} {}",
        question.model,
        question.platform.system,
        question.platform.backend,
        question.mode.name(),
        question.widths(),
        question.load()
    )
}

/// The operators that differ most, upstream before ours; what one side does not have is 0.
fn operators(upstream: &BTreeMap<String, f64>, ours: &BTreeMap<String, f64>) -> String {
    let names: BTreeSet<&String> = upstream.keys().chain(ours.keys()).collect();
    let of = |side: &BTreeMap<String, f64>, name: &String| side.get(name).copied().unwrap_or(0.0);
    // Upstream does not price decode steps that a batch does not need.
    let decodes = upstream.keys().any(|name| name.starts_with(DECODE));
    let mut differing: Vec<(f64, String)> = names
        .into_iter()
        .filter(|name| !name.starts_with(DECODE) || decodes)
        .filter_map(|name| {
            let (theirs, ours) = (of(upstream, name), of(ours, name));
            let difference = (theirs - ours).abs();
            (difference > theirs.abs().max(ours.abs()) * LEAST_OPERATOR_DIFFERENCE)
                .then(|| (difference, format!("{name} {theirs:.4} | {ours:.4}")))
        })
        .collect();
    differing.sort_by(|a, b| b.0.total_cmp(&a.0));
    let texts: Vec<String> = differing
        .into_iter()
        .take(MOST_OPERATORS)
        .map(|(_, text)| text)
        .collect();
    texts.join(", ")
}

fn numbers(reply: &Reply) -> String {
    match reply {
        Ok(Answer {
            ttft_ms,
            tpot_ms,
            memory_gib,
            fit,
            formats,
            operators: _,
        }) => {
            let shown =
                |value: &Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
            format!(
                "ttft {:>12} ms, tpot {:>10} ms, {:>9} GiB, {}, {formats}",
                shown(ttft_ms),
                shown(tpot_ms),
                shown(memory_gib),
                fit.name()
            )
        }
        Err(reason) => reason.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_that_differ_most_come_first() {
        let side = |moe: f64, gemm: f64| {
            BTreeMap::from([
                ("moe".to_owned(), moe),
                ("gemm".to_owned(), gemm),
                ("p2p".to_owned(), 0.0),
            ])
        };
        let mut ours = side(2.0, 10.005);
        assert_eq!(operators(&side(1.0, 10.0), &ours), "moe 1.0000 | 2.0000");
        ours.insert("mine".to_owned(), 5.0);
        assert_eq!(
            operators(&side(1.0, 10.0), &ours),
            "mine 0.0000 | 5.0000, moe 1.0000 | 2.0000"
        );
    }

    #[test]
    fn reasons_that_differ_in_numbers_only_are_one() {
        assert_eq!(
            without_numbers("TP16 of 40 heads"),
            without_numbers("TP8 of 4 heads")
        );
        assert_ne!(without_numbers("TP16 of 40 heads"), without_numbers("TP16 of 40"));
    }
}
