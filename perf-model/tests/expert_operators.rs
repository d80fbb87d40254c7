//! Routed experts and their exchanges against the reference predictor, one question a row (see `data/README.md`).
#![expect(
    clippy::unwrap_used,
    reason = "what a test's helper cannot unwrap fails the test"
)]

use std::collections::BTreeMap;

use dgdr_perf_model::graph::{DispatchShape, MoeShape, Phase, WorkloadDistribution};
use dgdr_perf_model::operators::{
    AllToAllShape, ExchangeLibrary, ExchangeStep, ExpertComputeShape, MessageFormat, OperatorMiss,
};
use dgdr_perf_model::{Backend, MoeQuant, OperatorLatency, PerfDatabase, SourceKind, SystemSpec};

const ROWS: &str = include_str!("data/upstream_experts.csv");

const LIBRARIES: &str = include_str!("data/upstream_exchange_libraries.csv");

/// Table values are packed to within 1e-4; the rest is for products and blends of them.
const TOLERANCE: f64 = 1.5e-4;

type Answer = Result<OperatorLatency, OperatorMiss>;

/// One question.
struct Question {
    database: PerfDatabase,
    operator: String,
    given: BTreeMap<String, String>,
}

impl Question {
    fn tokens(&self) -> u64 {
        self.given["x"].parse().unwrap()
    }

    fn size(&self, name: &str) -> u32 {
        self.given[name].parse().unwrap()
    }

    fn flag(&self, name: &str) -> bool {
        self.given[name] == "1"
    }

    fn quant(&self) -> MoeQuant {
        MoeQuant::from_name(&self.given["q"]).unwrap()
    }

    fn distribution(&self) -> WorkloadDistribution {
        let name = &self.given["dist"];
        WorkloadDistribution::ALL
            .into_iter()
            .find(|distribution| distribution.name() == name)
            .unwrap()
    }

    fn phase(&self) -> Phase {
        match self.given["phase"].as_str() {
            "context" => Phase::Context,
            _ => Phase::Generation,
        }
    }

    fn answer(&self) -> Answer {
        match self.operator.as_str() {
            "moe" => self.moe(),
            "dispatch" => self.dispatch(),
            "all_to_all" => self.all_to_all(),
            "expert_compute" => self.expert_compute(),
            other => unreachable!("operator `{other}` is not asked about"),
        }
    }

    fn moe(&self) -> Answer {
        let shape = MoeShape {
            hidden: self.size("h"),
            intermediate: self.size("i"),
            per_token: self.size("k"),
            experts: self.size("E"),
            moe_tp: self.size("tp"),
            moe_ep: self.size("ep"),
            attention_dp: self.size("dp"),
            quant: self.quant(),
            distribution: self.distribution(),
            gated: self.flag("gated"),
        };
        self.database.moe(shape)?.latency(self.tokens())
    }

    fn dispatch(&self) -> Answer {
        let shape = DispatchShape {
            hidden: self.size("h"),
            per_token: self.size("k"),
            experts: self.size("E"),
            moe_tp: self.size("tp"),
            moe_ep: self.size("ep"),
            attention_dp: self.size("dp"),
            context_parallel: self.size("cp"),
            before: self.flag("before"),
            attention_reduces: self.flag("reduces"),
            prompts: self.flag("prompts"),
            backend: self.database.backend(),
            quant: self.quant(),
        };
        self.database.dispatch(shape)?.latency(self.tokens())
    }

    fn all_to_all(&self) -> Answer {
        let step = [
            ExchangeStep::Prepare,
            ExchangeStep::Dispatch,
            ExchangeStep::Combine,
        ]
        .into_iter()
        .find(|step| step.name() == self.given["step"]);
        let library = ExchangeLibrary::ALL
            .into_iter()
            .find(|library| library.name() == self.given["by"]);
        let message = match self.given["dtype"].as_str() {
            "default" => MessageFormat::Native,
            "fp4" => MessageFormat::Fp4,
            quant => MessageFormat::Experts(MoeQuant::from_name(quant).unwrap()),
        };
        let shape = AllToAllShape {
            library: library.unwrap(),
            step: step.unwrap(),
            message,
            ranks: self.size("ep"),
            nodes: self.size("nodes"),
            hidden: self.size("h"),
            per_token: self.size("k"),
            experts: self.size("E"),
            multiprocessors: self.size("sms"),
            backend: self.database.backend(),
        };
        self.database.all_to_all(shape)?.latency(self.tokens())
    }

    fn expert_compute(&self) -> Answer {
        let shape = ExpertComputeShape {
            moe: MoeShape {
                hidden: self.size("h"),
                intermediate: self.size("i"),
                per_token: self.size("k"),
                experts: self.size("E"),
                moe_tp: 1,
                moe_ep: self.size("ep"),
                attention_dp: self.size("dp"),
                quant: self.quant(),
                distribution: self.distribution(),
                gated: self.flag("gated"),
            },
            slots: self.size("slots"),
            phase: self.phase(),
            backend: self.database.backend(),
        };
        self.database.expert_compute(shape)?.latency(self.tokens())
    }
}

/// The questions of a file, each with its line and the reference's answer: the last column, empty where it misses.
fn questions(rows: &str) -> Vec<(String, Question, String)> {
    let mut databases: BTreeMap<(String, String), PerfDatabase> = BTreeMap::new();
    let mut reader = csv::Reader::from_reader(rows.as_bytes());
    let has_operator = reader.headers().unwrap().len() == 5;
    reader
        .records()
        .map(|record| {
            let mut columns: Vec<String> = record.unwrap().iter().map(str::to_owned).collect();
            let line = columns.join(",");
            let answer = columns.pop().unwrap();
            let given = columns.pop().unwrap();
            let operator = if has_operator {
                columns.pop().unwrap()
            } else {
                String::new()
            };
            let [system, backend] = columns.try_into().unwrap();
            let database = databases
                .entry((system.clone(), backend.clone()))
                .or_insert_with(|| {
                    let system = SystemSpec::by_name(&system).unwrap();
                    PerfDatabase::embedded(system, Backend::from_name(&backend).unwrap(), None).unwrap()
                });
            let given = given.split_whitespace().map(|pair| {
                let (name, value) = pair.split_once('=').unwrap();
                (name.to_owned(), value.to_owned())
            });
            let question = Question {
                database: database.clone(),
                operator,
                given: given.collect(),
            };
            (line, question, answer)
        })
        .collect()
}

#[test]
fn the_reference_chooses_the_same_libraries() {
    let mut chosen: BTreeMap<String, usize> = BTreeMap::new();
    for (line, question, expected) in questions(LIBRARIES) {
        let shape = ExpertComputeShape {
            moe: MoeShape {
                hidden: question.size("h"),
                intermediate: question.size("i"),
                per_token: question.size("k"),
                experts: question.size("E"),
                moe_tp: 1,
                moe_ep: question.size("ep"),
                attention_dp: question.size("dp"),
                quant: question.quant(),
                distribution: WorkloadDistribution::PowerLaw12,
                gated: true,
            },
            slots: question.size("E"),
            phase: question.phase(),
            backend: question.database.backend(),
        };
        let found = question
            .database
            .exchange_library(&shape)
            .map_or("", ExchangeLibrary::name);
        assert_eq!(found, expected, "{line}");
        *chosen.entry(expected).or_default() += 1;
    }
    for library in [
        "",
        "deepep_ht",
        "deepep_ll",
        "trtllm_deepep_ht",
        "trtllm_deepep_ll",
    ] {
        let count = chosen.get(library).copied().unwrap_or(0);
        assert!(count >= 10, "`{library}`: {count}");
    }
}

#[test]
fn experts_and_exchanges_cost_what_the_reference_says() {
    let mut wrong = Vec::new();
    let mut asked: BTreeMap<(String, Option<SourceKind>), usize> = BTreeMap::new();
    let mut worst = 0.0_f64;
    for (line, question, expected) in questions(ROWS) {
        let expected: Option<f64> = (!expected.is_empty()).then(|| expected.parse().unwrap());
        let operator = question.operator.clone();
        match (question.answer(), expected) {
            (Ok(found), Some(expected)) => {
                *asked.entry((operator, Some(found.source.kind()))).or_default() += 1;
                let error = if expected > 0.0 {
                    (found.ms / expected - 1.0).abs()
                } else {
                    found.ms
                };
                if error > TOLERANCE {
                    wrong.push(format!(
                        "{line}: found {:.9} ({:?}), {error:.1e} off",
                        found.ms, found.source
                    ));
                } else {
                    worst = worst.max(error);
                }
            }
            (Err(OperatorMiss::NotMeasured { .. } | OperatorMiss::OutOfReach { .. }), None) => {
                *asked.entry((operator, None)).or_default() += 1;
            }
            (answer, _) => wrong.push(format!("{line}: {answer:?}")),
        }
    }
    println!("{asked:?}, worst relative error {worst:.2e}");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    // The file asks about all of it: points, segments, tails, and shapes that nobody measured.
    for operator in ["moe", "dispatch", "all_to_all", "expert_compute"] {
        for source in [
            Some(SourceKind::Measured),
            Some(SourceKind::Interpolated),
            Some(SourceKind::Extrapolated),
        ] {
            let count = asked.get(&(operator.to_owned(), source)).copied().unwrap_or(0);
            assert!(count >= 10, "{operator} {source:?}: {count}");
        }
    }
    let misses: usize = asked
        .iter()
        .filter(|((_, source), _)| source.is_none())
        .map(|(_, count)| count)
        .sum();
    assert!(misses >= 50, "{misses}");
}
