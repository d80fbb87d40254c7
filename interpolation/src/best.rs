//! The best throughput per GPU under an SLA.

use dgdr_units::{Fraction, Milliseconds, Tokens, TokensPerSecond, floor_count, real};

use crate::prefill::above_zero;
use crate::{
    Axis, Bound, DecodePlace, DecodeSurface, HeaviestLoad, OutOfRange, PrefillCurve, QueryError, Reading,
};

/// Numbers of requests that are looked at; larger ranges are looked at in equal steps.
const STEPS: u64 = 4096;

/// What is asked of a service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServiceLevel {
    /// Input length of a request.
    pub isl: Tokens,
    /// Output length of a request.
    pub osl: Tokens,
    /// Largest allowed time to first token.
    pub ttft: Milliseconds,
    /// Largest allowed inter-token latency.
    pub itl: Milliseconds,
}

/// The best throughput of prefill and decode engines together.
#[derive(Debug, Clone, PartialEq)]
pub struct BestThroughput {
    /// Output tokens per second and GPU, prefill and decode GPUs together, when as many of either work as the other
    /// keeps busy: `osl / (isl / prefill_per_gpu + osl / decode_per_gpu)`.
    pub output_per_gpu: TokensPerSecond,
    /// Share of the GPUs that prefill then.
    pub prefill_share: Fraction,
    /// Time to first token of one prompt on an idle prefill engine.
    pub ttft: Reading<Milliseconds>,
    /// Input tokens per second and prefill GPU.
    pub prefill_per_gpu: Reading<TokensPerSecond>,
    /// Inter-token latency of the decode engine.
    pub itl: Reading<Milliseconds>,
    /// Output tokens per second and decode GPU.
    pub decode_per_gpu: Reading<TokensPerSecond>,
    /// The load of the decode engine, and what keeps it from a heavier one.
    pub load: HeaviestLoad,
}

/// The best throughput per GPU of a prefill and a decode engine under an SLA.
///
/// The decode engine carries the number of requests with the best throughput among those that keep the ITL, at the
/// mean context length `isl + osl / 2`; the prefill engine takes one prompt after the other. Queueing is not counted, so
/// this is a bound for steady traffic: a service that is filled up to it has no room for bursts.
///
/// # Errors
/// [`QueryError`] when the input or context length was not measured, or even an idle engine breaks a limit.
pub fn best_throughput(
    prefill: &PrefillCurve,
    decode: &DecodeSurface,
    level: ServiceLevel,
) -> Result<BestThroughput, QueryError> {
    let ttft = prefill.ttft(level.isl, OutOfRange::Refuse)?;
    if ttft.value > level.ttft {
        return Err(QueryError::OverLimit {
            limit_ms: level.ttft.get(),
            takes_ms: ttft.value.get(),
            axis: Axis::Isl,
            at: real(level.isl.get()),
        });
    }
    let prefill_per_gpu = prefill.throughput_per_gpu(level.isl, OutOfRange::Refuse)?;
    let (load, decode_per_gpu) = busiest(decode, level)?;
    let place = DecodePlace {
        kv_usage: load.kv_usage,
        context_length: context_length(level),
    };
    let itl = decode.itl(place, OutOfRange::Refuse)?;
    // GPU seconds of either phase per request.
    let prefill_work = real(level.isl.get()) / prefill_per_gpu.value.get();
    let decode_work = real(level.osl.get()) / decode_per_gpu.value.get();
    let whole = above_zero(prefill_work + decode_work)?;
    let output = real(level.osl.get()) / whole;
    let share = prefill_work / whole;
    Ok(BestThroughput {
        output_per_gpu: TokensPerSecond::new(output)
            .map_err(|_| QueryError::Meaningless { value: output })?,
        prefill_share: Fraction::new(share).map_err(|_| QueryError::Meaningless { value: share })?,
        ttft,
        prefill_per_gpu,
        itl,
        decode_per_gpu,
        load,
    })
}

fn context_length(level: ServiceLevel) -> f64 {
    real(level.isl.get()) + real(level.osl.get()) / 2.0
}

/// The load with the best throughput among those that keep the ITL.
fn busiest(
    decode: &DecodeSurface,
    level: ServiceLevel,
) -> Result<(HeaviestLoad, Reading<TokensPerSecond>), QueryError> {
    let context_length = context_length(level);
    let heaviest = decode.max_load(level.itl, context_length)?;
    let read = |kv_usage| {
        let place = DecodePlace {
            kv_usage,
            context_length,
        };
        decode.throughput_per_gpu(place, OutOfRange::Refuse)
    };
    let lightest = *decode.usage_range(context_length).start();
    let per_request = context_length / real(decode.max_kv_tokens().get());
    let fewest = floor_count(lightest / per_request);
    let step = (heaviest.in_flight.saturating_sub(fewest) / STEPS).max(1);
    let mut best: Option<(HeaviestLoad, Reading<TokensPerSecond>)> = None;
    let mut in_flight = heaviest.in_flight;
    while in_flight > 0 && in_flight >= fewest {
        let usage = Fraction::new((real(in_flight) * per_request).min(heaviest.kv_usage.get()));
        if let Some((kv_usage, throughput)) = usage.ok().and_then(|usage| Some((usage, read(usage).ok()?)))
            && best
                .as_ref()
                .is_none_or(|(_, least)| throughput.value > least.value)
        {
            let bound = if in_flight == heaviest.in_flight {
                heaviest.bound
            } else {
                Bound::Optimum
            };
            let load = HeaviestLoad {
                kv_usage,
                in_flight,
                bound,
            };
            best = Some((load, throughput));
        }
        in_flight = in_flight.saturating_sub(step);
    }
    // Where no whole number of requests lies in the range, its upper end stands for all.
    best.map_or_else(|| Ok((heaviest, read(heaviest.kv_usage)?)), Ok)
}

#[cfg(test)]
mod tests;
