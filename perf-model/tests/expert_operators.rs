//! Routed experts and their exchanges against the reference predictor, one question a row (see `data/README.md`).
#![expect(
    clippy::unwrap_used,
    reason = "what a test's helper cannot unwrap fails the test"
)]

use std::collections::BTreeMap;

use dgdr_perf_model::graph::{DispatchShape, MoeShape, WorkloadDistribution};
use dgdr_perf_model::operators::OperatorMiss;
use dgdr_perf_model::{Backend, MoeQuant, OperatorLatency, PerfDatabase, SourceKind, SystemSpec};

const ROWS: &str = include_str!("data/upstream_experts.csv");

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

    fn answer(&self) -> Answer {
        match self.operator.as_str() {
            "moe" => self.moe(),
            "dispatch" => self.dispatch(),
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
}

/// The questions of the file with the milliseconds of the reference; none where it misses too.
fn questions() -> Vec<(String, Question, Option<f64>)> {
    let mut databases: BTreeMap<(String, String), PerfDatabase> = BTreeMap::new();
    let mut reader = csv::Reader::from_reader(ROWS.as_bytes());
    reader
        .records()
        .map(|record| {
            let record = record.unwrap();
            let place = (record[0].to_owned(), record[1].to_owned());
            let database = databases.entry(place).or_insert_with(|| {
                let system = SystemSpec::by_name(&record[0]).unwrap();
                PerfDatabase::embedded(system, Backend::from_name(&record[1]).unwrap(), None).unwrap()
            });
            let given = record[3].split_whitespace().map(|pair| {
                let (name, value) = pair.split_once('=').unwrap();
                (name.to_owned(), value.to_owned())
            });
            let question = Question {
                database: database.clone(),
                operator: record[2].to_owned(),
                given: given.collect(),
            };
            let line = record.iter().collect::<Vec<_>>().join(",");
            let expected = (!record[4].is_empty()).then(|| record[4].parse().unwrap());
            (line, question, expected)
        })
        .collect()
}

#[test]
fn experts_and_exchanges_cost_what_the_reference_says() {
    let mut wrong = Vec::new();
    let mut asked: BTreeMap<(String, Option<SourceKind>), usize> = BTreeMap::new();
    let mut worst = 0.0_f64;
    for (line, question, expected) in questions() {
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
    for operator in ["moe", "dispatch"] {
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
