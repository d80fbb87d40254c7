//! Single operators against the reference predictor, one question a row (see `data/README.md`).
#![expect(
    clippy::unwrap_used,
    reason = "what a test's helper cannot unwrap fails the test"
)]

use std::collections::BTreeMap;

use dgdr_perf_model::operators::{
    Collective, ContextAttentionShape, ContextTokens, GemmShape, GenerationAttentionShape, GenerationTokens,
    OperatorMiss, PointToPoint, elementwise, embedding, point_to_point,
};
use dgdr_perf_model::{
    Backend, FmhaQuant, GemmQuant, KvQuant, OperatorLatency, PerfDatabase, SourceKind, SystemSpec,
};

const ROWS: &str = include_str!("data/upstream_vectors.csv");

/// Table values are packed to within 1e-4; the rest is for products and blends of them.
const TOLERANCE: f64 = 1.5e-4;

/// A statically scaled GEMM is the difference of three table values, whose errors add up.
const STATIC_TOLERANCE: f64 = 6e-4;

type Answer = Result<OperatorLatency, OperatorMiss>;

/// One question.
struct Question {
    database: PerfDatabase,
    operator: String,
    given: BTreeMap<String, String>,
}

impl Question {
    fn count(&self, name: &str) -> u64 {
        self.given[name].parse().unwrap()
    }

    fn size(&self, name: &str) -> u32 {
        self.given[name].parse().unwrap()
    }

    fn flag(&self, name: &str) -> bool {
        self.given.get(name).is_some_and(|value| value == "1")
    }

    fn kv(&self) -> KvQuant {
        KvQuant::from_name(&self.given["kv"]).unwrap()
    }

    fn answer(&self) -> Answer {
        let system = self.database.system();
        match self.operator.as_str() {
            "gemm" => self.gemm(),
            "context_attention" => self.context_attention(),
            "generation_attention" => self.generation_attention(),
            "custom_allreduce" => {
                let elements = self.count("x") * self.count("h");
                self.database.all_reduce(self.size("tp"))?.latency(elements)
            }
            "nccl" => self.nccl(),
            "elementwise" => Ok(elementwise(
                system,
                self.count("x"),
                self.count("in") + self.count("out"),
            )),
            "embedding" => Ok(embedding(system, self.count("x"), self.count("h"))),
            "p2p" => Ok(point_to_point(
                system,
                PointToPoint {
                    tokens: self.count("x"),
                    hidden: self.count("h"),
                    stages: self.size("pp"),
                },
            )),
            other => unreachable!("operator `{other}` is not asked about"),
        }
    }

    fn gemm(&self) -> Answer {
        let shape = GemmShape {
            n: self.size("n"),
            k: self.size("k"),
            quant: GemmQuant::from_name(&self.given["q"]).unwrap(),
            low_precision_input: self.flag("low"),
            roofline_when_far: false,
        };
        self.database.gemm(shape)?.latency(self.count("m"))
    }

    fn context_attention(&self) -> Answer {
        let shape = ContextAttentionShape {
            heads: self.size("n"),
            kv_heads: self.size("nkv"),
            head_dim: self.size("hd"),
            window: self.size("w"),
            kv: self.kv(),
            fmha: if self.given["fmha"] == "fp8" {
                FmhaQuant::Fp8
            } else {
                FmhaQuant::Bfloat16
            },
            qk_norm: self.flag("qk_norm"),
        };
        let cost = self.database.context_attention(shape);
        assert_eq!(cost.is_ok(), self.database.has_context_attention(&shape));
        cost?.latency(ContextTokens {
            batch: self.count("b"),
            new_tokens: self.count("s"),
            prefix: self.count("prefix"),
        })
    }

    fn generation_attention(&self) -> Answer {
        let shape = GenerationAttentionShape {
            heads: self.size("n"),
            kv_heads: self.size("nkv"),
            head_dim: self.size("hd"),
            window: self.size("w"),
            kv: self.kv(),
        };
        let tokens = GenerationTokens {
            batch: self.count("b"),
            sequence: self.count("s"),
        };
        self.database.generation_attention(shape)?.latency(tokens)
    }

    fn nccl(&self) -> Answer {
        let collective = match self.given["op"].as_str() {
            "all_gather" => Collective::AllGather,
            "all_reduce" => Collective::AllReduce,
            "alltoall" => Collective::AllToAll,
            "reduce_scatter" => Collective::ReduceScatter,
            other => unreachable!("collective `{other}` is not asked about"),
        };
        let elements = self.count("x") * self.count("h");
        self.database.nccl(collective, self.size("n"))?.latency(elements)
    }

    fn tolerance(&self) -> f64 {
        match self.given.get("q").map(String::as_str) {
            Some("fp8_static") => STATIC_TOLERANCE,
            _ => TOLERANCE,
        }
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
fn every_operator_costs_what_the_reference_says() {
    let mut wrong = Vec::new();
    let mut sources: BTreeMap<SourceKind, usize> = BTreeMap::new();
    let mut misses = 0;
    let mut worst = 0.0_f64;
    for (line, question, expected) in questions() {
        match (question.answer(), expected) {
            (Ok(found), Some(expected)) => {
                *sources.entry(found.source.kind()).or_default() += 1;
                let error = if expected > 0.0 {
                    (found.ms / expected - 1.0).abs()
                } else {
                    found.ms
                };
                if error > question.tolerance() {
                    wrong.push(format!(
                        "{line}: found {:.9} ({:?}), {error:.1e} off",
                        found.ms, found.source
                    ));
                } else {
                    worst = worst.max(error);
                }
            }
            (Err(OperatorMiss::NotMeasured { .. } | OperatorMiss::OutOfReach { .. }), None) => misses += 1,
            (answer, _) => wrong.push(format!("{line}: {answer:?}")),
        }
    }
    println!("sources {sources:?}, misses {misses}, worst relative error {worst:.2e}");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    // The file asks about all of it: points, cells, tails, and shapes that nobody measured.
    for source in [
        SourceKind::Measured,
        SourceKind::Interpolated,
        SourceKind::Extrapolated,
        SourceKind::Analytic,
    ] {
        assert!(
            sources.get(&source).is_some_and(|count| *count >= 10),
            "{source:?}: {sources:?}"
        );
    }
    assert!(misses >= 10, "{misses}");
}
