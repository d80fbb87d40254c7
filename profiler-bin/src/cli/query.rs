//! `query`: asks the interpolation data of a finished run.

use std::path::Path;

use dgdr_interpolation::{DecodePlace, OutOfRange, Source, npz};
use dgdr_units::{Fraction, Milliseconds, Tokens};
use serde::Serialize;

use super::answer;
use super::args::{QueryArgs, Question};
use super::printer::Printer;
use crate::artifacts::{DECODE_NPZ_FILE, PREFILL_NPZ_FILE};
use crate::error::ProfilerError;
use crate::exit_status::ExitStatus;

/// What a query answers.
#[derive(Debug, Serialize)]
struct Reply {
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
    source: &'static str,
}

pub(super) fn run(arguments: &QueryArgs, printer: Printer) -> Result<ExitStatus, ProfilerError> {
    let out_of_range = if arguments.extrapolate {
        OutOfRange::Extrapolate
    } else {
        OutOfRange::Refuse
    };
    let reply = match arguments.question {
        Question::Prefill { isl } => prefill(&arguments.dir, isl, out_of_range)?,
        Question::Decode {
            kv_usage,
            max_itl,
            context_length,
        } => {
            let context_length = f64::from(context_length);
            match (kv_usage, max_itl) {
                (_, Some(limit)) => heaviest(&arguments.dir, limit, context_length)?,
                (Some(usage), None) => decode(&arguments.dir, (usage, context_length), out_of_range)?,
                (None, None) => {
                    return Err(ProfilerError::Argument {
                        argument: "--kv-usage",
                        problem: "say --kv-usage or --max-itl".to_owned(),
                    });
                }
            }
        }
    };
    answer(printer, arguments.output, &reply, || lines(&reply))?;
    Ok(ExitStatus::Done)
}

fn read(dir: &Path, name: &str) -> Result<Vec<u8>, ProfilerError> {
    let path = dir.join(name);
    std::fs::read(&path).map_err(|error| ProfilerError::RunUnreadable {
        path,
        problem: error.to_string(),
    })
}

fn prefill(dir: &Path, isl: u32, out_of_range: OutOfRange) -> Result<Reply, ProfilerError> {
    let curve = npz::read_prefill(&read(dir, PREFILL_NPZ_FILE)?)
        .map_err(|error| unreadable(dir, PREFILL_NPZ_FILE, &error))?;
    let isl = Tokens::new(u64::from(isl));
    let ttft = curve.ttft(isl, out_of_range)?;
    let throughput = curve.throughput_per_gpu(isl, out_of_range)?;
    Ok(Reply {
        ttft_ms: Some(ttft.value.get()),
        itl_ms: None,
        tokens_per_s_per_gpu: Some(throughput.value.get()),
        kv_usage: None,
        in_flight: None,
        source: source(&ttft.source),
    })
}

fn decode(dir: &Path, place: (f64, f64), out_of_range: OutOfRange) -> Result<Reply, ProfilerError> {
    let surface = surface(dir)?;
    let kv_usage = Fraction::new(place.0).map_err(|error| ProfilerError::Argument {
        argument: "--kv-usage",
        problem: error.to_string(),
    })?;
    let place = DecodePlace {
        kv_usage,
        context_length: place.1,
    };
    let itl = surface.itl(place, out_of_range)?;
    let throughput = surface.throughput_per_gpu(place, out_of_range)?;
    Ok(Reply {
        ttft_ms: None,
        itl_ms: Some(itl.value.get()),
        tokens_per_s_per_gpu: Some(throughput.value.get()),
        kv_usage: Some(kv_usage.get()),
        in_flight: None,
        source: source(&itl.source),
    })
}

fn heaviest(dir: &Path, limit: f64, context_length: f64) -> Result<Reply, ProfilerError> {
    let limit = Milliseconds::new(limit).map_err(|error| ProfilerError::Argument {
        argument: "--max-itl",
        problem: error.to_string(),
    })?;
    let load = surface(dir)?.max_load(limit, context_length)?;
    Ok(Reply {
        ttft_ms: None,
        itl_ms: Some(limit.get()),
        tokens_per_s_per_gpu: None,
        kv_usage: Some(load.kv_usage.get()),
        in_flight: Some(load.in_flight),
        source: match load.bound {
            dgdr_interpolation::Bound::Optimum => "beyond it throughput falls",
            dgdr_interpolation::Bound::Limit => "bound by the ITL limit",
            dgdr_interpolation::Bound::MeasuredRange => "bound by the measured range",
        },
    })
}

fn surface(dir: &Path) -> Result<dgdr_interpolation::DecodeSurface, ProfilerError> {
    npz::read_decode(&read(dir, DECODE_NPZ_FILE)?).map_err(|error| unreadable(dir, DECODE_NPZ_FILE, &error))
}

fn unreadable(dir: &Path, name: &str, error: &dgdr_interpolation::FormatError) -> ProfilerError {
    ProfilerError::RunUnreadable {
        path: dir.join(name),
        problem: error.to_string(),
    }
}

const fn source(source: &Source) -> &'static str {
    match source {
        Source::Point => "measured point",
        Source::Smoothed => "smoothed over noisy points",
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
    line("TTFT", reply.ttft_ms.map(|ms| format!("{ms:.2} ms")));
    line("ITL", reply.itl_ms.map(|ms| format!("{ms:.3} ms")));
    line(
        "throughput",
        reply
            .tokens_per_s_per_gpu
            .map(|rate| format!("{rate:.1} tokens/s/GPU")),
    );
    line("KV usage", reply.kv_usage.map(|usage| format!("{usage:.3}")));
    line(
        "requests in flight",
        reply.in_flight.map(|requests| requests.to_string()),
    );
    lines.push(reply.source.to_owned());
    lines.join("\n")
}
