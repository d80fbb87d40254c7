//! All choices: single aggregated workers, and matched groups of prefill and decode workers.

use dgdr_perf_model::{Backend, ParallelMapping};

use super::choice::Choice;
use super::judge::{Judge, even};
use super::rows::{Rows, WorkerRow};
use crate::outcome::{Layout, WorkerGroup};
use crate::{Picking, Problem};

/// Most workers of one role in one copy, as upstream.
const MAX_WORKERS: u32 = 32;

/// GPUs that one copy may have, as upstream: 1, 2, 4, 8, then multiples of 8 up to 128; any number up to 512 where
/// experts exchange tokens by kernels of their own, since their workers are large.
fn is_copy_size(problem: &Problem, gpus: u32) -> bool {
    if problem.extensions.exchanged_experts.is_empty() {
        matches!(gpus, 1 | 2 | 4) || (gpus.is_multiple_of(8) && gpus <= 128)
    } else {
        gpus <= 512
    }
}

/// Visits every aggregated worker, with its mapping.
pub(super) fn for_each_aggregated(
    judge: &Judge<'_>,
    rows: &Rows,
    mut visit: impl FnMut(ParallelMapping, Choice),
) {
    for row in rows.aggregated.iter().filter(|row| row.gpus <= judge.total()) {
        let choice = Choice {
            layout: Layout::Aggregated {
                batch_size: row.batch,
                context_tokens: row.context_tokens,
                mapping: row.mapping,
            },
            gpus: row.gpus,
            ttft: row.ttft,
            itl: row.itl,
            rate: row.rate,
            tokens_per_s: row.tokens_per_s,
            balanced: row.tokens_per_s / f64::from(row.gpus),
            concurrency: row.concurrency,
            ttft_sources: row.ttft_sources,
            itl_sources: row.itl_sources,
        };
        visit(row.mapping, choice);
    }
}

/// Visits the splits of every pair of workers that may be the best, with the decode mapping.
pub(super) fn for_each_disaggregated(
    judge: &Judge<'_>,
    rows: &Rows,
    mut visit: impl FnMut(ParallelMapping, Choice),
) {
    let prefills = undominated(judge.problem, &rows.prefill);
    for decode in &rows.decode {
        for prefill in &prefills {
            if can_pair(judge.problem, prefill.mapping, decode.mapping) {
                for_each_split(judge, prefill, decode, |choice| visit(decode.mapping, choice));
            }
        }
    }
}

/// Prefill workers that no other one of as many GPUs, and with the same partners, beats in both latency and rate: any
/// choice with another one would be better with it.
fn undominated<'a>(problem: &Problem, rows: &'a [WorkerRow]) -> Vec<&'a WorkerRow> {
    let mut best: Vec<&WorkerRow> = Vec::new();
    for row in rows {
        let alike = |held: &WorkerRow| {
            held.gpus == row.gpus && partners(problem, held.mapping) == partners(problem, row.mapping)
        };
        let beats =
            |left: &WorkerRow, right: &WorkerRow| left.latency <= right.latency && left.rate >= right.rate;
        if best.iter().any(|held| alike(held) && beats(held, row)) {
            continue;
        }
        best.retain(|held| !(alike(held) && beats(row, held)));
        best.push(row);
    }
    best
}

/// GPUs of the smallest copy, if any two workers can be paired.
pub(super) fn smallest_copy(problem: &Problem, rows: &Rows) -> Option<u32> {
    rows.decode
        .iter()
        .flat_map(|decode| rows.prefill.iter().map(move |prefill| (prefill, decode)))
        .filter(|(prefill, decode)| can_pair(problem, prefill.mapping, decode.mapping))
        .map(|(prefill, decode)| prefill.gpus + decode.gpus)
        .min()
}

/// Workers that a worker can hand keys and values to, or take them from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Partners {
    /// All.
    Any,
    /// Those of this tensor parallelism.
    OfWidth(u32),
}

/// SGLang moves KV cache only between workers of equal tensor parallelism, unless one of them exchanges tokens between
/// its experts by kernels of their own.
fn partners(problem: &Problem, mapping: ParallelMapping) -> Partners {
    if problem.backend == Backend::Sglang && !problem.exchanges_tokens(mapping) {
        Partners::OfWidth(mapping.widths().tp)
    } else {
        Partners::Any
    }
}

fn can_pair(problem: &Problem, prefill: ParallelMapping, decode: ParallelMapping) -> bool {
    match (partners(problem, prefill), partners(problem, decode)) {
        (Partners::OfWidth(prefill), Partners::OfWidth(decode)) => prefill == decode,
        (Partners::Any, _) | (_, Partners::Any) => true,
    }
}

fn for_each_split(judge: &Judge<'_>, prefill: &WorkerRow, decode: &WorkerRow, mut visit: impl FnMut(Choice)) {
    match judge.problem.picking {
        Picking::Autoscale => {
            if prefill.gpus + decode.gpus <= judge.total() {
                visit(matched(judge, prefill, decode, (1, 1)));
            }
        }
        // All splits of a pair have its latencies, so that only the one with the most tokens can be the best.
        Picking::BestThroughput => {
            if let Some(split) = best_split(judge, prefill, decode) {
                visit(matched(judge, prefill, decode, split));
            }
        }
        Picking::LoadMatch(_) => {
            for size in (2..=judge.total()).filter(|size| is_copy_size(judge.problem, *size)) {
                if let Some(split) = best_split_of(judge, prefill, decode, size) {
                    visit(matched(judge, prefill, decode, split));
                }
            }
        }
    }
}

/// Prefill and decode workers whose copies generate the most tokens on all GPUs; of equals the smallest copy, then the
/// fewest decode workers.
fn best_split(judge: &Judge<'_>, prefill: &WorkerRow, decode: &WorkerRow) -> Option<(u32, u32)> {
    let total = judge.total();
    let osl = f64::from(judge.problem.workload.osl());
    let mut best: Option<((u32, u32), (f64, u32))> = None;
    for decoders in 1..=MAX_WORKERS.min(total / decode.gpus) {
        let left = total - decoders * decode.gpus;
        for prefills in 1..=MAX_WORKERS.min(left / prefill.gpus) {
            let size = prefills * prefill.gpus + decoders * decode.gpus;
            if !is_copy_size(judge.problem, size) {
                continue;
            }
            let rate = matched_rate(judge, prefill, decode, (prefills, decoders));
            let tokens = even(f64::from(total / size) * (rate * osl));
            let better = best.is_none_or(|(_, (most, smallest))| {
                tokens.total_cmp(&most).then(smallest.cmp(&size)).is_gt()
            });
            if better && rate > 0.0 {
                best = Some(((prefills, decoders), (tokens, size)));
            }
        }
    }
    best.map(|(split, _)| split)
}

/// Prefill and decode workers that fill `size` GPUs and complete the most requests; the fewest decode workers of
/// equals.
fn best_split_of(
    judge: &Judge<'_>,
    prefill: &WorkerRow,
    decode: &WorkerRow,
    size: u32,
) -> Option<(u32, u32)> {
    let mut best = None;
    let mut best_rate = 0.0;
    for decoders in 1..=MAX_WORKERS.min(size / decode.gpus) {
        let left = size - decoders * decode.gpus;
        let prefills = left / prefill.gpus;
        if !(1..=MAX_WORKERS).contains(&prefills) || !left.is_multiple_of(prefill.gpus) {
            continue;
        }
        let rate = matched_rate(judge, prefill, decode, (prefills, decoders));
        if rate > best_rate {
            best_rate = rate;
            best = Some((prefills, decoders));
        }
    }
    best
}

/// Requests per second of matched workers: the slower role decides.
fn matched_rate(
    judge: &Judge<'_>,
    prefill: &WorkerRow,
    decode: &WorkerRow,
    (prefills, decoders): (u32, u32),
) -> f64 {
    let corrections = &judge.problem.corrections;
    let prefill_rate = prefill.rate * f64::from(prefills) * corrections.prefill_efficiency;
    let decode_rate = decode.rate * f64::from(decoders) * corrections.decode_efficiency;
    prefill_rate.min(decode_rate)
}

fn matched(
    judge: &Judge<'_>,
    prefill: &WorkerRow,
    decode: &WorkerRow,
    (prefills, decoders): (u32, u32),
) -> Choice {
    let corrections = &judge.problem.corrections;
    let osl = f64::from(judge.problem.workload.osl());
    let rate = matched_rate(judge, prefill, decode, (prefills, decoders));
    // GPUs for one request per second, each role scaled by itself.
    let gpus_per_rate = f64::from(prefill.gpus) / (prefill.rate * corrections.prefill_efficiency)
        + f64::from(decode.gpus) / (decode.rate * corrections.decode_efficiency);
    Choice {
        layout: Layout::Disaggregated {
            prefill: WorkerGroup {
                workers: prefills,
                batch_size: prefill.batch,
                mapping: prefill.mapping,
            },
            decode: WorkerGroup {
                workers: decoders,
                batch_size: decode.batch,
                mapping: decode.mapping,
            },
        },
        gpus: prefill.gpus * prefills + decode.gpus * decoders,
        ttft: prefill.latency,
        itl: decode.latency,
        rate,
        tokens_per_s: rate * osl,
        balanced: osl / gpus_per_rate,
        concurrency: decode.concurrency.saturating_mul(decoders),
        ttft_sources: prefill.sources,
        itl_sources: decode.sources,
    }
}
