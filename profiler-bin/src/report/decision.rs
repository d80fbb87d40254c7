//! What was picked, why, and how far from the SLA.

use std::fmt;

use dgdr_perf_model::{Provenance, SourceKind};
use dgdr_sweep_planner::{
    Configuration, Excluded, Goal, Layout, Outcome, Picking, RankedEntry, Rejected, Sla, WorkerGroup,
};

use super::table::{Align, Table};
use crate::pipeline::comparison::Comparison;
use crate::pipeline::question::Question;
use crate::pipeline::runner_up::runner_up;
use crate::pipeline::study::Study;

/// The result of a run in words.
#[derive(Debug)]
pub struct Summary<'a> {
    question: &'a Question,
    comparison: &'a Comparison,
    top: usize,
}

/// A summary that lists the best `top` configurations of each way of serving.
pub const fn summary<'a>(question: &'a Question, comparison: &'a Comparison, top: usize) -> Summary<'a> {
    Summary {
        question,
        comparison,
        top,
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let winner = self.comparison.winner();
        self.heading(f, winner)?;
        self.verdict(f, winner)?;
        writeln!(f, "\n{}", self.ranking(winner))?;
        if self.comparison.studies.len() > 1 {
            writeln!(f, "\n{}", self.backends())?;
        }
        for (backend, why) in &self.comparison.skipped {
            writeln!(f, "\n{backend} was not compared: {why}")?;
        }
        let rejected = &winner.candidates.rejected;
        if !rejected.is_empty() {
            writeln!(f, "\nNot tried:")?;
            for (reason, mappings) in by_reason(rejected) {
                writeln!(f, "  {}: {reason}", some_of(&mappings))?;
            }
        }
        let failed: Vec<String> = winner
            .decision
            .ranking
            .rejected
            .iter()
            .filter_map(failed)
            .collect();
        if !failed.is_empty() {
            writeln!(f, "\nTried without success:")?;
            for line in failed {
                writeln!(f, "  {line}")?;
            }
        }
        Ok(())
    }
}

/// A worker that was tried; none for a mapping that was not.
fn failed(excluded: &Excluded) -> Option<String> {
    let role = excluded.role?;
    Some(format!("{} for {role}: {}", excluded.mapping, excluded.reason))
}

impl Summary<'_> {
    fn heading(&self, f: &mut fmt::Formatter<'_>, winner: &Study) -> fmt::Result {
        let hardware = &self.question.hardware;
        let workload = self.question.workload;
        writeln!(
            f,
            "{} on {} × {} ({} per node), {} {}, ISL {}, OSL {}",
            self.question.model.name,
            hardware.total_gpus.get(),
            hardware.system.name,
            hardware.gpus_per_node,
            winner.backend,
            winner.version,
            workload.isl(),
            workload.osl()
        )?;
        match self.question.goal {
            Goal::Sla(Sla::TokenLatency { ttft, itl }) => write!(f, "SLA: TTFT ≤ {ttft}, ITL ≤ {itl}")?,
            Goal::Sla(Sla::RequestLatency(latency)) => write!(f, "SLA: request latency ≤ {latency}")?,
            Goal::Throughput => write!(f, "goal: throughput")?,
            Goal::Latency => write!(f, "goal: latency")?,
        }
        match self.question.picking {
            Picking::BestThroughput => writeln!(f, ", picked for the most tokens from all GPUs"),
            Picking::LoadMatch(_) => writeln!(f, ", picked for the fewest GPUs that carry the load"),
            Picking::Autoscale => writeln!(f, ", one worker of each role, scaled by the planner"),
        }
    }

    fn verdict(&self, f: &mut fmt::Formatter<'_>, winner: &Study) -> fmt::Result {
        let pick = match &winner.decision.outcome {
            Outcome::Met(pick) => {
                writeln!(f, "\nPicked: {}", label(pick))?;
                pick
            }
            Outcome::Closest(closest) => {
                writeln!(f, "\nThe SLA is NOT met. Closest: {}", label(&closest.pick))?;
                writeln!(f, "  binding: {}", closest.binding)?;
                for gap in &closest.also_missed {
                    writeln!(f, "  also: {gap}")?;
                }
                for remedy in &closest.remedies {
                    writeln!(f, "  to meet it: {remedy}")?;
                }
                &closest.pick
            }
            Outcome::Infeasible { reasons } => {
                writeln!(f, "\nNothing can be deployed:")?;
                for reason in reasons {
                    writeln!(f, "  {reason}")?;
                }
                return Ok(());
            }
        };
        let reached = &pick.performance;
        writeln!(
            f,
            "  TTFT {:.1}, ITL {:.2}, {:.1} tokens/s/GPU, {} in flight per copy, {} of {} GPUs",
            reached.ttft,
            reached.itl,
            reached.tokens_per_s_per_gpu.get(),
            reached.concurrency,
            pick.total_gpus().get(),
            self.question.hardware.total_gpus.get()
        )?;
        self.margins(f, pick)?;
        if let Some(second) = runner_up(self.comparison) {
            writeln!(
                f,
                "  runner-up: {} {}: {}",
                second.backend,
                label(&second.configuration),
                second.lost
            )?;
        }
        writeln!(
            f,
            "  sources: TTFT {}; ITL {}",
            sources(&reached.ttft_sources),
            sources(&reached.itl_sources)
        )
    }

    fn margins(&self, f: &mut fmt::Formatter<'_>, pick: &Configuration) -> fmt::Result {
        let reached = &pick.performance;
        let margin = |target: f64, value: f64| {
            let share = (1.0 - value / target) * 100.0;
            if share >= 0.0 {
                format!("{share:.0} % below the target")
            } else {
                format!("{:.0} % OVER the target", -share)
            }
        };
        match self.question.goal {
            Goal::Sla(Sla::TokenLatency { ttft, itl }) => writeln!(
                f,
                "  TTFT {}, ITL {}",
                margin(ttft.get(), reached.ttft.get()),
                margin(itl.get(), reached.itl.get())
            ),
            Goal::Sla(Sla::RequestLatency(latency)) => {
                writeln!(
                    f,
                    "  request latency {}",
                    margin(latency.get(), reached.request_latency.get())
                )
            }
            Goal::Throughput | Goal::Latency => Ok(()),
        }
    }

    fn ranking(&self, winner: &Study) -> Table {
        let mut table = Table::new(&[
            ("", Align::Left),
            ("mode", Align::Left),
            ("configuration", Align::Left),
            ("copies", Align::Right),
            ("GPUs", Align::Right),
            ("TTFT ms", Align::Right),
            ("ITL ms", Align::Right),
            ("tokens/s/GPU", Align::Right),
            ("of all GPUs", Align::Right),
            ("why not", Align::Left),
        ]);
        let ranking = &winner.decision.ranking;
        for (mode, entries) in [("agg", &ranking.aggregated), ("disagg", &ranking.disaggregated)] {
            for entry in entries.iter().take(self.top) {
                table.row(cells(mode, entry));
            }
        }
        table
    }

    fn backends(&self) -> Table {
        let mut table = Table::new(&[
            ("", Align::Left),
            ("backend", Align::Left),
            ("version", Align::Left),
            ("best configuration", Align::Left),
            ("TTFT ms", Align::Right),
            ("ITL ms", Align::Right),
            ("tokens/s/GPU of all", Align::Right),
            ("SLA", Align::Left),
        ]);
        for (index, study) in self.comparison.studies.iter().enumerate() {
            let mark = if index == self.comparison.chosen { "*" } else { "" };
            let verdict = match &study.decision.outcome {
                Outcome::Met(_) => "met",
                Outcome::Closest(_) => "missed",
                Outcome::Infeasible { .. } => "infeasible",
            };
            let mut row = vec![
                mark.to_owned(),
                study.backend.name().to_owned(),
                study.version.clone(),
            ];
            match study.decision.outcome.configuration() {
                Some(pick) => row.extend([
                    label(pick),
                    format!("{:.1}", pick.performance.ttft.get()),
                    format!("{:.2}", pick.performance.itl.get()),
                    format!("{:.1}", pick.performance.tokens_per_s_per_gpu_cluster.get()),
                ]),
                None => row.extend(["-", "-", "-", "-"].map(str::to_owned)),
            }
            row.push(verdict.to_owned());
            table.row(row);
        }
        table
    }
}

fn cells(mode: &str, entry: &RankedEntry) -> Vec<String> {
    let configuration = &entry.configuration;
    let reached = &configuration.performance;
    vec![
        if entry.lost.is_none() {
            "*".to_owned()
        } else {
            String::new()
        },
        mode.to_owned(),
        layout(&configuration.layout),
        configuration.replicas.to_string(),
        configuration.total_gpus().get().to_string(),
        format!("{:.1}", reached.ttft.get()),
        format!("{:.2}", reached.itl.get()),
        format!("{:.1}", reached.tokens_per_s_per_gpu.get()),
        format!("{:.1}", reached.tokens_per_s_per_gpu_cluster.get()),
        entry
            .lost
            .as_ref()
            .map_or_else(|| "picked".to_owned(), ToString::to_string),
    ]
}

/// The first of many names, and how many more there are.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 6;
    match names.get(..SHOWN) {
        Some(first) if names.len() > SHOWN + 1 => {
            format!("{} and {} more", first.join(", "), names.len() - SHOWN)
        }
        _ => names.join(", "),
    }
}

/// Mappings that share a reason, in the order in which reasons come up.
fn by_reason(rejected: &[Rejected]) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for rejection in rejected {
        let (reason, mapping) = (rejection.reason.to_string(), rejection.mapping.to_string());
        match groups.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, mappings)) => mappings.push(mapping),
            None => groups.push((reason, vec![mapping])),
        }
    }
    groups
}

/// A configuration in one phrase.
pub fn label(configuration: &Configuration) -> String {
    let mode = if configuration.layout.is_disaggregated() {
        "disaggregated"
    } else {
        "aggregated"
    };
    let copies = if configuration.replicas == 1 {
        String::new()
    } else {
        format!("{} × ", configuration.replicas)
    };
    format!("{mode}, {copies}({})", layout(&configuration.layout))
}

fn layout(layout: &Layout) -> String {
    match layout {
        Layout::Aggregated {
            mapping,
            batch_size,
            context_tokens,
        } => {
            format!("{mapping}, batch {batch_size}, {context_tokens} context tokens")
        }
        Layout::Disaggregated { prefill, decode } => {
            format!("prefill {} + decode {}", group(prefill), group(decode))
        }
    }
}

fn group(group: &WorkerGroup) -> String {
    group.to_string()
}

/// Where a number came from, largest share first, and how far it was taken.
pub fn sources(provenance: &Provenance) -> String {
    let mut shares: Vec<(f64, SourceKind)> = SourceKind::ALL
        .into_iter()
        .map(|source| (provenance.share(source), source))
        .collect();
    shares.sort_by(|a, b| b.0.total_cmp(&a.0));
    let parts: Vec<String> = shares
        .iter()
        .filter(|(share, _)| *share >= 0.005)
        .map(|(share, source)| format!("{:.0} % {}", share * 100.0, source.name()))
        .collect();
    if parts.is_empty() {
        return "none".to_owned();
    }
    match provenance.farthest() {
        Some(beyond) => format!("{} (at most {beyond})", parts.join(", ")),
        None => parts.join(", "),
    }
}
