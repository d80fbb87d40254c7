//! How near the surface of a few points comes to the engine itself.

use std::num::NonZeroUsize;

use dgdr_interpolation::{DecodePlace, OutOfRange};
use dgdr_perf_model::{Backend, PerfDatabase, Precision, SystemSpec, WorkerRole, registry};
use dgdr_sweep_planner::Workload;
use dgdr_units::{Fraction, floor_count};

use super::*;
use crate::probe::{EngineLimits, KvTransfer, SimulatedProbe, Simulation};

/// An engine and its typical request.
#[derive(Clone, Copy)]
struct Case {
    model: &'static str,
    backend: Backend,
    mapping: ParallelMapping,
    isl: u64,
    osl: u64,
}

fn cases() -> [Case; 3] {
    [
        Case {
            model: "Qwen/Qwen3-32B",
            backend: Backend::Trtllm,
            mapping: ParallelMapping::tp(4).unwrap(),
            isl: 3000,
            osl: 150,
        },
        Case {
            model: "meta-llama/Meta-Llama-3.1-8B",
            backend: Backend::Trtllm,
            mapping: ParallelMapping::tp(1).unwrap(),
            isl: 1024,
            osl: 512,
        },
        Case {
            model: "deepseek-ai/DeepSeek-V3",
            backend: Backend::Sglang,
            mapping: ParallelMapping::dep(16).unwrap(),
            isl: 4000,
            osl: 1000,
        },
    ]
}

/// The simulated engine of a case, with the room of its cache.
struct Engine {
    case: Case,
    probe: SimulatedProbe,
    capacity: Tokens,
    longest: u64,
}

impl Engine {
    async fn of(case: Case) -> Self {
        let system = SystemSpec::by_name("h200_sxm").unwrap();
        let database = PerfDatabase::embedded(system, case.backend, None).unwrap();
        let model = registry::find(case.model).unwrap().clone();
        let longest = u64::from(model.context_length);
        let precision = Precision::infer(&model, &database).unwrap();
        let mut probe = SimulatedProbe::new(Simulation {
            memory_capacity: system.memory_capacity,
            database,
            model,
            precision,
            workload: Workload::new(1024, 512).unwrap(),
            transfer: KvTransfer::LeftOut,
            threads: NonZeroUsize::MIN,
        });
        let limits = EngineLimits {
            max_num_tokens: 8192,
            role: WorkerRole::Disaggregated,
        };
        let capacity = probe.kv_capacity(case.mapping, limits).await.unwrap().tokens;
        Self {
            case,
            probe,
            capacity,
            longest,
        }
    }

    fn point(&self, isl: u64, in_flight: u64) -> DecodePoint {
        let context = isl + self.case.osl / 2;
        DecodePoint {
            isl: Tokens::new(isl),
            osl: Tokens::new(self.case.osl),
            in_flight,
            context_length: Tokens::new(context),
            kv_usage: Fraction::new(real(in_flight * context) / real(self.capacity.get())).unwrap(),
        }
    }

    fn room(&self, isl: u64) -> u64 {
        self.capacity.get() / (isl + self.case.osl)
    }

    fn grid(&self) -> Vec<DecodePoint> {
        let range = DecodeRange {
            kv_capacity: self.capacity,
            max_context: Tokens::new(self.longest),
            isl: Tokens::new(self.case.isl),
            osl: Tokens::new(self.case.osl),
        };
        decode_grid(range, Granularity::default()).unwrap()
    }

    /// The usual grid of upstream: the same ends, and equal steps between them.
    fn even_grid(&self) -> Vec<DecodePoint> {
        let grid = self.grid();
        let [low, high] = [grid[0], grid[grid.len() - 1]].map(|point| point.isl.get());
        let even = |from: u64, to: u64| (0..6).map(move |step| from + (to - from) * step / 5);
        even(low, high)
            .flat_map(|isl| even(1, self.room(isl)).map(move |in_flight| (isl, in_flight)))
            .map(|(isl, in_flight)| self.point(isl, in_flight))
            .collect()
    }

    async fn surface(&mut self, grid: &[DecodePoint]) -> DecodeSurface {
        let mut failed = Vec::new();
        let (surface, _) = surface_of(
            self.capacity,
            grid,
            self.case.mapping,
            &mut self.probe,
            &mut failed,
        )
        .await
        .unwrap();
        assert_eq!(failed, []);
        surface
    }

    async fn itl(&mut self, point: DecodePoint) -> f64 {
        self.probe
            .decode(self.case.mapping, point)
            .await
            .unwrap()
            .value
            .get()
    }

    /// Root of the mean squared relative error of ITL and of throughput at 200 places that are spread evenly over the
    /// logarithms of context length and requests in flight.
    async fn error(&mut self, surface: &DecodeSurface) -> [f64; 2] {
        let (shortest, longest) = surface.context_range().into_inner();
        let gpus = f64::from(self.case.mapping.gpus().get());
        let mut squares = [0.0; 2];
        for index in 1..=200_u32 {
            let [across, along] = [2, 3].map(|base| spread(index, base));
            let context = shortest * (longest / shortest).powf(across);
            let isl = floor_count(context) - self.case.osl / 2;
            let in_flight = floor_count(real(self.room(isl)).powf(along)).max(1);
            let point = self.point(isl, in_flight);
            let place = DecodePlace {
                kv_usage: point.kv_usage,
                context_length: real(point.context_length.get()),
            };
            let itl = surface.itl(place, OutOfRange::Extrapolate).unwrap().value.get();
            let rate = surface
                .throughput_per_gpu(place, OutOfRange::Extrapolate)
                .unwrap()
                .value
                .get();
            let truth = self.itl(point).await;
            squares[0] += (itl / truth - 1.0).powi(2);
            squares[1] += (rate * truth * gpus / real(in_flight) / 1000.0 - 1.0).powi(2);
        }
        squares.map(|sum| (sum / 200.0).sqrt())
    }
}

/// Numbers of Halton's sequence: even over 0 to 1, without a pattern together with another base.
fn spread(mut index: u32, base: u32) -> f64 {
    let (mut share, mut number) = (1.0, 0.0);
    while index > 0 {
        share /= f64::from(base);
        number += share * f64::from(index % base);
        index /= base;
    }
    number
}

/// Six by six points, where they are put, come to within 5 % of the engine on the whole, and to less than half of the
/// error of equal steps.
#[tokio::test]
async fn the_grid_lies_where_the_cost_bends() {
    for case in cases() {
        let mut engine = Engine::of(case).await;
        let (ours, even) = (engine.grid(), engine.even_grid());
        assert!(ours.len() <= 36);
        let surface = engine.surface(&ours).await;
        let [itl, rate] = engine.error(&surface).await;
        let surface = engine.surface(&even).await;
        let [even_itl, even_rate] = engine.error(&surface).await;
        println!(
            "{}: ITL {itl:.4} instead of {even_itl:.4}, throughput {rate:.4} instead of {even_rate:.4}",
            case.model
        );
        assert!(itl < 0.05 && itl < even_itl / 2.0, "{itl} {even_itl}");
        assert!(rate < 0.05 && rate < even_rate / 2.0, "{rate} {even_rate}");
    }
}

/// The typical request is read off a measured row, however few requests are in flight.
#[tokio::test]
async fn the_typical_request_is_read_off_its_own_row() {
    for case in cases() {
        let mut engine = Engine::of(case).await;
        let grid = engine.grid();
        let surface = engine.surface(&grid).await;
        for share in [0.02, 0.2, 0.5, 0.9] {
            let in_flight = floor_count(real(engine.room(case.isl)) * share).max(1);
            let point = engine.point(case.isl, in_flight);
            let place = DecodePlace {
                kv_usage: point.kv_usage,
                context_length: real(point.context_length.get()),
            };
            let read = surface.itl(place, OutOfRange::Refuse).unwrap().value.get();
            let truth = engine.itl(point).await;
            assert!(
                (read / truth - 1.0).abs() < 0.04,
                "{} {in_flight}: {read} {truth}",
                case.model
            );
        }
    }
}
