//! The pictures of a run, from its comparison and curves.

use dgdr_interpolation::DecodePlace;
use dgdr_perf_model::ParallelMapping;
use dgdr_sweep_planner::{Answer, Configuration, Goal, Layout, Measured, Point, ProbeKind, Query, Sla};
use dgdr_units::{Fraction, real};
use rayon::prelude::*;

use super::comparison::Comparison;
use super::curves::Curves;
use super::fronts::FrontInput;
use super::price::GpuPrice;
use super::question::Question;
use super::runner_up::RunnerUp;
use super::study::Study;
use crate::error::ProfilerError;
use crate::plots::{
    DecodeCandidate, DecodeLoad, DecodePerformance, DecodePick, DecodePicture, Drawing, PrefillCandidate,
    PrefillPerformance, PrefillPicture, Subject, cost_sla, decode_itl, decode_performance, decode_throughput,
    pareto, prefill_performance, prefill_throughput, prefill_ttft,
};

/// A picture's file names: the guide spells one of them in its own way, so both spellings are written.
type Names = &'static [&'static str];

const PARETO: Names = &["pareto.png"];
const COST: Names = &["cost_sla.png"];
const PREFILL_PERFORMANCE: Names = &["prefill_performance.png"];
const DECODE_PERFORMANCE: Names = &["decode_performance.png"];
const PREFILL_TTFT: Names = &["selected_prefill_interpolation/prefill_ttft_interpolation.png"];
const PREFILL_THROUGHPUT: Names = &["selected_prefill_interpolation/prefill_throughput_interpolation.png"];
const DECODE_ITL: Names = &[
    "selected_decode_interpolation/decode_itl_interpolation.png",
    "selected_decode_interpolation/decode_itl_interplation.png",
];
const DECODE_THROUGHPUT: Names = &["selected_decode_interpolation/decode_throughput_interpolation.png"];

/// A picture's bytes and the files that hold them.
#[derive(Debug)]
pub struct Picture {
    /// Paths below the output directory.
    pub names: Names,
    /// PNG.
    pub png: Vec<u8>,
}

/// What is drawn.
#[derive(Debug, Clone, Copy)]
pub struct PictureInput<'a> {
    /// The question.
    pub question: &'a Question,
    /// All engines that were compared.
    pub comparison: &'a Comparison,
    /// What was picked.
    pub pick: &'a Configuration,
    /// What came second.
    pub runner_up: Option<&'a RunnerUp>,
    /// The picked engines in depth.
    pub curves: &'a Curves,
    /// Dollars for a GPU hour.
    pub price: Option<GpuPrice>,
}

/// Draws all eight.
///
/// # Errors
/// [`ProfilerError::Plot`] when a picture cannot be encoded.
pub fn draw(input: PictureInput<'_>) -> Result<Vec<Picture>, ProfilerError> {
    let subject = Subject {
        model: input.question.model.name.clone(),
        backend: input.study().backend.name().to_owned(),
        system: input.question.hardware.system.name.to_owned(),
    };
    let prefill_name = short(input.curves.prefill_mapping);
    let decode_name = short(input.curves.decode_mapping);
    let limits = input.limits();
    let points = match input.study().problem.probe {
        ProbeKind::Simulated => "simulated points",
        ProbeKind::Measured => "measured points",
    };
    let prefill_mappings = input.prefill_mappings(&subject);
    let decode_mappings = input.decode_mappings(&subject);
    let prefill = PrefillPicture {
        subject: &subject,
        mapping: &prefill_name,
        points,
        curve: &input.curves.prefill,
        ttft_limit_ms: limits.ttft_ms,
        isl: Some(u64::from(input.question.workload.isl())),
    };
    let decode = DecodePicture {
        subject: &subject,
        mapping: &decode_name,
        points,
        surface: &input.curves.decode,
        itl_limit_ms: limits.itl_ms,
        pick: input.decode_place(),
    };
    let fronts = FrontInput {
        question: input.question,
        comparison: input.comparison,
        runner_up: input.runner_up,
        price: input.price,
    }
    .fronts();
    let drawings: [(Names, &(dyn Fn() -> Drawing + Sync)); 8] = [
        (DECODE_ITL, &|| decode_itl(&decode)),
        (DECODE_THROUGHPUT, &|| decode_throughput(&decode)),
        (PREFILL_PERFORMANCE, &|| prefill_performance(&prefill_mappings)),
        (DECODE_PERFORMANCE, &|| decode_performance(&decode_mappings)),
        (PREFILL_TTFT, &|| prefill_ttft(&prefill)),
        (PREFILL_THROUGHPUT, &|| prefill_throughput(&prefill)),
        (PARETO, &|| pareto(&fronts)),
        (COST, &|| cost_sla(&fronts)),
    ];
    drawings
        .into_par_iter()
        .map(|(names, drawing)| {
            Ok(Picture {
                names,
                png: drawing().png()?,
            })
        })
        .collect()
}

/// Bounds that are drawn.
#[derive(Debug, Clone, Copy)]
struct LatencyLimits {
    ttft_ms: Option<f64>,
    itl_ms: Option<f64>,
}

/// The workers of a layout, as they were asked about.
#[derive(Debug, Clone, Copy)]
struct Workers {
    prefill: ParallelMapping,
    decode: Query,
}

impl Workers {
    fn of(layout: &Layout) -> Self {
        let (prefill, mapping, point) = match layout {
            Layout::Aggregated {
                batch_size,
                context_tokens,
                mapping,
            } => {
                let point = Point::Aggregated {
                    batch: *batch_size,
                    context_tokens: *context_tokens,
                };
                (*mapping, *mapping, point)
            }
            Layout::Disaggregated { prefill, decode } => {
                let point = Point::Decode {
                    batch: decode.batch_size,
                };
                (prefill.mapping, decode.mapping, point)
            }
        };
        Self {
            prefill,
            decode: Query { mapping, point },
        }
    }
}

/// A mapping's name in a legend: kind first, lower case.
fn short(mapping: ParallelMapping) -> String {
    mapping.to_string().to_lowercase()
}

impl PictureInput<'_> {
    /// The study that won.
    fn study(&self) -> &Study {
        self.comparison.winner()
    }

    fn limits(&self) -> LatencyLimits {
        match self.question.goal {
            Goal::Sla(Sla::TokenLatency { ttft, itl }) => LatencyLimits {
                ttft_ms: Some(ttft.get()),
                itl_ms: Some(itl.get()),
            },
            Goal::Sla(Sla::RequestLatency(_)) | Goal::Throughput | Goal::Latency => LatencyLimits {
                ttft_ms: None,
                itl_ms: None,
            },
        }
    }

    /// TTFT of each mapping as the SLA judges it, by the role that was picked.
    fn prefill_mappings(&self, subject: &Subject) -> PrefillPerformance {
        let isl = self.question.workload.isl();
        let factors = &self.study().problem.corrections;
        let is_split = self.pick.layout.is_disaggregated();
        let second = self.second().map(|second| second.prefill);
        let mut candidates: Vec<PrefillCandidate> = Vec::new();
        let (mut pick, mut runner_up) = (None, None);
        for (query, answer) in self.study().measurements.iter() {
            let ttft_ms = match (query.point, answer) {
                (Point::Prefill { batch: 1 }, Ok(Measured::Prefill { ttft, kv_transfer })) if is_split => {
                    ttft.value.get() * factors.prefill_latency * factors.ttft_queue + kv_transfer.get()
                }
                (Point::Aggregated { batch: 1, .. }, Ok(Measured::Aggregated { ttft, .. })) if !is_split => {
                    ttft.value.get()
                }
                _ => continue,
            };
            let mapping = short(query.mapping);
            if candidates.iter().any(|known| known.mapping == mapping) {
                continue;
            }
            if query.mapping == self.curves.prefill_mapping {
                pick = Some(candidates.len());
            } else if Some(query.mapping) == second {
                runner_up = Some(candidates.len());
            }
            let gpus = query.mapping.gpus().get();
            // Each attention copy works on a prompt of its own.
            let prompts = f64::from(query.mapping.widths().attention_dp);
            candidates.push(PrefillCandidate {
                mapping,
                gpus,
                ttft_ms,
                throughput_per_gpu: prompts * f64::from(isl) * 1000.0 / ttft_ms / f64::from(gpus),
            });
        }
        PrefillPerformance {
            subject: subject.clone(),
            isl: u64::from(isl),
            candidates,
            ttft_limit_ms: self.limits().ttft_ms,
            pick,
            runner_up,
        }
    }

    /// ITL and throughput of each mapping over requests in flight, by the role that was picked.
    fn decode_mappings(&self, subject: &Subject) -> DecodePerformance {
        let picked = self.picked_load();
        let second = self.second();
        let mut candidates: Vec<DecodeCandidate> = Vec::new();
        let (mut pick, mut runner_up) = (None, None);
        for (query, answer) in self.study().measurements.iter() {
            let Some((point, load)) = self.load(*query, answer) else {
                continue;
            };
            let mapping = short(query.mapping);
            if candidates.last().is_none_or(|known| known.mapping != mapping) {
                let gpus = query.mapping.gpus().get();
                candidates.push(DecodeCandidate {
                    mapping,
                    gpus,
                    loads: Vec::new(),
                });
            }
            let candidate = candidates.len() - 1;
            let loads = &mut candidates[candidate].loads;
            let here = DecodePick {
                candidate,
                load: loads.len(),
            };
            if query.mapping == self.curves.decode_mapping && point == picked {
                pick = Some(here);
            } else if second.is_some_and(|second| second.decode == *query) {
                runner_up = Some(here);
            }
            loads.push(load);
        }
        DecodePerformance {
            subject: subject.clone(),
            isl: u64::from(self.question.workload.isl()),
            osl: u64::from(self.question.workload.osl()),
            candidates,
            itl_limit_ms: self.limits().itl_ms,
            pick,
            runner_up,
        }
    }

    /// A measurement as a load of the picked role. Of an aggregated worker, only loads at the picked step size are
    /// shown, so that a line is a function of the requests in flight.
    fn load(&self, query: Query, answer: &Answer) -> Option<(Point, DecodeLoad)> {
        let copies = query.mapping.widths().attention_dp;
        let gpus = f64::from(query.mapping.gpus().get());
        match (query.point, answer, self.picked_load()) {
            (Point::Decode { batch }, Ok(Measured::Decode { itl }), Point::Decode { .. }) => {
                let itl_ms = itl.value.get() * self.study().problem.corrections.decode_latency;
                let in_flight = u64::from(batch * copies);
                let throughput_per_gpu = f64::from(batch * copies) * 1000.0 / itl_ms / gpus;
                Some((
                    query.point,
                    DecodeLoad {
                        in_flight,
                        itl_ms,
                        throughput_per_gpu,
                    },
                ))
            }
            (
                Point::Aggregated {
                    batch,
                    context_tokens,
                },
                Ok(Measured::Aggregated {
                    itl, tokens_per_s, ..
                }),
                Point::Aggregated {
                    context_tokens: shown,
                    ..
                },
            ) if context_tokens == shown => {
                let load = DecodeLoad {
                    in_flight: u64::from(batch * copies),
                    itl_ms: itl.value.get(),
                    throughput_per_gpu: tokens_per_s.get() / gpus,
                };
                Some((query.point, load))
            }
            _ => None,
        }
    }

    fn picked_load(&self) -> Point {
        Workers::of(&self.pick.layout).decode.point
    }

    /// The workers of the runner-up, where it is served by the same engine and in the same way as the pick: only then
    /// its numbers stand beside those of the pick.
    fn second(&self) -> Option<Workers> {
        let second = self.runner_up?;
        let alike = second.backend == self.study().backend.name()
            && second.configuration.layout.is_disaggregated() == self.pick.layout.is_disaggregated();
        alike.then(|| Workers::of(&second.configuration.layout))
    }

    /// Where the picked load lies on the decode surface: half of each answer is there on average.
    fn decode_place(&self) -> Option<DecodePlace> {
        let workload = self.question.workload;
        let context_length = f64::from(workload.isl()) + f64::from(workload.osl()) / 2.0;
        let batch = match self.picked_load() {
            Point::Aggregated { batch, .. } | Point::Decode { batch } | Point::Prefill { batch } => batch,
        };
        let in_flight = f64::from(batch * self.curves.decode_mapping.widths().attention_dp);
        let capacity = real(self.curves.decode.max_kv_tokens().get());
        let kv_usage = Fraction::new(in_flight * context_length / capacity).ok()?;
        Some(DecodePlace {
            kv_usage,
            context_length,
        })
    }
}
