//! `query`: asks the interpolation data of a finished run.

use std::path::Path;

use dgdr_interpolation::{
    Bound, DecodePlace, DecodeSurface, OutOfRange, PrefillCurve, ServiceLevel, Source, best_throughput, npz,
};
use dgdr_units::{Fraction, Milliseconds, Tokens};
use serde::Serialize;

use super::answer;
use super::args::{QueryArgs, Question};
use super::printer::Printer;
use crate::artifacts::{DECODE_NPZ_FILE, PREFILL_NPZ_FILE};
use crate::error::ProfilerError;
use crate::exit_status::ExitStatus;

/// What a query answers.
#[derive(Debug, Default, Serialize)]
struct Reply {
    #[serde(skip_serializing_if = "Option::is_none")]
    isl: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttft_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    itl_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_per_s_per_gpu: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kv_usage: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_flight: Option<u64>,
    /// Input tokens per second and prefill GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefill_tokens_per_s_per_gpu: Option<f64>,
    /// Output tokens per second and decode GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    decode_tokens_per_s_per_gpu: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefill_gpu_share: Option<f64>,
    /// Relative error to expect of the latency, where left-out points tell it.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_error: Option<f64>,
    source: &'static str,
}

pub(super) fn run(arguments: &QueryArgs, printer: Printer) -> Result<ExitStatus, ProfilerError> {
    let out_of_range = if arguments.extrapolate {
        OutOfRange::Extrapolate
    } else {
        OutOfRange::Refuse
    };
    let dir = &arguments.dir;
    let reply = match arguments.question {
        Question::Prefill { isl, max_ttft } => match (isl, max_ttft) {
            (_, Some(limit)) => longest(dir, limit)?,
            (Some(isl), None) => prefill(dir, isl, out_of_range)?,
            (None, None) => return Err(unsaid("--isl", "say --isl or --max-ttft")),
        },
        Question::Decode {
            kv_usage,
            max_itl,
            context_length,
        } => {
            let context_length = f64::from(context_length);
            match (kv_usage, max_itl) {
                (_, Some(limit)) => heaviest(dir, limit, context_length)?,
                (Some(usage), None) => decode(dir, (usage, context_length), out_of_range)?,
                (None, None) => return Err(unsaid("--kv-usage", "say --kv-usage or --max-itl")),
            }
        }
        Question::Best { isl, osl, ttft, itl } => {
            let level = ServiceLevel {
                isl: Tokens::new(u64::from(isl)),
                osl: Tokens::new(u64::from(osl)),
                ttft: limit_of("--ttft", ttft)?,
                itl: limit_of("--itl", itl)?,
            };
            best(dir, level)?
        }
    };
    answer(printer, arguments.output, &reply, || lines(&reply))?;
    Ok(ExitStatus::Done)
}

fn unsaid(argument: &'static str, problem: &str) -> ProfilerError {
    ProfilerError::Argument {
        argument,
        problem: problem.to_owned(),
    }
}

fn limit_of(argument: &'static str, limit: f64) -> Result<Milliseconds, ProfilerError> {
    Milliseconds::new(limit).map_err(|error| unsaid(argument, &error.to_string()))
}

fn read(dir: &Path, name: &str) -> Result<Vec<u8>, ProfilerError> {
    let path = dir.join(name);
    std::fs::read(&path).map_err(|error| ProfilerError::RunUnreadable {
        path,
        problem: error.to_string(),
    })
}

fn longest(dir: &Path, limit: f64) -> Result<Reply, ProfilerError> {
    let limit = limit_of("--max-ttft", limit)?;
    let prompt = curve(dir)?.max_isl(limit)?;
    Ok(Reply {
        isl: Some(prompt.isl.get()),
        ttft_ms: Some(limit.get()),
        source: bound(prompt.bound),
        ..Reply::default()
    })
}

fn prefill(dir: &Path, isl: u32, out_of_range: OutOfRange) -> Result<Reply, ProfilerError> {
    let curve = curve(dir)?;
    let isl = Tokens::new(u64::from(isl));
    let ttft = curve.ttft(isl, out_of_range)?;
    let throughput = curve.throughput_per_gpu(isl, out_of_range)?;
    Ok(Reply {
        ttft_ms: Some(ttft.value.get()),
        tokens_per_s_per_gpu: Some(throughput.value.get()),
        expected_error: ttft.expected_error,
        source: source(&ttft.source),
        ..Reply::default()
    })
}

fn decode(dir: &Path, place: (f64, f64), out_of_range: OutOfRange) -> Result<Reply, ProfilerError> {
    let surface = surface(dir)?;
    let kv_usage = Fraction::new(place.0).map_err(|error| unsaid("--kv-usage", &error.to_string()))?;
    let place = DecodePlace {
        kv_usage,
        context_length: place.1,
    };
    let itl = surface.itl(place, out_of_range)?;
    let throughput = surface.throughput_per_gpu(place, out_of_range)?;
    Ok(Reply {
        itl_ms: Some(itl.value.get()),
        tokens_per_s_per_gpu: Some(throughput.value.get()),
        kv_usage: Some(kv_usage.get()),
        expected_error: itl.expected_error,
        source: source(&itl.source),
        ..Reply::default()
    })
}

fn heaviest(dir: &Path, limit: f64, context_length: f64) -> Result<Reply, ProfilerError> {
    let limit = limit_of("--max-itl", limit)?;
    let load = surface(dir)?.max_load(limit, context_length)?;
    Ok(Reply {
        itl_ms: Some(limit.get()),
        kv_usage: Some(load.kv_usage.get()),
        in_flight: Some(load.in_flight),
        source: bound(load.bound),
        ..Reply::default()
    })
}

fn best(dir: &Path, level: ServiceLevel) -> Result<Reply, ProfilerError> {
    let best = best_throughput(&curve(dir)?, &surface(dir)?, level)?;
    Ok(Reply {
        ttft_ms: Some(best.ttft.value.get()),
        itl_ms: Some(best.itl.value.get()),
        tokens_per_s_per_gpu: Some(best.output_per_gpu.get()),
        kv_usage: Some(best.load.kv_usage.get()),
        in_flight: Some(best.load.in_flight),
        prefill_tokens_per_s_per_gpu: Some(best.prefill_per_gpu.value.get()),
        decode_tokens_per_s_per_gpu: Some(best.decode_per_gpu.value.get()),
        prefill_gpu_share: Some(best.prefill_share.get()),
        // Both latencies stand behind the answer: the worse known one is told.
        expected_error: best
            .ttft
            .expected_error
            .zip(best.itl.expected_error)
            .map(|(ttft, itl)| ttft.max(itl)),
        source: bound(best.load.bound),
        ..Reply::default()
    })
}

fn curve(dir: &Path) -> Result<PrefillCurve, ProfilerError> {
    npz::read_prefill(&read(dir, PREFILL_NPZ_FILE)?)
        .map_err(|error| unreadable(dir, PREFILL_NPZ_FILE, &error))
}

fn surface(dir: &Path) -> Result<DecodeSurface, ProfilerError> {
    npz::read_decode(&read(dir, DECODE_NPZ_FILE)?).map_err(|error| unreadable(dir, DECODE_NPZ_FILE, &error))
}

fn unreadable(dir: &Path, name: &str, error: &dgdr_interpolation::FormatError) -> ProfilerError {
    ProfilerError::RunUnreadable {
        path: dir.join(name),
        problem: error.to_string(),
    }
}

const fn bound(bound: Bound) -> &'static str {
    match bound {
        Bound::Limit => "bound by the limit",
        Bound::MeasuredRange => "bound by the measured range",
        Bound::Optimum => "bound by nothing: a heavier load gives less throughput",
    }
}

const fn source(source: &Source) -> &'static str {
    match source {
        Source::Point => "measured point",
        Source::Smoothed => "smoothed: the measured point contradicts its neighbours",
        Source::Interpolated => "interpolated",
        Source::Extrapolated { .. } => "EXTRAPOLATED beyond the measured range",
    }
}

fn lines(reply: &Reply) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            lines.push(format!("{name} {value}"));
        }
    };
    let rate = |rate: f64| format!("{rate:.1} tokens/s/GPU");
    line("input length", reply.isl.map(|isl| format!("{isl} tokens")));
    line("TTFT", reply.ttft_ms.map(|ms| format!("{ms:.2} ms")));
    line("ITL", reply.itl_ms.map(|ms| format!("{ms:.3} ms")));
    line("throughput", reply.tokens_per_s_per_gpu.map(rate));
    line("KV usage", reply.kv_usage.map(|usage| format!("{usage:.3}")));
    line(
        "requests in flight",
        reply.in_flight.map(|requests| requests.to_string()),
    );
    line("prefill", reply.prefill_tokens_per_s_per_gpu.map(rate));
    line("decode", reply.decode_tokens_per_s_per_gpu.map(rate));
    line(
        "GPUs that prefill",
        reply
            .prefill_gpu_share
            .map(|share| format!("{:.1} %", share * 100.0)),
    );
    line(
        "expected error",
        reply
            .expected_error
            .map(|error| format!("{:.1} %", error * 100.0)),
    );
    lines.push(reply.source.to_owned());
    lines.join("\n")
}
