//! Measured workers with their corrected latency and rate.

use dgdr_perf_model::{ParallelMapping, Provenance};

use crate::measurements::{Measured, Measurements, Point, Query};
use crate::{DisaggregatedCorrections, Problem};

/// A worker of one role at one point.
#[derive(Debug, Clone, Copy)]
pub(super) struct WorkerRow {
    pub(super) mapping: ParallelMapping,
    pub(super) gpus: u32,
    pub(super) batch: u32,
    /// TTFT of prefill (queueing included), ITL of decode, milliseconds.
    pub(super) latency: f64,
    /// Requests per second.
    pub(super) rate: f64,
    /// Requests in flight.
    pub(super) concurrency: u32,
    pub(super) sources: Provenance,
}

/// An aggregated worker at one point.
#[derive(Debug, Clone, Copy)]
pub(super) struct AggregatedRow {
    pub(super) mapping: ParallelMapping,
    pub(super) gpus: u32,
    pub(super) batch: u32,
    pub(super) context_tokens: u32,
    pub(super) ttft: f64,
    pub(super) itl: f64,
    pub(super) rate: f64,
    pub(super) tokens_per_s: f64,
    pub(super) concurrency: u32,
    pub(super) ttft_sources: Provenance,
    pub(super) itl_sources: Provenance,
}

/// All usable answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    pub(super) aggregated: Vec<AggregatedRow>,
    pub(super) prefill: Vec<WorkerRow>,
    pub(super) decode: Vec<WorkerRow>,
}

impl Rows {
    /// Corrects every answer that has a number; a latency of zero is no number.
    pub(super) fn collect(problem: &Problem, measurements: &Measurements) -> Self {
        let corrections = &problem.corrections;
        let mut rows = Self::default();
        for (query, answer) in measurements.iter() {
            match (query.point, answer) {
                (
                    Point::Aggregated {
                        batch,
                        context_tokens,
                    },
                    Ok(measured @ Measured::Aggregated { .. }),
                ) if problem.serving.aggregated() => {
                    rows.aggregated.extend(aggregated(
                        query.mapping,
                        (batch, context_tokens),
                        measured,
                        corrections,
                    ));
                }
                (Point::Prefill { batch }, Ok(Measured::Prefill { ttft, kv_transfer }))
                    if problem.serving.disaggregated() && ttft.value.get() > 0.0 =>
                {
                    let latency = ttft.value.get() * corrections.prefill_latency;
                    rows.prefill.push(WorkerRow {
                        latency: corrections.round(latency) * corrections.ttft_queue + kv_transfer.get(),
                        rate: corrections.round(in_flight(query, batch, Pipelined::Yes) * 1000.0 / latency),
                        sources: ttft.provenance,
                        ..worker(query, batch)
                    });
                }
                (Point::Decode { batch }, Ok(Measured::Decode { itl }))
                    if problem.serving.disaggregated() && itl.value.get() > 0.0 =>
                {
                    let latency = itl.value.get() * corrections.decode_latency;
                    let request = latency * f64::from(problem.workload.osl() - 1);
                    rows.decode.push(WorkerRow {
                        latency: corrections.round(latency),
                        rate: corrections.round(in_flight(query, batch, Pipelined::Yes) * 1000.0 / request),
                        sources: itl.provenance,
                        ..worker(query, batch)
                    });
                }
                _ => {}
            }
        }
        rows
    }
}

/// Whether pipeline stages count: each holds a batch of its own, so a worker of `pp` stages completes `pp` batches in
/// the time of one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pipelined {
    Yes,
    No,
}

/// Requests that a worker processes at once.
fn in_flight(query: &Query, batch: u32, pipelined: Pipelined) -> f64 {
    let widths = query.mapping.widths();
    let stages = if pipelined == Pipelined::Yes { widths.pp } else { 1 };
    f64::from(batch) * f64::from(widths.attention_dp) * f64::from(stages)
}

fn worker(query: &Query, batch: u32) -> WorkerRow {
    WorkerRow {
        mapping: query.mapping,
        gpus: query.mapping.gpus().get(),
        batch,
        latency: 0.0,
        rate: 0.0,
        concurrency: whole(in_flight(query, batch, Pipelined::No)),
        sources: Provenance::default(),
    }
}

fn aggregated(
    mapping: ParallelMapping,
    (batch, context_tokens): (u32, u32),
    measured: &Measured,
    corrections: &DisaggregatedCorrections,
) -> Option<AggregatedRow> {
    let Measured::Aggregated {
        ttft,
        itl,
        tokens_per_s,
        requests_per_s,
    } = measured
    else {
        return None;
    };
    let query = Query {
        mapping,
        point: Point::Aggregated {
            batch,
            context_tokens,
        },
    };
    (itl.value.get() > 0.0).then(|| AggregatedRow {
        mapping,
        gpus: mapping.gpus().get(),
        batch,
        context_tokens,
        ttft: corrections.round(ttft.value.get()),
        itl: corrections.round(itl.value.get()),
        rate: corrections.round(requests_per_s.get()),
        tokens_per_s: corrections.round(tokens_per_s.get()),
        concurrency: whole(in_flight(&query, batch, Pipelined::Yes)),
        ttft_sources: ttft.provenance,
        itl_sources: itl.provenance,
    })
}

fn whole(value: f64) -> u32 {
    u32::try_from(dgdr_units::floor_count(value)).unwrap_or(u32::MAX)
}
