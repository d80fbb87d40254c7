//! Attention to latents, dense and sparse, against the reference predictor, one question a row (see `data/README.md`).
#![expect(
    clippy::unwrap_used,
    reason = "what a test's helper cannot unwrap fails the test"
)]

use std::collections::BTreeMap;

use dgdr_perf_model::graph::{
    ContextMlaModuleShape, ContextMlaShape, DsaArchitecture, DsaShape, GenerationMlaModuleShape,
    GenerationMlaShape, IndexerLayers, MlaBmmShape, MlaBmmSide, WideEpContextMlaShape,
    WideEpGenerationMlaShape,
};
use dgdr_perf_model::operators::{ContextTokens, GenerationTokens, OperatorMiss};
use dgdr_perf_model::{
    Backend, FmhaQuant, GemmQuant, KvQuant, OperatorLatency, PerfDatabase, SourceKind, SystemSpec,
};

const ROWS: &str = include_str!("data/latent_vectors.csv");

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
    fn size(&self, name: &str) -> u32 {
        self.given[name].parse().unwrap()
    }

    fn kv(&self) -> KvQuant {
        KvQuant::from_name(&self.given["kv"]).unwrap()
    }

    fn gemm(&self) -> GemmQuant {
        GemmQuant::from_name(&self.given["gemm"]).unwrap()
    }

    fn fmha(&self) -> FmhaQuant {
        match self.given.get("fmha").map(String::as_str) {
            Some("fp8") => FmhaQuant::Fp8,
            _ => FmhaQuant::Bfloat16,
        }
    }

    fn context(&self) -> ContextTokens {
        ContextTokens {
            batch: u64::from(self.size("b")),
            new_tokens: u64::from(self.size("s")),
            prefix: u64::from(self.size("prefix")),
        }
    }

    fn generation(&self) -> GenerationTokens {
        GenerationTokens {
            batch: u64::from(self.size("b")),
            sequence: u64::from(self.size("s")),
        }
    }

    fn answer(&self) -> Answer {
        let database = &self.database;
        match self.operator.as_str() {
            "context_mla" => database.context_mla(self.context_mla())?.latency(self.context()),
            "generation_mla" => {
                let (heads, kv) = (self.size("n"), self.kv());
                database
                    .generation_mla(GenerationMlaShape { heads, kv })?
                    .latency(self.generation())
            }
            "context_mla_module" => {
                let shape = ContextMlaModuleShape {
                    heads: self.size("n"),
                    kv: self.kv(),
                    fmha: self.fmha(),
                    gemm: self.gemm(),
                };
                database.context_mla_module(shape)?.latency(self.context())
            }
            "generation_mla_module" => {
                let shape = GenerationMlaModuleShape {
                    heads: self.size("n"),
                    kv: self.kv(),
                    gemm: self.gemm(),
                };
                database.generation_mla_module(shape)?.latency(self.generation())
            }
            "wide_ep_context_mla" => {
                let shape = WideEpContextMlaShape {
                    heads: self.size("n"),
                    kv: self.kv(),
                    context_parallel: self.size("cp"),
                };
                database.wide_ep_context_mla(shape)?.latency(self.context())
            }
            "wide_ep_generation_mla" => {
                let (heads, kv) = (self.size("n"), self.kv());
                database
                    .wide_ep_generation_mla(WideEpGenerationMlaShape { heads, kv })?
                    .latency(self.generation())
            }
            "mla_bmm" => self.mla_bmm(),
            "dsa_context" => database.dsa_context(self.dsa())?.latency(self.context()),
            "dsa_generation" => database.dsa_generation(self.dsa())?.latency(self.generation()),
            other => unreachable!("operator `{other}` is not asked about"),
        }
    }

    fn context_mla(&self) -> ContextMlaShape {
        ContextMlaShape {
            heads: self.size("n"),
            kv: self.kv(),
            fmha: self.fmha(),
            context_parallel: self.size("cp"),
        }
    }

    fn mla_bmm(&self) -> Answer {
        let side = match self.given["side"].as_str() {
            "pre" => MlaBmmSide::Pre,
            _ => MlaBmmSide::Post,
        };
        let shape = MlaBmmShape {
            heads: self.size("n"),
            side,
            quant: self.gemm(),
        };
        Ok(self.database.mla_bmm(shape)?.latency(u64::from(self.size("b"))))
    }

    fn dsa(&self) -> DsaShape {
        DsaShape {
            architecture: match self.given["arch"].as_str() {
                "GlmMoeDsaForCausalLM" => DsaArchitecture::GlmMoeDsa,
                _ => DsaArchitecture::DeepseekV32,
            },
            heads: self.size("n"),
            chosen: 2048,
            indexer: IndexerLayers {
                choosing: self.size("choosing"),
                all: self.size("all"),
            },
            kv: self.kv(),
            fmha: self.fmha(),
            gemm: self.gemm(),
            context_parallel: self.given.get("cp").map_or(1, |cp| cp.parse().unwrap()),
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
fn latent_attention_costs_what_the_reference_says() {
    let mut wrong = Vec::new();
    let mut sources: BTreeMap<SourceKind, usize> = BTreeMap::new();
    let mut misses = 0;
    let mut worst = 0.0_f64;
    for (line, question, expected) in questions() {
        match (question.answer(), expected) {
            (Ok(found), Some(expected)) => {
                *sources.entry(found.source.kind()).or_default() += 1;
                let error = (found.ms / expected - 1.0).abs();
                if error > TOLERANCE {
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
    for kind in [
        SourceKind::Measured,
        SourceKind::Interpolated,
        SourceKind::Extrapolated,
    ] {
        assert!(
            sources.get(&kind).is_some_and(|count| *count >= 30),
            "{kind:?}: {sources:?}"
        );
    }
    assert!(misses >= 30, "{misses}");
}
