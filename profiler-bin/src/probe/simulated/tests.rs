use std::num::NonZeroUsize;

use dgdr_perf_model::{Backend, ExchangePolicy, PerfDatabase, Precision, SystemSpec, registry};
use dgdr_sweep_planner::{
    Goal, Measurements, Picking, SearchSpace, Serving, Sla, Workload, candidates, pick,
};
use dgdr_units::Milliseconds;

use super::{KvTransfer, Simulation};
use crate::hardware::{Hardware, HardwareWish};
use crate::pipeline::question::{ProbeTraits, Question};
use crate::probe::Sweep;
use crate::progress::Progress;

fn count(number: u32) -> std::num::NonZeroU32 {
    std::num::NonZeroU32::new(number).unwrap()
}

fn question() -> Question {
    let wish = HardwareWish {
        system: Some("h200_sxm"),
        gpus_per_node: None,
        total_gpus: Some(count(16)),
        tables: None,
        memory_mib: None,
    };
    Question {
        model: registry::find("Qwen/Qwen3-30B-A3B").unwrap().clone(),
        hardware: Hardware::resolve(wish, None).unwrap(),
        backends: vec![Backend::Sglang],
        workload: Workload::new(4000, 200).unwrap(),
        goal: Goal::Sla(Sla::TokenLatency {
            ttft: Milliseconds::new(2000.0).unwrap(),
            itl: Milliseconds::new(30.0).unwrap(),
        }),
        picking: Picking::BestThroughput,
        serving: Serving::Both,
        max_gpus_per_engine: None,
        space: SearchSpace::Wide,
        transfer: KvTransfer::LeftOut,
    }
}

/// Answers and decision do not depend on the number of threads, to the last bit.
#[test]
fn any_number_of_threads_answers_alike() {
    let question = question();
    let system = SystemSpec::by_name("h200_sxm").unwrap();
    let database = PerfDatabase::embedded(system, Backend::Sglang, None)
        .unwrap()
        .with_exchange(ExchangePolicy::WhereMeasured);
    let precision = Precision::infer(&question.model, &database).unwrap();
    let problem = question
        .problem(&ProbeTraits {
            backend: Backend::Sglang,
            precision,
            kind: dgdr_sweep_planner::ProbeKind::Simulated,
            corrections: dgdr_sweep_planner::DisaggregatedCorrections::upstream(),
            exchanged_experts: Vec::new(),
        })
        .unwrap();
    let tried = candidates(&problem);
    let mut simulation = Simulation {
        database,
        model: question.model.clone(),
        precision,
        memory_capacity: question.hardware.memory,
        workload: question.workload,
        transfer: KvTransfer::LeftOut,
        threads: NonZeroUsize::MIN,
    };
    let mut answers = |threads: usize| -> Measurements {
        simulation.threads = NonZeroUsize::new(threads).unwrap();
        let sweep = Sweep {
            problem: &problem,
            candidates: &tried,
            progress: &Progress::hidden(),
        };
        simulation.sweep(sweep).unwrap()
    };
    let alone = answers(1);
    assert!(alone.len() > 1000);
    let bytes = |measured: &Measurements| {
        let all: Vec<_> = measured.iter().collect();
        serde_json::to_string(&all).unwrap()
    };
    for threads in [2, 3, 16] {
        let together = answers(threads);
        assert_eq!(bytes(&together), bytes(&alone), "{threads} threads");
        assert_eq!(pick(&problem, &tried, &together), pick(&problem, &tried, &alone));
    }
}
