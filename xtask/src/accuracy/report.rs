//! The tables of errors. Reserved runs appear as one line of sums and nowhere else.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::silicon::Run;
use super::statistics::Errors;
use crate::oracle::question::Reply;

/// A run with both predictions; upstream's is missing where it was not asked.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) run: Run,
    pub(crate) ours: Reply,
    pub(crate) upstream: Option<Reply>,
}

/// Errors of one model in a group of runs.
#[derive(Debug, Default)]
struct Side {
    answered: usize,
    ttft: Errors,
    tpot: Errors,
}

impl Side {
    fn add(&mut self, run: &Run, reply: &Reply) {
        if let Ok(answer) = reply {
            self.answered += 1;
            self.ttft.add(answer.ttft_ms, run.ttft_ms);
            self.tpot.add(answer.tpot_ms, run.tpot_ms);
        }
    }
}

#[derive(Debug, Default)]
struct Group {
    runs: usize,
    ours: Side,
    upstream: Option<Side>,
}

impl Group {
    fn add(&mut self, judged: &Judged) {
        self.runs += 1;
        self.ours.add(&judged.run, &judged.ours);
        if let Some(reply) = &judged.upstream {
            self.upstream.get_or_insert_default().add(&judged.run, reply);
        }
    }

    fn of<'a>(all: impl Iterator<Item = &'a Judged>) -> Self {
        let mut group = Self::default();
        all.for_each(|judged| group.add(judged));
        group
    }
}

/// What a table groups runs by, and its title.
type Key = (&'static str, fn(&Run) -> String);

/// The whole report.
pub(crate) fn report(open: &[Judged], reserved: &[Judged]) -> String {
    let mut text = String::new();
    let keys: [Key; 5] = [
        ("system", |run| run.system.clone()),
        ("engine", |run| run.backend.clone()),
        ("model", |run| run.known_model().to_owned()),
        ("serving", |run| run.serving.name().to_owned()),
        ("concurrency", |run| bucket(run.concurrency).to_owned()),
    ];
    for (title, key) in keys {
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        for judged in open {
            groups.entry(key(&judged.run)).or_default().add(judged);
        }
        header(&mut text, title);
        for (name, group) in &groups {
            lines(&mut text, name, group);
        }
        text.push('\n');
    }
    header(&mut text, "sums");
    lines(&mut text, "all that are open", &Group::of(open.iter()));
    let both = |judged: &&Judged| judged.ours.is_ok() && judged.upstream.as_ref().is_some_and(Reply::is_ok);
    if open.iter().any(|judged| judged.upstream.is_some()) {
        let common = Group::of(open.iter().filter(both));
        lines(&mut text, "open and answered by both", &common);
    }
    lines(&mut text, "all that are reserved", &Group::of(reserved.iter()));
    text
}

/// Why open runs have no prediction of ours, and how often.
pub(crate) fn refusals(open: &[Judged]) -> String {
    let mut reasons: BTreeMap<(&str, String), u32> = BTreeMap::new();
    for judged in open {
        let upstream = judged.upstream.as_ref().and_then(|reply| reply.as_ref().err());
        for (side, reason) in [("ours", judged.ours.as_ref().err()), ("upstream", upstream)] {
            if let Some(reason) = reason {
                *reasons
                    .entry((side, reason.chars().take(160).collect()))
                    .or_default() += 1;
            }
        }
    }
    let mut sorted: Vec<_> = reasons.into_iter().collect();
    sorted.sort_by(|a, b| a.0.0.cmp(b.0.0).then(b.1.cmp(&a.1)));
    let mut text = "refusals of open runs\n".to_owned();
    for ((side, reason), count) in sorted {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{count:>5} {side}: {reason}");
    }
    text
}

/// Orders of magnitude of requests in flight, named so that they sort.
const fn bucket(concurrency: u32) -> &'static str {
    match concurrency {
        0..=4 => "   1 to 4",
        5..=16 => "   5 to 16",
        17..=64 => "  17 to 64",
        65..=256 => "  65 to 256",
        257..=1024 => " 257 to 1024",
        _ => "1025 and more",
    }
}

fn header(text: &mut String, title: &str) {
    let _ = writeln!(
        text,
        "{title:<34} {:<8} {:>5} {:>8} {:>26} {:>26}",
        "model", "runs", "answered", "TTFT mean, median, bias", "TPOT mean, median, bias"
    );
}

fn lines(text: &mut String, name: &str, group: &Group) {
    line(text, (name, "ours"), group.runs, &group.ours);
    if let Some(upstream) = &group.upstream {
        line(text, ("", "upstream"), group.runs, upstream);
    }
}

fn line(text: &mut String, (name, side): (&str, &str), runs: usize, errors: &Side) {
    let _ = writeln!(
        text,
        "{name:<34} {side:<8} {runs:>5} {:>8} {:>26} {:>26}",
        errors.answered,
        latency(&errors.ttft),
        latency(&errors.tpot),
    );
}

fn latency(errors: &Errors) -> String {
    let percent =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{:.1}%", value * 100.0));
    let bias = errors
        .bias()
        .map_or_else(|| "-".to_owned(), |value| format!("{:+.1}%", value * 100.0));
    format!(
        "{:>8} {:>8} {bias:>8}",
        percent(errors.mean()),
        percent(errors.median())
    )
}

#[cfg(test)]
mod tests {
    use super::super::silicon::Runs;
    use super::super::silicon::tests::SAMPLE;
    use super::*;
    use crate::oracle::question::{Answer, Fit};

    fn judged(runs: Vec<Run>) -> Vec<Judged> {
        let reply = |run: &Run, factor: f64| {
            Ok(Answer {
                ttft_ms: Some(run.ttft_ms * factor),
                tpot_ms: Some(run.tpot_ms * factor),
                memory_gib: None,
                fit: Fit::Fits,
                formats: String::new(),
                operators: BTreeMap::new(),
            })
        };
        runs.into_iter()
            .map(|run| Judged {
                ours: reply(&run, 1.1),
                upstream: Some(reply(&run, 0.5)),
                run,
            })
            .collect()
    }

    #[test]
    fn reserved_groups_appear_as_sums_only() {
        let runs = Runs::parse(SAMPLE, 1).unwrap();
        let secrets: Vec<String> = runs.reserved.iter().map(|run| run.system.clone()).collect();
        let (open, reserved) = (judged(runs.open), judged(runs.reserved));
        let text = report(&open, &reserved) + &refusals(&open);
        assert_eq!(secrets, ["h100_sxm"]);
        assert!(!text.contains("h100_sxm"), "{text}");
        assert!(text.contains("h200_sxm"), "{text}");
        let sums: Vec<&str> = text.lines().filter(|line| line.contains("reserved")).collect();
        assert_eq!(sums.len(), 1, "{text}");
        assert!(sums[0].contains("10.0%    10.0%   +10.0%"), "{text}");
        // Without the reserved runs every other line stays as it is.
        let without = report(&open, &[]) + &refusals(&open);
        let differing = text
            .lines()
            .zip(without.lines())
            .filter(|(with, without)| with != without)
            .count();
        assert_eq!(differing, 2, "{text}");
    }

    #[test]
    fn every_number_of_requests_has_a_bucket() {
        let names: Vec<&str> = [1, 4, 5, 16, 17, 64, 65, 256, 257, 1024, 1025, u32::MAX]
            .map(bucket)
            .into();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(names, sorted);
        assert_eq!(names.len(), 12);
    }

    #[test]
    fn refusals_are_counted_by_side() {
        let mut open = judged(Runs::parse(SAMPLE, 1).unwrap().open);
        open[0].ours = Err("no such table".to_owned());
        assert!(refusals(&open).contains("    1 ours: no such table"));
    }
}
