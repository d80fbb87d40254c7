//! All choices: single aggregated workers, and matched groups of prefill and decode workers.

use dgdr_perf_model::{Backend, ParallelMapping};

use super::choice::Choice;
use super::judge::Judge;
use super::rows::{Rows, WorkerRow};
use crate::Picking;
use crate::outcome::{Layout, WorkerGroup};

/// Most workers of one role in one copy, as upstream.
const MAX_WORKERS: u32 = 32;

/// GPUs that one copy may have, as upstream: 1, 2, 4, 8, then multiples of 8 up to 128.
fn copy_sizes(total: u32) -> impl Iterator<Item = u32> {
    [1, 2, 4]
        .into_iter()
        .chain((8..=128).step_by(8))
        .take_while(move |size| *size <= total)
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

/// Visits the best split of every copy size for every pair of workers, with the decode mapping.
pub(super) fn for_each_disaggregated(
    judge: &Judge<'_>,
    rows: &Rows,
    mut visit: impl FnMut(ParallelMapping, Choice),
) {
    for decode in &rows.decode {
        for prefill in &rows.prefill {
            if can_pair(judge.problem.backend, prefill.mapping, decode.mapping) {
                for_each_split(judge, prefill, decode, |choice| visit(decode.mapping, choice));
            }
        }
    }
}

/// GPUs of the smallest copy, if any two workers can be paired.
pub(super) fn smallest_copy(backend: Backend, rows: &Rows) -> Option<u32> {
    rows.decode
        .iter()
        .flat_map(|decode| rows.prefill.iter().map(move |prefill| (prefill, decode)))
        .filter(|(prefill, decode)| can_pair(backend, prefill.mapping, decode.mapping))
        .map(|(prefill, decode)| prefill.gpus + decode.gpus)
        .min()
}

/// SGLang moves KV cache only between workers of equal tensor parallelism.
fn can_pair(backend: Backend, prefill: ParallelMapping, decode: ParallelMapping) -> bool {
    backend != Backend::Sglang || prefill.widths().tp == decode.widths().tp
}

fn for_each_split(judge: &Judge<'_>, prefill: &WorkerRow, decode: &WorkerRow, mut visit: impl FnMut(Choice)) {
    if judge.problem.picking == Picking::Autoscale {
        if prefill.gpus + decode.gpus <= judge.total() {
            visit(matched(judge, prefill, decode, (1, 1)));
        }
        return;
    }
    for size in copy_sizes(judge.total()) {
        if let Some(split) = best_split(judge, prefill, decode, size) {
            visit(matched(judge, prefill, decode, split));
        }
    }
}

/// Prefill and decode workers that fill `size` GPUs and complete the most requests; the fewest decode workers of
/// equals.
fn best_split(judge: &Judge<'_>, prefill: &WorkerRow, decode: &WorkerRow, size: u32) -> Option<(u32, u32)> {
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
