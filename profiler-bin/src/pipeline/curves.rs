//! Step 5: the picked engines in depth.

use std::collections::BTreeMap;

use dgdr_interpolation::{DecodePoint as SurfacePoint, DecodeSurface, PrefillCurve, PrefillPoint};
use dgdr_perf_model::{ParallelMapping, Provenance, SourceKind};
use dgdr_sweep_planner::{
    Configuration, DecodePoint, DecodeRange, Failure, Granularity, Layout, decode_grid, prefill_grid,
};
use dgdr_units::{Milliseconds, Tokens, TokensPerSecond, real};
use serde::Serialize;

use super::limits::{Half, Limits};
use super::question::Question;
use super::study::Study;
use crate::error::ProfilerError;
use crate::probe::Probe;

/// What the SLA planner scales by.
#[derive(Debug, Clone)]
pub struct Curves {
    /// TTFT and throughput of the prefill engine over prompt length.
    pub prefill: PrefillCurve,
    /// ITL and throughput of the decode engine over KV usage and context length.
    pub decode: DecodeSurface,
    /// How the prefill engine spreads the model.
    pub prefill_mapping: ParallelMapping,
    /// How the decode engine spreads the model.
    pub decode_mapping: ParallelMapping,
    /// Sources of all prefill latencies together.
    pub prefill_sources: Provenance,
    /// Sources of all decode latencies together.
    pub decode_sources: Provenance,
    /// Points without a number.
    pub failed: Vec<FailedPoint>,
}

impl Curves {
    /// Where each curve comes from, as its file says it.
    pub fn origins(&self, question: &Question, study: &Study) -> CurveOrigins {
        let of = |mapping: ParallelMapping, sources: &Provenance| {
            let mut origin = BTreeMap::from([
                ("source".to_owned(), "simulated".to_owned()),
                ("model".to_owned(), question.model.name.clone()),
                ("system".to_owned(), question.hardware.system.name.to_owned()),
                ("backend".to_owned(), study.backend.name().to_owned()),
                ("backend_version".to_owned(), study.version.clone()),
                ("mapping".to_owned(), mapping.to_string()),
            ]);
            for source in SourceKind::ALL {
                let share = sources.share(source);
                if share > 0.0 {
                    origin.insert(format!("share_{}", source.name()), format!("{share:.4}"));
                }
            }
            if let Some(beyond) = sources.farthest() {
                origin.insert("farthest_extrapolation".to_owned(), beyond.to_string());
            }
            origin
        };
        CurveOrigins {
            prefill: of(self.prefill_mapping, &self.prefill_sources),
            decode: of(self.decode_mapping, &self.decode_sources),
        }
    }
}

/// Where the two curves come from.
#[derive(Debug, Clone)]
pub struct CurveOrigins {
    /// Of the prefill curve.
    pub prefill: dgdr_interpolation::Provenance,
    /// Of the decode surface.
    pub decode: dgdr_interpolation::Provenance,
}

/// A point of a curve that could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedPoint {
    /// The point, in words.
    pub point: String,
    /// Why.
    pub failure: Failure,
}

/// What the curves span.
#[derive(Debug, Clone, Copy)]
pub struct CurveRequest<'a> {
    /// What was picked.
    pub pick: &'a Configuration,
    /// The flags that the engines will run with.
    pub limits: &'a Limits,
    /// Longest context of the model, tokens.
    pub context_length: u32,
    /// Prompt tokens of a typical request.
    pub isl: u32,
    /// Generated tokens of a typical request.
    pub osl: u32,
    /// Points on each axis.
    pub granularity: Granularity,
}

/// Measures both curves of the picked engines.
///
/// Latencies are those of the engine itself, without queueing: the SLA planner adds the queue that it sees.
///
/// # Errors
/// [`ProfilerError::Planner`] when no grid fits, [`ProfilerError::Curve`] when too few points could be had.
pub async fn measure(request: CurveRequest<'_>, probe: &mut impl Probe) -> Result<Curves, ProfilerError> {
    let (prefill_mapping, decode_mapping) = mappings(&request.pick.layout);
    let mut failed = Vec::new();
    let (prefill, prefill_sources) = prefill_curve(&request, prefill_mapping, probe, &mut failed).await?;
    let (decode, decode_sources) = decode_surface(&request, decode_mapping, probe, &mut failed).await?;
    Ok(Curves {
        prefill,
        decode,
        prefill_mapping,
        decode_mapping,
        prefill_sources,
        decode_sources,
        failed,
    })
}

/// The prefill and the decode mapping of a layout; one and the same for an aggregated one.
const fn mappings(layout: &Layout) -> (ParallelMapping, ParallelMapping) {
    match layout {
        Layout::Aggregated { mapping, .. } => (*mapping, *mapping),
        Layout::Disaggregated { prefill, decode } => (prefill.mapping, decode.mapping),
    }
}

async fn prefill_curve(
    request: &CurveRequest<'_>,
    mapping: ParallelMapping,
    probe: &mut impl Probe,
    failed: &mut Vec<FailedPoint>,
) -> Result<(PrefillCurve, Provenance), ProfilerError> {
    let longest = Tokens::new(u64::from(request.context_length.saturating_sub(1)));
    let gpus = f64::from(mapping.gpus().get());
    // Each attention copy works on a prompt of its own.
    let prompts = f64::from(mapping.widths().attention_dp);
    let mut points = Vec::new();
    let mut sources = Provenance::default();
    for isl in prefill_grid(longest, request.granularity)? {
        match probe.prefill(mapping, isl).await {
            Ok(ttft) => {
                sources.merge(&ttft.provenance, 1.0);
                points.push(PrefillPoint {
                    isl,
                    ttft: ttft.value,
                    throughput_per_gpu: per_gpu_second(prompts * real(isl.get()), ttft.value, gpus)?,
                });
            }
            Err(failure) => failed.push(FailedPoint {
                point: format!("prefill of {isl}"),
                failure,
            }),
        }
    }
    let curve = PrefillCurve::new(points).map_err(|source| ProfilerError::Curve {
        engine: "prefill",
        source,
    })?;
    Ok((curve, sources))
}

async fn decode_surface(
    request: &CurveRequest<'_>,
    mapping: ParallelMapping,
    probe: &mut impl Probe,
    failed: &mut Vec<FailedPoint>,
) -> Result<(DecodeSurface, Provenance), ProfilerError> {
    let kv_capacity = probe
        .kv_capacity(mapping, request.limits.engine(Half::Decode))
        .await
        .map_err(|failure| ProfilerError::KvCapacity { mapping, failure })?
        .tokens;
    let range = DecodeRange {
        kv_capacity,
        max_context: Tokens::new(u64::from(request.context_length)),
        isl: Tokens::new(u64::from(request.isl)),
        osl: Tokens::new(u64::from(request.osl)),
    };
    let grid = decode_grid(range, request.granularity)?;
    surface_of(kv_capacity, &grid, mapping, probe, failed).await
}

async fn surface_of(
    kv_capacity: Tokens,
    grid: &[DecodePoint],
    mapping: ParallelMapping,
    probe: &mut impl Probe,
    failed: &mut Vec<FailedPoint>,
) -> Result<(DecodeSurface, Provenance), ProfilerError> {
    let gpus = f64::from(mapping.gpus().get());
    let mut points = Vec::new();
    let mut sources = Provenance::default();
    for point in grid {
        match probe.decode(mapping, *point).await {
            Ok(itl) => {
                sources.merge(&itl.provenance, 1.0);
                points.push(SurfacePoint {
                    kv_usage: point.kv_usage,
                    context_length: real(point.context_length.get()),
                    itl: itl.value,
                    throughput_per_gpu: per_gpu_second(real(point.in_flight), itl.value, gpus)?,
                });
            }
            Err(failure) => failed.push(FailedPoint {
                point: describe(point),
                failure,
            }),
        }
    }
    let surface = DecodeSurface::new(kv_capacity, points).map_err(|source| ProfilerError::Curve {
        engine: "decode",
        source,
    })?;
    Ok((surface, sources))
}

fn describe(point: &DecodePoint) -> String {
    format!(
        "decode of {} requests at a context of {}",
        point.in_flight, point.context_length
    )
}

/// `tokens` each `every`, shared among GPUs.
fn per_gpu_second(tokens: f64, every: Milliseconds, gpus: f64) -> Result<TokensPerSecond, ProfilerError> {
    Ok(TokensPerSecond::new(tokens * 1000.0 / every.get() / gpus)?)
}

#[cfg(test)]
mod tests;
